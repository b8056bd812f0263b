"""Rules of --equal: how they are read, which columns they are for, which keys they spare."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from naru.errors import UsageError
from naru.verify import Equality, Options
from naru.verify.equality import RULES, Rule, rules_for_key
from naru.verify.types import TypeFacts


def type_(name: str, oid: int = 20) -> TypeFacts:
    return TypeFacts(oid, "pg_catalog", name, "b", False, ("pg_catalog", "out"), None)


NUMERIC, FIXED, TEXT = type_("numeric"), type_("bpchar"), type_("text")


def of(column: str, kind: TypeFacts, *rules: str) -> list[str]:
    return [str(rule) for rule in Equality.parse(rules).of(column, kind, kind)]


def test_a_rule_is_read_with_its_value_and_its_columns() -> None:
    assert Rule.parse("numeric-scale") == Rule("numeric-scale")
    assert Rule.parse("shop.t.c:timestamp-precision=ms") == Rule(
        "timestamp-precision", 3, "shop.t.c"
    )
    assert Rule.parse('shop."a:b".c:case').columns == 'shop."a:b".c'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("numeric-scal", "did you mean numeric-scale"),
        ("anything", "the rules are numeric-scale, float-digits"),
        ("float-digits", "such as float-digits=16"),
        ("float-digits=0", "float-digits needs a value"),
        ("timestamp-precision=us", "known are s, ms, 0, 1"),
        ("case=yes", "case takes no value"),
        ("a.b.c:", "no rule ''"),
    ],
)
def test_what_is_not_a_rule_is_told_with_what_is(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Rule.parse(text)
    assert said in str(caught.value)


def test_a_rule_is_for_its_types_only_and_for_domains_over_them() -> None:
    domain = TypeFacts(99_999, "shop", "amount", "d", False, ("a", "b"), None, NUMERIC)
    own = TypeFacts(99_998, "shop", "numeric", "b", False, ("a", "b"), None)
    assert of("s.t.c", NUMERIC, "numeric-scale") == ["numeric-scale"]
    assert of("s.t.c", domain, "numeric-scale") == ["numeric-scale"]
    assert of("s.t.c", own, "numeric-scale") == []
    assert of("s.t.c", TEXT, "numeric-scale") == []


def test_a_columns_own_rule_goes_before_the_one_for_all_and_order_does_not_matter() -> None:
    rules = ("s.t.*:float-digits=3", "float-digits=9")
    for given in (rules, rules[::-1]):
        assert of("s.t.c", type_("float8"), *given) == ["float-digits=3"]
        assert of("s.u.c", type_("float8"), *given) == ["float-digits=9"]
    assert of("s.t.c", TEXT, "null-empty", "trailing-spaces") == ["trailing-spaces", "null-empty"]


def test_a_key_stays_one_only_under_rules_that_its_index_shares() -> None:
    def kept(kind: TypeFacts, *names: str, target: TypeFacts | None = None) -> object:
        return rules_for_key(tuple(Rule(name) for name in names), kind, target or kind)

    assert kept(NUMERIC, "numeric-scale") == (Rule("numeric-scale"),)
    assert kept(FIXED, "trailing-spaces") == (Rule("trailing-spaces"),)
    assert kept(TEXT, "null-empty") == ()
    assert kept(TEXT) == ()
    assert kept(TEXT, "trailing-spaces") is None
    assert kept(TEXT, "case") is None
    assert kept(FIXED, "null-empty") is None
    assert kept(NUMERIC, "numeric-scale", target=type_("int8")) is None


def test_names_are_meant_with_and_without_quotes() -> None:
    options = Options(tables=("shop.Odd *", '"사람"'), except_columns=("shop.t.pass*",))
    assert options.covers('shop."Odd ""name"')
    assert options.covers('public."사람"')
    assert not options.covers("shop.odd")
    assert not options.covers_column("shop.t.password")
    assert options.covers_column("shop.t.id")
    assert not Options(tables=("a*",), except_tables=("s.ab",)).covers("s.ab")


def test_the_explanation_says_of_every_rule_what_it_is_for() -> None:
    page = Path(__file__).parents[2] / "docs" / "explanation" / "verification.md"
    said = {}
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 3 and (name := re.match(r"`([a-z-]+)(=\w+)?`", cells[0])):
            said[name[1]] = set(re.findall(r"`(\w+)`", cells[1]))
    assert {name: said.get(name) for name in RULES} == {
        name: set(meaning.types) for name, meaning in RULES.items()
    }
