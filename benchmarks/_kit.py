"""What benchmarks share: two servers of their own, runs in turn, medians and ratios.

All contenders meet the same servers with the same settings, durable ones: fsync is on.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from psycopg import sql

from naru.postgres import (
    Connection,
    Dsn,
    Installation,
    LocalServer,
    connect,
    fetch_value,
    find_installations,
)
from naru.postgres import generate_password as password
from naru.system import private_folder, server_account

SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "logical",
    "max_wal_size": "4GB",
    "shared_buffers": "512MB",
    "maintenance_work_mem": "256MB",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_locks_per_transaction": "256",
}


@dataclass(frozen=True)
class Pair:
    """A source and a target server that run, and a folder to work in."""

    old: LocalServer
    new: LocalServer
    folder: Path
    database: str = "bench"
    puts_aside: bool = False
    """Whether a target is kept until the end, under another name, and not dropped for the next.

    A file system goes around the places of files that were just removed (ext4 for a minute or
    more, at a look at each for every file that is made), which is no part of a clone's work.
    """

    @property
    def source(self) -> Dsn:
        return self.old.dsn(self.database)

    @property
    def target(self) -> Dsn:
        return self.new.dsn(self.database)

    @property
    def programs(self) -> Installation:
        """The client programs of the target's version."""
        return self.new.installation

    def fresh_target(self, *, made: bool) -> None:
        """Take the target's database away, make an empty one if wanted, let the disk settle."""
        name = sql.Identifier(self.database)
        with connect(self.new.dsn(), purpose="bench") as connection:
            if self.puts_aside:
                self._put_aside(connection)
            else:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            if made:
                connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
            connection.execute("CHECKPOINT")
        with connect(self.old.dsn(), purpose="bench") as connection:
            connection.execute("CHECKPOINT")
        os.sync()

    def _put_aside(self, connection: Connection) -> None:
        query = "SELECT count(*) FROM pg_catalog.pg_database"
        number = fetch_value(connection, query)
        names = "SELECT datname FROM pg_catalog.pg_database WHERE datname = %s"
        if fetch_value(connection, names, [self.database]):
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(self.database), sql.Identifier(f"{self.database}_{number}")
                )
            )


@contextlib.contextmanager
def servers() -> Iterator[Pair]:
    """The oldest PostgreSQL here as source and the newest as target, gone afterwards."""
    signal.signal(signal.SIGTERM, _leave)
    found = find_installations()
    account = server_account()
    folder = Path(tempfile.mkdtemp(prefix="naru-bench-"))
    try:
        private_folder(folder, mode=0o755, owner=account)
        with contextlib.ExitStack() as stack:
            old, new = (
                stack.enter_context(
                    LocalServer(
                        installation=installation,
                        data=folder / name,
                        host="127.0.0.1",
                        port=_free_port(),
                        superuser="postgres",
                        password=password(),
                        account=account,
                        settings=SETTINGS,
                    )
                )
                for name, installation in (("source", found[0]), ("target", found[-1]))
            )
            with connect(old.dsn(), purpose="bench") as connection:
                connection.execute("CREATE DATABASE bench TEMPLATE template0")
            yield Pair(old, new, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Run:
    """One run of one contender."""

    seconds: float
    cpu: float = 0.0
    """Seconds of CPU of the client programs, servers not counted."""
    memory: int = 0
    """Bytes of the largest client process."""
    server_cpu: float = 0.0
    """Seconds of CPU of both servers; on a busy machine a better measure than the clock."""
    load: float = 0.0
    """The machine's load of the last minute, as the run began."""
    steps: dict[str, float] = field(default_factory=dict)


def timed(
    argv: Sequence[str | Path], env: dict[str, str], cwd: Path, pair: Pair | None = None
) -> Run:
    """Run a program to its end; an error ends the benchmark with its words."""
    load, before = os.getloadavg()[0], server_cpu(pair)
    with tempfile.TemporaryFile() as said:
        begin = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in argv],
            env={**os.environ, **env}, cwd=cwd,
            stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            raise
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            words = said.read()[-3000:].decode(errors="replace")
            raise SystemExit(f"{Path(argv[0]).name} ended with {process.returncode}:\n{words}")
    return Run(
        seconds=seconds,
        cpu=usage.ru_utime + usage.ru_stime,
        memory=usage.ru_maxrss * 1024,
        server_cpu=server_cpu(pair) - before,
        load=load,
    )


def server_cpu(pair: Pair | None) -> float:
    """CPU of both postmasters, of their backends that ended, and of those that run."""
    ticks = 0
    for server in (pair.old, pair.new) if pair else ():
        parent = str(server.pid)
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                if path.parent.name == parent:
                    ticks += sum(map(int, fields[11:15]))
                elif fields[1] == parent:
                    ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


