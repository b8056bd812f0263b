"""What a value in naru.toml may be: each rule checks, and says in words what is allowed.

The service's rules are those of Samsung Cloud Platform v2 for a managed PostgreSQL, so
that what is rehearsed on one machine can be declared there unchanged.
"""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

LAB_NETWORKS = tuple(ipaddress.IPv4Network(f"10.1.{number}.0/24") for number in (1, 2, 3))
"""Subnet11 (web), Subnet12 (app) and Subnet13 (db) of the lab's VPC1."""


@dataclass(frozen=True)
class Rule:
    """A check of one value, and the words for what passes it."""

    allowed: str
    holds: Callable[[Any], bool]

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: Any) -> Any:
        if value is not None and not self.holds(value):
            raise PydanticCustomError("rule", "not allowed")
        return value


def matching(pattern: str, allowed: str) -> Rule:
    """Texts that match `pattern` as a whole."""
    compiled = re.compile(pattern)
    return Rule(allowed, lambda text: compiled.fullmatch(text) is not None)


def between(low: float, high: float) -> Rule:
    """Numbers from `low` to `high`, both included."""
    return Rule(f"a number from {low} to {high}", lambda number: low <= number <= high)


def is_password(secret: Any) -> bool:
    """8 to 30 printable ASCII characters with a letter, a digit and a sign; no quotes, no spaces.

    ASCII, because PostgreSQL prepares other characters in ways of its own.
    """
    text = secret.get_secret_value()
    signs = set("`-[]~!@#$%^&*()_+={};:,<.>/?")
    return (
        8 <= len(text) <= 30
        and all(c in signs or (c.isascii() and c.isalnum()) for c in text)
        and any(c.isalpha() for c in text)
        and any(c.isdigit() for c in text)
        and any(c in signs for c in text)
    )


def is_lab_address(text: str) -> bool:
    """An IPv4 address of a host in one of the lab's subnets."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return any(
        address in network and address not in (network.network_address, network.broadcast_address)
        for network in LAB_NETWORKS
    )


def is_loopback_network(text: str) -> bool:
    """`auto`, or one of 127.1.0.0/16 to 127.255.0.0/16."""
    if text == "auto":
        return True
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return False
    first, second = network.network_address.packed[:2]
    return network.prefixlen == 16 and first == 127 and second > 0


def is_timezone(text: str) -> bool:
    """A name of the time zone database."""
    try:
        zoneinfo.ZoneInfo(text)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


def is_settings(settings: dict[str, str]) -> bool:
    """Names of PostgreSQL settings, none of those that Naru sets itself."""
    return all(
        re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", name) and name not in OWN_SETTINGS
        for name in settings
    )


OWN_SETTINGS = frozenset({
    "cluster_name", "config_file", "data_directory", "external_pid_file", "hba_file",
    "hot_standby", "ident_file", "listen_addresses", "password_encryption", "port",
    "primary_conninfo", "primary_slot_name", "recovery_target_timeline",
    "synchronous_standby_names", "unix_socket_directories", "wal_level",
})  # fmt: skip
"""Settings that make the service what it is; they are not for naru.toml."""

_ENCODINGS = {"utf8", "sqlascii", "euckr", "eucjp", "euccn", "euctw", "latin1", "latin9", "win1252"}


def is_encoding(text: str) -> bool:
    """One of PostgreSQL's server encodings, spelt any way that PostgreSQL reads."""
    return re.sub(r"[^a-z0-9]", "", text.lower()) in _ENCODINGS


NAME = matching("[a-z][a-z0-9-]{0,29}", "lower-case letters, digits and hyphens, 1 to 30")
DOMAIN = matching(
    r"(?=.{1,200}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
    "a domain name such as lab.internal",
)
ACCOUNT = matching("[a-z_][a-z0-9_-]{0,31}", "the name of an account of this machine")
NETWORK = Rule(
    "auto, or a network of this machine such as 127.1.0.0/16 (127.1 to 127.255)",
    is_loopback_network,
)
ADDRESS = Rule(
    "a host's address in {}, {} or {}".format(*LAB_NETWORKS),
    is_lab_address,
)
PORT = between(1024, 65535)
VERSION = matching(
    "oldest|newest|[1-9][0-9]", "oldest, newest, or the major version of an installation: 17"
)
DATABASE = matching(r"[^\x00-\x1f\x7f]{1,63}", "1 to 63 characters")
ROLE = matching(r"(?!pg_)[^\x00-\x1f\x7f]{1,63}", "1 to 63 characters, not beginning with pg_")
CLUSTER_NAME = matching("[A-Za-z]{3,20}", "letters only, 3 to 20")
SERVER_PREFIX = matching(
    "[a-z][a-z0-9-]{2,12}",
    "lower-case letters, digits and hyphens, 3 to 13, beginning with a letter",
)
SERVICE_DATABASE = matching(
    "[A-Za-z][A-Za-z0-9]{2,19}", "letters and digits, 3 to 20, beginning with a letter"
)
SERVICE_USER = matching("(?!postgres$|public$)[a-z]{2,20}", "lower-case letters only, 2 to 20")
PASSWORD = Rule(
    "8 to 30 letters, digits and signs, with at least one of each; no quotes, no spaces",
    is_password,
)
ENCODING = Rule("a server encoding such as UTF8 or EUC_KR", is_encoding)
LOCALE = matching(
    r"C|POSIX|[A-Za-z]{2,3}_[A-Z]{2}(\.[A-Za-z0-9-]+)?(@[a-z]+)?|C\.(UTF-8|utf8)",
    "C, or a locale of the machine such as ko_KR.UTF-8",
)
TIMEZONE = Rule("a time zone such as Asia/Seoul", is_timezone)
SETTINGS = Rule(
    "PostgreSQL settings, except those that Naru sets itself: " + ", ".join(sorted(OWN_SETTINGS)),
    is_settings,
)
