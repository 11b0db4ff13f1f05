"""The projects of the service and the keys to them: made once, kept in the store and in the data directory."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from openrds.domain.identity import (
    Account,
    Accounts,
    Project,
    hash_password,
    new_access_key,
    new_id,
    new_password,
    new_secret_key,
)
from openrds.domain.settings import Settings
from openrds.service.endpoint import endpoint_of
from openrds.store.database import Row, Store, Writer
from openrds.store.queries import Queries

_sql = Queries("identities")

_DOMAIN = "openrds"


class KeysError(Exception):
    """The keys of the settings cannot be those of the default project; the message says why."""


@dataclass(frozen=True)
class Credentials:
    """What `credentials.json` holds: all that a client needs."""

    endpoint: str
    region: str
    project_id: str
    project_name: str
    domain: str
    access_key: str
    secret_key: str
    user: str
    password: str


def load_accounts(store: Store) -> Accounts:
    return Accounts(_account(row) for row in store.rows(_sql.accounts))


def ensure_accounts(store: Store, settings: Settings) -> None:
    """See that each project of the settings exists, and that a file holds its credentials.

    Raises:
        KeysError: the keys of the settings cannot be those of the default project.
    """
    with store.transaction() as connection:
        connection.execute(_sql.lock_projects)
        for number, name in enumerate(settings.project_names):
            _ensure(connection, settings, name, is_default=number == 0)


def credentials_file(data_dir: Path, project_name: str, *, is_default: bool) -> Path:
    return data_dir / ("credentials.json" if is_default else f"credentials-{project_name}.json")


def _ensure(connection: Writer, settings: Settings, name: str, *, is_default: bool) -> None:
    file = credentials_file(settings.data_dir, name, is_default=is_default)
    kept = msgspec.json.decode(file.read_bytes(), type=Credentials) if file.is_file() else None
    row = connection.execute(_sql.account_of_project, [name]).fetchone()
    # The file and the store may each outlive the other; whoever is left says what the keys are.
    known = kept if kept is not None and (row is None or row["access_key"] == kept.access_key) else None
    wanted = known or _credentials(settings, name, row, is_default=is_default)
    if is_default:
        wanted = _with_fixed_keys(wanted, settings)
    if row is None:
        _insert(connection, wanted)
    else:
        _update(connection, row, wanted, new_password=known is None or known.password != wanted.password)
    _write(file, replace(wanted, endpoint=endpoint_of(settings), region=settings.region))


def _with_fixed_keys(credentials: Credentials, settings: Settings) -> Credentials:
    """What settings say of the default project goes before what was made up."""
    fixed = {
        "project_id": settings.project_id,
        "access_key": settings.access_key,
        "secret_key": settings.secret_key,
        "password": settings.admin_password,
    }
    return replace(credentials, **{name: value for name, value in fixed.items() if value})


def _update(connection: Writer, row: Row, wanted: Credentials, *, new_password: bool) -> None:
    """
    Raises:
        KeysError: the project has another id, which its instances are known by.
    """
    project_id = row["project_id"]
    if wanted.project_id != project_id:
        raise KeysError(
            f"The project {wanted.project_name} has the id {project_id} already, which cannot be changed: "
            "correct the setting project_id, or leave it out."
        )
    if (row["access_key"], row["secret_key"]) != (wanted.access_key, wanted.secret_key):
        _require_free(connection, wanted)
        connection.execute(
            _sql.set_keys,
            {"access_key": wanted.access_key, "secret_key": wanted.secret_key, "project_id": project_id},
        )
    if new_password:
        hashed = hash_password(wanted.password)
        connection.execute(_sql.set_password_hash, {"password_hash": hashed, "project_id": project_id})


def _require_free(connection: Writer, wanted: Credentials) -> None:
    """
    Raises:
        KeysError: the access key is another project's.
    """
    found = connection.execute(_sql.project_with_access_key, [wanted.access_key]).fetchone()
    if found is not None and found["name"] != wanted.project_name:
        raise KeysError(f"The access key of the settings is that of project {found['name']}; choose another.")


def _credentials(settings: Settings, name: str, row: Row | None, *, is_default: bool) -> Credentials:
    known = row or {}
    return Credentials(
        endpoint="",
        region=settings.region,
        project_id=known.get("project_id") or new_id(),
        project_name=name,
        domain=_DOMAIN,
        access_key=known.get("access_key") or new_access_key(),
        secret_key=known.get("secret_key") or new_secret_key(),
        user=known.get("user_name") or ("admin" if is_default else f"admin-{name}"),
        password=new_password(),
    )


def _insert(connection: Writer, credentials: Credentials) -> None:
    _require_free(connection, credentials)
    domain = connection.execute(_sql.domain).fetchone()
    connection.execute(
        _sql.insert_project,
        {
            "id": credentials.project_id,
            "name": credentials.project_name,
            "domain_id": domain["domain_id"] if domain else new_id(),
            "domain_name": credentials.domain,
        },
    )
    connection.execute(
        _sql.insert_account,
        {
            "access_key": credentials.access_key,
            "secret_key": credentials.secret_key,
            "user_id": new_id(),
            "user_name": credentials.user,
            "password_hash": hash_password(credentials.password),
            "project_id": credentials.project_id,
        },
    )


def _write(file: Path, credentials: Credentials) -> None:
    text = msgspec.json.format(msgspec.json.encode(credentials), indent=2) + b"\n"
    unfinished = file.with_suffix(".tmp")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(text)
        output.flush()
        os.fsync(output.fileno())
    unfinished.replace(file)


def _account(row: Row) -> Account:
    return Account(
        access_key=row["access_key"],
        secret_key=row["secret_key"],
        user_id=row["user_id"],
        user_name=row["user_name"],
        password_hash=row["password_hash"],
        project=Project(row["project_id"], row["project_name"], row["domain_id"], row["domain_name"]),
    )
