from pathlib import Path

import pytest
from cli_support import run, write_credentials

from openrds.cli.credentials import find_credentials, read_credentials
from openrds.cli.errors import UsageError


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """A credentials file for each place that may name one, known by its endpoint."""
    places = {}
    for place in ("flag", "dir-flag", "variable", "dir-variable"):
        places[place] = tmp_path / place
        places[place].mkdir()
        write_credentials(places[place], f"http://{place}")
    return places


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (("flag", "dir-flag", "variable", "dir-variable"), "flag"),
        (("dir-flag", "variable", "dir-variable"), "dir-flag"),
        (("variable", "dir-variable"), "variable"),
        (("dir-variable",), "dir-variable"),
    ],
)
def test_flags_go_before_the_environment_and_files_before_directories(folders, given, taken) -> None:
    environment = {}
    if "variable" in given:
        environment["OPENRDS_CREDENTIALS"] = str(folders["variable"] / "credentials.json")
    if "dir-variable" in given:
        environment["OPENRDS_DATA_DIR"] = str(folders["dir-variable"])
    file = folders["flag"] / "credentials.json" if "flag" in given else None
    data_dir = folders["dir-flag"] if "dir-flag" in given else None
    assert find_credentials(file, data_dir, environment).endpoint == f"http://{taken}"


def test_an_empty_variable_names_nothing() -> None:
    with pytest.raises(UsageError, match="--credentials FILE or --data-dir DIR"):
        find_credentials(None, None, {"OPENRDS_CREDENTIALS": "", "OPENRDS_DATA_DIR": ""})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no credentials file"),
        ("{", "is not JSON"),
        ("[]", "lacks endpoint, region, project_id, access_key, secret_key"),
        (
            '{"endpoint": "http://x", "region": 1, "project_id": "p", "access_key": "a"}',
            "lacks region, secret_key",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(tmp_path: Path, content, said) -> None:
    file = tmp_path / "credentials.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=said):
        read_credentials(file)


def test_the_secret_key_is_not_shown(tmp_path: Path) -> None:
    credentials = read_credentials(write_credentials(tmp_path, "http://x/", secret_key="hidden"))
    assert "hidden" not in repr(credentials)
    assert credentials.endpoint == "http://x"


def test_a_command_without_credentials_is_a_usage_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENRDS_CREDENTIALS", raising=False)
    monkeypatch.delenv("OPENRDS_DATA_DIR", raising=False)
    result = run("instance", "list")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("openrds: No credentials: ")
