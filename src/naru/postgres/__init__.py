"""One PostgreSQL: find installations, run a server, connect, read positions. No policy."""

from __future__ import annotations

from naru.postgres.connect import (
    KEEPALIVES,
    Connection,
    connect,
    explain,
    fetch_all,
    fetch_one,
    fetch_value,
)
from naru.postgres.dsn import Dsn
from naru.postgres.installation import (
    Installation,
    find_installation,
    find_installations,
    newest,
    oldest,
)
from naru.postgres.libraries import missing_libraries
from naru.postgres.lsn import Lsn
from naru.postgres.parameters import (
    Parameter,
    describe_parameters,
    has_extension,
    lacks_tls,
    wrong_values,
)
from naru.postgres.passwords import generate_password, scram_secret
from naru.postgres.server import LocalServer, initialise, server_command, write_settings
from naru.postgres.settings import setting_values
from naru.postgres.trust import ask_for_tls
from naru.postgres.vigil import Vigil

__all__ = [
    "KEEPALIVES",
    "Connection",
    "Dsn",
    "Installation",
    "LocalServer",
    "Lsn",
    "Parameter",
    "Vigil",
    "ask_for_tls",
    "connect",
    "describe_parameters",
    "explain",
    "fetch_all",
    "fetch_one",
    "fetch_value",
    "find_installation",
    "find_installations",
    "generate_password",
    "has_extension",
    "initialise",
    "lacks_tls",
    "missing_libraries",
    "newest",
    "oldest",
    "scram_secret",
    "server_command",
    "setting_values",
    "write_settings",
    "wrong_values",
]
