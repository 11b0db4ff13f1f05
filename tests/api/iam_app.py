"""A small application with authentication, errors, IAM and network look-ups, and two accounts."""

import datetime as dt
from pathlib import Path
from urllib.parse import urlsplit

from litestar import Litestar
from litestar.datastructures import State
from litestar.middleware import DefineMiddleware

from openrds.api.access.authentication import MAX_BODY_BYTES, AuthenticationMiddleware, Authenticator
from openrds.api.access.sign_ins import SignIns
from openrds.api.cloud.iam import iam_router
from openrds.api.cloud.network import network_router
from openrds.api.cloud.versions import versions_router
from openrds.api.errors import EXCEPTION_HANDLERS, add_request_id
from openrds.domain.identity import Account, Accounts, Project, hash_password
from openrds.domain.settings import Settings
from openrds.domain.signature import SignedRequest, sign

NOW = dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
BASE = "http://127.0.0.1:8082"
PASSWORD = "correct horse"
PASSWORD_HASH = hash_password(PASSWORD)
PROJECT = Project("0483b6b16e954cb88930a360d2c4e663", "local-1", "d0" * 16, "openrds")
OTHER_PROJECT = Project("1483b6b16e954cb88930a360d2c4e663", "second", "d0" * 16, "openrds")
ACCOUNT = Account(
    "EXAMPLEACCESSKEY0001",
    "ExampleSecretKeyForTestVectorOnly0000001",
    "a0" * 16,
    "admin",
    PASSWORD_HASH,
    PROJECT,
)
OTHER = Account(
    "EXAMPLEACCESSKEY0002",
    "ExampleSecretKeyForTestVectorOnly0000002",
    "a0" * 16,
    "admin",
    PASSWORD_HASH,
    OTHER_PROJECT,
)
ACCOUNTS = Accounts([ACCOUNT, OTHER])
SETTINGS = Settings(data_dir=Path("/nonexistent"))


class FakeClock:
    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


def build(*handlers, clock=None):
    clock = clock or FakeClock()
    authenticator = Authenticator(ACCOUNTS, clock)
    state = {"settings": SETTINGS, "authenticator": authenticator, "sign_ins": SignIns(clock)}
    return Litestar(
        [*handlers, iam_router(), network_router(), versions_router()],
        middleware=[DefineMiddleware(AuthenticationMiddleware, authenticator=authenticator)],
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[add_request_id],
        state=State(state),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )


def signed_headers(method, path, body=b"", account=ACCOUNT, now=NOW, **headers):
    """`headers` with `_` for `-`."""
    return sign(
        method,
        BASE + path,
        {name.replace("_", "-"): value for name, value in headers.items()},
        body,
        access_key=account.access_key,
        secret_key=account.secret_key,
        now=now,
    )


def signed(method, path, body=b"", account=ACCOUNT, now=NOW, **headers):
    sent = signed_headers(method, path, body, account, now, **headers)
    parts = urlsplit(path)
    return SignedRequest(
        method, parts.path, parts.query, {name: (value,) for name, value in sent.items()}, body
    )
