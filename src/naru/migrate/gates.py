"""The gates before a switch: a pure decision on facts of both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from naru.migrate.names import literal
from naru.migrate.unlogged import MOST_BYTES

Severity = Literal["shut", "warning"]

_ARRIVAL_SECONDS = 5.0


@dataclass(frozen=True)
class Limits:
    """What a switch tolerates; settable by the user."""

    lag_bytes: int = 16 * 1024 * 1024
    pause_seconds: float = 5.0
    """How long clients may be made to wait before the switch gives up."""

    @property
    def arrival_seconds(self) -> float:
        """How soon a change that is made before the switch has to arrive."""
        return max(self.pause_seconds, _ARRIVAL_SECONDS)


@dataclass(frozen=True)
class PoolerView:
    """What a gate needs to know of a pooler."""

    name: str
    mode: str
    points_here: bool
    where: str


@dataclass(frozen=True)
class GateFacts:
    """Everything that decides whether a switch may begin."""

    flow_problem: tuple[str, str] | None
    """What keeps changes from flowing and its remedy, or None: see `Lag.problem`."""
    arrived: bool
    """Whether a change made just now has reached the other side."""
    lag_bytes: int
    apply_errors: int
    long_transactions: tuple[tuple[int, float, str], ...]
    """On the side that takes writes: pid, age in seconds, application."""
    prepared_transactions: tuple[str, ...]
    schema_drift: tuple[str, ...]
    """What DDL since the copy began has made different between the sides."""
    unfollowed_tables: tuple[str, ...]
    not_synchronised: tuple[str, ...]
    """Tables that somebody added to our publication and whose rows are still being copied."""
    unlogged_tables: tuple[str, ...]
    """Those that together are too large for the pause."""
    other_passwords: tuple[str, ...]
    """Roles that log in by different stored secrets on the two sides."""
    foreign_writers: tuple[str, ...]
    """Client sessions on the other side that are none of ours."""
    other_wal_level: str
    other_in_recovery: bool
    poolers: tuple[PoolerView, ...]
    channel: str = ""
    """Name of the publication and subscription that carry changes."""
    awaited_standbys: tuple[str, ...] = ()
    """Slots of standbys that are away, on the side that takes writes: changes wait for them."""
    absent_standbys: tuple[str, ...] = ()
    """The same on the receiving side, where the way back would wait for them."""
    failed_over: bool = False
    """The receiving side failed over while it could lose what it had applied."""
    superusers: tuple[str, ...] = ()
    """Sessions on the side that takes writes which the fence could not end."""


@dataclass(frozen=True)
class Gate:
    """One finding: `shut` stops the switch, `warning` is shown."""

    code: str
    severity: Severity
    text: str
    remedy: str


def decide(facts: GateFacts, limits: Limits) -> tuple[Gate, ...]:
    """Which gates are shut, and what to do about each, causes first. Empty means: go."""
    return (
        *_drift_gates(facts),
        *_flow_gates(facts, limits),
        *_activity_gates(facts, limits),
        *_other_side_gates(facts),
        *_pooler_gates(facts),
    )


def _flow_gates(facts: GateFacts, limits: Limits) -> list[Gate]:
    gates: list[Gate] = []
    if facts.flow_problem is not None:
        text, remedy = facts.flow_problem
        gates.append(Gate("flow.stopped", "shut", text, remedy))
    elif not facts.arrived and facts.awaited_standbys:
        gates.append(
            Gate(
                "flow.standby-away", "shut",
                f"changes wait for the standby of slot {facts.awaited_standbys[0]}, which is away"
                " (synchronized_standby_slots)",
                "wait until the standby is back, or take its slot out of that setting",
            )
        )  # fmt: skip
    elif not facts.arrived:
        gates.append(
            Gate(
                "flow.slow", "shut",
                f"a change made now did not arrive within {limits.arrival_seconds:g} s",
                "look at the receiving server's log and load; try again when it keeps up",
            )
        )  # fmt: skip
    if facts.lag_bytes > limits.lag_bytes:
        gates.append(
            Gate(
                "flow.lag", "shut",
                f"{facts.lag_bytes:,} bytes behind, more than {limits.lag_bytes:,}",
                "wait until it has caught up, or raise --max-lag",
            )
        )  # fmt: skip
    if facts.apply_errors:
        gates.append(
            Gate(
                "flow.errors", "warning", f"applying has failed {facts.apply_errors} times so far",
                "look at the receiving server's log for the reason",
            )
        )  # fmt: skip
    return gates


def _activity_gates(facts: GateFacts, limits: Limits) -> list[Gate]:
    gates = [
        Gate(
            "activity.long-transaction", "shut",
            f"process {pid} ({application or 'no name'}) has a transaction open for {age:.0f} s",
            f"wait for it, or end it: SELECT pg_terminate_backend({pid})",
        )
        for pid, age, application in facts.long_transactions
        if age > limits.pause_seconds
    ]  # fmt: skip
    gates += [
        Gate(
            "activity.prepared", "shut", f"prepared transaction {name} is open",
            f"COMMIT PREPARED {literal(name)} or ROLLBACK PREPARED {literal(name)}",
        )
        for name in facts.prepared_transactions
    ]  # fmt: skip
    gates += [
        Gate(
            "activity.superuser", "shut",
            f"superuser {who} is connected, whom only a superuser can end or keep out",
            "end that session, or switch with a login that is superuser",
        )
        for who in facts.superusers
    ]  # fmt: skip
    return gates


def _drift_gates(facts: GateFacts) -> list[Gate]:
    gates = [
        Gate(
            "drift.ddl", "shut", f"the schema has changed since the copy began: {what}",
            "make the same change on the other side too, or undo it",
        )
        for what in facts.schema_drift
    ]  # fmt: skip
    gates += [
        Gate(
            "drift.new-table", "shut", f"table {name} is not part of the migration",
            "make it on the other side too; then, on the side that takes writes: ALTER"
            f" PUBLICATION {facts.channel} ADD TABLE …, and on the other: ALTER SUBSCRIPTION"
            f" {facts.channel} REFRESH PUBLICATION, which copies its rows",
        )
        for name in facts.unfollowed_tables
    ]  # fmt: skip
    gates += [
        Gate(
            "drift.not-synchronised", "shut", f"rows of table {name} are still being copied",
            "wait; if it does not end, the receiving server's log has the reason",
        )
        for name in facts.not_synchronised
    ]  # fmt: skip
    gates += [
        Gate(
            "drift.unlogged", "shut",
            f"unlogged table {name} cannot be followed, and all of them together hold more than"
            f" can be copied again while clients wait ({MOST_BYTES >> 20} MB)",
            "TRUNCATE what may be lost; or abort, ALTER TABLE … SET LOGGED, and start again",
        )
        for name in facts.unlogged_tables
    ]  # fmt: skip
    gates += [
        Gate(
            "drift.password", "warning",
            f"role {name} has another password, or stored secret, on the receiving side",
            "if clients log in by it, set the same secret there: a pooler needs it to be equal",
        )
        for name in facts.other_passwords
    ]  # fmt: skip
    return gates


def _other_side_gates(facts: GateFacts) -> list[Gate]:
    gates: list[Gate] = []
    if facts.other_in_recovery:
        gates.append(
            Gate("other.recovery", "shut", "the receiving server is in recovery",
                 "connect to its primary")
        )  # fmt: skip
    if facts.other_wal_level != "logical":
        gates.append(
            Gate(
                "other.wal-level", "shut",
                f"wal_level is {facts.other_wal_level} there, so there would be no way back",
                "set wal_level = logical on it and restart it",
            )
        )  # fmt: skip
    gates += [
        Gate(
            "other.standby-away", "shut",
            f"the receiving side's standby of slot {slot} is away, and the way back would wait"
            " for it (synchronized_standby_slots)",
            "bring the standby back, or take its slot out of that setting",
        )
        for slot in facts.absent_standbys
    ]  # fmt: skip
    gates += [
        Gate(
            "other.clients", "warning", f"a client is connected to the receiving side: {who}",
            "make sure that it does not write there; the switch ends its session",
        )
        for who in facts.foreign_writers
    ]  # fmt: skip
    return gates


def _pooler_gates(facts: GateFacts) -> list[Gate]:
    gates: list[Gate] = []
    for pooler in facts.poolers:
        if pooler.mode != "transaction":
            gates.append(
                Gate(
                    "pooler.mode", "shut", f"pooler {pooler.name} pools by {pooler.mode}",
                    "set pool_mode = transaction for this database: only then can it pause",
                )
            )  # fmt: skip
        if not pooler.points_here:
            gates.append(
                Gate(
                    "pooler.elsewhere", "shut",
                    f"pooler {pooler.name} points at {pooler.where}, not at the side to leave",
                    "name the pooler that the applications use; if it is the same server, let the"
                    " pooler's entry have the address that the migration was begun with",
                )
            )  # fmt: skip
    return gates
