"""What PostgreSQL's programs know about settings, asked without a running server."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from naru.postgres.installation import Installation
from naru.postgres.libraries import PRELOADING, missing_libraries
from naru.system import run

_SECONDS = 20


@dataclass(frozen=True)
class Parameter:
    """A setting as `postgres --describe-config` tells it."""

    name: str
    context: str
    """When a change takes effect: `postmaster` by a restart, `sighup`, `superuser` and `user` by
    a reload, `backend` and `superuser-backend` in new sessions; `internal` never."""
    group: str
    description: str


@cache
def describe_parameters(installation: Installation) -> Mapping[str, Parameter]:
    """The settings that belong into a configuration file, by name in lower case."""
    said = run([installation.tool("postgres"), "--describe-config"], seconds=_SECONDS).stdout
    found = {}
    for line in said.splitlines():
        cells = line.split("\t")
        if len(cells) >= 8:
            name, context, group, description = cells[0], cells[1], cells[2], cells[7]
            found[name.lower()] = Parameter(name, context, group, description)
    return found


def wrong_values(installation: Installation, settings: Mapping[str, str]) -> dict[str, str]:
    """What that PostgreSQL says against each setting, by name: unknown, or a wrong value.

    Every one is given to the program itself, so its own rules hold and not a copy of them.
    Settings of extensions (with a dot in the name) are only checked once the server has
    loaded the extension; of libraries to load only whether they are there.
    """
    return _refused(installation, settings) | _not_loadable(installation, settings)


def _not_loadable(installation: Installation, settings: Mapping[str, str]) -> dict[str, str]:
    found = {
        name: ", ".join(missing_libraries(installation, value))
        for name, value in settings.items()
        if name in PRELOADING
    }
    return {
        name: f"no library {libraries} is installed with {installation}, and no server would start"
        for name, libraries in found.items()
        if libraries
    }


def _refused(installation: Installation, settings: Mapping[str, str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="naru-settings-") as folder:
        Path(folder).chmod(0o700)
        if _said(installation, folder, settings) is None:
            return {}
        found = {name: _said(installation, folder, {name: settings[name]}) for name in settings}
    return {name: words for name, words in found.items() if words is not None}


def lacks_tls(installation: Installation) -> bool:
    """True if that PostgreSQL says that it was built without TLS; not for any other trouble."""
    return "not supported" in wrong_values(installation, {"ssl": "on"}).get("ssl", "")


def _said(installation: Installation, folder: str, settings: Mapping[str, str]) -> str | None:
    # By a file, not by an argument: others can read those.
    quoted = ((name, value.replace("'", "''")) for name, value in settings.items())
    text = "".join(f"{name} = '{value}'\n" for name, value in quoted)
    (Path(folder) / "postgresql.conf").write_text(text)
    program = str(installation.tool("postgres"))
    done = run(
        [program, "-C", "config_file", "-D", folder],
        seconds=_SECONDS, env={"LC_ALL": "C"}, check=False,
    )  # fmt: skip
    if done.code == 0:
        return None
    told = re.findall(r"(?:LOG|FATAL|HINT):  (.*)", done.stderr)
    plain = [re.sub(r' in file ".*" line \d+$', "", line) for line in told]
    fitting = [line for line in plain if not re.search(r"postgresql(\.auto)?\.conf", line)]
    return " ".join(fitting) or done.stderr.strip()[-300:]


def has_extension(installation: Installation, name: str) -> bool:
    """True if that installation can load the extension `name`."""
    return any(
        (folder / "extension" / f"{name}.control").is_file() for folder in _share(installation)
    )


def _share(installation: Installation) -> list[Path]:
    """Where that installation may keep its extensions."""
    home = installation.bin.parent
    asked = installation.bin / "pg_config"
    if asked.is_file():
        return [Path(run([asked, "--sharedir"], seconds=_SECONDS).stdout.strip())]
    debian = Path("/usr/share/postgresql") / str(installation.major)
    return [home / "share", home / "share" / "postgresql", debian]
