"""Settings: where they come from, which of them wins, and what is wrong with the others."""

from pathlib import Path
from typing import Any

import pytest

from openrds.domain.settings import Settings
from openrds.service.configuration import ConfigurationError, load

HERE = Path("/nowhere/openrds")


def test_defaults() -> None:
    assert load({"data_dir": HERE}, environment={}) == Settings(data_dir=HERE)


def test_flags_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('listen = "127.0.0.1:1"\nregion = "file"\nhost = "file"\nlog_level = "DEBUG"\n')
    environment = {"OPENRDS_LISTEN": "127.0.0.1:2", "OPENRDS_REGION": "environment", "OTHER": "x"}
    settings = load({"data_dir": HERE, "listen": "127.0.0.1:3", "region": None}, file, environment)
    assert settings.listen == "127.0.0.1:3"
    assert settings.region == "environment"
    assert settings.host == "file"
    assert settings.log_level == "DEBUG"
    assert settings.instance_quota == Settings(HERE).instance_quota


@pytest.mark.parametrize("by_flag", [True, False])
def test_the_file_in_the_data_directory_is_found(tmp_path: Path, by_flag: bool) -> None:
    (tmp_path / "openrds.toml").write_text('region = "home"\nprojects = ["home", "away"]\n')
    flags, environment = {"data_dir": tmp_path}, {"OPENRDS_DATA_DIR": str(tmp_path)}
    settings = load(flags, environment={}) if by_flag else load({}, environment=environment)
    assert settings.data_dir == tmp_path
    assert settings.project_names == ("home", "away")


def test_the_environment_is_text() -> None:
    settings = load(
        {},
        environment={
            "OPENRDS_DATA_DIR": str(HERE),
            "OPENRDS_AVAILABILITY_ZONES": "local-1a, local-1b,",
            "OPENRDS_ENGINE_DIRS": "/opt/one,/opt/two",
            "OPENRDS_INSTANCE_QUOTA": "7",
            "OPENRDS_HEARTBEAT_INTERVAL": "0.5",
        },
    )
    assert settings.availability_zones == ("local-1a", "local-1b")
    assert settings.engine_dirs == (Path("/opt/one"), Path("/opt/two"))
    assert settings.instance_quota == 7
    assert settings.heartbeat_interval == 0.5


