"""Reading what the gates look at, on both sides and at the poolers."""

from __future__ import annotations

import time

from naru.migrate import activity, fingerprint, switch
from naru.migrate.durable import may_have_lost
from naru.migrate.fence import check_fence, superusers_connected
from naru.migrate.follow import Lag, observe_lag
from naru.migrate.gates import GateFacts, PoolerView
from naru.migrate.parts import read_publishable
from naru.migrate.plan import PooledDatabase, SwitchPlan
from naru.migrate.record import Record
from naru.migrate.sides import explained
from naru.migrate.wayback import absent_standbys
from naru.postgres import Connection, fetch_value
from naru.system import Deadline
from naru.verify import Options, compare

WORKER_SECONDS = 15.0
_EVERY = 0.1


def observe_gates(record: Record, plan: SwitchPlan, seconds: float) -> GateFacts:
    """Read everything that the gates look at; a small change is sent, to arrive in `seconds`."""
    with (
        plan.leave.connect("gates") as leave,
        plan.enter.connect("gates") as enter,
        explained(plan.leave, "looking at the gates"),
    ):
        check_fence(leave, plan.leave)
        check_fence(enter, plan.enter)
        lag = _lag_with_a_worker(record, leave, enter)
        known = record.run.recall(f"fingerprint.{plan.leave.role}")
        if known is None and plan.leave.role == "source":
            known = record.run.recall("fingerprint")
        now = fingerprint.schema_fingerprint(leave)
        return GateFacts(
            flow_problem=lag.problem,
            arrived=lag.problem is None and switch.does_flow(plan, leave, enter, seconds),
            lag_bytes=lag.bytes,
            apply_errors=lag.errors,
            long_transactions=activity.long_transactions(leave),
            prepared_transactions=activity.prepared_transactions(leave),
            superusers=superusers_connected(leave),
            schema_drift=_drift(plan) if known and fingerprint.changed(known, now) else (),
            not_synchronised=activity.not_synchronised(enter),
            channel=plan.forward[0].name,
            unfollowed_tables=_unfollowed(plan, leave),
            unlogged_tables=activity.unlogged_tables(leave),
            other_passwords=activity.differing_passwords(leave, enter),
            foreign_writers=activity.clients(enter),
            other_wal_level=str(fetch_value(enter, "SHOW wal_level")),
            awaited_standbys=absent_standbys(leave),
            absent_standbys=absent_standbys(enter),
            other_in_recovery=bool(fetch_value(enter, "SELECT pg_is_in_recovery()")),
            poolers=tuple(_view(pooled, plan) for pooled in plan.poolers),
            failed_over=may_have_lost(record, enter),
        )


def _lag_with_a_worker(record: Record, leave: Connection, enter: Connection) -> Lag:
    """The lag, once a worker has had the time to start.

    A server starts the worker of a subscription at most every few seconds
    (`wal_retrieve_retry_interval`), as right after another switch.
    """
    deadline = Deadline(WORKER_SECONDS, "a worker to start")
    while True:
        lag = observe_lag(record, leave, enter)
        only_waits = not (lag.connected or lag.disabled or lag.errors) and lag.wal_status not in {
            "lost",
            "missing",
        }
        if not only_waits or deadline.passed:
            return lag
        time.sleep(_EVERY)


def _drift(plan: SwitchPlan) -> tuple[str, ...]:
    """What differs between the schemas; nothing if a change was made on both sides."""
    options = Options(rows=False, sequences=False, large_objects=False)
    verdict = compare(plan.leave.dsn, plan.enter.dsn, options=options)
    return tuple(
        f"{one.kind} {one.object}, {one.attribute}: {one.source or 'none'} at the"
        f" {plan.leave.role}, {one.target or 'none'} at the {plan.enter.role}"
        for one in verdict.schema[:20]
    )


def _unfollowed(plan: SwitchPlan, leave: Connection) -> tuple[str, ...]:
    names = [one.name for one in plan.forward]
    query = """
        SELECT schemaname, tablename FROM pg_catalog.pg_publication_tables
        WHERE pubname = ANY (%s)
    """
    published = {tuple(row) for row in leave.execute(query, [names])}
    return tuple(
        str(one) for one in read_publishable(leave) if (one.schema, one.name) not in published
    )


def _view(pooled: PooledDatabase, plan: SwitchPlan) -> PoolerView:
    facts = pooled.pooler.observe(pooled.database)
    dsn = plan.leave.dsn
    return PoolerView(
        name=pooled.pooler.name,
        mode=" and ".join(facts.pool_modes),
        points_here=facts.leads_to(dsn.host, dsn.port, dsn.database),
        where=facts.where,
    )
