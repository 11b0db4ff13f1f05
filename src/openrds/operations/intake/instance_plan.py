"""How each part of a request for a new instance is checked, and what is written of the instance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openrds.domain import rules
from openrds.domain.engine import RULES, EngineName
from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.flavor import Flavor, find_flavor, is_sold_out
from openrds.domain.growth import VolumeGrowth, growth_of
from openrds.domain.instance import (
    InstanceType,
    NodeRole,
    SwitchStrategy,
    new_instance_id,
    new_node_id,
    new_secret,
)
from openrds.domain.instance_values import Instance, InstanceSpec
from openrds.domain.options import check_options
from openrds.domain.texts import number_in
from openrds.hosts.addresses import AddressPool
from openrds.operations.intake.create_request import BackupStrategy, CreateInstance, UnchangeableParam
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.networks import check_place
from openrds.operations.intake.parameter_groups import check_parameters, find_group_for
from openrds.operations.intake.quotas import check_disk
from openrds.store.instances import insert_instance, insert_node
from openrds.store.parameters import ParameterGroup
from openrds.store.queries import Queries

_sql = Queries("instances")

_DEFAULT_BACKUP_WINDOW = "02:00-03:00"
_DEFAULT_KEEP_DAYS = 7
_PLACE = ("vpc_id", "subnet_id", "security_group_id")
_GROWTH_FIELDS = (
    "auto_enlarge_strategy.limitSize",
    "auto_enlarge_strategy.triggerAvailablePercent",
    "auto_enlarge_strategy.stepPercent",
)
_KIND = {
    InstanceType.SINGLE: "a single instance",
    InstanceType.HA: "a primary/standby instance",
    InstanceType.REPLICA: "a read replica",
}


@dataclass(frozen=True)
class NewInstance:
    """An instance that passed every check, and where it will run."""

    spec: InstanceSpec
    host: str

    @property
    def administrator(self) -> str:
        return RULES[self.spec.engine].administrator

    @property
    def zones(self) -> list[str]:
        """Of each node, the primary's first."""
        return self.spec.availability_zone.split(",")


def plan_instance(intake: Intake, request: CreateInstance) -> NewInstance:
    """Check everything the body may hold; nothing is written.

    Raises:
        Refusal: with the code of the first thing that is wrong.
    """
    check_offered(request)
    engine, version = _check_datastore(request)
    rules.check_name(request.name, engine)
    place = _check_place(intake, request)
    instance_type = InstanceType.HA if request.ha else InstanceType.SINGLE
    flavor = check_flavor(engine, request.flavor_ref, instance_type)
    size = _required("volume.size", request.volume.size)
    rules.check_volume(request.volume.type, size)
    if request.password is not None:
        rules.check_password(request.password, engine, user=RULES[engine].administrator)
    port = _port(request, engine)
    if request.ha:
        check_replication_mode("ha.replication_mode", request.ha.replication_mode, engine)
    time_zone = rules.check_time_zone(request.time_zone or "")
    tags, options = tags_of(request), options_of(request, engine)
    backup_start_time, backup_keep_days = _backup_strategy(request)
    host, installation = _find_host(intake, engine, version)
    check_holds(intake, host, flavor)
    if request.ha:
        check_forwarding(intake, host)
    check_room(intake, host, places=3 if request.ha else 1)
    group = _group(intake, request, engine, installation["version"])
    spec = InstanceSpec(
        id=new_instance_id(engine),
        project_id=intake.project_id,
        name=request.name,
        engine=engine,
        version=installation["version"],
        complete_version=installation["complete_version"],
        type=instance_type,
        flavor_ref=request.flavor_ref,
        volume_type=request.volume.type,
        volume_size=size,
        port=port,
        availability_zone=request.availability_zone,
        **place,
        replication_mode=request.ha.replication_mode if request.ha else None,
        switch_strategy=SwitchStrategy.RELIABILITY if request.ha else None,
        configuration_id=group.id if group and group.user_defined else "",
        parameters=group.parameters if group else {},
        enterprise_project_id=request.enterprise_project_id or "0",
        time_zone=time_zone,
        backup_start_time=backup_start_time,
        backup_keep_days=backup_keep_days,
        tags=tags,
        secret=new_secret(),
        options=options,
        ssl=installation.get("tls", True),
        growth=growth_asked_for(request, size),
        auto_upgrade=bool(request.is_auto_upgrade),
    )
    check_parameters(intake, spec, host, spec.parameters)
    return NewInstance(spec, host)


def write_instance(intake: Intake, new: NewInstance) -> Instance:
    """Write the instance and its nodes, and return it."""
    spec = new.spec
    insert_instance(intake.connection, spec)
    first = NodeRole.READ_REPLICA if spec.replica_of else NodeRole.MASTER
    for number, zone in enumerate(new.zones):
        write_node(intake, spec, number, NodeRole.SLAVE if number else first, new.host, zone)
    return intake.instance(spec.id)


