"""The list of users is read back as it was written."""

from __future__ import annotations

from naru.postgres import scram_secret
from naru.traffic.users import parse_users, render_users


def test_users_with_odd_names_survive_the_file() -> None:
    users = {"app": scram_secret("some-1-word"), 'a "b" c': "SCRAM-SHA-256$x", "이름": "s"}
    assert parse_users(render_users(users)) == users


def test_lines_that_are_no_users_are_passed_over() -> None:
    assert parse_users('; a comment\n\n"app" "secret" and more\n') == {"app": "secret"}
