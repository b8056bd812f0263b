"""Nobody is let in without TLS, from elsewhere, or to be lied to; and renewal disturbs nobody."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from naru.errors import NaruError
from naru.ground import Certificates
from naru.ground.identities import POSTGRES_PORTS, Place
from naru.ground.shown import shown_at
from naru.journal import Journal
from naru.lab.environment import Environment
from naru.postgres import Dsn, connect, fetch_all, fetch_value
from naru.spec import ServiceSpec, Spec
from naru.system import wait_until
from tests.proxy import Proxy
from tests.servers import wipe

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning"),
]

APP = "10.1.2.121"
BASTION = "10.1.1.110"


def spec_with(*allowed: str) -> Spec:
    return Spec(service=ServiceSpec(members=2, allowed=allowed or ("10.1.0.0/16",)))


@pytest.fixture(scope="module")
def environment(server_folder: Path) -> Iterator[Environment]:
    environment = Environment(spec_with(), server_folder / "tls")
    try:
        environment.up()
        yield environment
    finally:
        wipe(environment.ground)


def pool_dsn(environment: Environment) -> Dsn:
    service = environment.spec.service
    return environment.pool.dsn(service.user, service.database)


def doors(environment: Environment) -> dict[str, Dsn]:
    """Every address at which a client could try to get in, as the service's user."""
    service = environment.service
    user = environment.spec.service.user
    return {
        "writes": service.writer().with_(user=user),
        "reads": service.reader().with_(user=user),
        "member": service.member(service.primary().name).with_(user=user),
        "pool": pool_dsn(environment),
    }


def gets_in(dsn: Dsn) -> bool:
    try:
        with connect(dsn, purpose="test", prepare=False) as connection:
            return bool(fetch_value(connection, "SELECT 1"))
    except NaruError:
        return False


def gets_in_from(source: str, dsn: Dsn, environment: Environment) -> bool:
    """Whether a client at the address `source` of this machine gets in."""
    with Proxy(dsn.port, dsn.host, source=source) as proxy:
        return gets_in(by_way_of(proxy, dsn, environment))


def by_way_of(proxy: Proxy, dsn: Dsn, environment: Environment) -> Dsn:
    # The passfile knows the password by the port.
    through = dsn.with_(hostaddr="127.0.0.1", port=str(proxy.port))
    return through.with_(password=environment.service.password)


@contextlib.contextmanager
def connected_from(
    source: str, environment: Environment
) -> Iterator[Mapping[str, psycopg.Connection[Any]]]:
    """A session from the address `source` at each door, by the door's name."""
    with contextlib.ExitStack() as stack:
        found = {}
        for door in ("writes", "reads", "pool"):
            dsn = doors(environment)[door]
            proxy = stack.enter_context(Proxy(dsn.port, dsn.host, source=source))
            through = by_way_of(proxy, dsn, environment)
            found[door] = stack.enter_context(connect(through, purpose="test", prepare=False))
        yield found


def goes_on(connection: psycopg.Connection[Any]) -> bool:
    try:
        return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


@pytest.mark.parametrize("door", ["writes", "reads", "member", "pool"])
def test_without_tls_nobody_is_let_in(environment: Environment, door: str) -> None:
    dsn = doors(environment)[door]
    assert gets_in(dsn)
    plain = dsn.with_(sslmode="disable", sslrootcert=None)
    with pytest.raises(NaruError, match=r"no encryption|SSL required"):
        connect(plain, purpose="test", prepare=False)


@pytest.mark.parametrize("door", ["writes", "member", "pool"])
def test_who_trusts_another_authority_does_not_log_in(
    environment: Environment, door: str, tmp_path: Path
) -> None:
    other = Certificates(tmp_path / "tls", environment.ground.account, "other", tuple)
    other.ensure()
    dsn = doors(environment)[door].with_(sslrootcert=str(other.authority))
    with pytest.raises(NaruError, match="certificate verify failed"):
        connect(dsn, purpose="test", prepare=False)


