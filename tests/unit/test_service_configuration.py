"""The configurations of etcd, Patroni and HAProxy, parsed back; and HAProxy's statistics."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from naru.postgres import scram_secret
from naru.service import patroni
from naru.service.accounts import matches
from naru.service.etcd import etcd_command
from naru.service.haproxy import all_checked, parse_stats, render_haproxy
from naru.service.layout import EtcdNode, Layout, Node
from naru.service.onhost.member import Members, speak_from
from naru.service.sessions import parse_sessions

PASSWORDS = patroni.Passwords(superuser="s-1", replication="r-1", rewind="w-1", rest="h-1")


AUTHORITY = Path("/e/secrets/tls/ca.crt")


def node(number: int) -> Node:
    name = f"cedbserver{number}"
    return Node(
        name=name,
        host=f"10.1.3.4{number}",
        address=f"127.1.3.4{number}",
        port=2866,
        rest_port=8008,
        data=Path(f"/e/data/{name}/pgdata"),
        logs=Path(f"/e/logs/{name}"),
        config=Path(f"/e/conf/{name}.yml"),
        authority=AUTHORITY,
        pair=Path(f"/e/secrets/tls/{name}.pem"),
    )


LAYOUT = Layout(
    cluster="cedbcluster",
    nodes=(node(1), node(2), node(3)),
    etcd=(
        EtcdNode(
            "etcd1",
            "10.1.3.51",
            "127.1.3.51",
            2379,
            2380,
            Path("/e/data/etcd1"),
            AUTHORITY,
            Path("/e/secrets/tls/etcd1.pem"),
            Path("/e/secrets/tls/naru.pem"),
        ),
    ),
    address="127.1.3.32",
    write_port=2866,
    read_port=2867,
    authority=AUTHORITY,
    allowed_file=Path("/e/conf/allowed.lst"),
)


def rendered(major: int = 17, **settings: str) -> dict[str, Any]:
    text = patroni.render(
        LAYOUT,
        LAYOUT.nodes[1],
        bin_folder=Path("/pg/bin"),
        callback=Path("/e/conf/x.sh") if major >= 17 else None,
        major=major,
        passwords=PASSWORDS,
        settings=settings,
        encoding="UTF8",
        locale="C",
    )
    document: dict[str, Any] = json.loads(text)
    return document


def test_nothing_may_be_acknowledged_without_a_standby() -> None:
    dcs = rendered()["bootstrap"]["dcs"]
    assert dcs["synchronous_mode"] == "quorum"
    assert dcs["synchronous_mode_strict"] is True
    assert "fsync" not in dcs["postgresql"]["parameters"]


def test_patronis_own_bound_on_its_times_is_kept() -> None:
    dcs = rendered()["bootstrap"]["dcs"]
    assert dcs["loop_wait"] + 2 * dcs["retry_timeout"] <= dcs["ttl"]


def test_a_setting_of_the_user_wins_over_ours() -> None:
    parameters = rendered(max_connections="77")["bootstrap"]["dcs"]["postgresql"]["parameters"]
    assert parameters["max_connections"] == "77"


def test_logical_consumers_wait_for_all_other_members() -> None:
    own = rendered()["postgresql"]["parameters"]
    assert own["synchronized_standby_slots"] == "cedbserver1,cedbserver3"


def test_settings_of_17_are_left_out_for_16() -> None:
    document = rendered(16)
    names = {*document["bootstrap"]["dcs"]["postgresql"]["parameters"],
             *document["postgresql"]["parameters"]}  # fmt: skip
    assert not names & {"sync_replication_slots", "synchronized_standby_slots", "summarize_wal"}
    assert document["postgresql"]["callbacks"] == {}


def test_only_tls_and_scram_let_anyone_in_and_only_from_hosts_of_the_environment() -> None:
    for line in rendered()["bootstrap"]["dcs"]["postgresql"]["pg_hba"]:
        assert line.split()[0] == "hostssl"
        assert line.split()[-2] in {"127.0.0.1/32", f"{LAYOUT.address}/32"}
        assert line.split()[-1] == "scram-sha-256"


def test_every_part_of_a_member_checks_whom_it_talks_to() -> None:
    document = rendered()
    for login in document["postgresql"]["authentication"].values():
        assert (login["sslmode"], login["sslrootcert"]) == ("verify-full", str(AUTHORITY))
    assert document["etcd3"]["protocol"] == "https"
    assert document["etcd3"]["cacert"] == document["ctl"]["cacert"] == str(AUTHORITY)
    assert "insecure" not in document["ctl"]
    assert document["postgresql"]["parameters"]["ssl"] == "on"


def test_patroni_keeps_its_hands_off_users_logical_slots() -> None:
    ignored = rendered()["bootstrap"]["dcs"]["ignore_slots"]
    assert {"type": "logical", "plugin": "pgoutput"} in ignored


def test_passwords_do_not_show_when_printed() -> None:
    assert "s-1" not in repr(PASSWORDS)


def test_haproxy_sends_writes_where_the_primary_answers() -> None:
    text = render_haproxy(LAYOUT, Path("/e/run/h.sock"))
    assert "source 127.1.3.32" in text, "members tell its sessions from others"
    writes = text.split("\nbackend writes\n")[1].split("\nbackend ")[0]
    assert "uri /primary" in writes
    for one in LAYOUT.nodes:
        assert f"server {one.name} {one.address}:2866 check port 8008 verifyhost {one.address}" in (
            writes
        )
    assert "bind 127.1.3.32:2866\n" in text
    assert "bind 127.1.3.32:2867\n" in text


def test_a_member_speaks_from_its_own_address_unless_it_is_told_another() -> None:
    class Connection:
        def __init__(self, host: str, source_address: tuple[str, int] | None = None) -> None:
            self.host, self.source_address = host, source_address

    speak_from("127.1.3.41", Connection)
    assert Connection("127.1.3.51").source_address == ("127.1.3.41", 0)
    assert Connection("127.1.3.51", ("127.0.0.9", 0)).source_address == ("127.0.0.9", 0)


def test_commits_wait_for_members_and_never_for_anybody(tmp_path: Path) -> None:
    settings = tmp_path / "member.yml"
    settings.write_text(json.dumps(rendered()))
    members = Members(settings)
    everyone = 'ANY 1 ("cedbserver1","cedbserver2","cedbserver3")'
    for anybody in ("*", "ANY 1 (*)", "ANY None (*)"):
        assert members.named(anybody) == everyone
    for choice in (None, "ANY 1 (cedbserver1,cedbserver3)"):
        assert members.named(choice) == choice
    parse: Any = importlib.import_module("patroni.postgresql.sync").parse_sync_standby_names
    assert members.parsed(everyone, parse) == parse("ANY 1 (*)")
    assert members.parsed("ANY 1 (cedbserver1,cedbserver3)", parse).has_star is False


def test_haproxy_tells_who_is_at_the_services_ports() -> None:
    text = (
        "0x55d8: proto=tcpv4 src=127.7.2.121:40482 fe=writes_in be=writes srv=cedbserver1 ts=00\n"
        "0x55d9: proto=tcpv4 src=127.0.0.1:40483 fe=reads_in be=reads srv=<none> ts=00\n"
        "0x55da: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00\n\n"
    )
    found = [(one.door, one.address, one.port, one.handle) for one in parse_sessions(text)]
    assert found == [("writes", "127.7.2.121", 40482, "0x55d8"),
                     ("reads", "127.0.0.1", 40483, "0x55d9")]  # fmt: skip


def test_haproxy_statistics_give_the_servers_that_are_up() -> None:
    text = (
        "# pxname,svname,scur,status,check_status,\n"
        "writes,cedbserver1,4,UP,L7OK,\n"
        "writes,cedbserver2,0,DOWN,L7STS,\n"
        "writes,cedbserver3,0,UP,INI,\n"
        "writes,BACKEND,4,UP,,\n"
        "reads,cedbserver2,1,UP 1/2,* L7OK,\n"
    )
    assert parse_stats(text) == {"writes": {"cedbserver1": 4}, "reads": {"cedbserver2": 1}}


def test_no_statistics_mean_nothing_is_up() -> None:
    assert parse_stats("") == {}


def test_etcd_listens_on_its_own_address_only() -> None:
    command = etcd_command(Path("/usr/bin/etcd"), LAYOUT.etcd[0], LAYOUT.etcd, "cedbcluster")
    assert "--listen-client-urls=https://127.1.3.51:2379" in command
    assert "--initial-cluster=etcd1=https://127.1.3.51:2380" in command


def test_a_stored_secret_is_known_by_its_password() -> None:
    secret = scram_secret("long-Enough-1")
    assert matches(secret, "long-Enough-1")
    assert not matches(secret, "long-Enough-2")
    assert not matches("md5abc", "long-Enough-1")


def test_an_endpoint_is_settled_once_every_server_was_checked() -> None:
    head = "# pxname,svname,scur,status,check_status,\nwrites,FRONTEND,0,OPEN,,\n"
    first = "writes,cedbserver1,0,UP,L7OK,\n"
    assert all_checked(head + first + "writes,cedbserver2,0,DOWN,* L7STS,\n")
    assert not all_checked(head + first + "writes,cedbserver2,0,UP,INI,\n")
    assert not all_checked(head + first + "writes,cedbserver2,0,UP,,\n")
    assert not all_checked("")
