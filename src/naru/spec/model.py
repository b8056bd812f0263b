"""The shape of naru.toml, with the reference lab as defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from naru.spec import rules


def _as_text(settings: Any) -> Any:
    """TOML's numbers and booleans, as PostgreSQL writes them."""
    if not isinstance(settings, dict):
        return settings
    words = {True: "on", False: "off"}
    return {
        name: words[value] if isinstance(value, bool)
        else str(value) if isinstance(value, int | float)
        else value
        for name, value in settings.items()
    }  # fmt: skip


Address = Annotated[str, rules.ADDRESS]
Port = Annotated[int, rules.PORT]
Version = Annotated[str, rules.VERSION]
Settings = Annotated[dict[str, str], BeforeValidator(_as_text), rules.SETTINGS]
Groups = Annotated[dict[str, Settings], rules.GROUPS]


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )


class EnvironmentSpec(_Table):
    """What the whole is called."""

    name: Annotated[str, rules.NAME] = "lab"
    """The environment's name, as status and reports show it."""
    private_domain: Annotated[str, rules.DOMAIN] = "lab.internal"
    """The domain of the names in certificates. The ground `loopback` serves no names."""


class GroundSpec(_Table):
    """Where the hosts come from."""

    kind: Literal["loopback"] = "loopback"
    """`loopback`: this machine, one address of 127.0.0.0/8 for each host."""
    network: Annotated[str, rules.NETWORK] = "auto"
    """Where the lab's 10.1.0.0/16 lies on this machine; `auto` takes the first that is free."""
    account: Annotated[str, rules.ACCOUNT] = "postgres"
    """Whom the servers run as when naru is started as root."""
    postgres: tuple[str, ...] = Field(default=(), strict=False)
    """More folders with PostgreSQL programs (`bin` folders)."""


class SourceSpec(_Table):
    """The old, self-managed server."""

    host: Address = "10.1.3.31"
    """Its address."""
    port: Port = 2866
    """Its port."""
    database: Annotated[str, rules.DATABASE] = "creativity"
    """The database that is to move."""
    superuser: Annotated[str, rules.ROLE] = "postgres"
    """Its superuser."""
    version: Version = "oldest"
    """Which PostgreSQL it runs."""
    scale: Annotated[float, rules.between(0.001, 1000)] = 1.0
    """Size of the generated content; 1.0 is about 2 million rows and 500 MB."""
    seed: Annotated[int, rules.between(0, 2**31 - 1)] = 2866
    """The same seed and scale give the same content."""


class ServiceSpec(_Table):
    """The highly available service."""

    cluster_name: Annotated[str, rules.CLUSTER_NAME] = "cedbcluster"
    """The cluster's name."""
    server_prefix: Annotated[str, rules.SERVER_PREFIX] = "cedbserver"
    """What the members' names begin with."""
    version: Version = "newest"
    """Which PostgreSQL the members run."""
    host: Address = "10.1.3.32"
    """Where HAProxy answers: writes at `port`, reads at `read_port`."""
    port: Port = 2866
    """The port for writes: the primary."""
    read_port: Port = 2867
    """The port for reads: the standbys."""
    server_type: Annotated[str, rules.SERVER_TYPE] = "db1v2m4"
    """The members' servers by the provider's name, here 2 vCPU and 4 GiB. Memory, parallelism and
    connections are set by it; `naru service settings` shows which to what."""
    memory_share: Annotated[float, rules.between(0.05, 1)] = 0.25
    """How much of that memory a member takes on this machine, where several members share one."""
    data_gb: Annotated[float, rules.between(0.1, 5120)] = 16.0
    """How much data and WAL a member may hold, in GB of 2^30 bytes; the provider has 16 to 5120.
    Alarms at 80 and 90 %; from 95 % on, clients may only read until it is below 90 %."""
    ha: bool = True
    """Whether there are standbys. Without, there is one member alone, and `members` is not used."""
    members: Annotated[int, rules.between(2, 5)] = 3
    """How many PostgreSQL nodes: one primary and one synchronous standby, or more."""
    skip_members: tuple[Annotated[int, rules.between(1, 10)], ...] = Field(default=(), strict=False)
    """Numbers that no member has: those of hosts that were given up. The members are then the
    first numbers that are not skipped."""
    first_member: Address = "10.1.3.41"
    """The first member's address; the others follow."""
    first_number: Annotated[int, rules.between(1, 6)] = 1
    """The number of the first member, in its name and after `first_member`. A major upgrade
    moves the service to a second set of members, which begins with 6, and back again."""
    own_port: Port = 2868
    """The port at `host` at which, in a major upgrade, the first set of members answers by
    itself; the second set does at the next port."""
    etcd_host: Address = "10.1.3.51"
    """The first etcd member's address; the others follow."""
    etcd_members: Literal[1, 3] = 1
    """How many etcd members."""
    allowed: Annotated[tuple[str, ...], rules.NETWORKS] = Field(
        default=("10.1.0.0/16",), strict=False
    )
    """From which addresses clients are let in, at the endpoints, the pool and restored instances:
    addresses and networks such as 10.1.2.0/24. This machine itself is always let in."""
    read_lag_mb: Annotated[int, rules.between(1, 1024)] = 16
    """A standby whose replay is further behind than so many MB gets no reads."""
    read_lag_seconds: Annotated[int, rules.between(1, 3600)] = 10
    """Nor does one whose replay is further behind in time."""
    database: Annotated[str, rules.SERVICE_DATABASE] = "cedb"
    """The database that the service is created with."""
    user: Annotated[str, rules.SERVICE_USER] = "cedbadmin"
    """The role that owns it."""
    password: Annotated[SecretStr | None, rules.PASSWORD] = None
    """That role's password; generated when not given."""
    encoding: Annotated[str, rules.ENCODING] = "UTF8"
    """The databases' encoding."""
    locale: Annotated[str, rules.LOCALE] = "C"
    """The databases' locale."""
    timezone: Annotated[str, rules.TIMEZONE] = "Asia/Seoul"
    """The servers' time zone."""
    audit: bool = False
    """Whether it is logged who connected, and who changed what and when: by pgaudit where it is
    installed with that PostgreSQL, else by PostgreSQL's own log."""
    parameter_group: Annotated[str, rules.GROUP] = ""
    """The `[parameter_group.NAME]` whose settings hold; none when empty."""
    settings: Settings = {}
    """PostgreSQL settings beyond those of the group and our own, by name."""

    @property
    def member_count(self) -> int:
        """How many members there are to be: one without `ha`."""
        return self.members if self.ha else 1


