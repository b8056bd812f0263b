"""What Naru calls the objects it makes in databases, and how much of them a user may set."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from psycopg import sql

OWN_SCHEMA = "naru_migration"
"""Schema on the target that holds what has been copied; dropped by `finish` and `abort`."""

_LONGEST = 24


@dataclass(frozen=True)
class Names:
    """Names of publications, slots and subscriptions of one migration.

    A channel has one name for its publication, its slot and its subscription, so that
    whoever finds one of them in a catalog knows where the others are.
    """

    migration: str

    @property
    def stem(self) -> str:
        """`naru_` and the migration's name, as far as slot names allow (a-z, 0-9, _)."""
        plain = re.sub(r"[^a-z0-9_]", "_", self.migration.lower())
        # `shop_back_1` is what carries changes back to `shop`, and no batch of `shop_back`.
        if plain != self.migration or len(plain) > _LONGEST or plain.endswith("_back"):
            plain = f"{plain[:_LONGEST]}_{zlib.crc32(self.migration.encode()):08x}"
        return f"naru_{plain}"

    def batch(self, number: int) -> str:
        """The channel of one copy batch, source to target."""
        return f"{self.stem}_{number}"

    def after_switch(self, number: int) -> str:
        """The channel armed by the n-th switch, from the side that then takes writes."""
        return f"{self.stem}_back_{number}"


@dataclass(frozen=True, order=True)
class Relation:
    """A table by schema and name."""

    schema: str
    name: str

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def quoted(*names: str) -> str:
    """An identifier as SQL writes it."""
    return sql.Identifier(*names).as_string()


def literal(value: str) -> str:
    """A text as SQL writes it."""
    return sql.Literal(value).as_string()
