"""Reading what others wrote: backup.info, timeline histories, pg_waldump, pg_receivewal."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from naru.backup.catalogue import parse_info
from naru.backup.fetching import render_fetch
from naru.backup.gap import judge
from naru.backup.receiver_program import beyond, diverged, partial_name
from naru.backup.segments import Fork, Segment, parse_history, take_inventory
from naru.backup.store import Store
from naru.backup.target import target_of
from naru.backup.wal_keeping import timeline_of
from naru.backup.waldump import Arrival, parse, stop_of
from naru.postgres import Lsn

SIZE = 16 * 2**20

INFO = """backup_label='START WAL LOCATION: 0/7000028 (file 000000010000000000000007)\\n'
backup_name=start
begin_time=2026-11-23 11:16:52.590834+09:00
begin_xlog=0/7000028
end_time=2026-11-23 11:16:54.970104+09:00
end_xlog=0/8000000
error=None
parent_backup_id=20261123T011652
size=29887470
status=DONE
timeline=2
xlog_segment_size=16777216
"""

DUMPED = """\
rmgr: XLOG        len (rec/tot):     98/    98, tx:          0, lsn: 0/0A000028, prev 0/09000148, \
desc: RESTORE_POINT before-release
rmgr: Transaction len (rec/tot):     34/    34, tx:        785, lsn: 0/0A000090, prev 0/0A000028, \
desc: COMMIT 2026-11-23 02:29:46.592759 UTC
rmgr: Transaction len (rec/tot):    180/   180, tx:        786, lsn: 0/0A0000B8, prev 0/0A000090, \
desc: COMMIT 2026-11-23 02:29:47.000001 UTC; inval msgs: catcache 55 catcache 54
rmgr: Transaction len (rec/tot):     34/    34, tx:        787, lsn: 0/0A000170, prev 0/0A0000B8, \
desc: ABORT 2026-11-23 02:29:48 UTC
"""
ENDED = (
    "pg_waldump: error: error in WAL record at 0/0A000170: invalid record length at 0/0A000198:"
    " expected at least 24, got 0\n"
)


def test_a_backup_is_read_as_barman_noted_it() -> None:
    backup = parse_info("20261123T021652", INFO)
    assert (backup.kind, backup.parent, backup.name) == ("incremental", "20261123T011652", "start")
    assert (backup.timeline, backup.size, backup.error) == (2, 29887470, None)
    assert backup.whole
    assert backup.end is not None
    assert backup.end.isoformat() == "2026-11-23T11:16:54.970104+09:00"
    assert (str(backup.begin_lsn), str(backup.end_lsn)) == ("0/7000028", "0/8000000")


def test_a_backup_under_way_is_not_whole() -> None:
    assert not parse_info("x", "status=STARTED\nend_time=None\nend_xlog=None\n").whole


def test_a_backup_during_which_the_lead_changed_hands_is_of_no_use() -> None:
    text = INFO.replace("begin_xlog", "end_wal=000000030000000000000008\nbegin_xlog")
    crossed = parse_info("x", text)
    assert crossed.crossed
    assert not crossed.whole
    assert crossed.state == "of no use: the lead changed hands meanwhile"
    assert parse_info("x", text.replace("=00000003", "=00000002")).whole


def test_ends_of_transactions_restore_points_and_the_end_of_wal_are_read() -> None:
    found = parse(DUMPED, ENDED)
    assert [(one.xid, one.committed) for one in found.ends] == [
        (785, True), (786, True), (787, False),
    ]  # fmt: skip
    assert found.ends[1].at.isoformat() == "2026-11-23T02:29:47.000001+00:00"
    assert [(one.name, str(one.lsn)) for one in found.points] == [("before-release", "0/A000028")]
    assert found.end == Lsn.parse("0/0A000198")


def test_wal_that_goes_on_has_no_end_and_an_empty_file_has_nothing() -> None:
    assert parse(DUMPED, "").end is None
    assert parse("", "pg_waldump: error: invalid WAL segment size").end == 0


def test_where_recovery_stops_is_found() -> None:
    found = parse(DUMPED, ENDED)
    assert stop_of(target_of(name="before-release"), found) == Lsn.parse("0/A000028")
    assert stop_of(target_of(before_xid="786"), found) == Lsn.parse("0/A0000B8")
    moment = target_of(time="2026-11-23T02:29:46.592759+00:00")
    assert stop_of(moment, found) == Lsn.parse("0/A0000B8"), "its own commit still counts"
    assert stop_of(target_of(before_xid="900"), found) is None


def test_a_timelines_history_is_read() -> None:
    text = "1\t0/A069CB0\tno recovery target specified\n\n2\t0/C000000\tbefore 2026-11-23\n"
    assert parse_history(text) == (Fork(1, Lsn.parse("0/A069CB0")), Fork(2, Lsn.parse("0/C000000")))


def test_a_whole_segment_counts_before_an_unfinished_one(tmp_path: Path) -> None:
    archive, arriving = tmp_path / "wals" / "0000000100000000", tmp_path / "streaming"
    for folder in (archive, arriving):
        folder.mkdir(parents=True)
    (archive / "000000010000000000000005").touch()
    (arriving / "000000010000000000000005.partial").touch()
    (arriving / "000000010000000100000001.partial").touch()
    (arriving / "00000002.history").write_text("1\t0/5000000\tx\n")
    found = take_inventory((arriving, tmp_path / "wals"), SIZE)
    assert found.paths[Segment(1, 5)].parent == archive
    assert found.newest == Segment(1, 257)
    assert found.newest.name(SIZE) == "000000010000000100000001"
    assert found.histories == {2: (Fork(1, Lsn.parse("0/5000000")),)}


def test_wal_that_only_a_lost_primary_had_is_recognised() -> None:
    said = (
        'pg_receivewal: error: could not send replication command "START_REPLICATION": ERROR:  '
        "requested starting point 0/B000000 on timeline 1 is not in this server's history\n"
        "DETAIL:  This server's history forked from timeline 1 at 0/A069CB0.\n"
    )
    fork = diverged(said)
    assert fork == (1, Lsn.parse("0/A069CB0"))
    names = [
        "000000010000000000000009", "00000001000000000000000A", "00000001000000000000000B.partial",
        "00000002000000000000000A.partial", "00000002.history",
    ]  # fmt: skip
    assert beyond(names, *fork, SIZE) == names[1:3]
    assert partial_name(*fork, SIZE) == "00000001000000000000000A.partial"
    assert diverged("pg_receivewal: error: connection refused") is None


def test_files_tell_their_timeline() -> None:
    assert timeline_of("00000002000000000000000A.partial") == 2
    assert timeline_of("0000000B.history") == 11
    assert timeline_of("cedbcluster-xlog.db") is None


def test_the_gap_is_closed_open_or_unknown() -> None:
    assert judge(arrival(100), arrival(100), 0.05, 9.0).closed
    open_gap = judge(arrival(100), arrival(60), 2.0, 31.04)
    assert (open_gap.seconds, open_gap.bytes, open_gap.closed) == (31.0, 40, False)
    assert judge(None, arrival(60), 0.0, 3.0).seconds is None


def test_wal_that_a_lost_primary_sent_does_not_close_the_gap_to_the_new_one() -> None:
    assert not judge(arrival(100, timeline=2), arrival(120, timeline=1), 2.0, 5.0).closed
    assert judge(arrival(100, timeline=2), arrival(100, timeline=3), 0.0, 0.0).closed


def arrival(lsn: int, timeline: int = 1) -> Arrival:
    return Arrival(timeline, Lsn(lsn))


@pytest.mark.parametrize(
    "place",
    [
        "wals/0000000100000000/000000010000000000000006",
        "streaming/000000010000000000000006",
        "streaming/000000010000000000000006.partial",
        "ended/000000010000000000000006.partial",
        # What Barman does with the unfinished end of a timeline that was left.
        "wals/0000000100000000/000000010000000000000006.partial",
    ],
)
def test_recovery_gets_a_segment_from_wherever_it_lies(tmp_path: Path, place: str) -> None:
    script = tmp_path / "fetch.sh"
    store = Store("one", tmp_path, tmp_path / "conf", script, tmp_path, tmp_path)
    folders = {"wals": store.wals, "streaming": store.streaming, "ended": store.ended}
    head, _, rest = place.partition("/")
    path = folders[head] / rest
    path.parent.mkdir(parents=True)
    path.write_text("WAL")
    script.write_text(render_fetch(store))
    wanted = ["/bin/sh", str(script), "000000010000000000000006", str(tmp_path / "given")]
    assert subprocess.run(wanted, check=False, timeout=30).returncode == 0
    assert (tmp_path / "given").read_text() == "WAL"
    wanted[2] = "000000010000000000000007"
    assert subprocess.run(wanted, check=False, timeout=30).returncode == 1
