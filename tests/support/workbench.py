"""A workbench: a real store, real engines and this host's resources in the test's own process, without a service."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from openrds.domain.instance import InstanceStatus
from openrds.domain.instance_values import Instance
from openrds.domain.network import default_network
from openrds.domain.settings import Settings
from openrds.engines.postgresql.engine import PostgreSQL
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import Engine
from openrds.hosts import processes
from openrds.hosts.cgroups import remove_groups
from openrds.hosts.forwarders import stop_filtering, stop_forwarding
from openrds.hosts.forwarding import Route
from openrds.hosts.images import detach
from openrds.hosts.mounts import mounts
from openrds.operations.intake.create_request import CreateInstance, Datastore, Volume
from openrds.operations.intake.intake import Intake
from openrds.operations.registry import OPERATIONS
from openrds.operations.steps.resources import Resources
from openrds.service import child, places
from openrds.service.identities import ensure_accounts, load_accounts
from openrds.service.means import choose_users
from openrds.service.private_store import private_store, start_private_store
from openrds.service.worker_process import build_resources, register_host
from openrds.store.database import Row, Store
from openrds.store.instances import instance_of
from openrds.store.migrate import migrate
from openrds.store.queries import Queries
from openrds.tasks.operation import Operation
from openrds.tasks.queue import Queue
from openrds.tasks.runner import Runner
from support.dialects import POSTGRESQL, Dialect
from support.engines import ENGINE_DIRS
from support.folders import short_folder
from support.service import left_running, private_cidr, public_cidr, wait_for

PASSWORD = "Sup3rS3cret-"

_tasks = Queries("tasks")

Operations = Mapping[str, Operation[Any, Any]]


@dataclass(frozen=True)
class Footprint:
    """What there is on the host and in the store beside the records of tasks and instances."""

    processes: frozenset[str]
    folders: frozenset[str]
    sockets: frozenset[str]
    addresses: frozenset[str]
    mounts: frozenset[str]
    images: frozenset[str]
    limited: frozenset[str]
    routes: frozenset[Route]
    locks: int
    backups: frozenset[str]
    scratch: frozenset[str]


@dataclass
class Workbench:
    resources: Resources
    queue: Queue
    brief: child.Brief
    project_id: str
    #: Of the engine that instances are made of.
    dialect: Dialect = POSTGRESQL

    @property
    def store(self) -> Store:
        return self.resources.store

    @property
    def engine(self) -> Engine:
        return self.resources.host.engines[self.dialect.engine]

    def speaking(self, dialect: Dialect) -> "Workbench":
        """The same, for instances of another engine."""
        return replace(self, dialect=dialect)

    def submit(self, work: Callable[[Intake], Any]) -> Any:
        with self.store.transaction() as connection:
            return work(Intake(connection, self.queue, self.resources.settings, self.project_id))

    def run(self, task_id: UUID, operations: Operations = OPERATIONS) -> Row:
        """Run a task to its end in this process, and give its row."""
        runner = Runner(self.store, self.queue, operations, self.resources)
        while self.task(task_id)["status"] == "Running":
            runner.run_step(task_id)
        task = self.task(task_id)
        self._check_ending(task, operations[task["operation"]])
        return task

    def _check_ending(self, task: Row, operation: Operation[Any, Any]) -> None:
        """An instance is left as the operation says of its ending. STORAGE FULL is what ACTIVE is without room."""
        ending = operation.on_completed if task["status"] == "Completed" else operation.on_failed
        instance = self.instance(task["instance_id"])
        if instance is not None and ending.statuses:
            is_full = instance.status is InstanceStatus.STORAGE_FULL
            assert (InstanceStatus.ACTIVE if is_full else instance.status) in ending.statuses

    def task(self, task_id: UUID) -> Row:
        (row,) = self.store.rows(b"select * from task where id = %s", [task_id])
        return row

    def steps(self, task_id: UUID) -> list[Row]:
        """The steps of a task that runs or has ended, as a caller sees them."""
        return self.store.rows(_tasks.get_steps, {"id": task_id, "project_id": self.project_id})

    def superuser(self, instance_id: str, *statements: str) -> None:
        """Run statements as openrds' own superuser on the primary of an instance of PostgreSQL, each by itself."""
        with superuser_session(self.resources.primary_server(instance_id).node) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def instance(self, instance_id: str) -> Instance | None:
        return self.resources.view.find_instance(instance_id)

    def instances(self) -> list[Instance]:
        return [instance_of(row) for row in self.store.rows(b"select * from instance order by created_at")]

    def footprint(self) -> Footprint:
        settings = self.resources.settings
        nodes = settings.nodes_dir
        running = [record for record in processes.records_below(nodes) if processes.find(record)]
        return Footprint(
            processes=frozenset(record.parent.name for record in running),
            folders=frozenset(path.name for path in nodes.glob("*")) if nodes.exists() else frozenset(),
            sockets=frozenset(
                path.parent.name
                for path in self.resources.host.socket_root.glob("*/*")
                if path.is_socket() and path.parent.name != "store"
            ),
            addresses=frozenset(
                row["address"] for row in self.store.rows(b"select host(address) as address from address")
            ),
            mounts=frozenset(
                mount.point.name for mount in mounts() if nodes.resolve() in mount.point.parents
            ),
            images=frozenset(path.name for path in self.resources.settings.images_dir.glob("*")),
            limited=frozenset(getattr(self.resources.host.limits, "names", list)()),
            routes=self.resources.host.forwarder.routes(),
            locks=self.store.rows(b"select count(*) as locks from instance_lock")[0]["locks"],
            # All but the log, to which any server may add at any time.
            backups=frozenset(
                str(path.relative_to(settings.backups_dir))
                for path in settings.backups_dir.glob("*/*")
                if path.name != "wal"
            ),
            scratch=frozenset(path.name for path in settings.scratch_dir.glob("*")),
        )

    def create_request(self, **changes: Any) -> CreateInstance:
        network = default_network(self.project_id, self.resources.settings)
        fields: dict[str, Any] = {
            "name": "proof-db",
            "flavor_ref": self.dialect.flavor(),
            "volume": Volume("CLOUDSSD", 40),
            "availability_zone": "local-1a",
            "datastore": Datastore(self.dialect.engine, self.engine.installations()[-1].version),
            "vpc_id": network.vpc.id,
            "subnet_id": network.subnet.id,
            "security_group_id": network.security_group.id,
            "password": PASSWORD,
        }
        return CreateInstance(**{**fields, **changes})


