"""The drills there are: the fault, the promise, and how it is struck."""

from __future__ import annotations

from collections.abc import Mapping

from naru.drill import (
    accident,
    archive,
    certificates,
    clocks,
    consumer,
    crash,
    damage,
    disks,
    election,
    fenced,
    nodes,
    partition,
    planned,
    standbys,
)
from naru.drill.drills import Drill, struck_by, struck_with
from naru.drill.needs import BACKUPS, CUT_LINES, FAKETIME, ROOT, THREE_ETCD, THREE_MEMBERS
from naru.drill.verdict import Promise
from naru.errors import UsageError

_CRASHES = (
    Drill(
        crash.NAME,
        "kill -9 of the primary's postmaster",
        crash.PROMISE,
        struck_by(crash.strike_primary, kind="drill.kill"),
        (1,),
        seconds=25,
    ),
    Drill(
        "kill-backend",
        "kill -9 of one backend of the primary",
        Promise(seconds=5.0),
        struck_by(crash.strike_backend),
        (2,),
        seconds=20,
    ),
    Drill(
        "kill-standby",
        "kill -9 of the postmaster of a synchronous standby",
        Promise(errors=0, stall=2.0, failover=False),
        struck_by(crash.strike_standby),
        (8,),
        seconds=15,
    ),
)

_NODES = (
    Drill(
        "kill-patroni",
        "kill -9 of the primary's Patroni, started again by the supervisor",
        Promise(seconds=5.0, failover=False),
        struck_by(nodes.strike_patroni),
        (3,),
        seconds=35,
    ),
    Drill(
        "lose-node",
        "kill -9 of Patroni and PostgreSQL of the primary together, away until another leads",
        Promise(seconds=10.0, failover=True, returned=60.0),
        struck_by(nodes.strike_node),
        (7,),
        seconds=50,
    ),
    Drill(
        "lose-node-unproven",
        "as lose-node, while the guardian is frozen and proves nothing",
        Promise(seconds=25.0, failover=True, returned=60.0),
        struck_by(fenced.lose_node_by_lease),
        seconds=60,
    ),
    Drill(
        "patroni-dead",
        "kill -9 of the primary's Patroni, which nobody starts again",
        Promise(seconds=15.0, failover=True, returned=60.0),
        struck_by(fenced.leave_patroni_dead),
        (4,),
        seconds=45,
    ),
    Drill(
        "patroni-frozen",
        "SIGSTOP of the primary's Patroni for good",
        Promise(seconds=15.0, failover=True),
        struck_by(fenced.freeze_patroni),
        (5,),
        seconds=45,
    ),
    Drill(
        "guardian-frozen",
        "SIGSTOP of the primary's Patroni and of the guardian, until another leads",
        Promise(seconds=30.0, failover=True, returned=60.0),
        struck_by(fenced.freeze_patroni_and_guardian),
        seconds=60,
    ),
    Drill(
        "supervisor-killed",
        "kill -9 of the supervisor, and another that takes over what runs",
        Promise(errors=0, stall=1.0, failover=False),
        struck_by(fenced.kill_supervisor),
        (32,),
        seconds=35,
    ),
    Drill(
        "freeze-primary",
        "SIGSTOP of all PostgreSQL processes of the primary until another leads",
        Promise(seconds=15.0, failover=True, returned=60.0),
        struck_by(nodes.freeze_primary),
        (6,),
        seconds=50,
    ),
)

_PLANNED = (
    Drill(
        "switchover",
        "a planned switchover",
        Promise(errors=0, stall=2.5, failover=True),
        struck_by(planned.switch),
        seconds=20,
    ),
    Drill(
        "restart",
        "a restart of every member, one by one",
        Promise(errors=0, stall=2.5, failover=True),
        struck_by(planned.restart_all),
        seconds=40,
    ),
    Drill(
        "die-in-switchover",
        "kill -9 of naru in the middle of a switchover",
        Promise(errors=0, stall=5.0),
        struck_by(planned.die_in_a_switchover),
        (25,),
        seconds=25,
    ),
)

_DATA = (
    Drill(
        "logical-consumer",
        "kill -9 of the primary's postmaster while a logical consumer follows",
        Promise(seconds=5.0, failover=True),
        consumer.run,
        (29,),
        seconds=40,
    ),
    Drill(
        "logical-switchover",
        "a planned switchover while a logical consumer follows",
        Promise(errors=0, stall=2.5, failover=True),
        consumer.run_switched,
        seconds=40,
    ),
    Drill(
        "accident",
        "rows deleted by mistake under load; found in the WAL, restored beside, brought back",
        Promise(errors=0, stall=2.0, failover=False),
        accident.run,
        seconds=40,
        needs=(BACKUPS,),
    ),
)

