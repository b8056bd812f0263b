"""pg_restore's text is split into entries, whatever stands inside them."""

from __future__ import annotations

from naru.migrate.entries import contents, split

PREAMBLE = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\nSET lock_timeout = 0;\n\n"
TAIL = (
    "-- Completed on 2026-01-01 00:00:00 UTC\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
    "\\unrestrict abc\n\n"
)


def header(number: int, name: str, kind: str, schema: str = "app", needs: str = "") -> str:
    dependencies = f"-- Dependencies: {needs}\n" if needs else ""
    return (
        f"--\n-- TOC entry {number} (class 1259 OID 7)\n{dependencies}"
        f"-- Name: {name}; Type: {kind}; Schema: {schema}; Owner: me\n-- Data Pos: 0\n--\n\n"
    )


def entries(text: str, *known: int):  # type: ignore[no-untyped-def]
    return list(split(text.splitlines(keepends=True), set(known)))


def test_each_entry_has_its_object_its_needs_and_its_text() -> None:
    text = (
        PREAMBLE
        + header(5, "t k", "CONSTRAINT", needs="3 4")
        + "ALTER TABLE t;\n\n\n"
        + header(6, "no one", "COMMENT", "-")
        + "COMMENT ON x;\n\n\n"
        + TAIL
    )
    first, second = entries(text, 5, 6)
    assert (first.number, first.oid, first.dependencies) == (5, 7, (3, 4))
    assert (first.name, first.type, first.schema) == ("t k", "CONSTRAINT", "app")
    assert first.sql == "ALTER TABLE t;"
    assert (second.schema, second.sql) == ("", "COMMENT ON x;")


def test_a_header_inside_a_function_body_is_text() -> None:
    body = "CREATE FUNCTION f() AS $$\n" + header(99, "no", "TABLE") + "$$;\n"
    again = "CREATE FUNCTION g() AS $$\n" + header(5, "f", "FUNCTION") + "$$;\n"
    text = (
        PREAMBLE + header(5, "f", "FUNCTION") + body + "\n\n" + header(6, "g", "FUNCTION")
        + again + "\n\n" + TAIL
    )  # fmt: skip
    first, second = entries(text, 5, 6)
    assert first.sql == body.strip()
    assert second.sql == again.strip()


def test_session_state_belongs_to_the_entries_that_follow() -> None:
    text = (
        PREAMBLE + header(1, "f", "FUNCTION") + "F;\n\n\n"
        + "SET default_table_access_method = heap;\n\n"
        + header(2, "t", "TABLE") + "T;\n\n\n" + header(3, "u", "TABLE") + "U;\n\n\n" + TAIL
    )  # fmt: skip
    f, t, u = entries(text, 1, 2, 3)
    assert (f.sql, f.state) == ("F;", "")
    assert t.state == u.state == "SET default_table_access_method = heap;"


def test_the_end_of_the_dump_is_no_statement() -> None:
    (only,) = entries(PREAMBLE + header(1, "t", "TABLE") + "T;\n\n\n" + TAIL, 1)
    assert only.sql == "T;"


def test_an_empty_section_has_no_entries() -> None:
    assert entries(PREAMBLE + TAIL) == []


def test_contents_are_read_from_the_listing() -> None:
    listing = ";\n; Archive created at\n;\n215; 1259 1 TABLE app 12; 34 56 me\n6; 0 0 ACL - x me\n"
    assert contents(listing) == {215, 6}
