"""The named statements of the store: which are run again and again, and which are not.

A new one must be put into one of both tables. It is hot where a request, a step or a round runs it.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

#: From here times and the ids of tasks go back in the store that is asked.
NOW = dt.datetime.now(dt.UTC)

_NAMED = re.compile(rb"%\((\w+)\)s")


def task(number: int) -> UUID:
    """The id of a task as `filling.sql` makes it; the first 2000 run, and 7 is the one of instance `i7`."""
    moment = int(NOW.timestamp() * 1000) - number * 60_000
    return UUID(f"{moment:012x}{abs(number):08x}".ljust(32, "0"))


#: What the names in statements stand for, where nothing else is said.
_VALUES: Mapping[str, Any] = {
    "id": "i7",
    "instance_id": "i7",
    "project_id": "p7",
    "node_id": "n7",
    "host": "h7",
    "task_id": task(7),
    "position": 3,
    "worker": UUID(int=1),
    "name": "db-7",
    "engine": "PostgreSQL",
    "version": "16",
    "complete_version": "16.4",
    "type": "Single",
    "flavor_ref": "rds.pg.n1.medium.2",
    "volume_type": "CLOUDSSD",
    "volume_size": 40,
    "port": 5432,
    "availability_zone": "local-1a",
    "vpc_id": "v",
    "subnet_id": "s",
    "security_group_id": "g",
    "replication_mode": None,
    "switch_strategy": "",
    "configuration_id": "",
    "enterprise_project_id": "0",
    "disk_encryption_id": "",
    "time_zone": "UTC",
    "backup_start_time": "00:00-01:00",
    "backup_keep_days": 7,
    "tags": Jsonb([]),
    "options": Jsonb({}),
    "secret": "",
    "ssl": True,
    "replica_of": None,
    "role": "master",
    "status": "ACTIVE",
    "deleting": False,
    "limit": 10,
    "offset": 0,
    "moment": NOW,
    "now": NOW,
    "error": "",
    "output": None,
    "entities": Jsonb({}),
    "parameters": Jsonb({}),
    "text": "",
    "fail_reason": "",
    "full": False,
    "used": 1,
    "size": 50,
    "mode": "async",
    "strategy": "",
    "address": "10.9.0.1",
}

_ANY = dict.fromkeys(
    ("id", "id_part", "name", "name_part", "type", "engine", "eps_id", "vpc_id", "subnet_id", "status")
)


@dataclass(frozen=True)
class Hot:
    """`values` are those of the statement's names that differ from the usual ones, or in their order where it has none.

    `most` is how many rows of any table or index it may read, `whole` which tables of many rows it may read from end to
    end, and `why`.
    """

    values: Mapping[str, Any] | Sequence[Any] = field(default_factory=dict)
    most: int = 100
    whole: frozenset[str] = frozenset()
    why: str = ""

    def arguments(self, statement: bytes) -> Any:
        if not isinstance(self.values, Mapping):
            return self.values
        values = {**_VALUES, **self.values}
        return {name: values[name] for name in (found.decode() for found in _NAMED.findall(statement))}


def of(*values: Any, most: int = 100) -> Hot:
    """A statement without names."""
    return Hot(values, most)


_OF_A_HOST = "all instances of its host"
_RUNNING = "all tasks that run"
_OF_A_PROJECT = "all that its project made"
_SUBNET: Mapping[str, Any] = {
    "neutron_subnet_id": "new",
    "description": "",
    "cidr": "10.0.0.0/8",
    "gateway_ip": "10.0.0.1",
    "dhcp_enable": True,
    "dns_list": [],
}

HOT: dict[str, Hot] = {
    # Each change of a caller.
    "answers.claim": Hot({"key": "k7", "request_hash": b"", "life": "1 minute"}),
    "answers.record": Hot({"keys": ["k7"], "status": 200, "body": b""}),
    "quotas.lock_project": of("p7"),
    "quotas.used": Hot({}, 2100, frozenset({"instance_lock"}), _RUNNING),
    # Creating, and looking at instances.
    "instances.insert_instance": Hot({"id": "new", "growth": None, "auto_upgrade": False}),
    "instances.insert_node": Hot({"id": "new"}),
    "instances.lock_host": of("h7", most=200),
    "instances.count_places": of("h7"),
    "instances.count_instances": of("p7"),
    "instances.get_instance": Hot(),
    "instances.instance_by_id": of("i7"),
    "instances.nodes_of_instance": of("i7"),
    "instances.node_by_id": of("n7"),
    "instances.measures_of_nodes": of(["i7", "i107"]),
    "metrics.insert_samples": of(Jsonb([{"node_id": "n7", "instance_id": "i7", "volume_bytes": 1}])),
    "metrics.backup_ages": of(["i7", "i107"]),
    "metrics.insert_close_samples": of(
        NOW, Jsonb([{"node_id": "n7", "instance_id": "i7", "volume_bytes": 1}])
    ),
    "metrics.close_samples_of_instance": Hot({"since": NOW, "until": NOW}),
    "metrics.samples_of_instance": Hot({"since": NOW, "until": NOW}),
    "instances.replicas_of_instance": of("i8"),
    "instances.list_instances": Hot({**_ANY, "tags": Jsonb([])}),
    "instances.tags_of_project": of("p7"),
    "instances.followers_among": Hot({"ids": ["i7", "i107"]}),
    "instances.simplified_instances": Hot({"ids": ["i7", "i107"]}),
    "instances.statuses_of_project": Hot({"engine": None}),
    "instances.space_of_instance": Hot(),
    "instances.deletions_of_replicas": Hot({"id": "i8"}),
    "instances.replication_of_instance": Hot(),
    "instances.public_address_of_instance": of("i7"),
    "instances.holder_of_public_address": of("11.0.0.7"),
    "instances.bound_addresses": Hot(
        (), 4100, frozenset({"public_address", "instance"}), "it lists them all"
    ),
    "instances.host": of("h7", most=200),
    "instances.hosts": of(most=200),
    "instances.forwarding_of_instance": of("i7"),
    "instances.addresses_of_instance": Hot(),
    # Changing them.
    "instances.set_status": Hot(),
    "instances.set_growth": Hot({"growth": None}),
    "instances.set_monitor_interval": Hot({"seconds": 1}),
    "instances.set_auto_upgrade": Hot({"is_on": True}),
    "instances.set_slow_log_with_values": Hot({"shown": True}),
    "instances.set_name": Hot(),
    "instances.set_alias": Hot({"alias": ""}),
    "instances.set_maintenance_window": Hot({"window": "02:00-06:00"}),
    "instances.set_backup_policy": Hot({"keep_days": 7, "start_time": None, "period": None}),
    "instances.set_tags": Hot(),
    "instances.delete_instance": of("i9"),
    "instances.delete_node": of("n7"),
    "instances.delete_replicas": of("i8"),
    "instances.set_confirmation": Hot({"confirmation": "no"}),
    "instances.change_roles": Hot({"new": "n7", "old": "n8"}),
    "instances.set_replication_mode": Hot(),
    "instances.set_switch_strategy": Hot(),
    "instances.set_ha": Hot(),
    "instances.set_node_address": Hot(),
    "instances.set_endpoint": Hot(),
    "instances.move_endpoint": Hot(),
    "instances.release_left_endpoints": of("i7"),
    "instances.set_port": Hot(),
    "instances.set_security_group": Hot(),
    "instances.set_ssl": Hot({"ssl": True}),
    "instances.set_remote_access": Hot({"allowed": True}),
    "instances.set_log_retention": Hot({"hours": 1}),
    "instances.set_stopped": of("i7"),
    "instances.set_wanted": Hot({"wanted": "serving"}),
    "instances.set_storage_full": Hot(),
    "instances.set_read_only": Hot({"read_only": True}),
    "instances.set_writable": Hot({"minutes": 30}),
    "instances.set_volume_size": Hot(),
    "instances.set_flavor": Hot({"flavor": "rds.pg.n1.medium.2"}),
    "instances.set_version": Hot(),
    "instances.instance_at_rest": of("i777"),
    # Newer versions.
    "upgrades.begin_report": Hot(
        {"id": UUID(int=99), "kind": "check", "old_version": "16", "new_version": "17", "statistics": ""}
    ),
    "upgrades.end_report": Hot({"id": UUID(int=7), "result": "success", "detail": ""}),
    "upgrades.forget_reports": Hot({"kind": "check", "kept": 100}),
    "upgrades.reports": Hot({"kind": "check", "new_version": None, "is_available": None, "ascending": False}),
    "upgrades.versions_at": of("i7"),
    "instances.free_instance": of("i777"),
    "instances.addresses_of_host": Hot(["h7"], why=_OF_A_HOST),
    "instances.held_address": Hot({"node_id": None}),
    "instances.take_address": Hot(),
    "instances.release_node_address": Hot(),
    "instances.release_addresses": Hot(),
    "instances.take_public_address": Hot(),
    "instances.set_bound": Hot({"bound": True}),
    "instances.release_public_address": of("i7"),
    "instances.os_user": of("i7"),
    "instances.take_os_user": Hot({"instance_id": "new", "uid": 5}),
    "instances.assign_os_user": Hot({"uid": 5}),
    "instances.lock_os_user": of("i7"),
    "instances.set_handed_over": of("i7"),
    # Networks, of which a project has no more than its quota.
    "quotas.networks_used": Hot(most=500, why=_OF_A_PROJECT),
    "networks.vpcs": of("p7"),
    "networks.hold_vpc": Hot({"id": "v7"}),
    "networks.lock_vpc": Hot({"id": "v7"}),
    "networks.insert_vpc": Hot({"id": "new", "description": "", "cidr": ""}),
    "networks.set_vpc": Hot({"id": "v7", "description": "", "cidr": ""}),
    "networks.delete_vpc": of("v7"),
    "networks.users_of_vpc": Hot({"id": "v7"}, most=500, why=_OF_A_PROJECT),
    "networks.subnets": of("p7"),
    "networks.hold_subnet": Hot({"id": "s7"}),
    "networks.lock_subnet": Hot({"id": "ns7"}),
    "networks.insert_subnet": Hot({"id": "new", **_SUBNET}),
    "networks.set_subnet": Hot({"id": "s7", **_SUBNET}),
    "networks.delete_subnet": of("s7"),
    "networks.users_of_subnet": Hot({"id": "s7"}, most=500, why=_OF_A_PROJECT),
    "networks.security_groups": of("p7"),
    "networks.hold_security_group": Hot({"id": "g7"}),
    "networks.lock_security_group": Hot({"id": "g7"}),
    "networks.insert_security_group": Hot({"id": "new", "description": ""}),
    "networks.set_security_group": Hot({"id": "g7", "description": ""}),
    "networks.delete_security_group": Hot({"id": "g7"}),
    "networks.users_of_security_group": Hot({"id": "g7"}, most=500, why=_OF_A_PROJECT),
    "networks.security_group_rules": of("p7", most=500),
    "networks.rules_of_security_group": Hot({"id": "g7"}),
    "networks.insert_security_group_rule": Hot(
        {
            "id": "new",
            "direction": "ingress",
            "ethertype": "IPv4",
            "protocol": "tcp",
            "ports": "",
            "remote_ip_prefix": None,
            "remote_group_id": None,
            "action": "allow",
            "priority": 1,
            "description": "",
        }
    ),
    "networks.delete_security_group_rule": Hot({"id": "r7"}),
    "networks.guarded_instances": Hot(["h7"], why=_OF_A_HOST),
    "networks.rules_of_groups": of(["g7"]),
    "networks.addresses_of_groups": Hot({"projects": ["p7"], "groups": ["g"]}, most=200, why=_OF_A_PROJECT),
    # Cancelling.
    "tasks.task_to_cancel": Hot({"id": task(7)}),
    "tasks.set_cancelled": Hot({"id": task(7), "by": "somebody"}),
    # Events.
    "events.end": Hot(),
    "events.read": Hot({"xid": 1, "number": 0}),
    "events.read_of_project": Hot({"xid": 1, "number": 0, "last_xid": 2**40, "last_number": 0}),
    "events.first": Hot(),
    # Webhooks, of which a project has no more than its quota, and each of which keeps so many deliveries.
    "webhooks.count": Hot(),
    "webhooks.insert": Hot(
        {"id": "new", "url": "", "description": "", "subjects": ["task"], "enabled": True, "secret": ""}
    ),
    "webhooks.of_project": Hot(),
    "webhooks.find": Hot({"id": "w7"}),
    "webhooks.lock": Hot({"id": "w7"}),
    "webhooks.change": Hot({"id": "w7", "url": "", "description": "", "subjects": ["task"], "enabled": True}),
    "webhooks.delete": Hot({"id": "w7"}),
    "webhooks.insert_delivery": Hot({"webhook_id": "w7", "type": "webhook.test", "data": Jsonb({})}),
    "webhooks.replay": Hot({"webhook_id": "w7", "id": UUID(int=7)}),
    "webhooks.tell": Hot(),
    "webhooks.deliveries": Hot({"webhook_id": "w7"}),
    "webhooks.count_deliveries": Hot({"webhook_id": "w7"}),
    "webhooks.due": Hot(
        {
            "busy": [UUID(int=8)],
            "busy_webhooks": ["w8"],
            "full_webhooks": ["w9"],
            "full_projects": ["p9"],
            "each": 4,
            "most": 100,
        },
        1200,
        frozenset({"webhook"}),
        "of each webhook what is due",
    ),
    "webhooks.next_due": Hot(),
    "webhooks.record": Hot(
        {
            "id": UUID(int=7),
            "webhook_id": "w7",
            "delivered": False,
            "retry_in": 5.0,
            "attempts": 1,
            "attempted_at": NOW,
            "http_status": 500,
            "duration_ms": 1,
        }
    ),
    "webhooks.disable": Hot({"id": "w7", "gone": True, "patience": "3 days", "reason": ""}),
    "webhooks.end_deliveries": Hot({"webhook_id": "w7"}),
    "webhooks.give_up": Hot({"webhook_id": "w7", "kept": 10}),
    "webhooks.forget_ended": Hot({"webhook_id": "w7", "kept": 10}),
    # The rounds of a host.
    "instances.lost_replicas": of(),
    "instances.replicas_to_bind": of(),
    "instances.give_up_lost_replicas": of("i7"),
    "instances.followers_to_watch": Hot(["h7"], why=_OF_A_HOST),
    "instances.note_replication": Hot({"replication": Jsonb({})}),
    "instances.routes_of_host": Hot(["h7"], why=_OF_A_HOST),
    "instances.nodes_of_host": Hot({"ids": ["i7"]}),
    "instances.forget_revivals": of("i7"),
    "instances.set_used_bytes": Hot({"id": "n7"}),
    "instances.note_revival": of("n7"),
    "backups.backup_candidates": Hot(["h7"], 500, why=_OF_A_HOST),
    "backups.backups_to_remove": of("h7"),
    "backups.backups_to_stop": of("h7"),
    "backups.instances_of_host": Hot(["h7"], why=_OF_A_HOST),
    # Backups.
    "backups.insert_backup": Hot({"id": "new", "name": "new", "description": "", "type": "manual"}),
    "backups.backup_by_id": of("b7"),
    "backups.get_backup": Hot({"id": "b7"}),
    "backups.running_backup": of("i3999"),
    "backups.stop_backup": of("b7"),
    "backups.task_making_backup": of("i7"),
    "backups.complete_backup": Hot({"id": "b7", "size_kb": 1, "end_time": NOW, "log_position": ""}),
    "backups.fail_backup": of("b7"),
    "backups.delete_backup": of("b7"),
    "backups.delete_automatic_backups": of("i7"),
    "backups.automatic_backups": of("i7"),
    "backups.forget_backup": of("b19980"),
    "backups.task_restoring_from": Hot(["b7"], 2100, why=_RUNNING),
    "backups.task_restoring_from_instance": Hot(most=2100, why=_RUNNING),
    "backups.list_backups": Hot({"id": None, "type": None, "status": None, "from": None, "until": None}),
    "backups.usage": Hot({"engine": None}, 500, why="all backups of a project"),
    "backups.usage_by_instance": Hot(
        {"engine": None, "instance_id": None, "instance_name": None, "ascending": False},
        500,
        why="all backups of a project",
    ),
    "backups.restorable_ranges": of("i7"),
    "backups.base_for": Hot(),
    "backups.next_backup": Hot(),
    "backups.task_replacing": of("i7"),
    "backups.end_continuity": of("i7"),
    "backups.expire_automatic_backups": Hot(["i7"], 2100, why=_RUNNING),
    "backups.bases": of("i7"),
    "backups.end_continuity_of": of("b7"),
    "backups.doubt_reach": Hot(),
    "backups.trust_reach": of("b7"),
    "backups.oldest_base": of("i7"),
    "backups.break_continuity": of("i7"),
    "backups.recycle_policy": of("p7"),
    "backups.set_recycle_policy": Hot({"days": 7}),
    "backups.mark_last_backup": of("b7"),
    "backups.put_into_bin": Hot({"days": 7}),
    "backups.expire_recycled": Hot(["h7"], 2100, why=_RUNNING),
    "backups.take_out_of_bin": Hot(["i7"], 2100, why=_RUNNING),
    "backups.list_recycled": Hot(),
    "backups.list_retained": Hot(),
    # The rounds of the backup repository.
    "repository.repository": Hot(),
    "repository.note_problem": Hot({"problem": "away"}),
    "repository.note_checked": Hot(),
    "repository.backups_to_send": Hot(["h7"], 500, why="nothing of this store is outside"),
    "repository.backups_to_list": of("h7"),
    "repository.begin_sending": of("b7"),
    "repository.is_wanted": of("b7"),
    "repository.note_sent": Hot({"id": "b7", "names": ["part/0"], "kb": [1]}),
    "repository.files_of_backup": Hot({"id": "b7", "first": 1, "last": 10}),
    "repository.removals": Hot({"of_logs": True}),
    "repository.forget_removal": Hot({"backup_id": "b7"}),
    "repository.logs_to_send": Hot(["h7"], 500, why=_OF_A_HOST),
    "repository.note_log_sent": Hot({"generation": "g", "reached": NOW}),
    "repository.waiting": Hot(
        most=20000, whole=frozenset({"backup"}), why="nothing of this store is outside"
    ),
    "repository.records": Hot({"ids": ["i7"]}),
    "repository.projects": Hot(),
    "repository.belongings": Hot(
        (),
        40_000,
        frozenset({"webhook", "vpc", "subnet", "security_group", "security_group_rule", "configuration"}),
        "it writes them all down, elsewhere",
    ),
    "repository.accounts": Hot(),
    # The rounds of its copy.
    "copies.known": Hot(),
    "copies.note_problem": Hot({"problem": "away"}),
    "copies.note_reached": Hot({"kind": "log", "reached": NOW}),
    "copies.waiting": Hot(most=20000, whole=frozenset({"backup"}), why="nothing of this store is outside"),
    "copies.backups_to_copy": of("h7"),
    "copies.note_copied": of("b7"),
    "copies.forget_copied": of(["b7"]),
    "copies.logs_to_copy": Hot(["h7"], 500, why=_OF_A_HOST),
    "copies.note_log_copied": Hot({"generation": "g"}),
    "copies.wanted": of(["i7"]),
    "copies.note_unwanted": Hot({"prefixes": ["instances/i7/backups/b"]}),
    "copies.note_service": Hot({"service": "s"}),
    "copies.spare_wanted": of(),
    "copies.removals_due": of(1.0),
    "copies.forget_removals": of(["p"]),
    "copies.copied_of": of(["i7"]),
    # The task center.
    "tasks.insert_task": Hot(
        {"id": task(-1), "operation": "back_up", "instance_name": "db", "order_id": "", "now": NOW}
    ),
    "tasks.insert_steps": Hot(
        {
            "task_id": task(9000),
            "names": ["copy data"],
            "node_ids": ["n7"],
            "hosts": ["h7"],
            "first_guesses": [1.0],
            "operation": "back_up",
        },
        most=200,
        whole=frozenset({"step_duration"}),
        why="it has a row for each kind of step",
    ),
    "tasks.take_lock": Hot({"instance_id": "i2000"}),
    "tasks.lock_holder": of("i7"),
    "tasks.release_locks": of(task(7)),
    "tasks.begin_attempt": of(task(7)),
    "tasks.steps": of(task(7)),
    "tasks.start_step": Hot({"status": "Running"}),
    "tasks.lock_task": Hot({"epoch": 0}),
    "tasks.record_step": Hot({"status": "Completed"}),
    "tasks.record_progress": Hot(),
    "tasks.record_attempt_error": Hot({"epoch": 0}),
    "tasks.begin_unwinding": Hot(),
    "tasks.finish_task": Hot({"status": "Completed", "keeps_parameters": False}),
    "tasks.append_fail_reason": Hot(),
    "tasks.record_duration": Hot(),
    "tasks.any_runs": of(),
    "tasks.add_count_changes": of(100),
    "tasks.get_task": Hot({"id": task(7)}),
    "tasks.restored_by_task": Hot({"id": task(7)}),
    "tasks.get_tasks": Hot({"ids": [task(7), task(1007)], "project_ids": ["p7", "p7"]}),
    "tasks.hide_task": Hot({"id": task(1007), "project_id": "p7"}),
    "tasks.get_steps": Hot({"id": task(7)}),
    "tasks.list_tasks": Hot(
        {**_ANY, "order_id": None, "instance_id": None, "first": UUID(int=0), "beyond": None}, 1200
    ),
    "tasks.export_tasks": Hot(
        {"instance_id": None, "name": None, "status": None, "first": UUID(int=0), "beyond": task(-5)}, 600
    ),
    "tasks.number_deletion": of(),
    # The queue.
    "queue.make_due": Hot({"task_id": task(9000)}),
    "queue.announce": of("h7"),
    "queue.take": Hot({"projects": ["p7"], "steps": [1], "at_work": [], "most": 5}),
    "queue.remove": of(task(7)),
    "queue.give_back": of([task(7)], UUID(int=1)),
    "queue.note_alive": Hot(),
    "queue.return_steps_of_silent_workers": Hot(["1 minute"], 4000, frozenset({"due_step"}), _RUNNING),
    "queue.stranded": Hot({"grace": "0 s"}, 4000, frozenset({"due_step"}), _RUNNING),
    # What waits for its window.
    "schedule.plan": Hot(
        {
            "id": task(-2),
            "instance_name": "db",
            "task_name": "RestartInstance",
            "request": Jsonb({}),
            "target_config": Jsonb({}),
            "starts_at": NOW,
            "ends_at": NOW,
        }
    ),
    "schedule.replan": Hot({"starts_at": NOW, "ends_at": NOW}),
    "schedule.move": Hot({"id": task(7), "starts_at": NOW, "ends_at": NOW, "reserved": True}),
    "schedule.take_planned": Hot({"id": task(7)}),
    "schedule.events": Hot(
        {"id": None, "instance_id": None, "status": None, "sort_field": "created_time", "descending": True},
        1000,
    ),
    "schedule.due": of(),
    "schedule.next_start": of(),
    "schedule.take_pending": of(task(7)),
    "schedule.started": Hot({"id": task(7)}),
    "schedule.fail": Hot({"id": task(7), "reason": ""}),
    "schedule.cancel": Hot({"id": task(7)}),
    "schedule.cancel_of_instance": of("i7"),
    "schedule.find": Hot({"id": task(7)}),
    "schedule.list": Hot(
        {"instance_id": None, "instance_name": None, "status": None, "start_time": None, "end_time": None},
        1000,
    ),
    # What instances are called.
    "dns_names.take_name": Hot({"label": "new", "days": 30}),
    "dns_names.holder_of_name": of("name7"),
    "dns_names.set_name": Hot({"label": "new"}),
    "dns_names.leave_other_names": of("i7"),
    "dns_names.leave_names": Hot({"id": "i8"}),
    "dns_names.names_of": of(["i7", "i8"]),
    "dns_names.all_names": Hot(
        most=5000, whole=frozenset({"instance"}), why="all names, by who answers for them"
    ),
    # Parameters, and groups of them.
    "access.set_access": Hot({"id": "i7", "access": None}),
    "access.note_change": Hot(
        {"instance_id": "i7", "before": Jsonb([]), "after": Jsonb([]), "succeeded": True}
    ),
    "access.forget_changes": Hot({"id": "i7", "kept": 100}, 200),
    "access.changes": Hot({"begin": NOW - dt.timedelta(days=9), "end": NOW}, 200),
    "parameters.catalogue": Hot({"edition": 1}),
    "parameters.want_catalogue": Hot({"edition": 1}),
    "parameters.wanted_catalogues": of(1),
    "parameters.set_catalogue": Hot({"edition": 1, "problem": None}),
    "parameters.installations": Hot(most=200),
    "parameters.configurations": of("p7", most=200),
    "parameters.configuration": Hot({"id": "c7"}),
    "parameters.lock_configuration": Hot({"id": "c7"}),
    "parameters.count_configurations": Hot(most=200),
    "parameters.is_configuration_name_taken": Hot(),
    "parameters.insert_configuration": Hot({"id": "new", "description": ""}),
    "parameters.update_configuration": Hot({"id": "c7", "description": ""}),
    "parameters.delete_configuration": of("c7"),
    "parameters.instances_of_configuration": of("c7"),
    "parameters.candidates": Hot(most=200),
    "parameters.set_parameters": Hot({"configuration_id": None}),
    "parameters.set_in_force": Hot(),
    "parameters.note_change": Hot({"old_value": None, "new_value": "1", "succeeded": True}),
    "parameters.forget_changes": Hot({"kept": 1000}, 1200),
    "parameters.changes": Hot({"name": None, "begin": None, "end": None}, 1200),
    "parameters.note_application": Hot(
        {"configuration_id": "c7", "instance_name": "db-7", "succeeded": True}
    ),
    "parameters.forget_applications": Hot({"configuration_id": "c7", "kept": 1000}, 1200),
    "parameters.forget_applications_of": Hot({"id": "c7"}, 1200),
    "parameters.applications": Hot({"configuration_id": "c7"}, 1200),
    "parameters.memory_of_instance": of("i7"),
    # Who calls.
    "changes.ask": of(),
    "console.begin_session": Hot({"access_key": "k7", "most": 49, "id_hash": b"new", "mark": b"m"}),
    "console.find_session": Hot({"id_hash": b"h7", "idle": "30 minutes", "life": "12 hours"}),
    "console.see_session": of(b"h7"),
    "console.end_session": of(b"h7"),
    "console.usual_durations": Hot(
        {"id": task(7)},
        most=300,
        whole=frozenset({"step_duration"}),
        why="it has a row for each kind of step, and no more",
    ),
    "identities.revoke_session": Hot({"session": "new", "user_id": "u7", "expires_at": NOW}),
}

_WHEN_A_PROCESS_STARTS = "once, when a process of the service starts"
_BY_HAND = "a command of the operator"
_HOURLY = "tidies once an hour or less"
_SELDOM = "once in ten minutes, and then for instances for which there is a newer version"
_ALL_OF_IT = "it is about all of them, and asked by who watches the service"

RARE: dict[str, str] = {
    "repository.adopt_repository": _BY_HAND,
    "repository.insert_repository": _BY_HAND,
    "repository.any_project": _BY_HAND,
    "repository.ages": _ALL_OF_IT,
    "copies.adopt": _BY_HAND,
    "copies.insert": _BY_HAND,
    "copies.ages": _ALL_OF_IT,
    "copies.copied_backups": _HOURLY,
    "repository.recorded_instances": _WHEN_A_PROCESS_STARTS,
    "answers.delete_expired": _HOURLY,
    "dns_names.forget_left_names": _HOURLY,
    "changes.listen": _WHEN_A_PROCESS_STARTS,
    "events.listen": _WHEN_A_PROCESS_STARTS,
    "queue.listen_for_cancelled": _WHEN_A_PROCESS_STARTS,
    "events.forget": _HOURLY,
    "webhooks.forget_old": _HOURLY,
    "console.delete_expired_sessions": _HOURLY,
    "identities.lock_projects": _WHEN_A_PROCESS_STARTS,
    "identities.accounts": _WHEN_A_PROCESS_STARTS,
    "identities.account_of_project": _BY_HAND,
    "identities.domain": _WHEN_A_PROCESS_STARTS,
    "identities.insert_project": _WHEN_A_PROCESS_STARTS,
    "identities.insert_account": _WHEN_A_PROCESS_STARTS,
    "identities.project_with_access_key": _BY_HAND,
    "identities.set_keys": _BY_HAND,
    "identities.set_password_hash": _BY_HAND,
    "instances.instances_called": _BY_HAND,
    "identities.revoked_sessions": _WHEN_A_PROCESS_STARTS,
    "identities.delete_expired_revocations": _HOURLY,
    "instances.set_host": _WHEN_A_PROCESS_STARTS,
    "instances.forgo_ssl": _WHEN_A_PROCESS_STARTS,
    "instances.versions_with_ssl": _WHEN_A_PROCESS_STARTS,
    "instances.count_by_status": _ALL_OF_IT,
    "metrics.latest_samples": _ALL_OF_IT,
    "metrics.delete_expired": _HOURLY,
    "metrics.delete_expired_close": _HOURLY,
    "instances.stopped_for_long": "once a minute, and so far it reads all instances",
    "instances.revivals_of_instances": _ALL_OF_IT,
    "instances.to_upgrade": _SELDOM,
    "schedule.was_planned": _SELDOM,
    "instances.release_os_users": "when an instance is gone for good; it is about all of them",
    "queue.listen": _WHEN_A_PROCESS_STARTS,
    "queue.replace_workers": _WHEN_A_PROCESS_STARTS,
    "queue.depth": _ALL_OF_IT,
    "schedule.delete_expired": _HOURLY,
    "tasks.wrong_counts": _BY_HAND,
    "tasks.recount": _BY_HAND,
    "tasks.tasks_from_floor": _HOURLY,
    "tasks.raise_floor": _HOURLY,
    "tasks.create_partitions": _HOURLY,
    "tasks.passed_partitions": _HOURLY,
    "tasks.detached_partitions": _HOURLY,
    "tasks.listen_for_hidden": _WHEN_A_PROCESS_STARTS,
    "tasks.hold_memory": _WHEN_A_PROCESS_STARTS,
    "tasks.release_memory": _WHEN_A_PROCESS_STARTS,
    "tasks.memory_holders": "it asks the server, and no table of ours",
    "tasks.count_by_name": _ALL_OF_IT,
    "tasks.step_durations": _ALL_OF_IT,
}
