"""supervisord: its configuration, and its XML-RPC over a private unix socket."""

from __future__ import annotations

import http.client
import re
import shlex
import socket
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naru.errors import ServerError, UnreachableError, UsageError
from naru.ground.model import Program
from naru.system import Deadline, arguments_of, wait_until

RPC_SECONDS = 10
_LOG_BYTES = "10MB"
_LOG_BACKUPS = 3
# supervisor waits a second longer after each failed start: about three minutes in all.
_START_RETRIES = 18

_LIVING = {"starting", "running", "backoff"}
_RESTART_SECONDS = 2.0
"""A program that has exited and is to be started again is, within this time."""

_BAD_NAME, _SPAWN_ERROR, _ALREADY_STARTED, _NOT_RUNNING, _STILL_RUNNING = 10, 50, 60, 70, 91
_STOP_SECONDS = 120.0


def render_supervisord(folder: Path, socket_file: Path, identifier: str) -> str:
    """The configuration of the environment's supervisord."""
    return f"""[unix_http_server]
file = {_value(str(socket_file))}
chmod = 0700

[supervisord]
identifier = {identifier}
pidfile = {_value(str(folder / "run" / "supervisord.pid"))}
logfile = {_value(str(folder / "logs" / "supervisord.log"))}
logfile_maxbytes = {_LOG_BYTES}
logfile_backups = {_LOG_BACKUPS}
childlogdir = {_value(str(folder / "logs"))}
directory = {_value(str(folder))}
umask = 077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files = {_value(str(folder / "programs"))}/*.conf
"""


def render_program(program: Program, keeper: Sequence[str], log: Path) -> str:
    """The configuration of one program. Raises UsageError for what supervisor cannot express.

    `keeper` starts it in a way that another supervisor can take it over, and has its output
    written; `log` is for what goes wrong before that.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", program.name):
        raise UsageError(f"program name {program.name!r}: only letters, digits, _ . - are allowed")
    command = " ".join(shlex.quote(_value(word)) for word in (*keeper, *program.argv))
    environment = ",".join(f'{key}="{_value(value)}"' for key, value in sorted(program.env.items()))
    return f"""[program:{program.name}]
command = {command}
environment = {environment}
priority = {program.priority}
autostart = false
autorestart = {"true" if program.autorestart else "false"}
startsecs = 1
startretries = {_START_RETRIES}
stopsignal = {program.stop_signal}
stopwaitsecs = {program.stop_seconds}
redirect_stderr = true
stdout_logfile = {_value(str(log))}
stdout_logfile_maxbytes = 0

[naru:{program.name}]
host = {program.host}
"""


def _value(text: str) -> str:
    """`text` as supervisor reads it back: percent signs doubled, no comment begun by it."""
    if re.search(r"""[\n"']|\s[;#]""", text):
        raise UsageError(
            f"{text!r} has a character that supervisor cannot take in a path or an argument",
            remedy="keep the environment in a folder with a plain name",
        )
    return text.replace("%", "%%")


@dataclass(frozen=True)
class ProcessInfo:
    """One program as supervisord tells it."""

    name: str
    state: str
    pid: int | None
    uptime_seconds: int | None
    problem: str


class Supervisor:
    """A client of one supervisord; every call has a deadline."""

    def __init__(self, socket_file: Path) -> None:
        self.socket_file = socket_file

    def pid(self, identifier: str) -> int | None:
        """The process id of a supervisord that answers and is ours; None otherwise."""
        try:
            if self._call("supervisor.getIdentification") != identifier:
                return None
            return int(self._call("supervisor.getPID"))
        except UnreachableError:
            return None

    def programs(self) -> dict[str, ProcessInfo]:
        """All programs by name."""
        found = (_info(raw) for raw in self._call("supervisor.getAllProcessInfo"))
        return {one.name: one for one in found}

    def reload(self, name: str) -> None:
        """Read the configuration again, and take over what is new about `name`."""
        ((added, changed, removed),) = self._call("supervisor.reloadConfig")
        if name in changed or name in removed:
            self._remove(name)
        if name in changed or name in added:
            self._call("supervisor.addProcessGroup", name)

    def forget(self, name: str) -> None:
        """Take over that the configuration of a stopped program is gone."""
        self._call("supervisor.reloadConfig")
        self._remove(name)

    def _remove(self, name: str) -> None:
        """One that ended by itself just before it was stopped is started again once more."""

        def removed() -> bool:
            if name not in self.programs():
                return True
            self.stop(name, _STOP_SECONDS)
            done = self._call("supervisor.removeProcessGroup", name, forgive=(_STILL_RUNNING,))
            return bool(done)

        wait_until(removed, f"program {name} to be taken away", _STOP_SECONDS, every=0.1)

    def start(self, name: str) -> None:
        """Start without waiting for it to stay up. Harmless when it is running."""
        self._call("supervisor.startProcess", name, False, forgive=(_ALREADY_STARTED, _SPAWN_ERROR))

    def stop(self, name: str, seconds: float) -> None:
        """Stop and wait for the end. Harmless when it is not running.

        Raises DeadlineError when it has not ended after `seconds`.
        """
        exited: Deadline | None = None

        def has_ended() -> bool:
            """One that ended by itself is started again in a moment, and then asked to stop."""
            nonlocal exited
            found = self.programs().get(name)
            state = "stopped" if found is None else found.state
            if state in _LIVING and not (found and self._only_forked(found)):
                # A supervisor that is asked to wait does so by looking all the time.
                self._call("supervisor.stopProcess", name, False, forgive=(_NOT_RUNNING, _BAD_NAME))
            exited = (exited or Deadline(_RESTART_SECONDS, name)) if state == "exited" else None
            return exited.passed if exited is not None else state not in {*_LIVING, "stopping"}

        wait_until(has_ended, f"{name} to end", seconds, every=0.05)

    def _only_forked(self, one: ProcessInfo) -> bool:
        """It is not the program yet, but its supervisor still: it would take a signal, and then
        become the program, which knows nothing of it."""
        if one.state != "starting" or one.pid is None:
            return False
        own = int(self._call("supervisor.getPID"))
        return arguments_of(one.pid) == arguments_of(own)

    def shut_down(self) -> None:
        """Ask it to stop all programs in order and to end itself; does not wait."""
        self._call("supervisor.shutdown")

    def _call(
        self,
        method: str,
        *values: Any,
        forgive: tuple[int, ...] = (),
    ) -> Any:
        proxy = xmlrpc.client.ServerProxy(
            "http://supervisor", transport=_UnixTransport(self.socket_file, RPC_SECONDS)
        )
        try:
            return getattr(proxy, method)(*values)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in forgive:
                return None
            if fault.faultCode == _BAD_NAME:
                raise UsageError(
                    f"no program {values[0]!r} on this ground", remedy="run `naru up` first"
                ) from None
            raise ServerError(f"supervisor refused {method}: {fault.faultString}") from None
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise UnreachableError(
                f"the supervisor at {self.socket_file} does not answer: {error}",
                remedy="run `naru up`",
            ) from error


def _info(raw: Mapping[str, Any]) -> ProcessInfo:
    running = raw["pid"] != 0
    return ProcessInfo(
        name=raw["name"],
        state=raw["statename"].lower(),
        pid=raw["pid"] if running else None,
        uptime_seconds=raw["now"] - raw["start"] if running else None,
        problem=raw["spawnerr"],
    )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("supervisor", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__()
        self._path = path
        self._seconds = seconds

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self._path, self._seconds)
