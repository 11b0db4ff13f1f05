"""What clients are to trust when they come to instances. Source: reads.md 9, SDK `list_ssl_cert_download_link`."""

from functools import cache
from pathlib import Path

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from openrds.api.cloud.iam import base_url, settings_of
from openrds.api.rds.instance_reads import find_instance
from openrds.api.refusals import refusals
from openrds.api.state import ApiRequest

_CA_PATH = "/ca.crt"
#: The contract's word for what is not of China's own algorithms.
_CATEGORY = "international"


class CertInfo(msgspec.Struct):
    download_link: str
    category: str


class CertLinksAnswer(msgspec.Struct):
    cert_info_list: list[CertInfo]


@get(
    "/v3/{project_id:str}/instances/{instance_id:str}/ssl-cert/download-link",
    responses=refusals(instance=True),
    tags=["Instances"],
)
async def list_cert_links(
    request: ApiRequest, project_id: FromPath[str], instance_id: FromPath[str]
) -> CertLinksAnswer:
    """Where the CA certificate is with which clients verify the instance. Whoever has the link needs no key."""
    await find_instance(request, project_id, instance_id)
    return CertLinksAnswer([CertInfo(base_url(request) + _CA_PATH, _CATEGORY)])


@get(
    _CA_PATH,
    opt={"public": True},
    media_type=MediaType.TEXT,
    responses=refusals(public=True),
    tags=["Extensions"],
)
async def get_ca(request: Request[None, None, State]) -> Response[str]:
    """The CA certificate with which clients verify instances, as PEM, for anybody: an extension of openrds."""
    pem = _read(settings_of(request).ca_file)
    return Response(pem, headers={"content-disposition": 'attachment; filename="openrds-ca.crt"'})


@cache
def _read(path: Path) -> str:
    """Once: the service writes it before it answers anybody."""
    return path.read_text()


HANDLERS = [list_cert_links, get_ca]
