"""A client that is refused by a certificate learns why: against a server of a few lines."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from naru.errors import NotPermittedError
from naru.ground import authority
from naru.postgres import Dsn, connect
from naru.postgres.trust import why_distrusted

DAYS = 365


@pytest.fixture(scope="module")
def own() -> authority.Issued:
    return make()


def make() -> authority.Issued:
    return authority.make_authority("the authority", DAYS, dt.datetime.now(dt.UTC))


@contextlib.contextmanager
def serving(folder: Path, by: authority.Issued, *, days: float = DAYS) -> Iterator[Dsn]:
    """A server that says `S` and shows a certificate of `days`; who trusts `by` reaches it so."""
    now = dt.datetime.now(dt.UTC)
    shown = authority.issue("db1", ["db1"], ["127.0.0.1"], by=by, days=days, now=now)
    (folder / "server.pem").write_bytes(shown.certificate + shown.key)
    (folder / "ca.crt").write_bytes(by.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(folder / "server.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener, context), daemon=True).start()
        port = listener.getsockname()[1]
        yield Dsn.of("127.0.0.1", port, "d", "u", authority=folder / "ca.crt")
        listener.shutdown(socket.SHUT_RDWR)


def answer(listener: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        while True:
            line, _ = listener.accept()
            with contextlib.suppress(OSError), line:
                line.recv(8)
                line.sendall(b"S")
                context.wrap_socket(line, server_side=True).close()


def test_a_client_is_told_that_the_certificate_has_expired_and_who_renews_it(
    tmp_path: Path, own: authority.Issued
) -> None:
    with serving(tmp_path, own, days=-0.01) as dsn:
        with pytest.raises(NotPermittedError, match="certificate has expired") as caught:
            connect(dsn, purpose="test", seconds=2)
    assert caught.value.remedy is not None
    assert "--renew" in caught.value.remedy


def test_a_stranger_s_certificate_is_told_from_one_that_is_trusted(
    tmp_path: Path, own: authority.Issued
) -> None:
    with serving(tmp_path, own) as dsn:
        assert why_distrusted(dsn) is None
        (tmp_path / "other.crt").write_bytes(make().certificate)
        why = why_distrusted(dsn.with_(sslrootcert=str(tmp_path / "other.crt")))
        assert why is not None and "issuer" in why
        assert why_distrusted(dsn.with_(sslrootcert=str(tmp_path / "none.crt"))) is None


def test_nothing_is_said_of_a_server_that_does_not_answer(
    tmp_path: Path, own: authority.Issued
) -> None:
    with serving(tmp_path, own) as dsn:
        pass
    assert why_distrusted(dsn) is None
