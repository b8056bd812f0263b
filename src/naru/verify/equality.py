"""Rules by which a comparison takes different values for equal, because somebody asked for it.

A rule maps each value of some types to one that stands for all that the rule takes for
equal; both servers compute it, and everything after that is as exact as without the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg import sql

from naru.errors import UsageError
from naru.verify.naming import did_you_mean, matches
from naru.verify.types import TypeFacts, as_text, undressed

_STRINGS = ("text", "varchar", "bpchar")
_TIMES = ("timestamp", "timestamptz", "time", "timetz")


class Meaning(NamedTuple):
    """The types a rule is for, what it says, and the values it takes (None: it takes none)."""

    types: tuple[str, ...]
    says: str
    values: Mapping[str, int] | None = None


RULES: Mapping[str, Meaning] = {
    "numeric-scale": Meaning(
        ("numeric",), "zeros at the end of a number's fraction do not count: 1.0 is 1.00"
    ),
    "float-digits": Meaning(
        ("float4", "float8"),
        "floats are rounded to so many significant digits",
        {str(digits): digits for digits in range(1, 17)},
    ),
    "timestamp-precision": Meaning(
        _TIMES,
        "times are rounded to so many digits of a second, as timestamp(p) does",
        {"s": 0, "ms": 3, **{str(digits): digits for digits in range(6)}},
    ),
    "json-text": Meaning(
        ("json",), "json is what jsonb makes of it: spaces, order and repeated keys do not count"
    ),
    "trailing-spaces": Meaning(_STRINGS, "spaces at the end of a text do not count"),
    "case": Meaning(_STRINGS, "A to Z are a to z; other letters keep their case"),
    "null-empty": Meaning(_STRINGS, "an empty text is NULL"),
}
"""Applied in this order, however they are given."""

_TEXT = TypeFacts(
    25, "pg_catalog", "text", "b", False, ("pg_catalog", "textout"), ("pg_catalog", "textsend")
)
_UNIQUE = {("numeric-scale", "numeric"), ("trailing-spaces", "bpchar")}
"""Where values that the rule takes for equal are equal to a unique index as well."""
_NOT_FOR_KEYS = "null-empty"
"""A key has no NULL, so there is nothing to be taken for one."""


@dataclass(frozen=True)
class Rule:
    """One rule with its value; `columns` is a pattern on `schema.table.column`, None for all."""

    name: str
    value: int | None = None
    columns: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"

    @property
    def meaning(self) -> Meaning:
        return RULES[self.name]

    def is_for(self, type_: TypeFacts) -> bool:
        """True if values of this type (or of a domain over it) are loosened."""
        base = type_.base
        return base.built_in and base.kind == "b" and base.name in self.meaning.types

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read `rule`, `rule=value` or `schema.table.column:rule`.

        Raises UsageError for a rule or a value that is not known.
        """
        columns, _, wanted = text.rpartition(":")
        name, given, value = wanted.partition("=")
        if name not in RULES:
            raise UsageError(
                f"--equal {text}: there is no rule {name!r}",
                remedy=did_you_mean(name, RULES) or f"the rules are {', '.join(RULES)}",
            )
        known = RULES[name].values
        if known is None:
            if given:
                raise UsageError(f"--equal {text}: {name} takes no value")
            return cls(name, None, columns or None)
        if value not in known:
            raise UsageError(
                f"--equal {text}: {name} needs a value",
                remedy=f"such as {name}={list(known)[-1]}; known are {', '.join(known)}",
            )
        return cls(name, known[value], columns or None)


