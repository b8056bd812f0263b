"""Certificates that are due, and certificates that have expired: warned of, refused, renewed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping

import psycopg

from naru.drill.cures import show_certificates
from naru.drill.stage import Stage
from naru.drill.strike import Struck
from naru.errors import NaruError
from naru.ground.doctor import Finding, certificate_finding
from naru.postgres import Dsn, connect, fetch_value
from naru.service import Member

DUE_DAYS = 3.0
LIFE_SECONDS = 12.0
"""Long enough to have every server show a certificate before it ends."""

EXPIRED_SECONDS = 8.0
EVERY_SECONDS = 0.1
_DAY_SECONDS = 86400.0
_EXPIRED = "certificate has expired"


class Newcomers:
    """Clients that connect anew again and again, each at its own door, and check whom they meet."""

    def __init__(self, doors: Mapping[str, Dsn]) -> None:
        self.let_in = dict.fromkeys(doors, 0)
        self.refused: list[tuple[str, str]] = []
        """The door, and what was said there."""
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=door, daemon=True) for door in doors.items()
        ]

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Have them call while the block lasts, each at least once."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()

    def _call(self, name: str, dsn: Dsn) -> None:
        while True:
            said = refusal(dsn)
            if said is None:
                self.let_in[name] += 1
            else:
                self.refused.append((name, said))
            if self._over.wait(EVERY_SECONDS):
                return


def refusal(dsn: Dsn) -> str | None:
    """What a new client is told instead of being let in; None if it is let in."""
    try:
        with connect(dsn, purpose="drill", prepare=False, seconds=2) as connection:
            fetch_value(connection, "SELECT 1")
    except (NaruError, psycopg.Error) as error:
        return error.message if isinstance(error, NaruError) else str(error)
    return None


def renew_due(stage: Stage, primary: Member) -> Struck:
    """Every certificate has three days left; then all are renewed."""
    stage.wounds.note("certificates")
    newcomers = Newcomers(_doors(stage))
    with newcomers.at_work():
        _issue(stage, DUE_DAYS)
        warning = _finding(stage)
        began = time.monotonic()
        names = stage.ground.certificates.renew()
        show_certificates(stage)
        took = time.monotonic() - began
    stage.wounds.heal("certificates")
    after = _finding(stage)
    findings = (
        *(() if warning.state == "warning" else (f"nobody warned: {warning.found}",)),
        *(() if after.state == "ok" else (f"not renewed: {after.found}",)),
        *(f"a new client was refused at {door}: {said}" for door, said in newcomers.refused[:3]),
    )
    return Struck(
        f"{len(names)} certificates with {DUE_DAYS:g} days left, and renewed",
        findings=lambda: findings,
        details={
            "warned": warning.found,
            "renewal_seconds": round(took, 2),
            "renewed": len(names),
            "new_clients_let_in": sum(newcomers.let_in.values()),
            "new_clients_refused": len(newcomers.refused),
        },
        healed_at=time.time(),
    )


def let_expire(stage: Stage, primary: Member) -> Struck:
    """Every certificate expires; some seconds later all are renewed."""
    stage.wounds.note("certificates")
    ends_at = time.time() + LIFE_SECONDS
    _issue(stage, LIFE_SECONDS / _DAY_SECONDS)
    warning = _finding(stage)
    _sleep_until(ends_at + 1)
    newcomers = Newcomers(_doors(stage))
    with newcomers.at_work():
        _sleep_until(ends_at + EXPIRED_SECONDS)
    told = _finding(stage)
    healed_at = time.time()
    stage.wounds.heal("certificates")
    let_in = sum(newcomers.let_in.values())
    doors_that_told = {door for door, said in newcomers.refused if _EXPIRED in said}
    silent = [door for door in newcomers.let_in if door not in doors_that_told]
    findings = (
        *(() if warning.state == "warning" else (f"nobody warned: {warning.found}",)),
        *(() if told.state == "expired" else (f"the doctor did not tell: {told.found}",)),
        *((f"{let_in} clients that check were let in all the same",) if let_in else ()),
        *((f"nobody was told at {', '.join(silent)} that the certificate has expired",)
          if silent else ()),
    )  # fmt: skip
    return Struck(
        f"every certificate expired for {EXPIRED_SECONDS:g} s",
        findings=lambda: findings,
        details={
            "warned": warning.found,
            "told": f"{told.found} ({told.remedy})",
            "new_clients_refused": len(newcomers.refused),
            "said": next(iter(newcomers.refused), ("", ""))[1],
            "renewal_seconds": round(time.time() - healed_at, 2),
        },
        at=ends_at,
        healed_at=healed_at,
    )


def _issue(stage: Stage, days: float) -> None:
    stage.ground.certificates.renew(days=days)
    show_certificates(stage)


def _finding(stage: Stage) -> Finding:
    return certificate_finding(stage.ground.certificates.list())


def _doors(stage: Stage) -> dict[str, Dsn]:
    """Where clients get in."""
    service = stage.spec.service
    return {
        "the pool": stage.pool.dsn(service.user, service.database),
        "the endpoint for writes": stage.service.writer(),
    }


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.time()))
