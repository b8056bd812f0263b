"""Faults of a standby's data: a page that is damaged, a history of its own."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg

from naru.drill.stage import Stage
from naru.drill.standbys import others
from naru.drill.strike import Struck, has_returned
from naru.errors import NaruError
from naru.postgres import connect, fetch_value
from naru.service import Member, damaged_members
from naru.system import give_to, private_folder, run, wait_until

TABLE = "naru_drill_pages"
PAGE = 8192
_DAMAGED_AT = 3 * PAGE + 2000
_JUNK = b"\x5a" * 64
_PATIENCE = 60.0
_CORRUPTED = "XX001"
_MAKE = """
DROP TABLE IF EXISTS naru_drill_pages;
CREATE TABLE naru_drill_pages AS
    SELECT n, repeat(md5(n::text), 8) AS words FROM generate_series(1, 500) AS n;
"""
_REPLAYED = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
_READ = "SELECT count(words) FROM naru_drill_pages"


def damage_page(stage: Stage, primary: Member) -> Struck:
    """Some bytes of a table's page are changed on the disk of a standby."""
    victim = others(stage, primary)[0]
    path = _make_table(stage, victim)
    stage.wounds.note("damaged", victim.name)
    stage.ground.stop(victim.name)
    with path.open("r+b") as file:
        file.seek(_DAMAGED_AT)
        file.write(_JUNK)
    stage.ground.start(victim.name)
    wait_until(lambda: _streams(stage, victim.name), f"{victim.name} to follow", _PATIENCE)
    told = _read(stage, victim.name)
    seen_by = wait_until(lambda: damaged_members(stage.service) or "nobody", "the alarm", 5)
    damaged = next(one.pid for one in stage.service.status().members if one.name == victim.name)
    stage.wounds.heal()
    healed_at = time.time()
    # For a moment the damaged one still follows.
    wait_until(
        lambda: (
            has_returned(stage.service.status(), victim.name, damaged or 0)
            and _streams(stage, victim.name)
        ),
        f"{victim.name} to follow, copied anew",
        _PATIENCE,
    )
    after = _read(stage, victim.name)
    with connect(stage.service.writer(), purpose="drill") as connection:
        connection.execute(f"DROP TABLE {TABLE}")
    findings = (
        *(() if told == _CORRUPTED else (f"reading the damaged page gave {told}",)),
        *(() if seen_by != "nobody" and victim.name in seen_by
          else ("`naru service status` does not tell of it",)),
        *(() if after == "500" else (f"after its rebuild the table gave {after}",)),
    )  # fmt: skip
    return Struck(
        f"{len(_JUNK)} bytes of a page of {TABLE} changed at {victim.name}",
        findings=lambda: findings,
        healed_at=healed_at,
        details={"member": victim.name, "sqlstate": told},
    )


def _make_table(stage: Stage, victim: Member) -> Path:
    """A table that the victim has on its disk; the file there."""
    with connect(stage.service.writer(), purpose="drill") as connection:
        connection.execute(_MAKE)
        name = str(fetch_value(connection, "SELECT pg_relation_filepath(%s)", [TABLE]))

        connection.execute("CHECKPOINT")
        written = str(fetch_value(connection, "SELECT pg_current_wal_lsn()::text"))
    # Recovery begins behind the table's making then; else it would write its pages anew.
    with connect(stage.service.member(victim.name, "postgres"), purpose="drill") as connection:
        wait_until(lambda: fetch_value(connection, _REPLAYED, [written]), "the standby", _PATIENCE)
        connection.execute("CHECKPOINT")
    return victim.data / name


def _read(stage: Stage, name: str) -> str:
    """What reading the whole table at a member gives: how many rows, or the SQLSTATE."""
    try:
        with connect(stage.service.member(name), purpose="drill") as connection:
            return str(fetch_value(connection, _READ))
    except (psycopg.Error, NaruError) as error:
        return error.sqlstate or type(error).__name__


def _streams(stage: Stage, name: str) -> bool:
    return any(
        one.name == name and one.state == "streaming" for one in stage.service.status().members
    )


def diverge(stage: Stage, primary: Member) -> Struck:
    """A standby is promoted by hand, aside from the cluster, and comes back as the primary dies."""
    victim = others(stage, primary)[0]
    stage.wounds.note("away", victim.name)
    stage.ground.stop(victim.name)
    _promote_aside(stage, victim)
    stage.wounds.heal("away", victim.name)
    wait_until(lambda: _answers(stage, victim.name), f"{victim.name} to come back", _PATIENCE)
    struck_at = time.time()
    killed = stage.service.kill_postmaster(primary.name)
    led: set[str] = set()

    def another() -> bool:
        led.update(stage.service.write_nodes())
        return bool(led - {primary.name})

    def findings() -> tuple[str, ...]:
        found = stage.service.status().primary
        leads = led | ({found.name} if found else set())
        return ("the standby with a history of its own was promoted",) * (victim.name in leads)

    return Struck(
        f"{victim.name} promoted aside and brought back; kill -9 of the postmaster of"
        f" {primary.name}",
        until=another,
        passed=lambda status: has_returned(status, primary.name, killed),
        findings=findings,
        details={"diverged": victim.name},
        at=struck_at,
    )


def _promote_aside(stage: Stage, victim: Member) -> None:
    """Run its server where nobody reaches it, promote it, and stop it again."""
    installation, account = stage.service.installation, stage.ground.account
    socket = private_folder(stage.ground.folder / "run" / "aside", owner=account)
    log = socket / "log"
    log.touch()
    give_to(log, account)
    alone = f"-c listen_addresses= -c unix_socket_directories={socket} -c logging_collector=off" \
        " -c primary_conninfo= -c sync_replication_slots=off"  # fmt: skip
    control: list[str | Path] = [installation.tool("pg_ctl"), "-D", victim.data, "-w", "-t", "60"]
    orders: tuple[list[str | Path], ...] = (
        ["start", "-l", log, "-o", alone],
        ["promote"],
        ["stop", "-m", "fast"],
    )
    for words in orders:
        run([*control, *words], seconds=90, account=account)


def _answers(stage: Stage, name: str) -> bool:
    found = {one.name: one for one in stage.service.status().members}
    return found[name].pid is not None
