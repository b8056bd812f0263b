"""The authority: what it issues, who trusts it across its renewal, and what is due when."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from naru.ground import authority, worst_of
from naru.ground.certificates import Certificate, Certificates, whose_turn
from naru.ground.doctor import Diagnosis, certificate_finding
from naru.ground.identities import Identity, identities
from naru.spec import BackupSpec, EnvironmentSpec, ServiceSpec, Spec
from naru.system import server_account

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
DB1 = Identity("db1", "test", ("db1.lab.internal",), ("127.1.3.41", "10.1.3.41"))
DB2 = Identity("db2", "test", ("db2.lab.internal",), ("127.1.3.42", "10.1.3.42"))


def local(address: str) -> str:
    return address.replace("10.1.", "127.1.", 1)


def made(folder: Path, wanted: Sequence[Identity] = (DB1, DB2)) -> Certificates:
    certificates = Certificates(folder / "tls", server_account(), "test", lambda: wanted)
    certificates.ensure()
    return certificates


def shakes_hands(server: Path, trusted: bytes, name: str) -> bool:
    """Whether a client that trusts `trusted` takes the server with the file `server` for `name`."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(str(server))
    asking = ssl.create_default_context(cadata=trusted.decode())
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(back, there, server_hostname=name)
    answer = serving.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (client, answer):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return client.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_server_is_taken_for_each_of_its_names_and_addresses_and_for_no_other(
    tmp_path: Path,
) -> None:
    certificates = made(tmp_path)
    trusted = certificates.authority.read_bytes()
    for name in (*DB1.names, *DB1.addresses):
        assert shakes_hands(certificates.pair("db1"), trusted, name), name
    assert not shakes_hands(certificates.pair("db1"), trusted, DB2.addresses[0])


def test_another_authority_is_not_trusted(tmp_path: Path) -> None:
    ours, theirs = made(tmp_path / "a"), made(tmp_path / "b")
    assert not shakes_hands(ours.pair("db1"), theirs.authority.read_bytes(), DB1.names[0])


def test_addresses_are_also_among_the_names_where_old_clients_look(tmp_path: Path) -> None:
    pair = made(tmp_path).pair("db1").read_bytes()
    kind = x509.SubjectAlternativeName
    said = x509.load_pem_x509_certificate(pair).extensions.get_extension_for_class(kind).value
    assert set(said.get_values_for_type(x509.DNSName)) == {*DB1.names, *DB1.addresses}
    assert authority.read(pair).names == DB1.names


def test_who_trusts_an_old_authority_trusts_what_those_after_it_issue(tmp_path: Path) -> None:
    certificates = made(tmp_path)
    first = certificates.authority.read_bytes()
    before = certificates.pair("db1").read_bytes()
    for _ in range(2):
        certificates.renew(with_authority=True)
    name = DB1.names[0]
    assert shakes_hands(certificates.pair("db1"), first, name)
    newest = authority.split(certificates.authority.read_bytes())[0]
    assert shakes_hands(certificates.pair("db1"), newest, name)
    old = tmp_path / "old.pem"
    old.write_bytes(before)
    assert shakes_hands(old, certificates.authority.read_bytes(), name)
    assert not shakes_hands(old, newest, name)


def test_keys_are_for_the_account_alone_and_what_is_trusted_may_be_read(tmp_path: Path) -> None:
    certificates = made(tmp_path)
    folder = certificates.authority.parent
    assert certificates.authority.stat().st_mode & 0o777 == 0o644
    assert b"PRIVATE" not in certificates.authority.read_bytes()
    for path in folder.glob("*.pem"):
        assert path.stat().st_mode & 0o777 == 0o600, path
    assert folder.stat().st_mode & 0o777 == 0o700


def test_nothing_is_issued_twice_without_need(tmp_path: Path) -> None:
    certificates = made(tmp_path)
    before = certificates.pair("db1").read_bytes()
    assert certificates.ensure() == ()
    assert certificates.pair("db1").read_bytes() == before


