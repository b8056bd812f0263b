"""What an application does to the database: one small, realistic business change at a time.

Every change is one statement and locks at most one existing row against other writers, so
that any number of clients can work side by side without deadlock. None needs a prepared
statement, a session setting or a second round trip: they suit transaction pooling, and
whatever the caller adds to the same transaction.
"""

from __future__ import annotations

from naru.drill import Business, Change
from naru.postgres import Connection, fetch_one

# Somebody works on a project: the activity, and the project's own counters.
_ACTIVITY = """
WITH activity AS (
    INSERT INTO project_activity (project_id, user_id, kind, summary, detail)
    VALUES (%(project)s, %(user)s, 'edited', %(text)s,
            jsonb_build_object('ms', %(milliseconds)s::int))
    RETURNING project_id, occurred_at)
UPDATE projects SET revision = revision + 1, last_activity_at = activity.occurred_at
FROM activity WHERE projects.id = activity.project_id
"""

_COMMENT = """
INSERT INTO comments (project_id, user_id, body) VALUES (%(project)s, %(user)s, %(text)s)
"""

_MEMBERSHIP = """
INSERT INTO user_projects (user_id, project_id, role) VALUES (%(user)s, %(project)s, 'member')
ON CONFLICT (user_id, project_id) DO UPDATE SET status = 'active'
"""

# A trigger writes this one to the audit log.
_STATUS = """
UPDATE projects
SET status = (CASE status WHEN 'active' THEN 'paused' ELSE 'active' END)::project_status
WHERE id = %(project)s
"""

_LOGIN = """
UPDATE users SET last_login_at = now(), points = points + 0.25 WHERE id = %(user)s
"""

# Sold out is an answer too: no order then.
_ORDER = """
WITH taken AS (
    UPDATE inventory SET stock_quantity = stock_quantity - 1
    WHERE id = %(product)s AND stock_quantity > 0 RETURNING product_id)
INSERT INTO orders (customer_name, product_id, quantity, unit_price, total_price)
SELECT %(customer)s, p.id, 1, p.price_numeric, p.price_numeric
FROM products AS p JOIN taken ON taken.product_id = p.id
"""

_CHANGES = (
    Change("activity", _ACTIVITY, 65),
    Change("comment", _COMMENT, 15),
    Change("membership", _MEMBERSHIP, 8),
    Change("status", _STATUS, 5),
    Change("login", _LOGIN, 4),
    Change("order", _ORDER, 3),
)

_CHOICES = {
    "text": (
        "초안을 다시 정리했습니다.",
        "Uploaded the colour proofs; please have a look.",
        "두 번째 시도에서 무대 조명을 바꾸었습니다 😊",
        'the "final_final" draft isn\'t final',
        "회의록을 공유 폴더에 넣었습니다.",
    ),
    "customer": ("이서연", "Radia Perlman", "남궁민준", "Siobhán O'Brien"),
}

_HIGHEST = """
SELECT (SELECT max(id) FROM users), (SELECT max(id) FROM projects),
       (SELECT max(id) FROM inventory)
"""


def business(connection: Connection) -> Business:
    """The changes with their weights, for the role app_user, on rows drawn evenly.

    `connection` is to the database, to look up once how far its ids go.
    """
    users, projects, products = fetch_one(connection, _HIGHEST)
    ranges = {
        "user": (1, int(users)),
        "project": (1, int(projects)),
        "product": (1, int(products)),
        "milliseconds": (1, 3000),
    }
    return Business(_CHANGES, ranges, _CHOICES)