def write_node(
    intake: Intake, instance: InstanceSpec, number: int, role: NodeRole, host: str, zone: str
) -> str:
    """Write one node of an instance, and return its id."""
    node_id, name = new_node_id(instance.engine), f"{instance.name}_node{number}"
    insert_node(intake.connection, node_id, instance.id, name, role, host, zone)
    return node_id


def check_offered(request: CreateInstance) -> None:
    """What the contract knows and openrds does not have yet is refused, not ignored."""
    if request.ha is not None:
        _check_ha(request)
    for field in (
        "restore_point",
        "serverless_info",
        "dsspool_id",
        "data_vip",
    ):
        if getattr(request, field):
            raise Refusal(ErrorCode.PARAMETER, f"{field} is not offered by this openrds; leave it out.")
    if request.count not in (None, 1):
        raise Refusal(ErrorCode.PARAMETER, "count above 1 is not offered; create instances one by one.")
    _check_charge(request)
    if request.disk_encryption_id:
        key = request.disk_encryption_id
        raise Refusal(ErrorCode.DISK_ENCRYPTION, f"There is no disk encryption key {key}.")


def _check_charge(request: CreateInstance) -> None:
    if request.charge_info is None:
        return
    mode = request.charge_info.charge_mode
    rules.check_one_of("charge_info.charge_mode", mode, ("postPaid", "prePaid"))
    if mode == "prePaid":
        raise Refusal(ErrorCode.PARAMETER, "openrds bills nothing: charge_mode must be postPaid.")


def _check_ha(request: CreateInstance) -> None:
    assert request.ha is not None
    if request.ha.mode.lower() != "ha":
        raise Refusal(ErrorCode.HA_MODE, "ha.mode must be Ha.")


def _check_datastore(request: CreateInstance) -> tuple[EngineName, str]:
    datastore = _required("datastore", request.datastore)
    engine = EngineName.parse(datastore.type)
    if engine is None:
        raise Refusal(ErrorCode.ENGINE, f"datastore.type must be one of {', '.join(EngineName)}.")
    return engine, datastore.version


def _check_place(intake: Intake, request: CreateInstance) -> dict[str, str]:
    """Region and zones, and the ids of the VPC, the subnet and the security group."""
    check_region(intake, request)
    settings = intake.settings
    zones = request.availability_zone.split(",")
    for zone in zones:
        check_zone(intake, "availability_zone", zone)
    if len(zones) != (2 if request.ha else 1):
        wanted = "two zones, of the primary and the standby, such as" if request.ha else "one zone, such as"
        example = ",".join(settings.availability_zones[:1] * (2 if request.ha else 1))
        raise Refusal(ErrorCode.ZONE_COMBINATION, f"availability_zone must have {wanted} {example}.")
    asked = {field: _required(field, getattr(request, field)) for field in _PLACE}
    check_place(intake, *asked.values())
    return asked


def check_region(intake: Intake, request: CreateInstance) -> None:
    region = intake.settings.region
    if request.region is not None and request.region != region:
        raise Refusal(ErrorCode.REGION, f"region must be {region}.")


def check_zone(intake: Intake, field: str, zone: str) -> None:
    zones = intake.settings.availability_zones
    if zone not in zones:
        raise Refusal(ErrorCode.AVAILABILITY_ZONE, f"{field} must be one of {', '.join(zones)}.")


def check_forwarding(intake: Intake, host: str) -> None:
    """An endpoint that several servers take turns at must be passed on."""
    (found,) = intake.connection.execute(_sql.host, [host]).fetchall()
    if not found["forwarding"]:
        raise Refusal(
            ErrorCode.HA_MODE,
            f"Host {host} has no means to pass an endpoint on from server to server: install nftables or HAProxy.",
        )


def check_replication_mode(field: str, mode: str, engine: EngineName) -> None:
    if mode not in RULES[engine].replication_modes:
        modes = " or ".join(RULES[engine].replication_modes)
        raise Refusal(ErrorCode.REPLICATION_MODE, f"{field} of {engine} must be {modes}.")


def check_flavor(engine: EngineName, spec_code: str, instance_type: InstanceType) -> Flavor:
    """
    Raises:
        Refusal: FLAVOR, there is none of this code for such an instance.
    """
    flavor = find_flavor(engine, spec_code)
    if flavor is None:
        raise Refusal(
            ErrorCode.FLAVOR, f"There is no flavor {spec_code} for {engine}; GET flavors/{engine} lists them."
        )
    if flavor.instance_type is not instance_type:
        raise Refusal(ErrorCode.FLAVOR, f"{spec_code} is not a flavor of {_KIND[instance_type]}.")
    return flavor


