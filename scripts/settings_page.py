"""The reference of every setting that Naru gives to somebody else's software."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import settings_why as why

from naru.service import audit, patroni
from naru.service.etcd import etcd_command
from naru.service.haproxy import render_haproxy
from naru.service.layout import EtcdNode, Layout
from naru.service.parameters import assigned
from naru.spec import Spec
from naru.traffic import pool

Row = tuple[str, str, str]
_POSTGRES_FILES = "service/patroni.py, service/server_type.py, service/audit.py"

PREFACE = """\
What Naru sets, to which value, and why; everything else is as the software has it. Values are
those of a service without a naru.toml, on PostgreSQL 18. `[service.settings]`, a parameter group
and the server type change PostgreSQL's settings: `naru service settings` shows what is in force,
and where it comes from.
"""


def settings_page(made: str) -> str:
    """The page. Raises SystemExit for a setting without a reason, or the other way round."""
    return "\n".join((
        "# Settings", made, PREFACE,
        _table("PostgreSQL", _POSTGRES_FILES, _postgres(), why.POSTGRES),
        _table("Patroni", "service/patroni.py", _patroni(), why.PATRONI),
        _table("PgBouncer", "traffic/pool.py", _pgbouncer(), why.PGBOUNCER),
        _table("HAProxy", "service/haproxy.py", _haproxy(), why.HAPROXY),
        _table("etcd", "service/etcd.py", _etcd(), why.ETCD),
    ))  # fmt: skip


def _table(title: str, where: str, found: Iterable[Row], reasons: Mapping[str, str]) -> str:
    rows = list(found)
    names = [name for name, _, _ in rows]
    missing, idle = set(names) - set(reasons), set(reasons) - set(names)
    if missing or idle:
        raise SystemExit(
            f"scripts/settings_why.py, {title}: no reason for {sorted(missing)},"
            f" no setting for {sorted(idle)}"
        )
    lines = [f"| `{name}` | `{value}` | {reasons[name]} | {by} |" for name, value, by in rows]
    files = ", ".join(f"`{one.strip()}`" for one in where.split(","))
    head = f"## {title}\n\nIn {files} of `src/naru/`.\n\n| setting | value | why | by |\n|-|-|-|-|"
    return "\n".join((head, *lines, ""))


def _postgres() -> Iterable[Row]:
    found = assigned(Spec(), 18)
    for name, one in found.items():
        yield name, one.value, one.source
    for kind in ("log", "pgaudit"):
        for name, value in audit.settings_for(kind, 18).items():
            if name not in found and (kind == "log" or name not in audit.settings_for("log", 18)):
                yield name, value, "audit"


def _patroni() -> Iterable[Row]:
    for name, value in patroni.dynamic_configuration(18, {}, backup=True).items():
        if name != "postgresql":
            yield name, str(value), "backup" if name == "slots" else "Naru"


def _pgbouncer() -> Iterable[Row]:
    spec = Spec()
    given = {
        "{host}": spec.traffic.host, "{port}": spec.traffic.port, "{users}": "…/users.txt",
        "{admin}": pool.ADMIN, "{pool_size}": spec.traffic.pool_size,
        "{max_clients}": spec.traffic.max_clients,
    }  # fmt: skip
    secured = {
        "{hba}": "…/hba.conf", "{pair}": "…/pool.pem", "{authority}": "…/ca.crt",
        "{server_mode}": "verify-full",
    }  # fmt: skip
    for line in pool._SETTINGS.splitlines():
        match = re.fullmatch(r"(\w+) =\s?(.*)", line)
        if match:
            yield (
                match[1],
                str(given.get(match[2], secured.get(match[2], match[2]))),
                ("traffic" if match[2] in given else "Naru"),
            )


def _haproxy() -> Iterable[Row]:
    layout = Layout(
        "cedbcluster", (), (), "10.1.3.32", 2866, 2867, Path("…/ca.crt"), Path("…/allowed.lst")
    )
    text = render_haproxy(layout, Path("…/haproxy.sock")).partition("\nfrontend")[0]
    by_length = sorted(why.HAPROXY, key=len, reverse=True)
    found: dict[str, str] = {}
    for line in text.splitlines():
        words = line.strip()
        if line.startswith("    "):
            name = next((one for one in by_length if f"{words} ".startswith(f"{one} ")), words)
            value = words.removeprefix(name).strip() or "on"
            found[name] = f"{found[name]}; {value}" if name in found else value
    for name, value in found.items():
        yield name, value, "Naru"


def _etcd() -> Iterable[Row]:
    node = EtcdNode(
        "etcd1", "10.1.3.51", "10.1.3.51", 2379, 2380, Path("data"), Path("…/ca.crt"),
        Path("…/etcd1.pem"), Path("…/naru.pem"),
    )  # fmt: skip
    places = ("name", "data-dir", "urls", "initial-cluster=")
    for word in etcd_command(Path("etcd"), node, (node,), "cedbcluster")[1:]:
        name, _, value = word.removeprefix("--").partition("=")
        if not any(one in f"{name}=" for one in places):
            yield name, value, "Naru"
