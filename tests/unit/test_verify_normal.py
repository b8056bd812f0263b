"""Two wordings of the same thing are alike; two things are not."""

from __future__ import annotations

import pytest

from naru.verify.normal import alike, cast_elements, normal_grants, shown, summary

OLD_AND_NEW = (150018, 170010)
SAME = (170010, 170010)

INNER = "EXISTS ( SELECT 1\n FROM shop.t t2\n WHERE (t2.n = t.n))"
QUALIFIED = f" SELECT t.s,\n    t.n\n   FROM shop.t\n  WHERE ((t.n > 1) AND ({INNER}));"
PLAIN = f" SELECT s,\n    n\n   FROM shop.t\n  WHERE ((n > 1) AND ({INNER}));"


def test_a_query_over_one_relation_may_lack_its_name_on_the_newer_side() -> None:
    assert alike("query", QUALIFIED, PLAIN, OLD_AND_NEW)
    assert alike("query", PLAIN, QUALIFIED, (170010, 150018))
    assert alike("query", "SELECT t.t FROM s.t", "SELECT t FROM s.t", OLD_AND_NEW)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (QUALIFIED, PLAIN.replace("n > 1", "n > 2")),
        (QUALIFIED, PLAIN.replace("t2.n = t.n", "t2.n = t2.n")),
        (QUALIFIED, PLAIN.replace("shop.t\n", "t\n")),
        (QUALIFIED, PLAIN + " LIMIT 1"),
        (QUALIFIED + " LIMIT 1", PLAIN),
        ("SELECT a.x, b.y FROM s.a, s.b", "SELECT x, y FROM s.a, s.b"),
        ("SELECT t.a FROM s.t", "SELECT b FROM s.t"),
    ],
)
def test_another_query_is_never_alike(source: str, target: str) -> None:
    assert not alike("query", source, target, OLD_AND_NEW)


def test_between_equal_versions_a_missing_name_is_a_difference() -> None:
    assert not alike("query", QUALIFIED, PLAIN, SAME)
    assert not alike("definition", QUALIFIED, PLAIN, OLD_AND_NEW)


VARCHAR = "::character varying"
MADE = f"CHECK (((s)::text = ANY ((ARRAY['a'{VARCHAR}, 'b'{VARCHAR}])::text[])))"
RESTORED = f"CHECK (((s)::text = ANY (ARRAY[('a'{VARCHAR})::text, ('b'{VARCHAR})::text])))"


def test_a_list_of_varchars_reads_alike_as_made_and_as_restored() -> None:
    assert cast_elements(MADE) == RESTORED
    assert alike("definition", MADE, RESTORED, SAME)
    assert not alike("definition", MADE, RESTORED.replace("'b'", "'c'"), SAME)


def test_a_comma_within_a_literal_does_not_split_it() -> None:
    made = MADE.replace("'b'", "'b,c'")
    assert alike("definition", made, RESTORED.replace("'b'", "'b,c'"), SAME)
    assert not alike("definition", made, RESTORED.replace("'b'", "'b, c'"), SAME)


def test_layout_does_not_count_in_definitions_and_does_in_bodies() -> None:
    assert alike("definition", "CHECK (a > 1)", "CHECK  (a\n > 1)", SAME)
    assert not alike("definition", "CHECK (a = 'x y')", "CHECK (a = 'x  y')", SAME)
    assert not alike("body", "SELECT 1", "SELECT  1", SAME)


OWNER = [["anna", "SELECT", False], ["anna", "INSERT", False]]


def test_grants_compare_in_any_order_and_by_the_owner_whoever_that_is() -> None:
    ours = normal_grants({"owner": "anna", "grants": OWNER}, SAME)
    theirs = normal_grants(
        {"owner": "bert", "grants": [["bert", w, g] for _, w, g in reversed(OWNER)]}, SAME
    )
    assert ours["grants"] == theirs["grants"] == ["the owner: INSERT", "the owner: SELECT"]


def test_a_privilege_that_only_one_version_knows_is_left_out() -> None:
    doc = {"owner": "anna", "grants": [*OWNER, ["anna", "MAINTAIN", False]]}
    assert normal_grants(doc, OLD_AND_NEW) == normal_grants(
        {"owner": "anna", "grants": OWNER}, OLD_AND_NEW
    )
    assert "the owner: MAINTAIN" in normal_grants(doc, SAME)["grants"]


def test_a_grant_option_and_a_grantee_count() -> None:
    plain = normal_grants({"grants": [["PUBLIC", "SELECT", False]]}, SAME)
    assert plain["grants"] == ["PUBLIC: SELECT"]
    assert normal_grants({"grants": [["PUBLIC", "SELECT", True]]}, SAME) != plain
    assert normal_grants({"grants": None or []}, SAME) != plain


def test_an_object_without_grants_has_none() -> None:
    assert normal_grants({}, SAME) == {"grants": []}


def test_values_are_shown_to_people() -> None:
    assert shown(None) is None
    assert shown(["a", "b"]) == "a, b"
    assert shown({"a": 1}) == '{"a": 1}'
    assert summary({"kind": "table", "definition": "CHECK\n (a)"}) == "CHECK (a)"
    assert summary({}) == "present"