_ELECTION = (
    Drill(
        "freeze-etcd",
        "SIGSTOP of every etcd for 18 s",
        Promise(errors=0, stall=1.0, failover=False),
        struck_by(election.freeze_etcd),
        (14,),
        seconds=55,
    ),
    Drill(
        "lose-one-etcd",
        "kill -9 of one etcd of three, away for 8 s",
        Promise(errors=0, stall=1.0, failover=False),
        struck_by(election.lose_one),
        (13,),
        seconds=25,
        needs=(THREE_ETCD,),
    ),
    Drill(
        "freeze-etcd-and-replica",
        "SIGSTOP of every etcd for 20 s, and a standby lost meanwhile",
        Promise(resumed=30.0, returned=60.0, also=("no commit by a primary on its own",)),
        struck_with(election.freeze_with_a_replica),
        (15,),
        seconds=60,
    ),
    Drill(
        "wipe-etcd",
        "every etcd comes back empty; 8 s later every Patroni is started anew, the primary's first",
        Promise(seconds=20.0, stall=10.0, failover=False, also=("no new cluster over data",)),
        struck_by(election.wipe),
        (16,),
        seconds=30,
    ),
)

_PARTITIONS = (
    Drill(
        "cut-off-from-etcd",
        "all lines between the primary and the election cut for 30 s",
        Promise(resumed=10.0, also=("one writer",)),
        struck_by(partition.from_etcd),
        (10,),
        seconds=50,
        needs=(CUT_LINES,),
    ),
    Drill(
        "cut-off-from-replicas",
        "all lines between the primary and its standbys cut, then its node killed",
        Promise(seconds=40.0, failover=True, returned=60.0, also=("no false acknowledgement",)),
        struck_with(partition.from_replicas),
        (11,),
        seconds=60,
        needs=(CUT_LINES,),
    ),
    Drill(
        "half-deaf-primary",
        "the primary is heard by the election and all members for 30 s, and hears none",
        Promise(seconds=30.0, failover=True, also=("one writer",)),
        struck_by(partition.half_deaf),
        (12,),
        seconds=50,
        needs=(CUT_LINES,),
    ),
)

_STANDBYS = (
    Drill(
        "lose-standbys",
        "kill -9 of Patroni and PostgreSQL of every standby; then one comes back",
        Promise(
            resumed=20.0,
            failover=False,
            returned=60.0,
            also=("writes wait meanwhile, and the status says why",),
        ),
        struck_with(standbys.lose_standbys),
        (9,),
        seconds=35,
    ),
    Drill(
        "cancel-sync-wait",
        "no standby hears of commits, and the waits for one are cancelled",
        Promise(
            resumed=10.0,
            failover=False,
            also=("a commit whose wait was cut is told as unknown, never as done",),
        ),
        struck_with(standbys.cancel_the_wait),
        (21,),
        seconds=20,
    ),
    Drill(
        "old-primary-returns",
        "a primary dies with WAL that no standby has, and comes back when another leads",
        Promise(seconds=26.0, failover=True, returned=60.0),
        struck_by(standbys.return_of_the_old),
        (22,),
        seconds=50,
    ),
    Drill(
        "stop-replay",
        "a standby receives and does not apply",
        Promise(
            errors=0,
            stall=2.0,
            failover=False,
            also=("it leaves the read endpoint and comes back",),
        ),
        struck_by(standbys.stop_replay),
        (24,),
        seconds=25,
        needs=(THREE_MEMBERS,),
    ),
)