def test_a_relative_data_directory_is_of_the_current_one(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({"data_dir": Path("data")}, environment={}).data_dir == tmp_path / "data"


def test_the_region_names_the_default_project() -> None:
    assert load({"data_dir": HERE, "region": "mars-1"}, environment={}).project_names == ("mars-1",)


def test_copies_may_be_in_another_storage_with_a_bucket_of_the_same_name() -> None:
    given = {
        "BACKUP_REPOSITORY": "s3://one/a",
        "BACKUP_COPIES": "s3://one/a",
        "BACKUP_COPIES_OPTIONS": "/etc/copies.toml",
    }
    settings = load({"data_dir": HERE}, environment={f"OPENRDS_{name}": given[name] for name in given})
    assert settings.backup_copies == "s3://one/a"


def test_there_must_be_a_data_directory() -> None:
    with pytest.raises(ConfigurationError, match="give --data-dir or set OPENRDS_DATA_DIR"):
        load({}, environment={})
    with pytest.raises(ConfigurationError, match="give --data-dir or set OPENRDS_DATA_DIR"):
        load({}, environment={"OPENRDS_DATA_DIR": ""})


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"LISTEN": "8082"}, "listen must be HOST:PORT, not '8082'"),
        ({"LISTEN": ":8082"}, "listen must be HOST:PORT"),
        ({"LISTEN": "127.0.0.1:http"}, "listen must be HOST:PORT"),
        ({"LISTEN": "127.0.0.1:65536"}, "listen must be HOST:PORT"),
        ({"LISTEN": "127.0.0.1:0"}, "listen must be HOST:PORT"),
        ({"AVAILABILITY_ZONES": ""}, "availability_zones must have at least one"),
        ({"INSTANCE_QUOTA": "many"}, "instance_quota"),
        ({"MAX_CONNECTIONS": "0"}, "max_connections must be above 0"),
        ({"MAX_CONNECTIONS_PER_ADDRESS": "-1"}, "max_connections_per_address must be above 0"),
        ({"REQUEST_TIMEOUT": "0"}, "request_timeout must be above 0"),
        ({"TRUSTED_PROXIES": "10.0.0.1,proxy"}, "trusted_proxies must be addresses: 'proxy'"),
        ({"WORKER_TIMEOUT": "soon"}, "worker_timeout"),
        (
            {"PRIVATE_CIDR": "127.64.0.1/16"},
            "private_cidr must be an IPv4 network: 127.64.0.1/16 has host bits set",
        ),
        ({"PRIVATE_CIDR": "10.0.0.0/33"}, "private_cidr must be an IPv4 network"),
        ({"PRIVATE_CIDR": "::1/128"}, "private_cidr must be an IPv4 network"),
        *(
            ({"DNS_LISTEN": text}, "dns_listen must be an IPv4 address and a port")
            for text in (
                "53",
                ":53",
                "10.0.0.1",
                "10.0.0.1:",
                "10.0.0.1:0",
                "10.0.0.1:65536",
                "[::1]:53",
                "ns.test:53",
            )
        ),
        *(
            ({"DNS_ZONE": text}, "dns_zone must be a DNS name of at most 189 characters in lower case")
            for text in (
                "",
                ".",
                "rds.internal.",
                "RDS.internal",
                "-a.test",
                "a..b",
                "10.0",
                "a_b.test",
                "a." * 95 + "b",
            )
        ),
        ({"PUBLIC_CIDR": "everywhere"}, "public_cidr must be an IPv4 network"),
        *(
            ({"OS_UIDS": text}, "os_uids must be FIRST-LAST, two or more ids from 1000 on")
            for text in ("1000", "999-2000", "2000-1000", "2000-2000", "1000-4294967295", "٢٠٠٠-٣٠٠٠", "a-b")
        ),
        ({"FORWARDING": "magic"}, "forwarding must be one of auto, nftables, haproxy, none, not 'magic'"),
        ({"LOG_LEVEL": "LOUD"}, "log_level"),
        ({"WORKER_CONCURRENCY": "0"}, "worker_concurrency"),
        ({"INSTANCE_QUOTA": "-1"}, "instance_quota"),
        ({"SPARE_DATA_DIRS": "-1"}, "spare_data_dirs"),
        ({"MONITOR_INTERVAL": "0"}, "monitor_interval"),
        ({"HANG_TIMEOUT": "-1"}, "hang_timeout"),
        ({"WORKER_TIMEOUT": "1", "HEARTBEAT_INTERVAL": "2"}, "worker_timeout"),
        ({"PROJECTS": "one,two,one"}, "projects"),
        ({"PROJECTS": "../escape"}, "projects"),
        ({"BACKUP_COPIES": "file:///srv/copies"}, "backup_copies needs backup_repository"),
        (
            {"BACKUP_REPOSITORY": "s3://one", "BACKUP_COPIES": "copies"},
            "backup_copies: The backup repository",
        ),
        *(
            ({"BACKUP_REPOSITORY": first, "BACKUP_COPIES": copies}, "backup_copies must be another place")
            for first, copies in (
                ("s3://one/a", "s3://one/a/"),
                ("s3://one", "s3://one/a"),
                ("file:///srv/a", "file:///srv"),
                ("file:///srv/a", "file:///srv/b/../a"),
            )
        ),
        ({"BACKUP_COPIES_DELAY": "60"}, "backup_copies_delay must be 3600 to"),
        ({"BACKUP_COPIES_DELAY": "nan"}, "backup_copies_delay must be 3600 to"),
        ({"BACKUP_COPIES_RATE": "-1"}, "backup_copies_rate must not be negative"),
    ],
)
def test_a_wrong_value_is_named(environment: dict[str, str], said: str) -> None:
    given = {"OPENRDS_DATA_DIR": str(HERE), **{f"OPENRDS_{name}": text for name, text in environment.items()}}
    with pytest.raises(ConfigurationError) as refused:
        load({}, environment=given)
    assert str(refused.value).startswith("A setting is wrong: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('lissten = "127.0.0.1:1"', "there is no setting lissten"),
        ("listen = ", "cannot be read"),
        ("instance_quota = 1.5", "instance_quota"),
        ('availability_zones = "local-1a"', "availability_zones"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "some.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load({"data_dir": HERE}, file, environment={})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read: .*No such file"):
        load({"data_dir": HERE}, tmp_path / "none.toml", environment={})
