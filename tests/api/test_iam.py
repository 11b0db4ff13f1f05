import datetime as dt

import pytest
from iam_app import (
    ACCOUNT,
    ACCOUNTS,
    BASE,
    NOW,
    OTHER_PROJECT,
    PASSWORD,
    PROJECT,
    FakeClock,
    build,
    signed_headers,
)
from litestar.testing import TestClient

from openrds.domain.identity import TokenScope, issue_token, read_token


@pytest.fixture(scope="module")
def client():
    with TestClient(build(clock=FakeClock()), base_url=BASE) as client:
        yield client


def fetch(client, path):
    answer = client.get(path, headers=signed_headers("GET", path))
    assert answer.status_code == 200, answer.text
    return answer.json()


BY_NAME = {"name": "admin", "domain": {"name": "openrds"}, "password": PASSWORD}


def ask(client, user=None, scope=None, path="/v3/auth/tokens", identity=None):
    identity = identity or {"methods": ["password"], "password": {"user": user or BY_NAME}}
    auth = {"identity": identity} | ({"scope": scope} if scope is not None else {})
    return client.post(path, json={"auth": auth})


def test_version_discovery(client):
    body = client.get("/v3").json()
    assert body["version"]["id"].startswith("v3.")
    assert body["version"]["links"] == [{"rel": "self", "href": f"{BASE}/v3/"}]
    assert client.get("/v3/").json() == body


@pytest.mark.parametrize(
    "user",
    [
        BY_NAME,
        {"name": "admin", "domain": {"id": PROJECT.domain_id}, "password": PASSWORD},
        {"id": ACCOUNT.user_id, "password": PASSWORD},
        {"name": "admin", "password": PASSWORD},
    ],
)
@pytest.mark.parametrize(
    "scope",
    [
        {"project": {"id": PROJECT.id}},
        {"project": {"name": "local-1"}},
        {"project": {"name": "local-1", "domain": {"name": "openrds"}}},
        {"project": {"name": "local-1", "domain": {"id": PROJECT.domain_id}}},
    ],
)
def test_project_tokens(client, user, scope):
    answer = ask(client, user, scope)
    assert answer.status_code == 201
    token = read_token(answer.headers["x-subject-token"], ACCOUNTS, NOW)
    assert (token.account, token.scope) == (ACCOUNT, TokenScope.PROJECT)
    domain = {"id": PROJECT.domain_id, "name": "openrds"}
    body = answer.json()["token"]
    assert body["methods"] == ["password"]
    assert body["issued_at"] == "2026-02-03T04:05:06.000000Z"
    assert body["expires_at"] == "2026-02-04T04:05:06.000000Z"
    assert body["project"] == {"id": PROJECT.id, "name": "local-1", "domain": domain}
    assert body["user"] == {"id": ACCOUNT.user_id, "name": "admin", "domain": domain}
    assert [role["name"] for role in body["roles"]] == ["rds_adm"]


def test_the_catalog(client):
    catalog = ask(client, scope={"project": {"id": PROJECT.id}}).json()["token"]["catalog"]
    assert {entry["type"]: entry["endpoints"][0]["url"] for entry in catalog} == {
        "identity": f"{BASE}/v3",
        "rdsv3": f"{BASE}/v3/{PROJECT.id}",
        "network": BASE,
        "vpc": f"{BASE}/v1/{PROJECT.id}",
        "compute": f"{BASE}/v2.1/{PROJECT.id}",
    }
    endpoint = catalog[0]["endpoints"][0]
    assert (endpoint["interface"], endpoint["region"], endpoint["region_id"]) == (
        "public",
        "local-1",
        "local-1",
    )
    assert fetch(client, "/v3/auth/catalog")["catalog"] == catalog


def test_urls_follow_the_host_header(client):
    answer = client.get("/v3", headers={"host": "rds.example.org"})
    assert answer.json()["version"]["links"][0]["href"] == "http://rds.example.org/v3/"


