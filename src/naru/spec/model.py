"""The shape of naru.toml, with the reference lab as defaults."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EnvironmentSpec(_Table):
    """What the whole is called."""

    name: str = "lab"
    private_domain: str = "lab.internal"


class GroundSpec(_Table):
    """Where the hosts come from."""

    kind: Literal["loopback"] = "loopback"
    network: str = "auto"
    """`auto`, or the second octet's network such as `127.1.0.0/16`: 10.1.x.y becomes 127.1.x.y."""
    account: str = "postgres"
    """Whom the servers run as when naru is started as root."""
    postgres: tuple[str, ...] = ()
    """More folders with PostgreSQL programs."""


class SourceSpec(_Table):
    """The old, self-managed server."""

    host: str = "10.1.3.31"
    port: int = 2866
    database: str = "creativity"
    superuser: str = "postgres"
    version: str = "oldest"
    """`oldest`, `newest`, or a major version that is installed."""
    scale: float = 1.0
    """Size of the generated content; 1.0 is about 2 million rows and 500 MB."""
    seed: int = 2866


class ServiceSpec(_Table):
    """The highly available service."""

    cluster_name: str = "cedbcluster"
    server_prefix: str = "cedbserver"
    version: str = "newest"
    host: str = "10.1.3.32"
    """Where HAProxy answers: writes at `port`, reads at `read_port`."""
    port: int = 2866
    read_port: int = 2867
    members: int = 2
    """How many PostgreSQL nodes: one primary and one synchronous standby, or more."""
    first_member: str = "10.1.3.41"
    """The first node's address; the others follow."""
    etcd_host: str = "10.1.3.51"
    etcd_members: Literal[1, 3] = 1
    database: str = "cedb"
    user: str = "cedbadmin"
    password: SecretStr | None = None
    """Generated when not given."""
    encoding: str = "UTF8"
    locale: str = "C"
    timezone: str = "Asia/Seoul"
    settings: dict[str, str] = {}
    """PostgreSQL settings beyond our own."""


class TrafficSpec(_Table):
    """The address that applications use: PgBouncer in transaction pooling."""

    host: str = "10.1.3.30"
    port: int = 6432
    pool_size: int = 20
    max_clients: int = 500


class Spec(_Table):
    """The whole of naru.toml."""

    environment: EnvironmentSpec = EnvironmentSpec()
    ground: GroundSpec = GroundSpec()
    source: SourceSpec = SourceSpec()
    service: ServiceSpec = ServiceSpec()
    traffic: TrafficSpec = TrafficSpec()
