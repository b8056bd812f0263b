"""The old side's database `creativity`: schema, content from a seed, roles, one business change.

Content is made by the server itself and depends on seed and scale alone, never on the clock.
`create` fills a server with it; `business` is what an application does to it, for a drill.
"""

from __future__ import annotations

from naru.lab.creativity.build import Summary, create, exists
from naru.lab.creativity.business import business
from naru.lab.creativity.roles import APPLICATION, LOGIN_ROLES

__all__ = [
    "APPLICATION",
    "LOGIN_ROLES",
    "Summary",
    "business",
    "create",
    "exists",
]
