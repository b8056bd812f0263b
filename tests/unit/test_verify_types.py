"""Which form a value is brought into before it is hashed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from psycopg import sql

from naru.verify.types import RAW, SAMPLES, TypeFacts, canonical, common_form, form_of

TRUSTED = frozenset(SAMPLES)


def built_in(name: str, oid: int = 20) -> TypeFacts:
    return TypeFacts(
        oid, "pg_catalog", name, "b", False, ("pg_catalog", "out"), ("pg_catalog", "send")
    )


def made(kind: str, inner: TypeFacts | None = None, name: str = "mine") -> TypeFacts:
    return TypeFacts(
        99_999, "shop", name, kind, False, ("pg_catalog", "out"), ("pg_catalog", "send"), inner
    )


def array_of(element: TypeFacts) -> TypeFacts:
    oid, schema = (1007, "pg_catalog") if element.built_in else (99_998, element.schema)
    return TypeFacts(
        oid, schema, f"_{element.name}", "b", True,
        ("pg_catalog", "array_out"), ("pg_catalog", "array_send"), element,
    )  # fmt: skip


ENUM, COMPOSITE = made("e"), made("c")
INT8, TEXT, FLOAT8 = built_in("int8"), built_in("text", 25), built_in("float8")


@pytest.mark.parametrize(
    ("type_", "form"),
    [
        (INT8, "send"),
        (built_in("numeric"), "send"),
        (built_in("int4"), "raw"),
        (built_in("uuid"), "raw"),
        (built_in("bytea"), "raw"),
        (TEXT, "characters"),
        (built_in("varchar"), "characters"),
        (built_in("regclass"), "text"),
        (built_in("int2vector"), "text"),
        (ENUM, "send"),
        (made("d", INT8), "send"),
        (made("d", made("d", TEXT)), "characters"),
        (made("d", COMPOSITE), "text"),
        (COMPOSITE, "text"),
        (made("b"), "text"),
        (array_of(INT8), "send"),
        (array_of(TEXT), "send"),
        (array_of(ENUM), "text"),
        (array_of(COMPOSITE), "text"),
        (array_of(made("d", INT8)), "text"),
        (made("d", array_of(INT8)), "send"),
        (made("r", FLOAT8), "send"),
        (made("m", made("r", FLOAT8)), "text"),
        (made("r", ENUM), "text"),
        (made("r", COMPOSITE), "text"),
    ],
)
def test_a_type_gets_the_form_that_keeps_every_value_apart(type_: TypeFacts, form: str) -> None:
    assert form_of(type_, TRUSTED) == form


def test_a_type_that_failed_the_self_test_goes_as_text() -> None:
    assert form_of(INT8, TRUSTED - {"int8"}) == "text"
    assert form_of(array_of(INT8), TRUSTED - {"int8"}) == "text"
    assert form_of(built_in("uuid"), TRUSTED - {"uuid"}) == "text"


def test_a_column_of_different_types_on_the_two_sides_is_compared_as_text() -> None:
    assert common_form(INT8, built_in("int4", 23), TRUSTED) == "text"
    assert common_form(made("d", INT8), made("d", built_in("int4", 23)), TRUSTED) == "text"
    assert common_form(INT8, INT8, TRUSTED) == "send"


def test_raw_types_are_tested_like_all_others() -> None:
    assert set(SAMPLES) >= RAW


def test_between_different_encodings_characters_travel_as_utf8() -> None:
    column = sql.Identifier("name")
    same = canonical(column, TEXT, "characters", same_encoding=True).as_string()
    other = canonical(column, TEXT, "characters", same_encoding=False).as_string()
    assert same == '"name"::pg_catalog.text COLLATE "C"'
    assert other == 'pg_catalog.textsend("name"::pg_catalog.text)'


def test_text_is_what_the_output_function_writes_whatever_casts_exist() -> None:
    made_ = canonical(sql.Identifier("home"), COMPOSITE, "text", same_encoding=True).as_string()
    assert made_.startswith('pg_catalog.textin("pg_catalog"."out"("home"))')


KINDS = {
    "^enums$": [ENUM],
    "composites, arrays of enums, composites or domains": [
        COMPOSITE, array_of(ENUM), array_of(COMPOSITE), array_of(made("d", INT8)),
    ],
    "arrays of all these but enums": [array_of(INT8), array_of(TEXT), array_of(FLOAT8)],
    "ranges of one's own over them": [made("r", FLOAT8)],
    "types of extensions": [made("b")],
    "`regclass` and its like": [built_in("regclass"), built_in("regproc")],
    "domains over them": [made("d", TEXT)],
}  # fmt: skip
FORMS = {
    "raw": "as it is", "characters": "characters under `COLLATE \"C\"`",
    "send": "binary output", "text": "text",
}  # fmt: skip


def _explained() -> list[tuple[str, str]]:
    """The rows of the table of forms: form, types."""
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "verification.md").read_text()
    table = page.partition("| form | types | why |")[2].partition("\n\n")[0]
    cells = (line.split("|")[1:3] for line in table.splitlines()[2:])
    return [(form.strip(), types.strip()) for form, types in cells]


def test_the_explanation_names_every_type_in_its_form_and_no_other() -> None:
    said = {name: form for form, types in _explained() for name in re.findall(r"`(\w+)`", types)}
    wanted = {
        name: FORMS[form_of(built_in(name), TRUSTED)] for name in [*SAMPLES, "text", "varchar"]
    }
    elsewhere = {"citext", "hstore", "regclass"}
    assert {name: form for name, form in said.items() if name not in elsewhere} == wanted


@pytest.mark.parametrize("words", KINDS)
def test_the_explanation_tells_the_form_of_every_kind_of_type(words: str) -> None:
    (form,) = {form for form, types in _explained() if re.search(words, types)}
    assert {FORMS[form_of(type_, TRUSTED)] for type_ in KINDS[words]} == {form}
