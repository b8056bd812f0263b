"""The hash of a row from the hashes of its values."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from psycopg import sql

from naru.verify.alone import ALONE, Field, field_of, mixed
from naru.verify.descent import Grain
from naru.verify.statements import Buckets
from naru.verify.types import SAMPLES, Form
from tests.unit.test_verify_types import COMPOSITE, INT8, TEXT, built_in, made


def row(*fields: Field) -> str:
    return mixed(fields).as_string()


def field(name: str, form: Form = "send") -> Field:
    return field_of(sql.Identifier(name), built_in(name), form, same_encoding=True)


def test_every_column_has_numbers_of_its_own() -> None:
    said = row(*(field(name) for name in ("int8", "numeric", "float8") for _ in range(20)))
    numbers = re.findall(r"'(-?\d+)'::pg_catalog.int8", said)
    assert len(set(numbers)) == 20 * (2 + 3 + 3)
    assert len({abs(int(number)) >> 40 for number in numbers}) == len(set(numbers))


def test_null_has_a_hash_in_every_column_that_is_hashed_alone() -> None:
    said = row(field("int8"), field("uuid", "raw"))
    assert said.count("coalesce(") == 2


def test_what_has_no_hash_alone_shares_one_record() -> None:
    said = row(field("timestamptz"), field("int8"), field("interval"))
    assert said.count("hash_record_extended") == 1
    assert 'ROW("pg_catalog"."send"("timestamptz"), "pg_catalog"."send"("interval"))' in said
    assert row().count("ROW()") == 1


def test_texts_between_different_encodings_are_bytes_and_hence_in_the_record() -> None:
    text = field_of(sql.Identifier("name"), TEXT, "characters", same_encoding=False)
    assert text.alone is None
    home = field_of(sql.Identifier("home"), COMPOSITE, "text", same_encoding=True)
    assert "hashtextextended" in (home.alone or "")


def test_a_domain_is_hashed_as_its_base_type() -> None:
    domain = field_of(sql.Identifier("n"), made("d", INT8), "send", same_encoding=True)
    assert '("n")::"pg_catalog"."int8"' in row(domain)


def test_types_hashed_alone_are_in_the_self_test() -> None:
    assert set(SAMPLES) >= ALONE


def test_columns_without_null_hand_the_hash_on_and_nothing_puts_it_together() -> None:
    fields = [
        replace(one, required=True)
        for one in (field("int8"), field("int4", "raw"), field("uuid", "raw"))
    ]
    first, _, bearing = row(*fields).partition(", pg_catalog.hashint4extended(0, coalesce(")
    assert first == (
        'coalesce(pg_catalog.uuid_hash_extended("uuid",'
        ' pg_catalog.hashint4extended("int4", "int8"))'
    )
    assert bearing.count("coalesce(") == 2


def test_only_one_number_stands_in_a_seed_as_it_is() -> None:
    """Two of them could be swapped."""
    number = replace(field("int8"), required=True)
    chained = row(number, number).partition(", pg_catalog.hashint4extended(0")[0]
    assert chained.count("hashint8extended") == 2


def test_what_may_be_null_is_part_of_the_seed() -> None:
    said = row(replace(field("int4", "raw"), required=True), field("numeric"), field("interval"))
    assert said.startswith('coalesce(pg_catalog.hashint4extended("int4", coalesce(')
    assert " # pg_catalog.hash_record_extended(ROW(" in said


def test_a_number_with_two_seeds_takes_none_of_another_column() -> None:
    said = row(
        replace(field("numeric"), required=True), replace(field("bool", "raw"), required=True)
    )
    first = said.partition(", pg_catalog.hashint4extended(0, coalesce(")[0]
    assert first.count("hash_numeric_extended") == 1
    assert first.count("CASE WHEN") == 2


@pytest.mark.parametrize("shift", [0, 3])
def test_the_numbers_of_a_bucket_are_counted_through(shift: int) -> None:
    buckets = Buckets(Grain(3, shift), (0, 5))
    for low, high in ((-20, 43), (0, 0), (-1000, 1000), (7, 700)):
        numbers = [
            run + n
            for first in buckets.runs(low)
            for run in range(first, high + 1, buckets.step)
            for n in range(1 << shift)
        ]
        wanted = {n for n in range(low, high + 1) if n >> shift & 7 in (0, 5)}
        assert wanted <= set(numbers)
        assert len(numbers) == len(set(numbers))
        assert all(n >> shift & 7 in (0, 5) for n in numbers)
        assert buckets.numbers(low, high) >= len(numbers)
