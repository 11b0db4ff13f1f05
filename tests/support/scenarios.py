"""For each operation: how it comes to be asked for, and what must hold when it has succeeded or failed.

A new operation needs an entry here, and gets the five proofs with it.
"""

import datetime as dt
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import pytest

from openrds.domain.accounts import Page
from openrds.domain.engine import RULES, EngineName
from openrds.domain.instance import InstanceStatus
from openrds.domain.network import public_addresses
from openrds.domain.parameters import Parameter, by_name
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import Installation
from openrds.engines.registry import fetched_dir
from openrds.hosts.addresses import is_answering
from openrds.hosts.processes import wait_until
from openrds.operations.accounts import change_access, users
from openrds.operations.backups import (
    back_up,
    restore_databases,
    restore_instance,
    restore_lost_instance,
    restore_new_instance,
    restore_tables,
)
from openrds.operations.instances import (
    create_instance,
    delete_instance,
    enlarge_volume,
    freeze_instance,
    recycle_policy,
    remote_connection,
    reset_password,
    resize_flavor,
    restart_instance,
    set_read_only,
    start_instance,
    stop_instance,
    unfreeze_instance,
)
from openrds.operations.intake.create_request import CreateInstance, Datastore, Ha
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.restore_source import RestoreSource, milliseconds
from openrds.operations.network import (
    bind_public_address,
    change_address,
    change_dns_name,
    change_port,
    change_security_group,
    security_groups,
    switch_ssl,
    unbind_public_address,
)
from openrds.operations.pairs import (
    create_replica,
    rebuild_standby,
    replication_mode,
    single_to_ha,
    switchover,
)
from openrds.operations.parameters import change_parameters
from openrds.operations.rounds.repository_backups import send_backups
from openrds.operations.rounds.repository_logs import LogSending
from openrds.operations.upgrades import inspect_upgrade, upgrade_major, upgrade_minor
from openrds.repository.records import InstanceRecord
from openrds.service.worker_process import register_host
from openrds.store.queries import Queries
from support.dialects import Session
from support.workbench import PASSWORD, Workbench

NEW_PASSWORD = "An0ther-Secret"
#: Sizes, and the size that instances have who were not told of another.
SMALL, LARGE = "medium.2", "large.2"
#: Of the servers that say that they are newer.
NEWER_MINOR = "99"


@dataclass(frozen=True)
class Scenario:
    """`prepare` gives the instance that the operation runs on, if it needs one; `submit` asks for the operation.

    `failed_status` is the status after a failure from which everything could be undone, and `check_failed` what else
    must hold of the instance then. `repeatable` says that the same can be asked for again after success.
    """

    prepare: Callable[[Workbench], str | None]
    submit: Callable[[Intake, str | None, Workbench], UUID]
    check: Callable[[Workbench, str], None]
    failed_status: InstanceStatus
    check_failed: Callable[[Workbench, str], None] = lambda _bench, _instance_id: None
    repeatable: bool = False


def active_instance(bench: Workbench) -> str:
    _, task_id = bench.submit(lambda intake: create_instance.submit(intake, bench.create_request()))
    assert task_id is not None
    return done(bench, str(bench.task(task_id)["instance_id"]), task_id)


def encrypting_instance(bench: Workbench) -> str:
    """Of the newest version that was built with TLS."""
    found = [one for one in bench.engine.installations() if one.speaks_tls]
    if not found:
        pytest.skip(f"no {bench.dialect.engine} of this host was built with TLS")
    request = bench.create_request(datastore=Datastore(bench.dialect.engine, found[-1].version))
    _, task_id = bench.submit(lambda intake: create_instance.submit(intake, request))
    return done(bench, str(bench.task(task_id)["instance_id"]), task_id)


def stopped_instance(bench: Workbench) -> str:
    instance_id = active_instance(bench)
    return done(bench, instance_id, bench.submit(lambda intake: stop_instance.submit(intake, instance_id)))


def frozen_instance(bench: Workbench) -> str:
    instance_id = active_instance(bench)
    return done(bench, instance_id, bench.submit(lambda intake: freeze_instance.submit(intake, instance_id)))


def reachable_instance(bench: Workbench) -> str:
    """An instance on a host that can pass connections on to it."""
    if not bench.resources.host.forwarder.name:
        pytest.skip(bench.resources.host.forwarder.refusal)
    return active_instance(bench)


def bound_instance(bench: Workbench) -> str:
    instance_id = reachable_instance(bench)
    return done(bench, instance_id, bench.submit(lambda intake: submit_bind(intake, instance_id, bench)))


def new_port(bench: Workbench) -> int:
    return bench.dialect.port + 1


def ha_request(bench: Workbench, size: str = SMALL) -> CreateInstance:
    if not bench.resources.host.forwarder.name:
        pytest.skip(bench.resources.host.forwarder.refusal)
    return bench.create_request(**ha_fields(bench, size))


