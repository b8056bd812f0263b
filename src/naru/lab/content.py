"""The old server's content, and the logins that its applications use."""

from __future__ import annotations

from naru.lab.creativity import APPLICATION, LOGIN_ROLES, Summary, create, exists
from naru.lab.environment import Environment
from naru.system import SILENT, Observer

__all__ = ["APPLICATION", "fill"]


def fill(environment: Environment, observer: Observer = SILENT) -> Summary | None:
    """Make the source database if it is not there, and let the pool know its logins.

    Gives what was made; None if it was there already.
    """
    spec = environment.spec.source
    server = environment.source.dsn("postgres")
    secrets = environment.ground.secrets
    passwords = {role: secrets.password(role) for role in LOGIN_ROLES}
    made = None
    if not exists(server, spec.database):
        observer.step("content", "running")
        made = create(
            server, spec.database, scale=spec.scale, seed=spec.seed, passwords=passwords,
            observer=observer,
        )  # fmt: skip
        observer.step("content", "done")
    for role, password in passwords.items():
        environment.pool.remember(role, password)
        secrets.remember([(server.host, server.port)], role, password)
    environment.pool.sync_users(server)
    return made
