"""Where hosts come from, and what runs on them.

A ground turns the lab's addresses into addresses that exist, runs programs on its hosts
under supervision, and keeps everything of one environment in one folder. `loopback` is
this machine: one 127.x address for each host. A ground knows nothing of what the
programs do; the service, the pool and the old server bring their own.
"""

from __future__ import annotations

from naru.ground.access import (
    OWN_MACHINE,
    Admission,
    Allowed,
    OpenSession,
    admission,
    outside,
)
from naru.ground.certificates import Certificate, Certificates, worst_of
from naru.ground.folder import state_folder
from naru.ground.hosts import (
    ETCD_CLIENT_PORT,
    ETCD_PEER_PORT,
    REST_PORT,
    Host,
    etcd_host,
    etcd_hosts,
    hosts_of,
    member_host,
    member_hosts,
    restored_hosts,
)
from naru.ground.identities import CLIENT as CLIENT_CERTIFICATE
from naru.ground.identities import SECOND_NUMBER, Place
from naru.ground.loopback import Loopback, open_ground
from naru.ground.model import (
    Ground,
    GroundStatus,
    HostStatus,
    PortStatus,
    Program,
    ProgramStatus,
    reading,
)
from naru.ground.processes import MARK as ENVIRONMENT_MARK
from naru.ground.processes import clear_stale_pid_file, processes_of
from naru.ground.secrets import Secrets
from naru.ground.shown import Reloadable, outdated, show_new_certificates

__all__ = [
    "CLIENT_CERTIFICATE",
    "ENVIRONMENT_MARK",
    "ETCD_CLIENT_PORT",
    "ETCD_PEER_PORT",
    "OWN_MACHINE",
    "REST_PORT",
    "SECOND_NUMBER",
    "Admission",
    "Allowed",
    "Certificate",
    "Certificates",
    "Ground",
    "GroundStatus",
    "Host",
    "HostStatus",
    "Loopback",
    "OpenSession",
    "Place",
    "PortStatus",
    "Program",
    "ProgramStatus",
    "Reloadable",
    "Secrets",
    "admission",
    "clear_stale_pid_file",
    "etcd_host",
    "etcd_hosts",
    "hosts_of",
    "member_host",
    "member_hosts",
    "open_ground",
    "outdated",
    "outside",
    "processes_of",
    "reading",
    "restored_hosts",
    "show_new_certificates",
    "state_folder",
    "worst_of",
]