def test_no_catalog(client):
    answer = ask(client, scope={"project": {"id": PROJECT.id}}, path="/v3/auth/tokens?nocatalog")
    assert "catalog" not in answer.json()["token"]


def test_the_second_project_of_a_user(client):
    answer = ask(client, scope={"project": {"name": "second"}})
    assert answer.json()["token"]["project"]["id"] == OTHER_PROJECT.id


@pytest.mark.parametrize("scope", [{"domain": {"name": "openrds"}}, {"domain": {"id": PROJECT.domain_id}}])
def test_domain_tokens(client, scope):
    body = ask(client, scope=scope).json()["token"]
    assert body["domain"] == {"id": PROJECT.domain_id, "name": "openrds"}
    assert "project" not in body


@pytest.mark.parametrize("scope", [None, "unscoped"])
def test_unscoped_tokens(client, scope):
    answer = ask(client, scope=scope)
    assert read_token(answer.headers["x-subject-token"], ACCOUNTS, NOW).scope is TokenScope.NONE
    assert not {"project", "domain", "catalog", "roles"} & set(answer.json()["token"])


def test_a_token_buys_a_token(client):
    unscoped = issue_token(ACCOUNT, NOW, TokenScope.NONE)
    identity = {"methods": ["token"], "token": {"id": unscoped}}
    answer = ask(client, identity=identity, scope={"project": {"id": PROJECT.id}})
    assert answer.status_code == 201
    assert answer.json()["token"]["project"]["id"] == PROJECT.id


PROJECT_SCOPE = {"project": {"id": PROJECT.id}}
WRONG = [
    ({"user": {**BY_NAME, "password": "x"}}, "The username or password is wrong."),
    ({"user": {**BY_NAME, "name": "nobody"}}, "The username or password is wrong."),
    ({"user": {**BY_NAME, "domain": {"name": "x"}}}, "The username or password is wrong."),
    ({"user": {**BY_NAME, "domain": {"id": "x"}}}, "The username or password is wrong."),
    ({"user": {"id": "x", "password": PASSWORD}}, "The username or password is wrong."),
    ({"scope": {"project": {"id": "x"}}}, "The user has no role in the scope"),
    ({"scope": {"project": {"name": "x"}}}, "The user has no role in the scope"),
    (
        {"scope": {"project": {"name": "local-1", "domain": {"name": "x"}}}},
        "The user has no role in the scope",
    ),
    ({"scope": {"domain": {"name": "x"}}}, "The user has no role in the scope"),
    ({"scope": {}}, "The user has no role in the scope"),
    ({"identity": {"methods": ["token"], "token": {"id": "x"}}}, "decrypt token fail"),
    ({"identity": {"methods": ["hw_assume_role"]}}, "methods ['hw_assume_role'] are not supported"),
    ({"identity": {"methods": ["password"]}}, "methods ['password'] are not supported or lack their object"),
]


@pytest.mark.parametrize(("change", "reason"), WRONG)
def test_wrong_credentials_are_told_in_both_vocabularies(client, change, reason):
    answer = ask(client, **{"scope": PROJECT_SCOPE, **change})
    body = answer.json()
    assert answer.status_code == 401
    assert body["error_code"] == "APIGW.0301"
    assert body["error_msg"].startswith(f"Incorrect IAM authentication information: {reason}")
    assert body["error"] == {"code": 401, "message": body["error_msg"], "title": "Unauthorized"}
    assert "x-subject-token" not in answer.headers


