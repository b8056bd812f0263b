"""What decides about dumps and restores, without a server."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from naru.errors import MissingToolError, NaruError, RefusedError, UsageError
from naru.migrate.database import DatabaseFacts
from naru.migrate.dump_archive import split_list
from naru.migrate.dump_facts import SourceFacts, judge_source, refuse, room_needed
from naru.migrate.dump_folder import (
    CHECKSUM,
    MANIFEST,
    check_files,
    list_files,
    partial_of,
    place_of,
    read_manifest,
    seal,
    writing,
)
from naru.migrate.dump_manifest import Contents, DumpedDatabase, DumpedTable, Manifest, as_text
from naru.migrate.dump_programs import choose_dump_programs, choose_restore_programs
from naru.migrate.dump_progress import rows_done
from naru.migrate.globals import DatabaseGlobals
from naru.migrate.restore_facts import TargetFacts, judge_target
from naru.migrate.restore_keys import ForeignKey, broken_rows
from naru.migrate.restore_marker import Marker
from naru.migrate.roles import Setting
from naru.postgres import Installation
from naru.verify import Digest, judge_digest
from naru.verify.digest import LargeObjectDigest, TableDigest
from naru.verify.hashing import SelfTest

FIFTEEN, SIXTEEN, SEVENTEEN = (
    Installation((major, 4), Path(f"/pg/{major}/bin"), "setting") for major in (15, 16, 17)
)
ALL = [SEVENTEEN, FIFTEEN, SIXTEEN]


def can(programs: Installation, method: str) -> bool:
    return method in ("gzip", "none") or programs.major >= 16


def test_the_oldest_programs_are_taken_so_that_the_dump_goes_to_most_servers() -> None:
    assert choose_dump_programs(ALL, 15, None, can) == (FIFTEEN, "gzip")
    assert choose_dump_programs(ALL, 16, None, can) == (SIXTEEN, "zstd")
    assert choose_dump_programs(ALL, 13, "none", can) == (FIFTEEN, "none")


def test_newer_programs_are_taken_for_a_method_that_older_ones_lack() -> None:
    assert choose_dump_programs(ALL, 15, "zstd", can) == (SIXTEEN, "zstd")


@pytest.mark.parametrize(
    ("major", "method", "error"),
    [(18, None, MissingToolError), (15, "bzip2", UsageError)],
)
def test_programs_that_cannot_do_it_are_refused(
    major: int, method: str | None, error: type[NaruError]
) -> None:
    with pytest.raises(error):
        choose_dump_programs(ALL, major, method, can)
    with pytest.raises(MissingToolError):
        choose_dump_programs([FIFTEEN], 15, "lz4", can)


def test_a_dump_is_read_by_programs_as_new_as_those_that_wrote_it() -> None:
    assert choose_restore_programs(ALL, 16) is SIXTEEN
    with pytest.raises(MissingToolError, match="pg_restore 18"):
        choose_restore_programs(ALL, 18)


def test_progress_counts_ended_tables_whole_and_active_ones_as_far_as_they_are() -> None:
    expected = {"public.a": 100, "public.b": 50, "public.c": 10}
    assert rows_done(expected, set(), {}) == (0, 0)
    assert rows_done(expected, {"public.a", "public.b"}, {"public.b": 20}) == (120, 1)
    # An estimate that was too low does not count a table twice.
    assert rows_done(expected, {"public.c"}, {"public.c": 99}) == (10, 0)


LIST = """;
; Archive created at 2026-11-23
;
215; 1259 16389 TABLE public users postgres
3421; 0 16389 TABLE DATA public users postgres
3430; 0 0 SEQUENCE SET analytics Monthly Report (월간)_select_seq analyst
4472; 2613 20000001 BLOB - 20000001 postgres
4629; 0 0 ACL - LARGE OBJECT 20000001 postgres
"""


def test_the_entries_of_a_list_are_told_apart_by_kind_and_table() -> None:
    entries = list(split_list(LIST))
    assert [(one.type, one.oid) for one in entries] == [
        ("", 16389), ("TABLE DATA", 16389), ("SEQUENCE SET", 0), ("", 20000001), ("", 0),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["app", "a/b", "..", ".", "Zweite Datenbank/€", "a%2Fb"])
def test_every_name_of_a_database_becomes_a_place_of_its_own(name: str, tmp_path: Path) -> None:
    place = tmp_path / place_of(name)
    place.mkdir(parents=True)
    assert place.resolve().parent == tmp_path / "databases"


def test_places_of_different_names_differ() -> None:
    names = ["a.b", "a/b", "a%2Eb", "a%2Fb", "A.b"]
    assert len({place_of(name) for name in names}) == len(names)


DATABASE = DumpedDatabase(
    name="app", folder="databases/app", begun="2026-11-23T00:00:00+00:00", snapshot="7:7:",
    position="0/1", encoding="UTF8", collate="C", ctype="C", provider="c", locale=None,
    collation_version=None, bytes=1000, extensions=(("citext", "1.6", "public"),),
)  # fmt: skip
MANIFEST_OF_ONE = Manifest(
    identity="abc", naru="0.1.0", begun="", ended="", server="15.18", server_major=15,
    program="15.18", program_major=15, compression="gzip", content="all", passwords=True,
    databases=(DATABASE,),
)  # fmt: skip
DIGEST = Digest(
    "UTF8",
    {"public.users": TableDigest(3, "99", (("id", "pg_catalog.int8", "send"),))},
    LargeObjectDigest(0),
    SelfTest("record", {"": 5, "int8": 7}),
)
TABLE = DumpedTable("public", "users", 16389, 8192, 3, False)
CONTENTS = Contents(
    tables=(TABLE,), sequences={"public.users_id_seq": (3, True)}, digest=DIGEST, facts={},
    globals=DatabaseGlobals(
        DatabaseFacts("UTF8", "C", "C", "c", None, -1, "app", None),
        (("", "CONNECT", False),),
        (Setting("", True, "timezone", "Asia/Seoul"),),
    ),
    roles=("app",), settings=(Setting("app", True, "search_path", "app"),),
)  # fmt: skip


def test_manifest_and_contents_are_read_as_they_were_written() -> None:
    assert Manifest.from_json(json.loads(as_text(MANIFEST_OF_ONE.to_json()))) == MANIFEST_OF_ONE
    assert Contents.from_json(json.loads(as_text(CONTENTS.to_json()))) == CONTENTS


def test_a_manifest_of_another_version_is_refused_by_name() -> None:
    shape = {**MANIFEST_OF_ONE.to_json(), "version": 2}
    with pytest.raises(RefusedError, match="format 2; this naru reads 1"):
        Manifest.from_json(shape)


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """A sealed folder with two files, as `dump` leaves it."""
    folder = tmp_path / "dump"
    with writing(folder) as partial:
        (partial / "roles.json").write_text("{}")
        (partial / "databases").mkdir()
        (partial / "databases" / "data").write_bytes(os.urandom(3000))
        seal(partial, folder, replace(MANIFEST_OF_ONE, files=tuple(list_files(partial))))
    return folder


def test_a_sealed_dump_is_whole_and_its_manifest_has_a_checksum_for_everybody(dump: Path) -> None:
    manifest = read_manifest(dump)
    check_files(dump, manifest)
    assert [one.path for one in manifest.files] == ["databases/data", "roles.json"]
    digest = hashlib.sha256((dump / MANIFEST).read_bytes()).hexdigest()
    assert (dump / CHECKSUM).read_text() == f"{digest}  {MANIFEST}\n"
    assert not partial_of(dump).exists()


def test_every_fault_of_a_dump_is_named_at_once(dump: Path) -> None:
    data = dump / "databases" / "data"
    changed = bytearray(data.read_bytes())
    changed[1500] ^= 4
    data.write_bytes(bytes(changed))
    (dump / "roles.json").unlink()
    (dump / "more").write_text("")
    with pytest.raises(RefusedError) as refused:
        check_files(dump, read_manifest(dump))
    said = refused.value.message
    assert "databases/data is damaged" in said
    assert "roles.json is missing" in said
    assert "more does not belong to it" in said


def test_a_dump_without_its_manifest_is_not_complete(dump: Path) -> None:
    (dump / MANIFEST).unlink()
    with pytest.raises(RefusedError, match="holds no dump"):
        read_manifest(dump)
    dump.rename(partial_of(dump))
    with pytest.raises(RefusedError, match="was not completed"):
        read_manifest(partial_of(dump))


def test_what_is_written_is_taken_away_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), writing(tmp_path / "dump") as partial:
        (partial / "some").write_text("x")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


SOURCE = SourceFacts(
    database="app", major=15, version="15.18", in_recovery=False, encoding="UTF8", bytes=10**9,
    collation_version=None, tables=(replace(TABLE, bytes=10**8),), unreadable=(), hidden=(),
    unlogged=(), subscriptions=0,
)  # fmt: skip


def _said(facts: SourceFacts, **named: object) -> str:
    given: dict[str, object] = {"content": "all", "compression": "gzip", "free": 10**10, **named}
    return "; ".join(one.text for one in judge_source(facts, **given))  # type: ignore[arg-type]


def test_what_stands_in_the_way_of_a_dump() -> None:
    assert _said(SOURCE) == ""
    assert "PostgreSQL 9.6" in _said(replace(SOURCE, major=9, version="9.6"))
    assert "may not read public.a" in _said(replace(SOURCE, unreadable=("public.a",)))
    standby = replace(SOURCE, in_recovery=True)
    assert _said(standby) == _said(replace(SOURCE, unlogged=("public.a",))) == ""
    assert "rows of public.a" in _said(replace(standby, unlogged=("public.a",)))
    hidden = replace(SOURCE, hidden=("public.a",))
    assert "row security" in _said(hidden)
    assert _said(hidden, content="schema") == ""


def test_room_is_asked_for_by_what_compression_may_save() -> None:
    assert room_needed(10**8, "none") == 10**8
    assert room_needed(10**8, "gzip") == room_needed(10**8, "zstd") < 10**8
    assert "30.0 MB are free" not in _said(SOURCE, free=3 * 10**7)
    assert "30.0 MB are free" in _said(SOURCE, free=3 * 10**7, compression="none")
    assert _said(SOURCE, free=3, content="schema") == _said(SOURCE, free=None) == ""


def test_all_obstacles_are_said_at_once_with_their_remedies() -> None:
    found = list(judge_source(
        replace(SOURCE, unreadable=("a",), hidden=("b",)), content="all", compression="gzip",
        free=0,
    ))  # fmt: skip
    with pytest.raises(RefusedError) as refused:
        refuse("no", found)
    assert refused.value.message.count("\n") == 3
    assert (refused.value.remedy or "").count(";") >= 2
    refuse("nothing", [])


TARGET = TargetFacts(
    database="app", major=17, version="17.10", in_recovery=False, may_create_databases=True,
    may_create_roles=True, exists=False, facts=None, content=(), large_objects=0, begun=False,
    marker=None, extensions=frozenset({"citext"}), missing_roles=("app",), missing_tables=(),
    filled_tables=(), firing=(), may_replicate=True,
)  # fmt: skip
THERE = replace(TARGET, exists=True, facts=CONTENTS.globals.facts)


def _judged(facts: TargetFacts, **named: object) -> str:
    given: dict[str, object] = {"content": "all", "create": True, "roles": True, **named}
    found = judge_target(facts, MANIFEST_OF_ONE, DATABASE, CONTENTS, **given)  # type: ignore[arg-type]
    return "; ".join(one.text for one in found)


def test_a_target_that_is_empty_or_may_be_made_is_fit() -> None:
    assert _judged(TARGET) == _judged(THERE, create=False) == ""
    assert "does not exist" in _judged(TARGET, create=False)
    assert "may not make databases" in _judged(replace(TARGET, may_create_databases=False))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(TARGET, major=14, version="14.9"), "PostgreSQL 14.9, the dump is of 15.18"),
        (replace(TARGET, in_recovery=True), "standby"),
        (replace(THERE, content=("public.x",)), "not empty: it holds public.x"),
        (replace(THERE, large_objects=2), "2 large objects"),
        (replace(THERE, begun=True), "a migration or another restore"),
        (replace(TARGET, extensions=frozenset()), "extensions citext"),
        (replace(TARGET, may_create_roles=False), "roles are missing"),
        (
            replace(THERE, facts=replace(CONTENTS.globals.facts, encoding="LATIN1")),
            "encoding is LATIN1",
        ),
    ],
)
def test_what_stands_in_the_way_of_a_restore(facts: TargetFacts, said: str) -> None:
    assert said in _judged(facts)


def test_a_restore_that_was_begun_goes_on_where_another_one_does_not() -> None:
    begun = replace(THERE, begun=True, content=("public.users",))
    assert _judged(replace(begun, marker=Marker("abc", "all"))) == ""
    assert _judged(replace(begun, marker=Marker("abc", "schema"))) != ""
    assert _judged(replace(begun, marker=Marker("other", "all"))) != ""


def test_rows_alone_need_empty_tables_silent_triggers_and_the_right_to_silence_them() -> None:
    assert _judged(THERE, content="data") == ""
    for change, said in (
        ({"missing_tables": ("public.users",)}, "tables are missing"),
        ({"filled_tables": ("public.users",)}, "have rows already"),
        ({"firing": ("audit on public.users",)}, "would fire"),
        ({"may_replicate": False}, "session_replication_role"),
    ):
        assert said in _judged(replace(THERE, **change), content="data")


def test_broken_references_are_counted_as_postgresql_defines_them() -> None:
    key = ForeignKey(
        "public", "line", "r", "line_order", "public", "order", "p", "s", ("a", "b"), ("x", "y"),
        ("OPERATOR(pg_catalog.=)", "OPERATOR(pg_catalog.=)"),
    )  # fmt: skip
    text = broken_rows(key).as_string()
    assert 'FROM ONLY "public"."line" AS f LEFT JOIN "public"."order" AS p' in text
    assert '(f."a" IS NOT NULL AND f."b" IS NOT NULL)' in text
    full = broken_rows(replace(key, match="f")).as_string()
    assert '(f."a" IS NOT NULL OR f."b" IS NOT NULL)' in full


def _found(**changes: TableDigest) -> Digest:
    tables = {f"public.{name}": one for name, one in changes.items()}
    return replace(DIGEST, tables=tables)


def test_a_database_is_held_against_a_digest_table_by_table() -> None:
    same = DIGEST.tables["public.users"]
    assert judge_digest(DIGEST, DIGEST).same
    assert judge_digest(DIGEST, DIGEST).hashed == 1
    for found, said in (
        (_found(), "missing"),
        (_found(users=replace(same, rows=2)), "2 rows instead of 3"),
        (_found(users=replace(same, hash="98")), "3 rows, but not the same ones"),
    ):
        (difference,) = judge_digest(DIGEST, found).differences
        assert said in difference.text


def test_a_table_that_cannot_be_hashed_alike_is_said_to_be_counted_only() -> None:
    verdict = judge_digest(DIGEST, _found(users=TableDigest(3)))
    assert verdict.same
    assert verdict.hashed == 0
    assert verdict.not_hashed == ("public.users",)


def test_self_tests_agree_on_the_types_that_both_hash_alike() -> None:
    one = SelfTest("record", {"": 1, "int8": 2, "jsonb": 3})
    other = SelfTest("record", {"": 1, "int8": 2, "jsonb": 4})
    agreement = one.agreement(other)
    assert agreement is not None
    assert agreement.trusted == {"int8"}
    assert one.agreement(SelfTest("record", {"": 9, "int8": 2})) is None
    assert one.agreement(SelfTest("text", dict(one.hashes))) is None
