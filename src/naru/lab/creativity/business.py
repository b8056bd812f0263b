"""What an application does to the database: one small, realistic business change at a time.

Every change is one statement and locks at most one existing row against other writers, so
that any number of clients can work side by side without deadlock. None needs a prepared
statement, a session setting or a second round trip: they suit transaction pooling, and
whatever the caller adds to the same transaction.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from naru.postgres import Connection, fetch_one


@dataclass(frozen=True)
class Extent:
    """The highest ids there are; changes pick theirs from 1 up to these."""

    users: int
    projects: int
    products: int


@dataclass(frozen=True)
class Change:
    """A statement in psycopg's format with its values; `name` is a key of CHANGES."""

    name: str
    statement: str
    values: Mapping[str, object]


CHANGES: Mapping[str, tuple[int, str]] = {
    "activity": (
        65,
        """
        WITH activity AS (
            INSERT INTO project_activity (project_id, user_id, kind, summary, detail)
            VALUES (%(project)s, %(user)s, 'edited', %(text)s,
                    jsonb_build_object('ms', %(number)s::int))
            RETURNING project_id, occurred_at)
        UPDATE projects SET revision = revision + 1, last_activity_at = activity.occurred_at
        FROM activity WHERE projects.id = activity.project_id
        """,
    ),
    "comment": (
        15,
        """
        INSERT INTO comments (project_id, user_id, body) VALUES (%(project)s, %(user)s, %(text)s)
        """,
    ),
    "membership": (
        8,
        """
        INSERT INTO user_projects (user_id, project_id, role)
        VALUES (%(user)s, %(project)s, 'member')
        ON CONFLICT (user_id, project_id) DO UPDATE SET status = 'active'
        """,
    ),
    "status": (
        5,
        """
        UPDATE projects
        SET status = (CASE status WHEN 'active' THEN 'paused' ELSE 'active' END)::project_status
        WHERE id = %(project)s
        """,
    ),
    "login": (
        4,
        """
        UPDATE users SET last_login_at = now(), points = points + 0.25 WHERE id = %(user)s
        """,
    ),
    "order": (
        3,
        """
        WITH taken AS (
            UPDATE inventory SET stock_quantity = stock_quantity - 1
            WHERE id = %(product)s AND stock_quantity > 0 RETURNING product_id)
        INSERT INTO orders (customer_name, product_id, quantity, unit_price, total_price)
        SELECT '이서연', p.id, 1, p.price_numeric, p.price_numeric
        FROM products AS p JOIN taken ON taken.product_id = p.id
        """,
    ),
}
"""Name → how often in a hundred, and the statement."""

_TEXTS = ("초안을 다시 정리했습니다.", "Uploaded the colour proofs; please have a look.",
          "두 번째 시도에서 무대 조명을 바꾸었습니다 😊", "the \"final_final\" draft isn't final",
          "회의록을 공유 폴더에 넣었습니다.")  # fmt: skip


def read_extent(connection: Connection) -> Extent:
    """Look up the highest ids, once, before a workload starts."""
    users, projects, products = fetch_one(
        connection,
        "SELECT (SELECT max(id) FROM users), (SELECT max(id) FROM projects),"
        " (SELECT max(id) FROM products)",
    )
    return Extent(users, projects, products)


def random_change(chance: random.Random, extent: Extent) -> Change:
    """One change for the role app_user, drawn by weight, on rows drawn evenly."""
    names = list(CHANGES)
    (name,) = chance.choices(names, [CHANGES[each][0] for each in names])
    values = {
        "user": chance.randint(1, extent.users),
        "project": chance.randint(1, extent.projects),
        "product": chance.randint(1, extent.products),
        "text": chance.choice(_TEXTS),
        "number": chance.randint(1, 3000),
    }
    return Change(name, CHANGES[name][1], values)