class Naru:
    """`naru migrate start` as users run it, timed up to where following begins."""

    def __init__(self, pair: Pair, jobs: int) -> None:
        self._pair, self._jobs = pair, jobs

    def __call__(self) -> Run:
        # A database that naru made would be dropped by its abort.
        self._pair.fresh_target(made=self._pair.puts_aside)
        home = Path(tempfile.mkdtemp(dir=self._pair.folder))
        begin = time.time()
        run = self.start(home)
        found = self._steps(home)
        self.abort(home)
        return replace(run, seconds=found["subscribe"] - begin, steps=_lengths(found))

    def start(self, home: Path) -> Run:
        """Bring the target to where it follows, with its state in `home`."""
        command = self.command("migrate", "start", "--jobs", str(self._jobs))
        return timed(command, self.secrets(), home, self._pair)

    def abort(self, home: Path) -> None:
        """Leave nothing on either server, nor the state, which may lie outside `home`."""
        from naru.ground import state_folder

        timed(self.command("migrate", "abort", "--yes"), self.secrets(), home, self._pair)
        shutil.rmtree(state_folder(home / "naru.toml"), ignore_errors=True)

    def command(self, *words: str) -> list[str]:
        """The program's words, with both sides."""
        return [sys.executable, "-m", "naru", *words, *self._sides()]

    def _sides(self) -> list[str]:
        words = []
        for role, server in (("source", self._pair.old), ("target", self._pair.new)):
            place = f"postgresql://postgres@127.0.0.1:{server.port}/{self._pair.database}"
            words += [f"--{role}", place]
        return words

    def secrets(self) -> dict[str, str]:
        """The environment in which it finds both passwords."""
        path = self._pair.folder / "passfile"
        both = (self._pair.old, self._pair.new)
        path.write_text("".join(f"127.0.0.1:{s.port}:*:postgres:{s.password}\n" for s in both))
        path.chmod(0o600)
        return {"PGPASSFILE": str(path)}

    def _steps(self, home: Path) -> dict[str, float]:
        """When each step began, by its name."""
        from naru.ground import state_folder
        from naru.journal import Journal

        with Journal.in_folder(state_folder(home / "naru.toml")) as journal:
            run = journal.latest("migrate")
            if run is None:
                raise SystemExit("naru left no run in its journal")
            return {e.data["step"]: e.at for e in run.events("step.running")}


def _lengths(begun: dict[str, float]) -> dict[str, float]:
    return {one: round(begun[other] - begun[one], 2) for one, other in itertools.pairwise(begun)}


def shell(pair: Pair, script: str, *, made: bool = True) -> Callable[[], Run]:
    """A contender that is a shell script; it finds $SOURCE, $TARGET, $BIN and $WORK."""

    def go() -> Run:
        pair.fresh_target(made=made)
        work = tempfile.mkdtemp(dir=pair.folder)
        env = {
            "SOURCE": _uri(pair.source), "TARGET": _uri(pair.target),
            "PGCOPYDB_SOURCE_PGURI": _uri(pair.source), "PGCOPYDB_TARGET_PGURI": _uri(pair.target),
            "BIN": str(pair.programs.tool("psql").parent), "WORK": work,
        }  # fmt: skip
        try:
            run = timed(["bash", "-ec", f"set -o pipefail; {script}"], env, pair.folder, pair)
            return replace(run, memory=0)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    return go


def _uri(dsn: Dsn) -> str:
    secret = dsn.parameters["password"]
    return f"postgresql://{dsn.user}:{secret}@{dsn.host}:{dsn.port}/{dsn.database}"


def in_turn(
    contenders: dict[str, Callable[[], Run]], rounds: int, *, warm_up: bool = False
) -> dict[str, list[Run]]:
    """Run A B C A B C …, telling each time as it comes.

    With `warm_up` a round more comes first, which does not count: whoever writes first after
    a server was made has to make the files of its WAL, which all others find made.
    """
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(0 if warm_up else 1, rounds + 1):
        for name, go in contenders.items():
            run = go()
            if number:
                runs[name].append(run)
            steps = " ".join(f"{step}={length}" for step, length in run.steps.items())
            print(
                f"round {number or '-'}: {name:<28} {run.seconds:7.2f} s"
                f"  CPU of clients {run.cpu:5.2f} s, of servers {run.server_cpu:6.2f} s"
                f"  load {run.load:.1f}  {steps}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    return runs


def publish(name: str, what: str, runs: dict[str, list[Run]], ours: str = "naru") -> None:
    """A table for people, and JSON on the last line for programs."""
    medians = {who: statistics.median(r.seconds for r in each) for who, each in runs.items()}
    cpu = {who: statistics.median(r.cpu + r.server_cpu for r in each) for who, each in runs.items()}
    print(f"{what}; fsync on; {os.cpu_count()} cores; {platform.machine()}")
    print(
        f"{'':<28} {'median':>9} {'best':>8} {'worst':>8} {'ratio':>6}"
        f" {'all CPU':>8} {'ratio':>6} {'memory':>8}"
    )
    for who, each in runs.items():
        seconds = [run.seconds for run in each]
        memory = max(run.memory for run in each) / 2**20
        print(
            f"{who:<28} {medians[who]:7.2f} s {min(seconds):6.2f} s {max(seconds):6.2f} s"
            f" {medians[who] / medians[ours]:6.2f} {cpu[who]:6.2f} s {cpu[who] / cpu[ours]:6.2f}"
            + (f" {memory:5.0f} MB" if memory else "")
        )
    print(
        json.dumps(
            {
                "benchmark": name,
                "what": what,
                "settings": SETTINGS,
                "cores": os.cpu_count(),
                "medians": {who: round(value, 3) for who, value in medians.items()},
                "ratios": {who: round(value / medians[ours], 3) for who, value in medians.items()},
                "cpu_ratios": {who: round(value / cpu[ours], 3) for who, value in cpu.items()},
                "runs": {who: [vars(run) for run in each] for who, each in runs.items()},
            }
        )
    )


def installed(program: str, contender: str) -> bool:
    """True if `program` is here; says on stderr what is left out otherwise."""
    if shutil.which(program):
        return True
    print(f"{contender} is left out: {program} is not installed", file=sys.stderr)
    return False
