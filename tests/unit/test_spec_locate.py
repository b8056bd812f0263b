"""The locator knows on which line each key of a TOML text stands."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from naru.spec.locate import line_numbers, line_of

TEXT = '''# a comment with [brackets] and key = value
top = 1

[service]            # the service
members = 2
"quoted key" = "a # that is no comment"
settings = { work_mem = "64MB", jit = false }
text = """
members = 9
"""
literal = \'\'\'
[no table]
\'\'\'

[ground]
postgres = [
  "/usr/lib", # first
  "/opt",
]
deep.er.key = 2021-01-01T00:00:00Z

[a . "b.c"]
x = \'it\'

[[many]]
n = 1

[[many]]
n = 2
[many.sub]
y = "esc\\"aped ] }"
z = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("service",), 4),
        (("service", "members"), 5),
        (("service", "quoted key"), 6),
        (("service", "settings"), 7),
        (("service", "settings", "jit"), 7),
        (("service", "text"), 8),
        (("service", "literal"), 11),
        (("ground", "postgres"), 16),
        (("ground", "postgres", 0), 17),
        (("ground", "postgres", 1), 18),
        (("ground", "deep", "er", "key"), 20),
        (("a", "b.c", "x"), 23),
        (("many", 0, "n"), 26),
        (("many", 1), 28),
        (("many", 1, "n"), 29),
        (("many", 1, "sub", "y"), 31),
        (("many", 1, "sub", "z"), 32),
    ],
)
def test_a_key_is_found_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert line_numbers(TEXT)[path] == line


def test_every_key_that_the_parser_sees_has_a_line() -> None:
    lines = line_numbers(TEXT)
    assert [path for path in _paths(tomllib.loads(TEXT)) if path not in lines] == []


def test_nothing_else_has_a_line() -> None:
    assert set(line_numbers(TEXT)) == set(_paths(tomllib.loads(TEXT)))


def test_a_key_that_is_not_there_stands_where_its_table_stands() -> None:
    lines = line_numbers(TEXT)
    assert line_of(lines, ("service", "missing")) == 4
    assert line_of(lines, ("nowhere",)) is None


def test_windows_line_ends_do_not_shift_lines() -> None:
    assert line_numbers("a = 1\r\n\r\n[t]\r\nb = 2\r\n")[("t", "b")] == 4


def test_a_text_that_ends_without_a_line_end_is_read_to_its_end() -> None:
    assert line_numbers("a = [1, 2]\nb = 'x'")[("b",)] == 2


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += _paths(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _paths(item, (*path, index))
    return found
