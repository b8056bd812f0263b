"""In which words a login that is no superuser makes what an archive holds."""

from __future__ import annotations

import pytest

from naru.migrate.entries import Entry
from naru.migrate.landing import Landing, adapt
from naru.migrate.ownership import Standing, joined_by

LANDING = Landing(
    superuser=False,
    acts_for={"app", "Odd Owner", "boss"},
    makers={("public", "app")},
    foreign_extensions={"plpgsql"},
)


def entry(text: str, *, type: str = "TABLE", name: str = "t", schema: str = "public") -> Entry:
    return Entry(1, 1259, 16400, (), name, type, schema, text)


def adapted(*entries: Entry, landing: Landing = LANDING) -> list[str]:
    return [one.sql for one in adapt(entries, landing)]


TABLE = "CREATE TABLE public.t (\n    id integer\n);\n\n\nALTER TABLE public.t OWNER TO {};"


def test_a_superuser_takes_the_archive_as_it_is() -> None:
    odd = entry("CREATE EVENT TRIGGER x", type="EVENT TRIGGER")
    assert list(adapt([odd], Landing(superuser=True))) == [odd]


def test_an_owner_that_may_make_objects_there_is_given_its_own() -> None:
    assert adapted(entry(TABLE.format("app"))) == [TABLE.format("app")]


def test_an_owner_that_may_not_is_let_for_the_moment() -> None:
    (text,) = adapted(entry(TABLE.format('"Odd Owner"')))
    assert text.startswith('GRANT CREATE ON SCHEMA "public" TO "Odd Owner";\n')
    assert text.endswith('REVOKE CREATE ON SCHEMA "public" FROM "Odd Owner";')


def test_the_owner_of_a_schema_that_the_archive_makes_keeps_its_rights() -> None:
    schema = entry("CREATE SCHEMA s;\n\nALTER SCHEMA s OWNER TO boss;", type="SCHEMA", name="s",
                   schema="")  # fmt: skip
    table = entry("CREATE TABLE s.t ();\n\nALTER TABLE s.t OWNER TO boss;", schema="s")
    assert adapted(schema, table) == [schema.sql, table.sql]


def test_what_belongs_to_a_role_that_is_not_ours_stays_with_us() -> None:
    (text,) = adapted(entry(TABLE.format("postgres")))
    assert text == "CREATE TABLE public.t (\n    id integer\n);"


def test_a_text_in_a_function_that_looks_like_an_owner_stays() -> None:
    body = "CREATE FUNCTION f() AS $$\n\nALTER TABLE t OWNER TO postgres;\n$$;"
    owner = "\n\n\nALTER FUNCTION public.f() OWNER TO postgres;"
    assert adapted(entry(body + owner, type="FUNCTION")) == [body]


def test_grants_of_others_are_made_in_their_role() -> None:
    text = (
        "SET SESSION AUTHORIZATION app;\nGRANT SELECT ON TABLE public.t TO web;\n"
        "RESET SESSION AUTHORIZATION;"
    )
    assert adapted(entry(text, type="ACL", name="TABLE t")) == [
        "SET ROLE app;\nGRANT SELECT ON TABLE public.t TO web;\nRESET ROLE;"
    ]


@pytest.mark.parametrize(
    "one",
    [
        entry("CREATE EVENT TRIGGER x …", type="EVENT TRIGGER", name="x"),
        entry("COMMENT ON EVENT TRIGGER x IS 'y';", type="COMMENT", name="EVENT TRIGGER x"),
        entry("COMMENT ON EXTENSION plpgsql IS 'z';", type="COMMENT", name="EXTENSION plpgsql"),
        entry("ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON TABLES TO app;",
              type="DEFAULT ACL", name="DEFAULT PRIVILEGES FOR TABLES"),
    ],
)  # fmt: skip
def test_what_is_out_of_reach_is_left_out(one: Entry) -> None:
    assert adapted(one) == [""]


def test_default_privileges_of_a_role_of_ours_come_across() -> None:
    text = 'ALTER DEFAULT PRIVILEGES FOR ROLE "Odd Owner" GRANT SELECT ON TABLES TO app;'
    assert adapted(entry(text, type="DEFAULT ACL")) == [text]


def test_we_join_those_that_we_may_and_have_not() -> None:
    standing = {
        "joined": Standing(superuser=False, acts=True, may_join=True),
        "ours": Standing(superuser=False, acts=False, may_join=True),
        "theirs": Standing(superuser=False, acts=False, may_join=False),
        "me": Standing(superuser=False, acts=False, may_join=True),
    }
    (newer,) = joined_by("me", standing, 170000)
    (older,) = joined_by("me", standing, 150000)
    assert newer.as_string() == 'GRANT "ours" TO "me" WITH INHERIT TRUE, SET TRUE'
    assert older.as_string() == 'GRANT "ours" TO "me"'
