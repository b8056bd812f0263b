"""Addresses of the lab on this machine, and which network an environment takes."""

from __future__ import annotations

import pytest

from naru.errors import SpecError, TakenError
from naru.ground import hosts_of
from naru.ground.addresses import Listener, check_network, choose_network, local_address
from naru.spec import ServiceSpec, Spec

NEEDED = [("10.1.3.31", 2866), ("10.1.3.30", 6432)]


@pytest.mark.parametrize(
    ("lab", "network", "local"),
    [
        ("10.1.3.32", "127.1.0.0/16", "127.1.3.32"),
        ("10.1.1.110", "127.91.0.0/16", "127.91.1.110"),
        ("10.1.2.121", "127.254.0.0/16", "127.254.2.121"),
    ],
)
def test_a_lab_address_keeps_its_last_two_parts(lab: str, network: str, local: str) -> None:
    assert local_address(lab, network) == local


@pytest.mark.parametrize("network", ["127.1.0.0/8", "10.1.0.0/16", "127.1.3.0/16", "here"])
def test_other_networks_than_one_of_loopback_are_refused(network: str) -> None:
    with pytest.raises(SpecError, match="not a loopback network"):
        check_network(network)


def test_without_any_conflict_the_first_network_is_taken() -> None:
    assert choose_network("auto", None, NEEDED, [], {}) == "127.1.0.0/16"


def test_auto_passes_over_networks_where_somebody_listens() -> None:
    held = [Listener("127.1.3.31", 2866, "postgres (pid 7)")]
    assert choose_network("auto", None, NEEDED, held, {}) == "127.2.0.0/16"


def test_auto_passes_over_networks_that_another_environment_holds() -> None:
    claimed = {"127.1.0.0/16": "/a", "127.2.0.0/16": "/b"}
    assert choose_network("auto", None, NEEDED, [], claimed) == "127.3.0.0/16"


def test_a_listener_on_another_port_is_no_conflict() -> None:
    held = [Listener("127.1.3.31", 5432, "postgres (pid 7)")]
    assert choose_network("auto", None, NEEDED, held, {}) == "127.1.0.0/16"


def test_a_remembered_network_is_kept_though_others_are_free() -> None:
    assert choose_network("auto", "127.9.0.0/16", NEEDED, [], {}) == "127.9.0.0/16"


@pytest.mark.parametrize("setting", ["127.9.0.0/16", "auto"])
def test_a_named_or_remembered_network_that_is_taken_names_the_holder(setting: str) -> None:
    held = [Listener("127.9.3.30", 6432, "pgbouncer (pid 42)")]
    with pytest.raises(TakenError, match=r"127\.9\.3\.30:6432 is held by pgbouncer \(pid 42\)"):
        choose_network(setting, "127.9.0.0/16", NEEDED, held, {})


def test_a_listener_everywhere_takes_every_network() -> None:
    held = [Listener("0.0.0.0", 2866, "postgres (pid 7)")]
    with pytest.raises(TakenError, match="no loopback network is free"):
        choose_network("auto", None, NEEDED, held, {})


def test_the_default_hosts_are_those_of_the_reference_lab() -> None:
    hosts = {host.name: host.lab_address for host in hosts_of(Spec())}
    assert hosts["source"] == "10.1.3.31"
    assert hosts["service"] == "10.1.3.32"
    assert hosts["cedbserver1"] == "10.1.3.41"
    assert len([name for name in hosts if name.startswith("cedbserver")]) == 3


def test_two_hosts_that_want_one_address_and_port_are_refused() -> None:
    clash = Spec(service=ServiceSpec.model_construct(**{
        **ServiceSpec().model_dump(), "first_member": "10.1.3.31"
    }))  # fmt: skip
    with pytest.raises(SpecError, match="both want"):
        hosts_of(clash)