@contextlib.contextmanager
def running_workbench(**changes: Any) -> Iterator[Workbench]:
    """`changes` are settings."""
    root = short_folder()
    settings = Settings(
        data_dir=root / "d",
        private_cidr=private_cidr(),
        public_cidr=public_cidr(),
        # Names are given and vouched for; here is nobody who answers for them.
        dns_listen="127.0.0.1:53",
        engine_dirs=ENGINE_DIRS,
        heartbeat_interval=0.3,
        worker_timeout=1.2,
        # A worker that is killed would leave the initdb of its reserve behind, at work in our folders.
        spare_data_dirs=0,
        **changes,
    )
    users = choose_users(settings)
    with places.prepared(settings.data_dir, users, places.Lock(settings.data_dir)):
        pass
    socket_root = places.socket_root(settings.data_dir)
    engine = PostgreSQL(settings.data_dir, users, spare_data_dirs=0)
    server = private_store(settings.data_dir, socket_root, engine.installations()[-1], users)
    try:
        start_private_store(server, engine)
        migrate(server.dsn)
        with Store(server.dsn, connections=8) as store:
            ensure_accounts(store, settings)
            (account,) = load_accounts(store)
            resources = build_resources(store, settings, socket_root)
            register_host(resources)
            brief = child.Brief(server.dsn, socket_root, settings)
            yield Workbench(resources, Queue(), brief, account.project.id)
    finally:
        stop_forwarding(settings.data_dir)
        stop_filtering(settings.data_dir)
        for record in processes.records_below(settings.data_dir):
            processes.stop_recorded(record)
        detach(settings.images_dir, settings.nodes_dir)
        remove_groups(settings.data_dir)
        wait_for(lambda: not left_running(root), what=f"the end of all that runs in {root}")
        shutil.rmtree(root)