def test_a_second_set_of_members_gets_certificates_when_it_is_asked_for(tmp_path: Path) -> None:
    certificates = made(tmp_path, (DB1, replace(DB2, spare=True)))
    assert [one.name for one in certificates.list()] == ["ca", "db1"]
    assert certificates.pair("db2").exists()
    assert "db2" in certificates.renew()
    certificates.forget("db2")
    assert certificates.ensure() == ()


def facts(
    identity: Identity, *, days: float = 365, signed_by: str = "ours"
) -> authority.CertificateFacts:
    return authority.CertificateFacts(
        "CN=x", identity.names, identity.addresses, NOW, NOW + dt.timedelta(days=days), "1",
        "CN=ca", signed_by, "key",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("have", "turn"),
    [
        ({}, ("db1", "db2")),
        ({"db1": facts(DB1), "db2": facts(DB2)}, ()),
        ({"db1": facts(DB1, days=29.5), "db2": facts(DB2, days=30.5)}, ("db1",)),
        ({"db1": facts(DB1), "db2": facts(DB2, signed_by="theirs")}, ("db2",)),
        ({"db1": facts(DB2), "db2": facts(DB2)}, ("db1",)),
    ],
)
def test_what_is_missing_due_foreign_or_no_longer_true_is_issued(
    have: dict[str, authority.CertificateFacts], turn: tuple[str, ...]
) -> None:
    assert whose_turn((DB1, DB2), have, "ours", NOW) == turn


def certificate(name: str, days_left: int) -> Certificate:
    ends = NOW + dt.timedelta(days=days_left)
    return Certificate(name, "test", Path("/x"), "CN=x", (), (), ends, "1", days_left)


def test_what_is_due_is_told_in_a_sentence() -> None:
    assert worst_of([certificate("db1", 30), certificate("db2", 300)]) is None
    assert worst_of([certificate("db1", 29)]) == "the certificate of db1 ends in 29 days"
    told = worst_of([certificate("db1", -1), certificate("db2", 3), certificate("db3", 99)])
    assert told == "the certificate of db1 has expired, and 1 more are due"


@pytest.mark.parametrize(
    ("days_left", "state", "well"),
    [(200, "ok", True), (12, "warning", True), (-1, "expired", False)],
)
def test_the_doctor_looks_at_them(days_left: int, state: str, well: bool) -> None:
    finding = certificate_finding([certificate("db1", days_left), certificate("db2", 300)])
    assert finding.state == state
    assert Diagnosis((finding,), ()).well is well


def test_a_member_is_known_by_its_own_address_and_by_that_of_the_service() -> None:
    spec = Spec(
        environment=EnvironmentSpec(private_domain="db.example"),
        service=ServiceSpec(members=2, etcd_members=3),
        backup=BackupSpec(enabled=True, restored=1),
    )
    found = {one.name: one for one in identities(spec, local)}
    assert {one.name for one in found.values() if one.spare} == {
        f"cedbserver{number}" for number in range(3, 11)
    }
    assert {one.name for one in found.values() if not one.spare} == {
        "naru", "cedbserver1", "cedbserver2", "etcd1", "etcd2", "etcd3", "pool", "source",
        "backup", "restored1",
    }  # fmt: skip
    assert found["etcd2"].addresses == ("127.1.3.52", "10.1.3.52", "127.0.0.1"), "peers call so"
    one_etcd = identities(Spec(), local)
    assert {one.name for one in one_etcd if one.spare} >= {"etcd2", "etcd3"}
    first = found["cedbserver1"]
    assert first.names == ("cedbserver1.db.example", "service.db.example")
    assert first.addresses == ("127.1.3.41", "127.1.3.32", "10.1.3.41", "10.1.3.32")
    assert {(one.address, one.port) for one in first.places} == {
        ("127.1.3.41", 2866), ("127.1.3.41", 8008),
    }  # fmt: skip
