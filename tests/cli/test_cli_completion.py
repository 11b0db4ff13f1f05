"""What a shell is told to offer."""

import subprocess

import pytest

from support.service import ServiceUnderTest


def offered(service: ServiceUnderTest, *words: str, **environment: str) -> list[str]:
    asked = {
        "_OPENRDS_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("openrds", *words)),
        "COMP_CWORD": str(len(words)),
    }
    run = subprocess.run(
        service.command(),
        check=False,
        capture_output=True,
        text=True,
        env=service.environment() | asked | environment,
        timeout=60,
    )
    return run.stdout.split()


@pytest.fixture(scope="module")
def named(service: ServiceUnderTest) -> str:
    service.create(name="complete-me")
    return str(service.credentials_file)


def test_names_of_instances_are_offered(service: ServiceUnderTest, named: str) -> None:
    assert "complete-me" in offered(service, "instance", "show", "com", OPENRDS_CREDENTIALS=named)
    assert offered(service, "instance", "show", "nothing-so", OPENRDS_CREDENTIALS=named) == []


def test_commands_are_offered_and_nothing_where_nobody_answers(service: ServiceUnderTest) -> None:
    assert "instance" in offered(service, "inst")
    assert offered(service, "instance", "show", "com", OPENRDS_CREDENTIALS="/nowhere.json") == []