@dataclass(frozen=True)
class Equality:
    """All rules of a comparison. For a column its own rule goes before the one for all."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Equality:
        """Read what `--equal` was given. Raises UsageError for what is not known."""
        return cls(tuple(Rule.parse(text) for text in texts))

    def of(self, column: str, source: TypeFacts, target: TypeFacts) -> tuple[Rule, ...]:
        """The rules for one column, in the order of applying; at most one of each name."""
        chosen: dict[str, Rule] = {}
        for rule in self.rules:
            if not (rule.is_for(source) or rule.is_for(target)):
                continue
            if rule.columns is None:
                chosen.setdefault(rule.name, rule)
            elif matches(column, rule.columns):
                chosen[rule.name] = rule
        return tuple(chosen[name] for name in RULES if name in chosen)


EXACT = Equality()


def rules_for_key(
    rules: tuple[Rule, ...], source: TypeFacts, target: TypeFacts
) -> tuple[Rule, ...] | None:
    """The rules that a key column keeps; None if under them it may no longer be unique."""
    kept = tuple(rule for rule in rules if rule.name != _NOT_FOR_KEYS)
    if len(kept) < len(rules) and "bpchar" in {source.base.name, target.base.name}:
        return None
    for rule in kept:
        for type_ in (source, target):
            if rule.is_for(type_) and (rule.name, type_.base.name) not in _UNIQUE:
                return None
    if kept and source.base.identity != target.base.identity:
        return None
    return kept


def loosened_type(type_: TypeFacts, rules: Sequence[Rule], method: str) -> TypeFacts:
    """What a value of this type is once the rules have been applied."""
    return loosen(sql.SQL("NULL"), type_, rules, method)[1]


def loosen(
    value: sql.Composable, type_: TypeFacts, rules: Sequence[Rule], method: str
) -> tuple[sql.Composable, TypeFacts]:
    """An expression that is the same for all values that the rules take for equal; its type.

    `method` is that of the hash: where it is not `record` a server may be older than 13.
    """
    applying = [rule for rule in rules if rule.is_for(type_)]
    if not applying:
        return value, type_
    if type_.base.name in _STRINGS:
        return _string(value, type_, {rule.name for rule in applying}), _TEXT
    rule = applying[0]
    bare = undressed(value, type_)
    if rule.name == "numeric-scale" and method == "record":
        return sql.SQL("pg_catalog.trim_scale({})").format(bare), type_.base
    if rule.name == "timestamp-precision":
        rounded = sql.SQL("({})::pg_catalog.{}({})").format(
            bare, sql.Identifier(type_.base.name), sql.Literal(rule.value)
        )
        return rounded, type_.base
    shapes = {"numeric-scale": _NUMBER, "float-digits": _FLOAT, "json-text": _JSON}
    text = sql.SQL(shapes[rule.name]).format(
        value=bare, text=as_text(value, type_), shape=sql.Literal(_shape(rule.value or 1))
    )
    return text, _TEXT


def _shape(digits: int) -> str:
    """What to_char is told to write so many significant digits."""
    return ("9" if digits == 1 else "9." + "9" * (digits - 1)) + "EEEE"


_NUMBER = """
CASE WHEN pg_catalog.strpos({text}, '.') > 0
     THEN pg_catalog.rtrim(pg_catalog.rtrim({text}, '0'), '.') ELSE {text} END
"""

# to_char shows neither infinity nor NaN.
_FLOAT = """
CASE WHEN {value} IN ('NaN', 'Infinity', '-Infinity') THEN {text}
     ELSE pg_catalog.to_char(({value})::pg_catalog.float8, {shape}) END
"""

# jsonb has no room for \u0000 nor for half a surrogate pair: such values stay as they are.
# What is left of a text without escaped backslashes and whole pairs tells.
_JSON = r"""
CASE WHEN pg_catalog.strpos({text}, '\u') > 0 AND pg_catalog.regexp_replace(
              pg_catalog.replace({text}, '\\', '') COLLATE "C",
              '\\u[dD][89abAB][[:xdigit:]]{{2}}\\u[dD][c-fC-F][[:xdigit:]]{{2}}', '', 'g')
          ~ '\\u(0000|[dD][89a-fA-F])'
     THEN {text}
     ELSE pg_catalog.textin(pg_catalog.jsonb_out(pg_catalog.jsonb_in(
              pg_catalog.textout({text})))) END
"""


def _string(value: sql.Composable, type_: TypeFacts, rules: set[str]) -> sql.Composable:
    # As it is written: a cast from char(n) to text would take spaces away.
    text: sql.Composable = sql.SQL('{} COLLATE "C"').format(as_text(value, type_))
    if "trailing-spaces" in rules:
        text = sql.SQL("pg_catalog.rtrim({}, ' ')").format(text)
    if "case" in rules:
        text = sql.SQL("pg_catalog.lower({})").format(text)
    if "null-empty" in rules:
        blank = sql.SQL("pg_catalog.rtrim({}, ' ')" if type_.base.name == "bpchar" else "{}")
        text = sql.SQL("CASE WHEN {} = '' THEN NULL ELSE {} END").format(blank.format(text), text)
    return text
