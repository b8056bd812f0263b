"""naru.toml is checked at the edge: every fault with file, line, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from naru.errors import SpecError, UsageError
from naru.spec import Spec, find_spec, load


def _load(folder: Path, text: str, *, mode: int = 0o600) -> Spec:
    path = folder / "naru.toml"
    path.write_text(text)
    path.chmod(mode)
    return load(path)


def _fault(folder: Path, text: str) -> str:
    with pytest.raises(SpecError) as caught:
        _load(folder, text)
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    return caught.value.message.replace(f"{folder}/", "")


def test_an_empty_file_is_the_lab(tmp_path: Path) -> None:
    assert _load(tmp_path, "") == Spec() == load(None)


def test_the_lab_itself_breaks_no_rule(tmp_path: Path) -> None:
    spec = _load(tmp_path, '[environment]\nname = "lab"\n')
    assert spec.service.host == "10.1.3.32"
    assert spec.service.port == 2866


@pytest.mark.parametrize(
    ("table", "line", "words"),
    [
        ("service", 'cluster_name = "ced1"', "letters only, 3 to 20"),
        ("service", 'cluster_name = "ab"', "letters only, 3 to 20"),
        ("service", f'cluster_name = "{"a" * 21}"', "letters only, 3 to 20"),
        ("service", 'cluster_name = "ok\\n"', "letters only, 3 to 20"),
        ("service", 'server_prefix = "Ced"', "lower-case letters, digits and hyphens"),
        ("service", 'server_prefix = "cedbserver-long"', "3 to 13"),
        ("service", 'user = "cedbAdmin"', "lower-case letters only, 2 to 20"),
        ("service", 'user = "postgres"', "lower-case letters only, 2 to 20"),
        ("service", 'database = "1cedb"', "beginning with a letter"),
        ("service", "port = 80", "from 1024 to 65535"),
        ("service", "port = 65536", "from 1024 to 65535"),
        ("service", "port = true", "from 1024 to 65535"),
        ("service", 'port = "2866"', "from 1024 to 65535"),
        ("service", "members = 1", "from 2 to 5"),
        ("service", "etcd_members = 2", "1 or 3"),
        ("service", 'version = "17.1"', "oldest, newest, or the major version"),
        ("service", 'encoding = "UTF-7"', "UTF8"),
        ("service", 'locale = "korean"', "ko_KR.UTF-8"),
        ("service", 'timezone = "Asia/Soul"', "Asia/Seoul"),
        ("service", 'timezone = "../../etc/passwd"', "Asia/Seoul"),
        ("service", "settings = 7", "except those that Naru sets itself"),
        ("service", 'server_type = "db1v2"', "db1v2m4: 2 vCPU and 4 GiB"),
        ("service", 'server_type = "db1v0m4"', "db1v2m4: 2 vCPU and 4 GiB"),
        ("service", "data_gb = 0", "from 0.1 to 5120"),
        ("service", "memory_share = 1.1", "from 0.05 to 1"),
        ("service", 'ha = "no"', "true or false"),
        ("service", "audit = 1", "true or false"),
        ("service", 'parameter_group = "reports"', "there is no [parameter_group.reports]"),
        ("maintenance", 'day = "Sunday"', '"SUN"'),
        ("maintenance", 'start = "24:00"', "a time of day such as 03:00"),
        ("maintenance", "hours = 0", "from 1 to 24"),
        ("service", 'host = "10.1.3"', "a host's address"),
        ("service", 'host = "192.168.0.1"', "10.1.1.0/24, 10.1.2.0/24 or 10.1.3.0/24"),
        ("service", 'host = "10.1.3.255"', "a host's address"),
        ("source", "scale = 0", "from 0.001 to 1000"),
        ("source", "scale = nan", "from 0.001 to 1000"),
        ("source", "seed = -1", "from 0 to"),
        ("source", 'database = ""', "1 to 63 characters"),
        ("source", 'superuser = "pg_monitor"', "not beginning with pg_"),
        ("ground", 'kind = "moon"', '"loopback"'),
        ("ground", 'network = "127.0.0.0/16"', "127.1 to 127.255"),
        ("ground", 'network = "10.1.0.0/16"', "127.1 to 127.255"),
        ("ground", 'network = "127.1.0.0/24"', "127.1 to 127.255"),
        ("ground", 'account = "a b"', "an account of this machine"),
        ("environment", 'name = "My Lab"', "lower-case letters, digits and hyphens"),
        ("environment", 'private_domain = "lab"', "a domain name"),
        ("traffic", "pool_size = 0", "from 1 to 1000"),
        ("traffic", "max_clients = 1.5", "from 1 to 10000"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_its_line(
    tmp_path: Path, table: str, line: str, words: str
) -> None:
    message = _fault(tmp_path, f"# first\n[{table}]\n\n{line}\n")
    assert message.startswith(f"naru.toml:4: {table}.{line.split(' ')[0]}: ")
    assert words in message


@pytest.mark.parametrize(
    "line",
    [
        '[service]\npassword = "ceadmin123!"',
        "[service]\nmembers = 3\netcd_members = 3",
        '[service]\nlocale = "ko_KR.UTF-8"\nencoding = "EUC_KR"\ntimezone = "UTC"',
        '[service]\nserver_type = "db2v16m128"\nha = false\ndata_gb = 16\naudit = true',
        '[maintenance]\nenabled = true\nday = "MON"\nstart = "00:00"\nhours = 24',
        '[service]\nversion = "16"\nserver_prefix = "ced-1"',
        '[source]\nscale = 1\ndatabase = "한글 db"',
        '[ground]\nnetwork = "127.7.0.0/16"\npostgres = ["/opt/bin"]',
    ],
)
def test_what_the_rules_allow_is_taken(tmp_path: Path, line: str) -> None:
    _load(tmp_path, line)


@pytest.mark.parametrize(
    "password",
    ["short1!", "onlyletters!", "12345678!", "letters123", "with space1!", "quote'1!ab",
     'quote\\"1!ab', "가나다라마바사1!", "a1!" * 11],
)  # fmt: skip
def test_a_password_that_the_service_would_refuse_is_refused_and_not_shown(
    tmp_path: Path, password: str
) -> None:
    message = _fault(tmp_path, f'[service]\npassword = "{password}"\n')
    assert "naru.toml:2: service.password: this value is not allowed" in message
    assert password not in message


def test_settings_may_be_written_as_numbers_and_booleans(tmp_path: Path) -> None:
    spec = _load(
        tmp_path, "[service.settings]\nwork_mem = '8MB'\njit = false\nmax_wal_senders = 19"
    )
    assert spec.service.settings == {"work_mem": "8MB", "jit": "off", "max_wal_senders": "19"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("port", "1", "Naru sets it itself, because it says where the server is"),
        ("wal_level", "'minimal'", "replication and the election rest on it"),
        ("synchronous_commit", "'off'", "what is acknowledged must outlive a failure"),
        ("max_connections", "20", "20 is not allowed; allowed: a whole number from 25"),
        ("max_wal_senders", "'many'", "a whole number from 10"),
        ('"a b"', "1", "is not a name of a PostgreSQL setting"),
    ],
)
@pytest.mark.parametrize("table", ["service.settings", "parameter_group.reports"])
def test_a_setting_that_is_not_for_naru_toml_is_refused_with_the_reason(
    tmp_path: Path, table: str, name: str, value: str, words: str
) -> None:
    message = _fault(tmp_path, f"[{table}]\njit = true\n{name} = {value}\n")
    assert message.startswith(f"naru.toml:3: {table}.{name.strip(chr(34))}: ")
    assert words in message


def test_a_parameter_group_is_named_and_holds_settings(tmp_path: Path) -> None:
    text = "[service]\nparameter_group = 'reports'\n[parameter_group.reports]\njit = false\n"
    assert _load(tmp_path, text).parameter_group == {"reports": {"jit": "off"}}
    wrong = _fault(tmp_path, "[parameter_group.Reports]\njit = false\n")
    assert wrong.startswith("naru.toml:1: parameter_group.Reports: is not allowed as a name")


def test_without_ha_there_is_one_member_and_its_address_alone(tmp_path: Path) -> None:
    spec = _load(tmp_path, '[service]\nha = false\nfirst_member = "10.1.3.254"\n')
    assert spec.service.member_count == 1


def test_an_unknown_key_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    message = _fault(tmp_path, "[service]\n\nmembrs = 3\n")
    assert message == "naru.toml:3: service.membrs: is not known; did you mean members?"


def test_an_unknown_table_is_named_with_all_that_there_are(tmp_path: Path) -> None:
    message = _fault(tmp_path, "[zzz]\n")
    assert message.startswith("naru.toml:1: zzz: is not known; there are environment, ground")


def test_several_faults_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    message = _fault(tmp_path, "[traffic]\nport = 1\n[service]\nmembers = 9\nuser = 'A'\n")
    assert [line.split(": ")[0] for line in message.splitlines()] == [
        "naru.toml:2", "naru.toml:4", "naru.toml:5",
    ]  # fmt: skip


def test_an_element_of_a_list_is_named_on_its_own_line(tmp_path: Path) -> None:
    message = _fault(tmp_path, '[ground]\npostgres = [\n  "/a",\n  7,\n]\n')
    assert message.startswith("naru.toml:4: ground.postgres.1: 7 is not allowed")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    assert "naru.toml:1: service: 3 is not allowed; allowed: a table" in _fault(
        tmp_path, "service = 3"
    )


@pytest.mark.parametrize(
    ("text", "line", "taken"),
    [
        ('[service]\nhost = "10.1.3.31"\n', 2, "taken by source.host"),
        ('[traffic]\nhost = "10.1.3.42"\n', 2, "taken by service.first_member"),
        ('[service]\nmembers = 5\netcd_host = "10.1.3.45"\n', 3, "service.first_member"),
        ('[service]\nfirst_member = "10.1.3.254"\n', 2, "leave the subnet at 10.1.3.255"),
        ("[service]\nread_port = 2866\n", 2, "must differ from service.port"),
        ("[traffic]\nmax_clients = 5\n", 1, "may not be more than traffic.max_clients"),
    ],
)
def test_values_that_are_wrong_together_are_refused(
    tmp_path: Path, text: str, line: int, taken: str
) -> None:
    message = _fault(tmp_path, text)
    assert message.startswith(f"naru.toml:{line}: ")
    assert taken in message


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = \n", 2), ("[service\n", 1), ("x = 1\n\nx = 2\n", 3), ('a="', 1)]
)
def test_a_syntax_error_is_told_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    assert _fault(tmp_path, text).startswith(f"naru.toml:{line}: not TOML: ")


def test_a_file_that_is_not_there_or_not_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        load(tmp_path / "naru.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "naru.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(SpecError, match="not UTF-8 at byte 5"):
        load(tmp_path / "naru.toml")


def test_a_file_with_a_password_must_be_private(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="others may read it") as caught:
        _load(tmp_path, '[service]\npassword = "ceadmin123!"\n', mode=0o644)
    assert caught.value.remedy == f"chmod 600 {tmp_path}/naru.toml"


def test_the_spec_is_looked_for_in_the_folder_itself(tmp_path: Path) -> None:
    assert find_spec(tmp_path) is None
    (tmp_path / "naru.toml").write_text("")
    assert find_spec(tmp_path) == tmp_path / "naru.toml"
    assert find_spec(tmp_path / "below") is None


def test_a_spec_never_prints_its_password(tmp_path: Path) -> None:
    spec = _load(tmp_path, '[service]\npassword = "ceadmin123!"\n')
    assert "ceadmin" not in f"{spec!r} {spec}"
