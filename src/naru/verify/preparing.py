"""How the rows of one table are compared: by which columns, which key, and in which forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from naru.verify.descent import choose_key
from naru.verify.equality import Rule, loosened_type, rules_for_key
from naru.verify.hashing import Agreement
from naru.verify.options import Options
from naru.verify.relations import Column, Relation
from naru.verify.statements import Statements
from naru.verify.types import INTEGERS, Form, common_form


def prepare(
    source: Relation, target: Relation, agreement: Agreement, options: Options
) -> tuple[Statements, Statements]:
    """The statements for both sides: over the columns both have, by a key both have."""
    columns = _common(source, target, options)
    rules = {
        ours.name: options.equal.of(source.full_name(ours), ours.type, theirs.type)
        for ours, theirs in columns
    }
    key = choose_key(_keys(source, target, rules), target.keys)
    for name in key:
        kinds = source.column(name).type, target.column(name).type
        rules[name] = rules_for_key(rules[name], *kinds) or ()
    forms = tuple(
        (ours.name, _form(ours, theirs, rules[ours.name], agreement)) for ours, theirs in columns
    )
    numbered = len(key) == 1 and all(
        side.column(key[0]).type.base.name in INTEGERS for side in (source, target)
    )
    required = frozenset(
        ours.name
        for ours, theirs in columns
        if ours.required and theirs.required and not rules[ours.name]
    )
    return (
        Statements(source, forms, key, agreement, numbered, rules, required),
        Statements(target, forms, key, agreement, numbered, rules, required),
    )


def _common(source: Relation, target: Relation, options: Options) -> list[tuple[Column, Column]]:
    """The columns that both sides have and that are to be compared."""
    theirs = {column.name: column for column in target.columns}
    return [
        (column, theirs[column.name])
        for column in source.columns
        if column.name in theirs and options.covers_column(source.full_name(column))
    ]


def _keys(
    source: Relation, target: Relation, rules: Mapping[str, tuple[Rule, ...]]
) -> tuple[tuple[str, ...], ...]:
    """The source's keys that are compared whole, and are still unique under the rules."""

    def stays(name: str) -> bool:
        if name not in rules:
            return False
        kinds = source.column(name).type, target.column(name).type
        return rules_for_key(rules[name], *kinds) is not None

    return tuple(key for key in source.keys if all(stays(name) for name in key))


def _form(ours: Column, theirs: Column, rules: Sequence[Rule], agreement: Agreement) -> Form:
    source, target = (
        loosened_type(column.type, rules, agreement.method) for column in (ours, theirs)
    )
    return common_form(source, target, agreement.trusted)