_BACKUPS = (
    Drill(
        "fill-archive",
        "the backup host takes no WAL (what receives it is frozen) while 176 MB are written",
        Promise(
            errors=0,
            stall=5.0,
            failover=False,
            also=(
                "WAL kept for it is bounded, and the check tells of it",
                "WAL arrives again, and a new full backup is taken",
            ),
        ),
        struck_by(archive.fill_archive),
        (18,),
        seconds=40,
        needs=(BACKUPS,),
    ),
    Drill(
        "die-in-backup",
        "kill -9 of everything that takes a backup, in the middle of it",
        Promise(errors=0, stall=2.0, failover=False, also=("older backups bring all rows back",)),
        struck_with(archive.cut_off_backup),
        (26,),
        seconds=45,
        needs=(BACKUPS,),
    ),
    Drill(
        "restore-across-failover",
        "the primary killed, then a restore to a moment after the failover",
        Promise(seconds=5.0, failover=True, also=("exactly the rows of that moment",)),
        struck_with(archive.across_timelines),
        (27,),
        seconds=50,
        needs=(BACKUPS,),
    ),
    Drill(
        "lose-wal",
        "a WAL segment behind the newest backup is gone from the archive",
        Promise(errors=0, stall=2.0, failover=False, also=("a restore is refused, the gap named",)),
        struck_by(archive.lose_segment),
        (28,),
        seconds=20,
        needs=(BACKUPS,),
    ),
)

_DAMAGE = (
    Drill(
        "damage-page",
        "some bytes of a page changed on the disk of a standby",
        Promise(
            errors=0,
            stall=2.0,
            failover=False,
            also=("the page is never given out", "the status tells of it"),
        ),
        struck_by(damage.damage_page),
        (30,),
        seconds=40,
        needs=(THREE_MEMBERS,),
    ),
    Drill(
        "diverged-standby",
        "a standby promoted aside comes back, and the primary is killed",
        Promise(seconds=30.0, failover=True, also=("the diverged standby is not promoted",)),
        struck_by(damage.diverge),
        (23,),
        seconds=45,
        needs=(THREE_MEMBERS,),
    ),
)

_DISKS = (
    Drill(
        "fill-disk",
        "the primary's disk, a small one of its own, is filled",
        Promise(
            seconds=20.0,
            failover=True,
            also=("no page is damaged", "the status tells that a member is away"),
        ),
        disks.on_a_small_disk(disks.fill),
        (17,),
        seconds=70,
        needs=(ROOT, THREE_MEMBERS),
    ),
    Drill(
        "clock-jump",
        "the primary's clock jumps ten minutes forward, and then ten minutes behind, for 26 s each",
        Promise(errors=0, stall=2.0, failover=False),
        clocks.RUN,
        (20,),
        seconds=105,
        needs=(FAKETIME, THREE_MEMBERS),
    ),
    Drill(
        "slow-disk",
        "the primary's disk, one of its own, stands still for 1.5 s again and again for 20 s",
        Promise(errors=0, stall=4.0, failover=False),
        disks.on_a_small_disk(disks.stall),
        (19,),
        seconds=70,
        needs=(ROOT, THREE_MEMBERS),
    ),
)

_CERTIFICATES = (
    Drill(
        "certificates-due",
        "every certificate has three days left, and all are renewed",
        Promise(
            errors=0,
            stall=2.0,
            failover=False,
            also=("status and doctor warn before", "new clients are let in all the time"),
        ),
        struck_by(certificates.renew_due),
        (31,),
        seconds=20,
    ),
    Drill(
        "certificates-expired",
        "every certificate expires, and 8 s later all are renewed",
        Promise(
            resumed=10.0,
            also=("clients that check are refused, with the reason", "the doctor tells of it"),
        ),
        struck_by(certificates.let_expire),
        seconds=45,
    ),
)

_ALL = (
    *_CRASHES, *_NODES, *_STANDBYS, *_PLANNED, *_DATA, *_BACKUPS, *_DAMAGE, *_DISKS,
    *_CERTIFICATES, *_PARTITIONS, *_ELECTION,
)  # fmt: skip
DRILLS: Mapping[str, Drill] = {drill.name: drill for drill in _ALL}


def find_drill(name: str) -> Drill:
    """The drill called `name`. Raises UsageError, naming those there are."""
    if name not in DRILLS:
        raise UsageError(f"there is no drill {name!r}", remedy=f"there are: {', '.join(DRILLS)}")
    return DRILLS[name]


def choose_drills(
    name: str, only: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> tuple[Drill, ...]:
    """`name`, or for `all` those of `only` (all, if there are none) but not those of `without`.

    Raises UsageError for a name that there is not.
    """
    for one in (*only, *without):
        find_drill(one)
    if name != "all":
        if only or without:
            raise UsageError("--only and --except choose among all", remedy="run `all` with them")
        return (find_drill(name),)
    chosen = [one for one in DRILLS.values() if not only or one.name in only]
    return tuple(one for one in chosen if one.name not in without)