class MaintenanceSpec(_Table):
    """When members may be restarted for changed settings. Without a window, `naru up` does it."""

    enabled: bool = False
    """Whether restarts wait for the window."""
    day: Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"] = "SUN"
    """The day of the week, in the service's time zone."""
    start: Annotated[str, rules.TIME_OF_DAY] = "03:00"
    """When it begins."""
    hours: Annotated[int, rules.between(1, 24)] = 1
    """How long it lasts."""


class BackupSpec(_Table):
    """Backups of the service, and the way back to any point in time, by Barman."""

    enabled: bool = False
    """Whether WAL is received all the time and backups are taken by schedule."""
    host: Address = "10.1.3.61"
    """Where backups are kept."""
    start_hour: Annotated[int, rules.between(0, 23)] = 3
    """The hour of the day, in the service's time zone, in which the day's backup begins."""
    archive_minutes: Literal[5, 10, 30, 60] = 5
    """How often the WAL segment being written is closed and put into the archive. WAL itself
    arrives at once, whatever this is."""
    retention_days: Annotated[int, rules.between(7, 35)] = 7
    """For how many days back any point in time can be restored."""
    full_every_days: Annotated[int, rules.between(1, 7)] = 1
    """Days from one full backup to the next; the days between are incremental, which needs
    PostgreSQL 17 or newer."""
    first_restored: Address = "10.1.3.71"
    """The address of the first instance restored beside the service; the others follow."""
    restored: Annotated[int, rules.between(1, 9)] = 3
    """How many instances may be restored beside the service at a time."""


class TrafficSpec(_Table):
    """The address that applications use: PgBouncer in transaction pooling."""

    host: Address = "10.1.3.30"
    """PgBouncer's address."""
    port: Port = 6432
    """PgBouncer's port."""
    pool_size: Annotated[int, rules.between(1, 1000)] = 20
    """Server connections for each pair of user and database."""
    max_clients: Annotated[int, rules.between(1, 10000)] = 500
    """Client connections in all."""


class Spec(_Table):
    """The whole of naru.toml."""

    environment: EnvironmentSpec = EnvironmentSpec()
    ground: GroundSpec = GroundSpec()
    source: SourceSpec = SourceSpec()
    service: ServiceSpec = ServiceSpec()
    parameter_group: Groups = {}
    """Named sets of PostgreSQL settings, `[parameter_group.NAME]`; `service.parameter_group`
    names the one that holds."""
    maintenance: MaintenanceSpec = MaintenanceSpec()
    backup: BackupSpec = BackupSpec()
    traffic: TrafficSpec = TrafficSpec()
