"""An election of three nodes that was made without TLS begins anew with it, and forgets nothing."""

from __future__ import annotations

import base64
import contextlib
import json
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from naru.errors import NaruError
from naru.ground import Program
from naru.lab.environment import Environment
from naru.service.election import read_keys
from naru.service.etcd import etcd_command
from naru.service.passing import Passing
from naru.spec import Spec
from naru.system import need_program, wait_until

pytestmark = pytest.mark.integration

KEPT = {
    "/naru/cedbcluster/initialize": "7430000000000000001",
    "/naru/cedbcluster/config": '{"ttl": 20}',
    "/naru/cedbcluster/sync": '{"leader": "cedbserver2", "sync_standby": "cedbserver1"}',
}
PASSING = {"/naru/cedbcluster/leader": "cedbserver2", "/naru/cedbcluster/members/cedbserver2": "{}"}


@pytest.fixture
def environment(server_folder: Path) -> Iterator[Environment]:
    spec = Spec.model_validate({"service": {"etcd_members": 3}})
    environment = Environment(spec, server_folder / "passing")
    try:
        environment.ground.up()
        yield environment
    finally:
        with contextlib.suppress(NaruError):
            environment.ground.down()
        environment.ground.down(purge=True)


def place_plain(environment: Environment) -> None:
    """The three nodes as they were placed before they spoke TLS."""
    nodes = environment.service.layout.etcd
    for node in nodes:
        environment.ground.data_folder(node.name)
        argv = etcd_command(need_program("etcd"), node, nodes, "cedbcluster")
        plain = tuple(
            word.replace("https://", "http://")
            for word in argv
            if not any(part in word for part in ("-file=", "client-cert-auth"))
        )
        environment.ground.place(Program(node.name, node.host, plain, priority=100))


def put(environment: Environment, key: str, value: str) -> bool:
    """In the clear; False while nobody takes it."""
    node = environment.service.layout.etcd[0]
    coded = {"key": key, "value": value}
    document = {name: base64.b64encode(text.encode()).decode() for name, text in coded.items()}
    url = f"http://{node.address}:{node.client_port}/v3/kv/put"
    with contextlib.suppress(OSError):
        urllib.request.urlopen(url, json.dumps(document).encode(), timeout=5).close()
        return True
    return False


def test_three_nodes_pass_to_tls_with_all_that_lasts_though_naru_dies_on_the_way(
    environment: Environment,
) -> None:
    place_plain(environment)
    for key, value in (KEPT | PASSING).items():
        wait_until(partial(put, environment, key, value), f"{key} to be put", 30)
    # As `down` leaves them: they are started once more to be read.
    for node in environment.service.layout.etcd:
        environment.ground.stop(node.name)
    passing = Passing(environment.ground, environment.service.layout)
    passing.leave()
    assert not any((node.data / "member").exists() for node in environment.service.layout.etcd)
    environment.service._parts.election.place()
    # Killed here, the next `up` does all of it again.
    passing.leave()
    environment.service._parts.election.place()
    passing.arrive()
    passing.forget()
    assert read_keys(environment.service.layout) == KEPT
    assert not (environment.ground.folder / "data" / "election.kept.json").exists()