def test_malformed_token_requests(client):
    answer = client.post("/v3/auth/tokens", json={"auth": {"identity": {"methods": "password"}}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400)
    assert answer.json()["error_msg"] == "auth.identity.methods: Expected `array`, got `str`"


def test_validate_a_token(client):
    token = issue_token(ACCOUNT, NOW)
    headers = {"X-Auth-Token": token, "X-Subject-Token": token}
    answer = client.get("/v3/auth/tokens", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["x-subject-token"] == token
    assert answer.json()["token"]["project"]["id"] == PROJECT.id
    answer = client.get("/v3/auth/tokens", headers={**headers, "X-Subject-Token": "x"})
    assert answer.status_code == 401


def test_projects(client):
    body = fetch(client, "/v3/projects?name=local-1")
    (project,) = body["projects"]
    assert (project["id"], project["name"], project["domain_id"]) == (
        PROJECT.id,
        "local-1",
        PROJECT.domain_id,
    )
    assert (project["enabled"], project["is_domain"]) == (True, False)
    assert body["links"] == {"self": f"{BASE}/v3/projects", "next": None, "previous": None}
    assert fetch(client, "/v3/projects")["projects"] == [project]
    assert fetch(client, "/v3/projects?name=other")["projects"] == []
    assert [found["name"] for found in fetch(client, "/v3/auth/projects")["projects"]] == [
        "local-1",
        "second",
    ]


def test_domains_and_users(client):
    (domain,) = fetch(client, "/v3/auth/domains")["domains"]
    assert (domain["id"], domain["name"], domain["enabled"]) == (PROJECT.domain_id, "openrds", True)
    (user,) = fetch(client, "/v3/users?name=admin")["users"]
    assert (user["id"], user["name"], user["domain_id"]) == (ACCOUNT.user_id, "admin", PROJECT.domain_id)
    assert fetch(client, "/v3/users?name=x")["users"] == []


def test_regions(client):
    (region,) = fetch(client, "/v3/regions")["regions"]
    assert region["id"] == "local-1"
    assert fetch(client, "/v3/regions/local-1") == {"region": region}
    path = "/v3/regions/x"
    answer = client.get(path, headers=signed_headers("GET", path))
    assert (answer.status_code, answer.json()["error"]["title"]) == (404, "Not Found")
    assert answer.json()["error_msg"] == "The region x does not exist."


@pytest.mark.parametrize(
    "path", ["projects", "auth/projects", "auth/domains", "auth/catalog", "auth/tokens", "users", "regions"]
)
def test_look_ups_need_a_caller(client, path):
    answer = client.get(f"/v3/{path}")
    assert answer.status_code == 401
    assert answer.json()["error"]["title"] == "Unauthorized"


@pytest.fixture
def fresh_client():
    """Nobody has guessed there yet."""
    with TestClient(build(clock=FakeClock()), base_url=BASE) as client:
        yield client


def test_guesses_are_counted_for_a_user_and_an_address(fresh_client):
    wrong = {**BY_NAME, "password": "wrong"}
    assert [ask(fresh_client, wrong).status_code for _ in range(7)] == [401] * 6 + [429]
    answer = ask(fresh_client)
    assert (answer.status_code, answer.json()["error_code"]) == (429, "APIGW.0308")
    assert answer.json()["error"]["code"] == 429
    by_id = {"id": ACCOUNT.user_id, "password": PASSWORD}
    assert ask(fresh_client, by_id).status_code == 201


def test_a_renewed_token_keeps_its_expiry(client):
    first = ask(client, scope={"project": {"id": PROJECT.id}})
    value = first.headers["x-subject-token"]
    clock = client.app.state.authenticator.clock
    begun = clock.now
    try:
        for hours in (10, 20):
            clock.now = begun + dt.timedelta(hours=hours)
            identity = {"methods": ["token"], "token": {"id": value}}
            renewed = ask(client, scope={"project": {"id": PROJECT.id}}, identity=identity)
            assert renewed.json()["token"]["expires_at"] == first.json()["token"]["expires_at"]
            value = renewed.headers["x-subject-token"]
        clock.now = begun + dt.timedelta(hours=24)
        identity = {"methods": ["token"], "token": {"id": value}}
        assert ask(client, identity=identity).status_code == 401
    finally:
        clock.now = begun


def test_a_sign_in_is_short(client):
    padded = {**BY_NAME, "padding": "x" * 20_000}
    assert ask(client, padded).status_code == 413
