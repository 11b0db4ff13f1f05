"""`openstack …`: python-openstackclient with otcextensions, unmodified, as a user types it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.service import ServiceUnderTest

OpenStack = Callable[..., subprocess.CompletedProcess[str]]


def openstack_of(service: ServiceUnderTest, home: Path) -> OpenStack:
    """What runs a command as the service's default user, who is named in a `clouds.yaml`."""
    keys = service.credentials
    cloud = {
        "auth": {
            "auth_url": f"{keys['endpoint']}/v3",
            "username": keys["user"],
            "password": keys["password"],
            "user_domain_name": keys["domain"],
            "project_name": keys["project_name"],
            "project_domain_name": keys["domain"],
        },
        "region_name": keys["region"],
        "identity_api_version": "3",
    }
    clouds = home / "clouds.yaml"
    clouds.write_text(json.dumps({"clouds": {"openrds": cloud}}))  # JSON is YAML
    return lambda *arguments, **options: _run(clouds, *arguments, **options)


def _run(clouds: Path, *arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHONWARNINGS"))
    }
    return subprocess.run(
        [sys.executable, "-m", "openstackclient.shell", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=clouds.parent,
        env={
            **kept,
            "HOME": str(clouds.parent),
            "OS_CLOUD": "openrds",
            "OS_CLIENT_CONFIG_FILE": str(clouds),
            **options,
        },
    )


def told(done: subprocess.CompletedProcess[str]) -> Any:
    """What a command that must succeed printed as JSON."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
