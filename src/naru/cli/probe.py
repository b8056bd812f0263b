"""`naru probe`: is it there, as whom, at which node, and how quickly?"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from naru.cli import talk
from naru.cli.interrupt import Interrupted
from naru.cli.options import JsonOption, SpecOption, spec_of
from naru.errors import UsageError

if TYPE_CHECKING:
    from naru.postgres import Dsn
    from naru.traffic import Look, Outage, Probe, Tally


def probe(
    host: Annotated[
        str | None,
        typer.Argument(
            metavar="[HOST]",
            help="A URI, or a host with or without :port; or in an environment pool, writes,"
            " reads, source or a member's name. By default its pool.",
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="Which database; by default the source's.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="As whom.")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Count it only if a transaction commits.")
    ] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.05, help="How often.")] = 1.0,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="No answer by then is a failure.")
    ] = 2.0,
    looks: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    spec: SpecOption = None,
    as_json: JsonOption = False,
) -> None:
    """Connect anew every second and say how it went, until Ctrl-C; then sum up.

    Exit code 0 if every look was answered, 1 if one was not. With --json a document a line.
    """
    from naru.traffic import Probe, Tally

    dsn, names = _where(host, spec)
    changes = {"dbname": database, "user": user}
    dsn = dsn.with_(**{key: value for key, value in changes.items() if value is not None})
    talk.say(f"{dsn}, every {every:g} s; Ctrl-C ends it")
    tally = Tally()
    _look_on(Probe(dsn, seconds=timeout, write=write, names=names), tally, every, looks, as_json)
    if as_json:
        talk.put(json.dumps({"summary": tally.to_json()}, ensure_ascii=False))
    else:
        for text in summary(tally):
            talk.put(text)
    raise typer.Exit(1 if tally.failed or not tally.looks else 0)


def _look_on(probe: Probe, tally: Tally, every: float, looks: int | None, as_json: bool) -> None:
    """Look at fixed times until told to end; a look that takes longer leaves some out."""
    due = time.monotonic()
    try:
        while looks is None or tally.looks < looks:
            time.sleep(max(0.0, due - time.monotonic()))
            look = probe.look()
            tally.add(look)
            document = json.dumps(look.to_json(), ensure_ascii=False)
            talk.put(document if as_json else line(look))
            due = max(due + every, time.monotonic())
    except Interrupted:
        return


def line(look: Look) -> str:
    """`12:00:01.250  ok       2.1 ms  app_user  db1 (primary)`, or why it failed."""
    when = datetime.fromtimestamp(look.at).astimezone().strftime("%H:%M:%S.%f")[:-3]
    state = "ok    " if look.ok else "FAILED"
    who = f"{look.user}  {look.node} ({look.role})" if look.ok else look.error
    return f"{when}  {state} {look.ms:8.1f} ms  {who}"


def summary(tally: Tally) -> list[str]:
    """The looks in words: how many, how quick, at which nodes, and each outage."""
    from naru.system.units import human_ms

    found = [f"{tally.looks:,} looks, {tally.failed:,} failed"]
    if tally.median_ms is not None and tally.worst_ms is not None:
        found[0] += f"; median {human_ms(tally.median_ms)}, worst {human_ms(tally.worst_ms)}"
        found.append(f"answered by {', then '.join(tally.nodes)}")
    return [*found, *map(_words, tally.outages)]


def _words(one: Outage) -> str:
    from naru.system.units import human_seconds

    began = datetime.fromtimestamp(one.began).astimezone().strftime("%H:%M:%S")
    looks = f"{one.looks} look" + ("s" if one.looks > 1 else "")
    if one.at_most is not None:
        length = f"{human_seconds(one.at_least)} to {human_seconds(one.at_most)}"
    elif one.answered_after is None:
        length = f"{human_seconds(one.at_least)} so far"
    else:
        length = f"at least {human_seconds(one.at_least)}"
    return f"outage at {began}: {length} ({looks}): {one.error}"


def _where(host: str | None, spec: Path | None) -> tuple[Dsn, Mapping[str, str]]:
    """The address to look at, and the names of the nodes that may answer."""
    from naru.ground import state_folder

    wanted, file = spec_of(spec)
    if (state_folder(file) / "secrets").is_dir():
        from naru.lab import Environment

        environment = Environment(wanted, state_folder(file))
        addresses = environment.addresses()
        if host is None or host in addresses:
            return addresses[host or "pool"], environment.node_names()
        if "." not in host and ":" not in host:
            known = ", ".join(addresses)
            raise UsageError(f"{host}: no such address here", remedy=f"one of {known}, or a URI")
        return _named(host), environment.node_names()
    if host is None:
        raise UsageError(
            "which host? no environment is up here",
            remedy="naru probe HOST or naru probe postgresql://…, or bring up the lab: naru up",
        )
    return _named(host), {}


def _named(host: str) -> Dsn:
    """From a URI, a connection string, or a host with or without a port."""
    from naru.postgres import Dsn

    if "://" in host or "=" in host:
        return Dsn.parse(host)
    return Dsn.parse(f"postgresql://{host}")