def old_client() -> ssl.SSLContext:
    """A client that knows TLS 1.0 and 1.1 alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def speaks(place: Place, context: ssl.SSLContext) -> bool:
    with socket.create_connection((place.address, place.port), timeout=5) as line:
        if place.purpose in POSTGRES_PORTS:
            line.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")
            assert line.recv(1) == b"S"
        try:
            with context.wrap_socket(line):
                return True
        except (ssl.SSLError, ConnectionError):
            return False


def test_nothing_older_than_tls_1_2_is_spoken_anywhere(environment: Environment) -> None:
    newer = old_client()
    newer.maximum_version = ssl.TLSVersion.TLSv1_3
    places = [one for it in environment.ground.certificates.list() for one in it.places]
    assert {one.purpose for one in places} == {"postgres", "patroni", "clients", "peers", "pool"}
    for place in places:
        assert speaks(place, newer), place
        assert not speaks(place, old_client()), place


def test_members_replicate_over_tls_from_whom_they_have_checked(environment: Environment) -> None:
    query = """SELECT r.application_name, s.ssl, s.version FROM pg_stat_replication r
               JOIN pg_stat_ssl s USING (pid)"""
    with connect(environment.service.writer(), purpose="test") as connection:
        found = fetch_all(connection, query)
    assert len(found) == 1
    assert all(encrypted and version >= "TLSv1.2" for _, encrypted, version in found)
    with connect(environment.service.reader(), purpose="test") as connection:
        assert "sslmode=verify-full" in fetch_value(connection, "SHOW primary_conninfo")


def test_the_pool_checks_whom_it_sends_clients_to(environment: Environment) -> None:
    with connect(pool_dsn(environment), purpose="test", prepare=False) as connection:
        query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert fetch_value(connection, query)
    settings = (environment.ground.folder / "data/pool/pgbouncer.ini").read_text()
    assert "server_tls_sslmode = verify-full" in settings


def test_clients_get_in_from_where_the_spec_lets_them_and_from_nowhere_else(
    environment: Environment,
) -> None:
    ground = environment.ground
    app, bastion = ground.address(APP), ground.address(BASTION)
    found = doors(environment)
    for door in ("writes", "reads", "pool"):
        assert gets_in_from(app, found[door], environment), door
        assert not gets_in_from("127.9.9.9", found[door], environment), door
    # A member itself is for the environment's own hosts.
    assert gets_in_from("127.0.0.1", found["member"], environment)
    assert not gets_in_from(app, found["member"], environment)
    before = {one.name: one.pid for one in ground.status().programs}
    changed = Environment(spec_with(BASTION), ground.folder)
    with connected_from(app, environment) as early, connected_from("127.0.0.1", environment) as own:
        changed.up(keep_sessions=True)
        try:
            for door in ("writes", "reads", "pool"):
                assert gets_in_from(bastion, found[door], environment), door
                assert not gets_in_from(app, found[door], environment), door
            assert {one.name: one.pid for one in ground.status().programs} == before
            assert all(map(goes_on, early.values()))
            assert {(one.door, one.address) for one in changed.outsiders()} == {
                (door, app) for door in early
            }
            early["pool"].execute("BEGIN")
            ended = changed.end_outsiders()
            assert {one.door for one in ended} == set(early)
            assert changed.outsiders() == ()
            assert not any(map(goes_on, early.values()))
            assert all(map(goes_on, own.values()))
        finally:
            environment.up()
    assert gets_in_from(app, found["writes"], environment)
    with Journal.in_folder(ground.folder) as journal:
        noted = journal.latest("service", "access")
        assert noted is not None
        assert [one["address"] for one in noted.events()[0].data["sessions"]] == [app] * 3


class Clients(threading.Thread):
    """One client that stays connected and one that connects anew each time, both writing."""

    def __init__(self, dsn: Dsn) -> None:
        super().__init__()
        self._dsn = dsn
        self.done, self.errors = 0, list[str]()
        self.over = threading.Event()

    def run(self) -> None:
        try:
            with connect(self._dsn, purpose="test", prepare=False) as staying:
                while not self.over.is_set():
                    staying.execute("INSERT INTO renewed DEFAULT VALUES")
                    with connect(self._dsn, purpose="test", prepare=False) as passing:
                        passing.execute("INSERT INTO renewed DEFAULT VALUES")
                    self.done += 1
        except (NaruError, psycopg.Error) as error:
            self.errors.append(str(error))


def test_certificates_and_authority_are_renewed_under_running_clients(
    environment: Environment, tmp_path: Path
) -> None:
    certificates = environment.ground.certificates
    places = [place for one in certificates.list() for place in one.places]
    protection = environment.service.status().protection
    assert protection.level == "reduced"  # as good as it gets with two members
    old_serials = {place: shown_at(place) for place in places}
    assert all(old_serials.values())
    old_authority = tmp_path / "old.crt"
    old_authority.write_bytes(certificates.authority.read_bytes())
    with connect(environment.service.writer(), purpose="test") as connection:
        connection.execute("CREATE TABLE renewed (id serial)")
        connection.execute(
            f"GRANT ALL ON renewed, renewed_id_seq TO {environment.spec.service.user}"
        )
    both = [Clients(pool_dsn(environment)), Clients(doors(environment)["writes"])]
    for one in both:
        one.start()
    try:
        wait_until(lambda: all(one.done or one.errors for one in both), "clients", 30)
        environment.renew(with_authority=True)
        since = [one.done for one in both]
        wait_until(
            lambda: all(one.done > n + 1 or one.errors for one, n in zip(both, since, strict=True)),
            "clients to go on", 30,
        )  # fmt: skip
    finally:
        for one in both:
            one.over.set()
            one.join(30)
    assert [one.errors for one in both] == [[], []]
    for place in places:
        assert shown_at(place) not in {None, old_serials[place]}, place
    with Journal.in_folder(environment.ground.folder) as journal:
        noted = journal.latest("service", "certificates")
        assert noted is not None
        assert noted.outcome == "done"
        assert {one.data["serial"] for one in noted.events()} >= {
            one.serial for one in certificates.list() if "earlier" not in one.used_by
        }
    for dsn in doors(environment).values():
        assert gets_in(dsn)
        assert gets_in(dsn.with_(sslrootcert=str(old_authority)))
    wait_until(
        lambda: environment.service.status().protection == protection, "protection as before", 60
    )
