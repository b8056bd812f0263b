"""The old side's database `creativity`: schema, content from a seed, roles, one business change.

Content is made by the server itself and depends on seed and scale alone, never on the clock.
`create` fills a server with it; `random_change` is what an application does to it.
"""

from __future__ import annotations

from naru.lab.creativity.build import Summary, create, exists
from naru.lab.creativity.business import CHANGES, Change, Extent, random_change, read_extent
from naru.lab.creativity.roles import LOGIN_ROLES

__all__ = [
    "CHANGES",
    "LOGIN_ROLES",
    "Change",
    "Extent",
    "Summary",
    "create",
    "exists",
    "random_change",
    "read_extent",
]
