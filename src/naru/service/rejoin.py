"""Back into an election whose store was emptied, with the primary first."""

from __future__ import annotations

from functools import partial

from naru.ground import Ground
from naru.service.election import known_names, leader_of
from naru.service.layout import Layout
from naru.system import wait_until

REJOIN_SECONDS = 30


def rejoin_election(ground: Ground, layout: Layout, primary: str) -> None:
    """Start every Patroni anew, `primary`'s first, and wait until each is known; servers run on.

    Patroni takes an etcd that is younger than the one it knew for a stale node, and never
    speaks to it again until it is started anew. A standby that came before the primary would
    look to the empty store like the only member there is, and be promoted.
    """
    others = [node.name for node in layout.nodes if node.name != primary]
    for name in (primary, *others):
        before = ground.kill(name)
        back = partial(_is_back, ground, layout, name, before)
        wait_until(back, f"Patroni of {name} to be back in the election", REJOIN_SECONDS)
        leads = partial(_leads, layout, primary)
        wait_until(leads, f"{primary} to lead", REJOIN_SECONDS)


def _is_back(ground: Ground, layout: Layout, name: str, before: int) -> bool:
    running = ground.pid(name) not in {None, before}
    return running and f"members/{name}" in known_names(layout)


def _leads(layout: Layout, primary: str) -> bool:
    return leader_of(layout) == primary
