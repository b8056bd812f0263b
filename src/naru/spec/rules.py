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
    why: Callable[[Any], dict[str, str]] | None = None
    """What is wrong with which parts of a table; where this says it, `holds` is not asked."""

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: Any) -> Any:
        reasons = self.why(value) if self.why is not None else {}
        if reasons:
            raise PydanticCustomError("parts", "not allowed", {"parts": reasons})
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


def are_networks(entries: tuple[str, ...]) -> bool:
    """IPv4 addresses and networks; of a network no bits are set behind its length."""
    try:
        return all(bool(ipaddress.IPv4Network(one)) for one in entries)
    except ValueError:
        return False


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


OWN_SETTINGS = {
    **dict.fromkeys(
        ("config_file", "data_directory", "external_pid_file", "hba_file", "ident_file",
         "listen_addresses", "port", "unix_socket_directories", "cluster_name", "log_directory",
         "logging_collector"),
        "it says where the server is and where its files are",
    ),
    **dict.fromkeys(
        ("hot_standby", "primary_conninfo", "primary_slot_name", "recovery_target_timeline",
         "restore_command", "synchronous_standby_names", "synchronized_standby_slots", "wal_level",
         "wal_log_hints", "archive_mode", "archive_command", "archive_library"),
        "replication and the election rest on it",
    ),
    **dict.fromkeys(
        ("fsync", "full_page_writes", "synchronous_commit"),
        "what is acknowledged must outlive a failure",
    ),
    **dict.fromkeys(
        ("ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file", "ssl_min_protocol_version"),
        "everything goes over TLS, with certificates of the environment's authority",
    ),
    "password_encryption": "passwords are SCRAM everywhere",
    "default_transaction_read_only": "the guard of service.data_gb sets it",
}  # fmt: skip
"""Settings that make the service what it is, each with the reason; they are not for naru.toml."""

LEAST_SETTINGS = {
    "max_connections": 25,
    "max_locks_per_transaction": 32,
    "max_replication_slots": 10,
    "max_wal_senders": 10,
    "max_worker_processes": 8,
}
"""What Patroni, replication and migrations need at least. Patroni drops less without a word."""


def wrong_settings(settings: dict[str, str]) -> dict[str, str]:
    """What is wrong with PostgreSQL settings, by name. The server judges the values later."""
    found = {name: _wrong_setting(name, value) for name, value in settings.items()}
    return {name: why for name, why in found.items() if why is not None}


def _wrong_setting(name: str, value: object) -> str | None:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", name):
        return "is not a name of a PostgreSQL setting"
    if name in OWN_SETTINGS:
        return f"is not allowed: Naru sets it itself, because {OWN_SETTINGS[name]}"
    least = LEAST_SETTINGS.get(name)
    if least is not None and (not str(value).isdigit() or int(str(value)) < least):
        return f"{value} is not allowed; allowed: a whole number from {least}"
    return None


def wrong_groups(groups: dict[str, dict[str, str]]) -> dict[str, str]:
    """Which names of parameter groups are not allowed."""
    return {
        name: "is not allowed as a name; allowed: lower-case letters, digits, _ and -, 1 to 40"
        for name in groups
        if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,39}", name)
    }


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
NETWORKS = Rule(
    'addresses and networks such as ["10.1.2.0/24", "10.1.1.110"]; a network is named by its'
    " first address",
    are_networks,
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
SERVER_TYPE = matching(
    "db[0-9]v([1-9][0-9]{0,2})m([1-9][0-9]{0,3})",
    "a server type such as db1v2m4: 2 vCPU and 4 GiB",
)
TIME_OF_DAY = matching("([01][0-9]|2[0-3]):[0-5][0-9]", "a time of day such as 03:00")
GROUP = matching("([a-z0-9][a-z0-9_-]{0,39})?", "the name of a [parameter_group.NAME]")
SETTINGS = Rule(
    "PostgreSQL settings, except those that Naru sets itself: " + ", ".join(sorted(OWN_SETTINGS)),
    lambda settings: True,
    wrong_settings,
)
GROUPS = Rule("tables of PostgreSQL settings", lambda groups: True, wrong_groups)
