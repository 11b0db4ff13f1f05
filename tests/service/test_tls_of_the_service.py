"""A service whose API has a certificate, as its operator and its clients see it."""

import subprocess
from pathlib import Path

import httpx
import pytest

from support.api_certificate import ApiCertificate
from support.service import running_service


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ApiCertificate:
    return ApiCertificate(tmp_path_factory.mktemp("certificate"))


def test_clients_come_by_https(certificate: ApiCertificate) -> None:
    files = {"tls_cert": str(certificate.chain), "tls_key": str(certificate.key)}
    with running_service(True, **files) as service:
        assert service.endpoint.startswith("https://127.0.0.1:")
        command = [*service.command("instance", "list"), "--credentials", str(service.credentials_file)]

        untrusting = subprocess.run(command, check=False, capture_output=True, text=True)
        assert untrusting.returncode == 1
        assert f"The certificate of {service.endpoint} is not trusted" in untrusting.stderr
        assert "SSL_CERT_FILE" in untrusting.stderr

        environment = service.environment() | {"SSL_CERT_FILE": str(certificate.ca)}
        trusting = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert (trusting.returncode, trusting.stderr) == (0, "")

        with httpx.Client(verify=certificate.client(), base_url=service.endpoint) as client:
            links = [link["href"] for one in client.get("/").json()["versions"] for link in one["links"]]
            assert links
            assert all(link.startswith(service.endpoint) for link in links)

        with pytest.raises(httpx.HTTPError):
            httpx.get(service.endpoint.replace("https", "http") + "/healthz")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tls_cert": "/nowhere/api.crt"}, "tls_cert and tls_key go together"),
        ({"tls_cert": "/nowhere/api.crt", "tls_key": "/nowhere/api.key"}, "cannot be used: No such file"),
    ],
)
def test_what_cannot_be_used_stops_the_start(options: dict[str, str], said: str, tmp_path: Path) -> None:
    with running_service(False, **options) as service:
        command = service.command("serve", "--data-dir", str(service.data_dir))
        run = subprocess.run(
            command, check=False, capture_output=True, text=True, env=service.environment(), timeout=60
        )
        assert run.returncode != 0
        assert said in run.stderr