def ha_fields(bench: Workbench, size: str = SMALL) -> dict[str, Any]:
    return {
        "flavor_ref": bench.dialect.flavor(size, "ha"),
        "availability_zone": "local-1a,local-1a",
        "ha": Ha("Ha", bench.dialect.synchronous),
    }


def ha_instance(bench: Workbench, size: str = SMALL) -> str:
    """A primary and a standby that confirms what it commits."""
    _, task_id = bench.submit(lambda intake: create_instance.submit(intake, ha_request(bench, size)))
    assert task_id is not None
    return done(bench, str(bench.task(task_id)["instance_id"]), task_id)


def large_ha_instance(bench: Workbench) -> str:
    return ha_instance(bench, LARGE)


def done(bench: Workbench, instance_id: str, task_id: UUID) -> str:
    task = bench.run(task_id)
    assert task["status"] == "Completed", task["fail_reason"]
    return instance_id


def instance_of_any_password(bench: Workbench) -> str:
    """Not to be shared: a password that was set before the step failed stays, for the old one is not known."""
    return active_instance(bench)


def nothing(_bench: Workbench) -> None:
    return None


def query(bench: Workbench, instance_id: str, password: str = PASSWORD, address: str | None = None) -> None:
    with connected(bench, instance_id, password=password, address=address) as connection:
        assert connection.execute("select 1") == [(1,)]


def connected(
    bench: Workbench,
    instance_id: str,
    database: str | None = None,
    password: str = PASSWORD,
    address: str | None = None,
) -> Session:
    instance = bench.resources.view.instance(instance_id)
    where = address or str(instance.address)
    return bench.dialect.connect(where, instance.port, password=password, database=database, seconds=5)


def check_active(bench: Workbench, instance_id: str) -> None:
    instance = bench.instance(instance_id)
    assert instance is not None
    assert instance.status == "ACTIVE"
    query(bench, instance_id)


def check_new_password(bench: Workbench, instance_id: str) -> None:
    query(bench, instance_id, NEW_PASSWORD)


def check_accounts(bench: Workbench, instance_id: str) -> None:
    """Each that was made can log in; it has no database of its own."""
    check_active(bench, instance_id)
    node = bench.resources.primary_server(instance_id).node
    made, _ = bench.engine.accounts.accounts(node, Page(0, 100))
    assert made
    for one in made:
        where = bench.dialect.open_to_all
        bench.dialect.query(node, "SELECT 1", user=one.name, password=NEW_PASSWORD, database=where)


