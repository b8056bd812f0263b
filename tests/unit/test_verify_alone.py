"""The hash of a row from the hashes of its values."""

from __future__ import annotations

import re

from psycopg import sql

from naru.verify.alone import ALONE, Field, field_of, mixed
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


def test_the_numbers_of_a_bucket_are_counted_through() -> None:
    buckets = Buckets(3, (0, 5))
    assert buckets.firsts(-3) == [0, -3]
    assert buckets.firsts(6) == [8, 13]
    low, high = -20, 43
    numbers = [
        number
        for first in buckets.firsts(low)
        for number in range(first, high + 1, 1 << buckets.bits)
    ]
    assert sorted(numbers) == [n for n in range(low, high + 1) if n & 7 in (0, 5)]
    assert buckets.numbers(low, high) >= len(numbers)