def check_holds(intake: Intake, host: str, flavor: Flavor) -> None:
    """Whether a host has the memory that a flavor promises.

    Raises:
        Refusal: FLAVOR_SOLD_OUT.
    """
    (found,) = intake.connection.execute(_sql.host, [host]).fetchall()
    if is_sold_out(flavor, [found["memory_mb"]], intake.settings):
        raise Refusal(
            ErrorCode.FLAVOR_SOLD_OUT,
            f"{flavor.spec_code} has {flavor.memory_mb} MB of memory, and host {host} has {found['memory_mb']} MB: "
            'choose a smaller one. With the setting flavors = "scaled", large ones are as large as their host.',
        )


def _port(request: CreateInstance, engine: EngineName) -> int:
    if request.port in (None, ""):
        return RULES[engine].default_port
    port = number_in(str(request.port))
    if port is None:
        raise Refusal(ErrorCode.PARAMETER, "port must be a number.")
    rules.check_port(port, engine)
    return port


def options_of(request: CreateInstance, engine: EngineName) -> dict[str, str]:
    """What the creation fixes. Of an engine that lets it be chosen, what the request leaves open is written down too.

    Raises:
        Refusal: PARAMETER, the engine has no such thing, or not this.
    """
    unchangeable = request.unchangeable_param or UnchangeableParam()
    return check_options(
        engine,
        lower_case_table_names=unchangeable.lower_case_table_names,
        character_set=request.character_set,
        collation=request.collation,
    )


def growth_asked_for(request: CreateInstance, size: int) -> VolumeGrowth | None:
    """
    Raises:
        Refusal: PARAMETER.
    """
    asked = request.auto_enlarge_strategy
    if asked is None or not asked.option:
        return None
    return growth_of(
        _GROWTH_FIELDS, asked.limit_size, asked.trigger_available_percent, asked.step_percent, present=size
    )


def tags_of(request: CreateInstance) -> dict[str, str]:
    tags = [(tag.key, tag.value) for tag in request.tags or []]
    rules.check_tags(tags)
    return dict(tags)


def _backup_strategy(request: CreateInstance) -> tuple[str, int]:
    """The window and the days. Without a strategy the answer carries 02:00-03:00 and 7 days (operations.md 3)."""
    strategy = request.backup_strategy or BackupStrategy(_DEFAULT_BACKUP_WINDOW, _DEFAULT_KEEP_DAYS)
    rules.check_backup_window(strategy.start_time)
    keep_days = 0 if strategy.keep_days is None else strategy.keep_days
    rules.check_keep_days(keep_days)
    return strategy.start_time, keep_days


def _group(
    intake: Intake, request: CreateInstance, engine: EngineName, version: str
) -> ParameterGroup | None:
    if not request.configuration_id:
        return None
    return find_group_for(intake, request.configuration_id, engine, version)


def _find_host(intake: Intake, engine: EngineName, version: str) -> tuple[str, Mapping[str, Any]]:
    """A host that has the version asked for, and what it has of it."""
    offered = []
    for host in intake.connection.execute(_sql.hosts):
        for installation in host["installations"]:
            if installation["engine"] == engine:
                if version in (installation["version"], installation["complete_version"]):
                    return host["name"], installation
                offered.append(installation["version"])
    if offered:
        raise Refusal(
            ErrorCode.DATASTORE_VERSION, f"No host has {engine} {version}; there is {', '.join(offered)}."
        )
    raise Refusal(
        ErrorCode.DATASTORE,
        f"No host has a {engine} server. Install one, or name its folder in the setting engine_dirs.",
    )


def check_room(intake: Intake, host: str, *, places: int, instances: int = 1) -> None:
    """Whether a host has disk space left, and so many addresses; and the project room for so many instances."""
    settings, connection = intake.settings, intake.connection
    # Taken for the rest of the transaction, so that two creations at once cannot both take the last place.
    connection.execute(_sql.lock_host, [host])
    (project,) = connection.execute(_sql.count_instances, [intake.project_id])
    if project["instances"] + instances > settings.instance_quota:
        raise Refusal(
            ErrorCode.QUOTA, f"The project has {project['instances']} of {settings.instance_quota} instances."
        )
    (taken,) = connection.execute(_sql.count_places, [host])
    size = AddressPool(settings.private_network).size
    if taken["places"] + places > size:
        raise Refusal(
            ErrorCode.QUOTA,
            f"The address pool {settings.private_cidr} of host {host} is used up: {taken['places']} of {size}, "
            f"and {places} more are needed.",
        )
    check_disk(settings, "an instance")


def _required(field: str, value: Any) -> Any:
    if value is None or value == "":
        raise Refusal(ErrorCode.PARAMETER, f"{field} is required.")
    return value
