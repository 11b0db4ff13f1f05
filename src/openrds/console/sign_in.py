"""Signing in and out: the project's user and password, checked and bounded as `POST /v3/auth/tokens` has it."""

import re
from typing import Any

from litestar import Response, get, post

from openrds.api.cloud.iam import accounts_by_password
from openrds.api.cloud.iam_bodies import UserRef
from openrds.api.state import ApiRequest
from openrds.console.forms import fields_of, text_in
from openrds.console.guard import OPEN
from openrds.console.pages import render, see_other
from openrds.console.sessions import AnyRequest, cookie_name, cookie_of, session_of, sessions_of
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.identity import Account

_OWN_PATH = re.compile(r"/console(/[A-Za-z0-9_-]+)*", re.ASCII)


@get("/sign-in", opt=OPEN, sync_to_thread=False)
def show_sign_in(request: AnyRequest) -> Response[str]:
    cookie_of(request, "")  # refused where nobody could sign in
    return _form(request, request.query_params.get("next", ""))


@post("/sign-in", opt=OPEN)
async def sign_in(request: AnyRequest) -> Response[Any]:
    """A session with a new id, whatever cookie came; the one that came ends."""
    cookie_of(request, "")
    fields = await fields_of(request)
    next_, user, project = (text_in(fields, name) for name in ("next", "user", "project"))
    try:
        accounts = await accounts_by_password(
            UserRef(name=user, password=text_in(fields, "password")), request
        )
        account = _choose(accounts, project)
    except Refusal as refusal:
        return _form(request, next_, user, project, str(refusal), refusal.error.status)
    sessions = sessions_of(request)
    earlier = await sessions.find(request.cookies.get(cookie_name(request), ""))
    if earlier is not None:
        await sessions.end(earlier)
    session = await sessions.begin(account)
    response = see_other(next_ if _OWN_PATH.fullmatch(next_) else "/console")
    response.cookies = [cookie_of(request, session.id)]
    return response


@post("/sign-out")
async def sign_out(request: ApiRequest) -> Response[Any]:
    await fields_of(request, session_of(request))
    await sessions_of(request).end(session_of(request))
    response = see_other("/console/sign-in")
    response.cookies = [cookie_of(request, "")]
    return response


def _choose(accounts: list[Account], project: str) -> Account:
    for account in sorted(accounts, key=lambda one: one.project.name):
        if project in ("", account.project.name):
            return account
    raise Refusal(ErrorCode.UNAUTHENTICATED, f"The user has no role in the project {project}.")


def _form(
    request: AnyRequest, next_: str, user: str = "", project: str = "", wrong: str = "", status: int = 200
) -> Response[str]:
    values = {"next": next_, "user": user, "project": project, "wrong": wrong}
    return render(request, "sign_in.html", values, status)


HANDLERS = [show_sign_in, sign_in, sign_out]