def check_enlarged(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    assert bench.resources.view.instance(instance_id).volume_size == 50


def check_resized(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    assert bench.resources.view.instance(instance_id).flavor_ref == bench.dialect.flavor(LARGE)


def check_stopped(bench: Workbench, instance_id: str) -> None:
    instance = bench.instance(instance_id)
    assert instance is not None
    assert instance.status == "SHUTDOWN"
    assert not bench.footprint().processes


def check_frozen(bench: Workbench, instance_id: str) -> None:
    instance = bench.instance(instance_id)
    assert instance is not None
    assert instance.status == "FROZEN"
    assert not bench.footprint().processes


def check_port(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    instance = bench.resources.view.instance(instance_id)
    assert instance.port == new_port(bench)
    assert not is_answering(str(instance.address), bench.dialect.port)


def new_address(bench: Workbench) -> str:
    """The last of the pool, which no instance of a test was given by itself."""
    return str(bench.resources.host.addresses.network.broadcast_address - 1)


def submit_address(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    return change_address.submit(intake, instance_id, change_address.ChangeAddress(new_address(bench)))


def check_moved(bench: Workbench, instance_id: str) -> None:
    """With TLS, where it is switched on, for the new address."""
    check_active(bench, instance_id)
    instance = bench.resources.view.instance(instance_id)
    assert instance.address == new_address(bench)
    held = [row["address"] for row in held_addresses(bench) if row["node_id"] is None]
    assert held == [new_address(bench)]
    if instance.ssl:
        verified(bench, instance_id).close()


def check_not_moved(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    instance = bench.resources.view.instance(instance_id)
    assert instance.address != new_address(bench)
    held = [row["address"] for row in held_addresses(bench) if row["node_id"] is None]
    assert held == [instance.address]
    assert not is_answering(new_address(bench), instance.port)


def held_addresses(bench: Workbench) -> list[dict[str, Any]]:
    with bench.resources.store.transaction() as connection:
        return connection.execute("select host(address) as address, node_id from address").fetchall()


def new_label(instance_id: str) -> str:
    return f"Orders{instance_id[:16]}"


def submit_name(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    wanted = change_dns_name.ChangeDnsName(new_label(instance_id))
    return change_dns_name.submit(intake, instance_id, wanted)


def check_named(bench: Workbench, instance_id: str) -> None:
    """Its server vouches for the name, where it speaks TLS."""
    check_active(bench, instance_id)
    label = new_label(instance_id).lower()
    assert names_of(bench, instance_id) == (label, [label])
    if bench.resources.view.instance(instance_id).ssl:
        verified(bench, instance_id, f"{label}.rds.internal").close()
        verified(bench, instance_id).close()


def check_nameless(bench: Workbench, instance_id: str) -> None:
    """Its server does not vouch for the name any more."""
    check_active(bench, instance_id)
    assert names_of(bench, instance_id) == (None, [])
    if bench.resources.view.instance(instance_id).ssl:
        with pytest.raises(bench.dialect.Error, match=r"(?i)certificate|verify"):
            verified(bench, instance_id, f"{new_label(instance_id).lower()}.rds.internal").close()


def names_of(bench: Workbench, instance_id: str) -> tuple[str | None, list[str]]:
    """What an instance is called, and which names it holds."""
    rows = bench.store.rows(b"select label from dns_name where instance_id = %s", [instance_id])
    return bench.resources.view.instance(instance_id).dns_label, [row["label"] for row in rows]


def submit_ssl_off(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return switch_ssl.submit(intake, instance_id, switch_ssl.SwitchSsl(ssl_option=False))


def tuned(bench: Workbench) -> Parameter:
    """A number of bytes that a server takes while it runs, and what it is to be."""
    name, unit = (
        ("work_mem", "kB") if bench.dialect.engine is EngineName.POSTGRESQL else ("sort_buffer_size", "")
    )
    return Parameter(name=name, type="integer", value="393216", minimum="1024", maximum="1048576", unit=unit)


def submit_tuned(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    wanted = tuned(bench)
    catalogue = by_name([wanted])
    accepted = change_parameters.submit(intake, instance_id, {wanted.name: wanted.value}, catalogue)
    assert not accepted.restart_required
    return accepted.task_id


def in_force(bench: Workbench, instance_id: str, name: str) -> str:
    node = bench.resources.primary_server(instance_id).node
    return bench.engine.parameters.in_force(node, [name])[name]


def check_tuned(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    wanted = tuned(bench)
    instance = bench.resources.view.instance(instance_id)
    assert instance.parameters == instance.parameters_in_force == {wanted.name: wanted.value}
    assert in_force(bench, instance_id, wanted.name) == wanted.value


def check_untuned(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    wanted = tuned(bench)
    assert bench.resources.view.instance(instance_id).parameters == {}
    assert in_force(bench, instance_id, wanted.name) != wanted.value


def submit_access(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    row = change_access.Row(0, database="postgres", user="root", address="127.0.0.0/8")
    return change_access.replace_all(intake, instance_id, [row])


def access_in_force(bench: Workbench, instance_id: str) -> list[tuple[str, str]]:
    node = bench.resources.primary_server(instance_id).node
    statement = (
        "SELECT array_to_string(database, ','), address FROM pg_hba_file_rules "
        "WHERE type = 'host' AND auth_method = 'scram-sha-256' AND database <> '{replication}' ORDER BY line_number"
    )
    with superuser_session(node) as connection:
        return connection.execute(statement).fetchall()


def check_let_in(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    assert access_in_force(bench, instance_id) == [("postgres", "127.0.0.0")]


def check_open_to_all(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    assert bench.resources.view.instance(instance_id).access is None
    assert access_in_force(bench, instance_id) == [("all", "0.0.0.0"), ("all", "::")]


def check_plain(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    with pytest.raises(bench.dialect.Error, match=r"(?i)ssl"):
        verified(bench, instance_id).close()


def check_encrypted(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    verified(bench, instance_id).close()


def verified(bench: Workbench, instance_id: str, name: str | None = None) -> Session:
    """Of a client that wants to know with whom it speaks, by the address or a name."""
    instance, ca = bench.resources.view.instance(instance_id), bench.resources.settings.ca_file
    return bench.dialect.connect(str(instance.address), instance.port, password=PASSWORD, ca=ca, name=name)


def check_bound(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    query(bench, instance_id, address=the_public_address(bench))


def check_unbound(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    assert not is_answering(the_public_address(bench), bench.resources.view.instance(instance_id).port)
    assert not bench.footprint().routes


def the_public_address(bench: Workbench) -> str:
    return str(public_addresses(bench.project_id, bench.resources.settings)[0].address)


def check_gone(bench: Workbench, instance_id: str) -> None:
    assert bench.instance(instance_id) is None


def set_recycle_days(intake: Intake, days: int) -> None:
    recycle_policy.set_recycle_policy(intake, recycle_policy.RecyclePolicy(days))


def submit_recycle(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    """The policy holds for this one alone."""
    assert instance_id is not None
    set_recycle_days(intake, 3)
    task_id = delete_instance.submit(intake, instance_id)
    set_recycle_days(intake, 0)
    return task_id


def recycled_backup(bench: Workbench, instance_id: str) -> str:
    (row,) = bench.store.rows(
        b"select id from backup where instance_id = %s and recycled is not null and deleted_at is not null"
        b" and status = 'COMPLETED'",
        [instance_id],
    )
    return str(row["id"])


def check_recycled(bench: Workbench, instance_id: str) -> None:
    """It is gone, and what it had last comes back with its last backup."""
    check_gone(bench, instance_id)
    point = {"instance_id": instance_id, "backup_id": recycled_backup(bench, instance_id)}
    _, task_id = bench.submit(
        lambda intake: restore_new_instance.submit(
            intake, bench.create_request(restore_point=point, datastore=None)
        )
    )
    check_written(bench, done(bench, str(bench.task(task_id)["instance_id"]), task_id))


def check_written(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    read_back(bench, instance_id, "written_down")


def submit_create(intake: Intake, _instance_id: str | None, bench: Workbench) -> UUID:
    _, task_id = create_instance.submit(intake, bench.create_request())
    assert task_id is not None
    return task_id


def submit_create_ha(intake: Intake, _instance_id: str | None, bench: Workbench) -> UUID:
    _, task_id = create_instance.submit(intake, ha_request(bench))
    assert task_id is not None
    return task_id


def submit_single_to_ha(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return single_to_ha.submit(intake, instance_id, single_to_ha.SingleToHa("local-1a"))


def submit_switchover(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    _, task_id = switchover.submit(intake, instance_id, switchover.Failover())
    return task_id


def submit_rebuild(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    (standby,) = bench.resources.view.standbys(instance_id)
    return rebuild_standby.begin(intake, intake.instance(instance_id), standby.id)


def submit_mode(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return replication_mode.submit(intake, instance_id, replication_mode.ChangeMode("async"))


def check_ha(bench: Workbench, instance_id: str) -> None:
    """Both nodes do their part, and clients come through the endpoint."""
    check_active(bench, instance_id)
    instance, resources = bench.resources.view.instance(instance_id), bench.resources
    assert instance.type == "Ha"
    assert instance.flavor_ref.endswith(".ha")
    primary, standby = resources.view.nodes(instance_id)
    assert (primary.role, standby.role) == ("master", "slave")
    assert primary.address != standby.address != instance.address
    assert resources.node_server(instance_id, standby.id).replication.state().streaming
    (follower,) = resources.node_server(instance_id, primary.id).replication.followers()
    synchronous = instance.replication_mode == bench.dialect.synchronous
    assert follower.confirms == synchronous
    assert standby.confirmation == ("yes" if synchronous else "no")


def check_smaller_pair(bench: Workbench, instance_id: str) -> None:
    """Neither of both allows more than its flavor does."""
    check_ha(bench, instance_id)
    assert bench.resources.view.instance(instance_id).flavor_ref == bench.dialect.flavor(SMALL, "ha")
    for node in bench.resources.view.nodes(instance_id):
        with connected(bench, instance_id, address=node.address) as connection:
            assert connection.execute(bench.dialect.connections) == [(bench.dialect.connections_of(2048),)]


def check_async(bench: Workbench, instance_id: str) -> None:
    check_ha(bench, instance_id)
    assert bench.resources.view.instance(instance_id).replication_mode == "async"


def submit_reset(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return reset_password.submit(intake, instance_id, reset_password.ResetPassword(NEW_PASSWORD))


def submit_account(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    """Of a new name each time, so that an instance will do for all."""
    assert instance_id is not None
    wanted = users.NewUser(f"made_{secrets.token_hex(4)}", NEW_PASSWORD)
    return users.create(intake, instance_id, wanted)


def submit_restart(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return restart_instance.submit(intake, instance_id, restart_instance.Restart())


def submit_enlarge(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return enlarge_volume.submit(intake, instance_id, enlarge_volume.EnlargeVolume(50))


def submit_resize(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    wanted = resize_flavor.ResizeFlavor(bench.dialect.flavor(LARGE))
    return resize_flavor.submit(intake, instance_id, wanted)


def submit_smaller(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    """A standby has to allow as much as its primary, which makes this the harder way."""
    assert instance_id is not None
    return resize_flavor.submit(
        intake, instance_id, resize_flavor.ResizeFlavor(bench.dialect.flavor(SMALL, "ha"))
    )


def submit_replica(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    request = bench.create_request(replica_of_id=instance_id, flavor_ref=bench.dialect.flavor(SMALL, "rr"))
    _, task_id = create_replica.submit(intake, request)
    assert task_id is not None
    return task_id


def check_followed(bench: Workbench, instance_id: str) -> None:
    """By each node and replica that it has, all of which serve; with `sync` its standby confirms."""
    check_active(bench, instance_id)
    resources = bench.resources
    standbys = {node.id for node in resources.view.standbys(instance_id)}
    (replica,) = (one for one in bench.instances() if one.replica_of == instance_id)
    assert replica.status == "ACTIVE"
    followers = resources.primary_server(instance_id).replication.followers()
    assert {one.node_id for one in followers} == {*standbys, resources.view.primary(replica.id).id}
    assert {one.node_id for one in followers if one.confirms} == standbys
    assert all(node.confirmation == "yes" for node in resources.view.standbys(instance_id))


def check_follows(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    replica = bench.resources.primary_server(instance_id)
    wait_until(lambda: replica.replication.state().streaming, 60.0)
    assert replica.replication.state().streaming
    primary_id = str(bench.resources.view.instance(instance_id).replica_of)
    (follower,) = bench.resources.primary_server(primary_id).replication.followers()
    assert follower.node_id == replica.node.node_id


def submit_bind(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    public = public_addresses(bench.project_id, bench.resources.settings)[0]
    return bind_public_address.submit(intake, instance_id, str(public.address), public.id)


def submit_unbind(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return unbind_public_address.submit(intake, instance_id, None)


def submit_port(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    return change_port.submit(intake, instance_id, change_port.ChangePort(new_port(bench)))


def submit_group(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    """To a group that is made for it."""
    assert instance_id is not None
    group = security_groups.create(intake, "newest")
    request = change_security_group.ChangeSecurityGroup(group.id)
    return change_security_group.submit(intake, instance_id, request)


def check_group(bench: Workbench, instance_id: str) -> None:
    assert is_in_newest_group(bench, instance_id)
    check_active(bench, instance_id)


def check_old_group(bench: Workbench, instance_id: str) -> None:
    assert not is_in_newest_group(bench, instance_id)
    check_active(bench, instance_id)


def is_in_newest_group(bench: Workbench, instance_id: str) -> bool:
    newest = bench.store.rows(b"select id from security_group order by created_at desc limit 1")[0]["id"]
    return bench.resources.view.instance(instance_id).security_group_id == newest


def submit_with(module: Any) -> Callable[[Intake, str | None, Workbench], UUID]:
    return lambda intake, instance_id, _bench: module.submit(intake, instance_id)


def run_backup(bench: Workbench, instance_id: str) -> str:
    """The id of a new manual backup."""
    request = back_up.CreateBackup(instance_id, f"proof-{secrets.token_hex(4)}")
    backup, task_id = bench.submit(lambda intake: back_up.submit(intake, request))
    assert bench.run(task_id)["status"] == "Completed"
    return str(backup["id"])


def backed_up_instance(bench: Workbench) -> str:
    """An instance with a backup, and a table that only the log behind it has."""
    instance_id = active_instance(bench)
    run_backup(bench, instance_id)
    write_down(bench, instance_id)
    return instance_id


def restore_target(bench: Workbench) -> str:
    """One to restore onto, with a read replica, and a standby where there can be one; and one to restore from."""
    backed_up_instance(bench)
    target = ha_instance(bench) if bench.resources.host.forwarder.name else active_instance(bench)
    return done(bench, target, bench.submit(lambda intake: submit_replica(intake, target, bench)))


#: What the repository knows of instances that are no more.
LOST: dict[str, InstanceRecord] = {}


def lost_instance(bench: Workbench) -> str:
    """One of which there is nothing left but what is in the repository: a backup, and the log behind it."""
    instance_id = backed_up_instance(bench)
    done(bench, instance_id, bench.submit(lambda intake: submit_name(intake, instance_id, bench)))
    resources = bench.resources
    assert resources.host.repository is not None
    bench.engine.backups.archive_log(resources.primary_server(instance_id).node)
    repository = resources.host.repository.open(may_make_key=True)
    send_backups(resources, repository)
    LogSending(resources).send(repository)
    (row,) = bench.store.rows(Queries("repository").records, {"ids": [instance_id]})
    LOST[instance_id] = msgspec.convert(row, InstanceRecord)
    task_id = bench.submit(lambda intake: delete_instance.submit(intake, instance_id))
    assert bench.run(task_id)["status"] == "Completed"
    for backup in LOST[instance_id].backups:
        resources.host.backups.remove(instance_id, backup["id"])
        bench.store.rows(b"delete from backup where id = %s", [backup["id"]])
        bench.store.rows(b"delete from repository_removal")
    return instance_id


def submit_restore_lost(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    record = LOST[instance_id]
    restore_lost_instance.insert_backups(intake.connection, record, intake.settings.host)
    return restore_lost_instance.submit(intake, record)


def check_restored_lost(bench: Workbench, instance_id: str) -> None:
    check_named(bench, instance_id)
    read_back(bench, instance_id, "written_down")


def write_down(bench: Workbench, instance_id: str) -> None:
    with connected(bench, instance_id) as connection:
        connection.execute("create table written_down (id serial primary key, answer int)")
        connection.execute("insert into written_down (answer) values (42)")
    # Moments are whole milliseconds: what is called now is not to be before this.
    written = now()
    wait_until(lambda: now() > written, 1.0, every=0.0005)


def read_back(bench: Workbench, instance_id: str, table: str, database: str | None = None) -> None:
    with connected(bench, instance_id, database) as connection:
        assert connection.execute(f"select answer from {table}") == [(42,)]


def check_backup(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    rows = bench.store.rows(b"select * from backup where instance_id = %s order by begin_time", [instance_id])
    assert rows[-1]["status"] == "COMPLETED"
    assert bench.resources.host.backups.backup(instance_id, rows[-1]["id"]).is_dir()


def check_restored(bench: Workbench, instance_id: str) -> None:
    if bench.resources.host.forwarder.name:
        check_ha(bench, instance_id)
    else:
        check_active(bench, instance_id)
    read_back(bench, instance_id, "written_down")


def check_restored_onto(bench: Workbench, instance_id: str) -> None:
    check_followed(bench, instance_id)
    (replica,) = (one.id for one in bench.instances() if one.replica_of == instance_id)
    for one in (instance_id, replica):
        read_back(bench, one, "written_down")


def check_restored_table(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    read_back(bench, instance_id, "written_again")


def check_restored_database(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    read_back(bench, instance_id, "written_down", again(bench))


def submit_close(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return remote_connection.submit(intake, instance_id, remote_connection.SetRemoteConnection(is_open=False))


def check_closed(bench: Workbench, instance_id: str) -> None:
    assert bench.resources.view.instance(instance_id).status == "ACTIVE"
    assert not bench.resources.view.instance(instance_id).remote_access


def check_open(bench: Workbench, instance_id: str) -> None:
    assert bench.resources.view.instance(instance_id).remote_access


def submit_read_only(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return set_read_only.submit(intake, instance_id, set_read_only.SetReadOnly(readonly=True))


def check_read_only(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    assert bench.resources.view.instance(instance_id).read_only
    with (
        connected(bench, instance_id) as client,
        pytest.raises(bench.dialect.Error, match=bench.dialect.read_only),
    ):
        client.execute("CREATE TABLE refused (x int)")


def check_writable(bench: Workbench, instance_id: str) -> None:
    check_active(bench, instance_id)
    assert not bench.resources.view.instance(instance_id).read_only


def submit_backup(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    request = back_up.CreateBackup(instance_id, f"proof-{secrets.token_hex(4)}")
    return back_up.submit(intake, request)[1]


def submit_restore_new(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    """With a standby, where the machine has the means."""
    point = {"instance_id": instance_id, "type": "timestamp", "restore_time": now()}
    pair = ha_fields(bench) if bench.resources.host.forwarder.name else {}
    _, task_id = restore_new_instance.submit(
        intake, bench.create_request(restore_point=point, datastore=None, **pair)
    )
    assert task_id is not None
    return task_id


def submit_restore_onto(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    source, *_ = (one.id for one in bench.instances() if one.id != instance_id)
    request = restore_instance.RestoreInstance(
        RestoreSource(source, restore_time=now()), restore_instance.RestoreTarget(instance_id)
    )
    return restore_instance.submit(intake, request)


def submit_restore_tables(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    tables, schema = [restore_tables.Table("written_down", "written_again")], bench.dialect.schema
    place = {"schemas": [restore_tables.Schema(schema, tables)]} if schema else {"tables": tables}
    database = restore_tables.Database(bench.dialect.database, **place)
    wanted = restore_tables.InstanceTables(instance_id, now(), [database])
    ((_, task_id),) = restore_tables.submit(intake, restore_tables.RestoreTables([wanted]))
    return task_id


def again(bench: Workbench) -> str:
    """The new name of the database that is restored."""
    return f"{bench.dialect.database}_again"


def submit_restore_databases(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    database = restore_databases.Database(bench.dialect.database, again(bench))
    wanted = restore_databases.InstanceDatabases(instance_id, now(), [database])
    ((_, task_id),) = restore_databases.submit(intake, restore_databases.RestoreDatabases([wanted]))
    return task_id


def older_instance(bench: Workbench) -> str:
    """Of the oldest version of this host, with a table, a parameter, a read replica, and a standby where one can be."""
    oldest, *newer = bench.engine.installations()
    if not (newer and RULES[bench.dialect.engine].upgrades):
        pytest.skip(f"this host has no two versions of {bench.dialect.engine} that one is upgraded between")
    pair = ha_fields(bench) if bench.resources.host.forwarder.name else {}
    request = bench.create_request(datastore=Datastore(bench.dialect.engine, oldest.version), **pair)
    _, task_id = bench.submit(lambda intake: create_instance.submit(intake, request))
    assert task_id is not None
    instance_id = done(bench, str(bench.task(task_id)["instance_id"]), task_id)
    offer_no_tls_that_ends(bench, instance_id)
    done(bench, instance_id, bench.submit(lambda intake: submit_tuned(intake, instance_id, bench)))
    write_down(bench, instance_id)
    return done(bench, instance_id, bench.submit(lambda intake: submit_replica(intake, instance_id, bench)))


def offer_no_tls_that_ends(bench: Workbench, instance_id: str) -> None:
    """Some servers were built without it: an instance that offers it is not upgraded to them."""
    if bench.resources.view.instance(instance_id).ssl and not bench.engine.installations()[-1].speaks_tls:
        done(bench, instance_id, bench.submit(lambda intake: submit_ssl_off(intake, instance_id, bench)))


def newest_version(bench: Workbench) -> str:
    return bench.engine.installations()[-1].version


def instance_with_newer_minor(bench: Workbench) -> str:
    """Of the oldest version of this host, of which a newer minor one comes when the instance is there."""
    forget_newer_minor(bench)
    oldest = bench.engine.installations()[0]
    pair = ha_fields(bench) if bench.resources.host.forwarder.name else {}
    request = bench.create_request(datastore=Datastore(bench.dialect.engine, oldest.version), **pair)
    _, task_id = bench.submit(lambda intake: create_instance.submit(intake, request))
    assert task_id is not None
    instance_id = done(bench, str(bench.task(task_id)["instance_id"]), task_id)
    offer_no_tls_that_ends(bench, instance_id)
    write_down(bench, instance_id)
    have_newer_minor(bench, oldest)
    return instance_id


def have_newer_minor(bench: Workbench, real: Installation, starts: str = "always") -> None:
    """The same servers in a place of their own, which say that they are newer."""
    place = fetched_dir(bench.resources.settings.data_dir) / "bin"
    place.mkdir(parents=True)
    complete = f"{real.version}.{NEWER_MINOR}"
    start = {
        "always": "",
        "never": '[ "$1" = -D ] && exit 1',
        "only to be upgraded": 'case " $* " in *" -b "*) ;; " -D "*) exit 1 ;; esac',
    }[starts]
    for program in real.bin_dir.iterdir():
        run = f'exec {program} "$@"'
        if program.name == "postgres":
            version = f'[ "$1" = --version ] && echo "postgres (PostgreSQL) {complete}" && exit'
            run = f"{version}\n{start}\n{run}"
        script = place / program.name
        script.write_text(f"#!/bin/sh\n{run}\n")
        script.chmod(0o755)
    register_host(bench.resources)


def forget_newer_minor(bench: Workbench) -> None:
    shutil.rmtree(fetched_dir(bench.resources.settings.data_dir) / "bin", ignore_errors=True)
    register_host(bench.resources)


def submit_minor(intake: Intake, instance_id: str | None, _bench: Workbench) -> UUID:
    assert instance_id is not None
    return upgrade_minor.submit(intake, instance_id, upgrade_minor.UpgradeMinor())


def check_newer_minor(bench: Workbench, instance_id: str) -> None:
    check_restored(bench, instance_id)
    instance = bench.resources.view.instance(instance_id)
    assert instance.complete_version == f"{instance.version}.{NEWER_MINOR}"


def check_older_minor(bench: Workbench, instance_id: str) -> None:
    check_restored(bench, instance_id)
    instance = bench.resources.view.instance(instance_id)
    assert instance.complete_version != f"{instance.version}.{NEWER_MINOR}"


def submit_inspection(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    return inspect_upgrade.submit(intake, instance_id, newest_version(bench))


def submit_major(intake: Intake, instance_id: str | None, bench: Workbench) -> UUID:
    assert instance_id is not None
    catalogue = by_name([tuned(bench)])
    return upgrade_major.submit(intake, instance_id, newest_version(bench), catalogue)


def check_inspected(bench: Workbench, instance_id: str) -> None:
    check_version(bench, instance_id, bench.engine.installations()[0])
    (report,) = bench.store.rows(
        b"select * from version_report where instance_id = %s order by begun_at desc limit 1", [instance_id]
    )
    assert (report["kind"], report["result"]) == ("check", "success"), report["detail"]


def check_whole(bench: Workbench, instance_id: str) -> None:
    """Whichever version it has."""
    instance = bench.resources.view.instance(instance_id)
    found = bench.engine.installation(instance.version, instance.complete_version)
    assert found is not None
    check_version(bench, instance_id, found)


def check_upgraded(bench: Workbench, instance_id: str) -> None:
    check_version(bench, instance_id, bench.engine.installations()[-1])


def check_version(bench: Workbench, instance_id: str, version: Installation) -> None:
    """All its servers are of one version, and have what was written down and set before."""
    check_followed(bench, instance_id)
    (replica,) = (one.id for one in bench.instances() if one.replica_of == instance_id)
    for one in (instance_id, replica):
        instance = bench.resources.view.instance(one)
        assert (instance.version, instance.complete_version) == (version.version, version.complete_version)
        read_back(bench, one, "written_down")
        with connected(bench, one) as connection:
            ((said,),) = connection.execute("select version()")
        assert f"{version.version}." in said
        wanted = tuned(bench)
        assert in_force(bench, one, wanted.name) == wanted.value


def now() -> int:
    return milliseconds(dt.datetime.now(dt.UTC))


SCENARIOS = {
    "inspect_upgrade": Scenario(
        older_instance, submit_inspection, check_inspected, InstanceStatus.ACTIVE, repeatable=True
    ),
    "upgrade_minor": Scenario(
        instance_with_newer_minor,
        submit_minor,
        check_newer_minor,
        InstanceStatus.ACTIVE,
        check_failed=check_older_minor,
    ),
    "upgrade_major": Scenario(
        older_instance, submit_major, check_upgraded, InstanceStatus.ACTIVE, check_failed=check_whole
    ),
    "create_instance": Scenario(nothing, submit_create, check_active, InstanceStatus.CREATE_FAIL),
    "create_replica": Scenario(active_instance, submit_replica, check_follows, InstanceStatus.CREATE_FAIL),
    "restart_instance": Scenario(active_instance, submit_restart, check_active, InstanceStatus.ACTIVE),
    "delete_instance": Scenario(
        active_instance,
        submit_with(delete_instance),
        check_gone,
        InstanceStatus.ACTIVE,
    ),
    "recycle_instance": Scenario(
        backed_up_instance, submit_recycle, check_recycled, InstanceStatus.ACTIVE, check_failed=check_written
    ),
    "back_up": Scenario(active_instance, submit_backup, check_backup, InstanceStatus.ACTIVE),
    "restore_new_instance": Scenario(
        backed_up_instance, submit_restore_new, check_restored, InstanceStatus.CREATE_FAIL
    ),
    "restore_lost_instance": Scenario(
        lost_instance, submit_restore_lost, check_restored_lost, InstanceStatus.CREATE_FAIL
    ),
    "restore_instance": Scenario(
        restore_target,
        submit_restore_onto,
        check_restored_onto,
        InstanceStatus.ACTIVE,
        check_failed=check_followed,
        repeatable=True,
    ),
    "restore_tables": Scenario(
        backed_up_instance,
        submit_restore_tables,
        check_restored_table,
        InstanceStatus.ACTIVE,
    ),
    "restore_databases": Scenario(
        backed_up_instance,
        submit_restore_databases,
        check_restored_database,
        InstanceStatus.ACTIVE,
    ),
    "reset_password": Scenario(
        instance_of_any_password, submit_reset, check_new_password, InstanceStatus.ACTIVE
    ),
    "change_accounts": Scenario(
        active_instance, submit_account, check_accounts, InstanceStatus.ACTIVE, repeatable=True
    ),
    "enlarge_volume": Scenario(active_instance, submit_enlarge, check_enlarged, InstanceStatus.ACTIVE),
    "resize_flavor": Scenario(active_instance, submit_resize, check_resized, InstanceStatus.ACTIVE),
    "resize_pair": Scenario(
        large_ha_instance,
        submit_smaller,
        check_smaller_pair,
        InstanceStatus.ACTIVE,
    ),
    "stop_instance": Scenario(
        active_instance, submit_with(stop_instance), check_stopped, InstanceStatus.ACTIVE
    ),
    "start_instance": Scenario(
        stopped_instance, submit_with(start_instance), check_active, InstanceStatus.SHUTDOWN
    ),
    "freeze_instance": Scenario(
        active_instance, submit_with(freeze_instance), check_frozen, InstanceStatus.ACTIVE
    ),
    "unfreeze_instance": Scenario(
        frozen_instance, submit_with(unfreeze_instance), check_active, InstanceStatus.FROZEN
    ),
    "change_port": Scenario(active_instance, submit_port, check_port, InstanceStatus.ACTIVE),
    "change_address": Scenario(
        active_instance, submit_address, check_moved, InstanceStatus.ACTIVE, check_failed=check_not_moved
    ),
    "change_dns_name": Scenario(
        encrypting_instance, submit_name, check_named, InstanceStatus.ACTIVE, check_failed=check_nameless
    ),
    "change_security_group": Scenario(
        active_instance, submit_group, check_group, InstanceStatus.ACTIVE, check_failed=check_old_group
    ),
    "switch_ssl": Scenario(
        encrypting_instance, submit_ssl_off, check_plain, InstanceStatus.ACTIVE, check_failed=check_encrypted
    ),
    "set_read_only": Scenario(
        active_instance, submit_read_only, check_read_only, InstanceStatus.ACTIVE, check_failed=check_writable
    ),
    "change_parameters": Scenario(
        active_instance, submit_tuned, check_tuned, InstanceStatus.ACTIVE, check_failed=check_untuned
    ),
    "change_access": Scenario(
        active_instance, submit_access, check_let_in, InstanceStatus.ACTIVE, check_failed=check_open_to_all
    ),
    "bind_public_address": Scenario(reachable_instance, submit_bind, check_bound, InstanceStatus.ACTIVE),
    "create_ha_instance": Scenario(nothing, submit_create_ha, check_ha, InstanceStatus.CREATE_FAIL),
    "single_to_ha": Scenario(reachable_instance, submit_single_to_ha, check_ha, InstanceStatus.ACTIVE),
    "switchover": Scenario(ha_instance, submit_switchover, check_ha, InstanceStatus.ACTIVE),
    "rebuild_standby": Scenario(ha_instance, submit_rebuild, check_ha, InstanceStatus.ACTIVE),
    "change_replication_mode": Scenario(ha_instance, submit_mode, check_async, InstanceStatus.ACTIVE),
    "set_remote_connection": Scenario(
        active_instance, submit_close, check_closed, InstanceStatus.ACTIVE, check_failed=check_open
    ),
    "unbind_public_address": Scenario(bound_instance, submit_unbind, check_unbound, InstanceStatus.ACTIVE),
}
