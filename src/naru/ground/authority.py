"""X.509: an authority's own key and certificate, the certificates it issues, and what they say.

Keys are of the curve P-256: a handshake with them costs a millisecond, one with RSA several.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from naru.errors import ServerError

_SKEW = dt.timedelta(hours=1)
"""How far the clock of another machine may be behind ours."""


@dataclass(frozen=True)
class Issued:
    """A certificate, and its key; both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class CertificateFacts:
    """What a certificate says."""

    subject: str
    names: tuple[str, ...]
    """DNS names among its subject alternative names."""
    addresses: tuple[str, ...]
    begins: dt.datetime
    ends: dt.datetime
    serial: str
    """In hexadecimal digits."""
    issuer: str
    signed_by: str
    """Identifier of the key that signed it, in hexadecimal digits."""
    key: str
    """Identifier of its own key."""


def make_authority(name: str, days: float, now: dt.datetime) -> Issued:
    """A new authority called `name`, valid for `days`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    return Issued(
        _pem(_authority(subject, subject, key.public_key(), key, days, now)), _private(key)
    )


def cross_sign(certificate: bytes, by: Issued) -> bytes:
    """The certificate of a newer authority, signed by an older one: who knows only the older
    one trusts with it what the newer one issues. It ends with the one that ends first."""
    newer, older = x509.load_pem_x509_certificate(certificate), _certificate(by)
    now = newer.not_valid_before_utc + _SKEW
    ends = min(newer.not_valid_after_utc, older.not_valid_after_utc)
    public = newer.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    days = (ends - now) / dt.timedelta(days=1)
    return _pem(_authority(newer.subject, older.subject, public, _key(by), days, now))


def issue(
    name: str,
    names: Iterable[str],
    addresses: Iterable[str],
    *,
    by: Issued,
    days: float,
    now: dt.datetime,
) -> Issued:
    """A certificate for a server or a client called `name`, reached by names and addresses.

    Addresses are among the DNS names as well: there clients older than libpq 15 look for them.
    """
    key, signer, authority = ec.generate_private_key(ec.SECP256R1()), _key(by), _certificate(by)
    places = list(addresses)
    alternatives: list[x509.GeneralName] = [x509.DNSName(one) for one in (*names, *places)]
    alternatives += [x509.IPAddress(ipaddress.ip_address(one)) for one in places]
    builder = (
        _begun(_name(name), authority.subject, key.public_key(), days, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(_signer_identifier(signer.public_key()), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Issued(_pem(builder.sign(signer, hashes.SHA256())), _private(key))


def read(pem: bytes) -> CertificateFacts:
    """The first certificate in `pem`. Raises ServerError if there is none."""
    found = read_all(pem)
    if not found:
        raise ServerError("no certificate where one was expected")
    return found[0]


def read_all(pem: bytes) -> tuple[CertificateFacts, ...]:
    """Every certificate in `pem`, which may be empty and may hold keys as well."""
    if b"BEGIN CERTIFICATE" not in pem:
        return ()
    return tuple(_facts(one) for one in x509.load_pem_x509_certificates(pem))


def read_der(der: bytes) -> CertificateFacts:
    """As `read`, of what a server shows in a handshake."""
    return _facts(x509.load_der_x509_certificate(der))


def split(pem: bytes) -> tuple[bytes, ...]:
    """Each certificate in `pem` by itself."""
    if b"BEGIN CERTIFICATE" not in pem:
        return ()
    return tuple(_pem(one) for one in x509.load_pem_x509_certificates(pem))


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = found.get_values_for_type(x509.DNSName)
        addresses = [str(one) for one in found.get_values_for_type(x509.IPAddress)]
    except x509.ExtensionNotFound:
        names, addresses = [], []
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        names=tuple(one for one in names if one not in addresses),
        addresses=tuple(addresses),
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
        serial=f"{certificate.serial_number:x}",
        issuer=certificate.issuer.rfc4514_string(),
        signed_by=_signed_by(certificate),
        key=_own_identifier(certificate),
    )


def _signed_by(certificate: x509.Certificate) -> str:
    try:
        kind = x509.AuthorityKeyIdentifier
        found = certificate.extensions.get_extension_for_class(kind).value.key_identifier
    except x509.ExtensionNotFound:
        found = None
    return (found or b"").hex()


def _own_identifier(certificate: x509.Certificate) -> str:
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return x509.SubjectKeyIdentifier.from_public_key(public).digest.hex()


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    days: float,
    now: dt.datetime,
) -> x509.Certificate:
    builder = (
        _begun(subject, issuer, public, days, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(_signer_identifier(signer.public_key()), critical=False)
    )
    return builder.sign(signer, hashes.SHA256())


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    days: float,
    now: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates,
        crl_sign=signs_certificates, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _signer_identifier(public: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _certificate(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.certificate)


def _key(issued: Issued) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(issued.key, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
