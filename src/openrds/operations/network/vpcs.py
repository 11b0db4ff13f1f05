"""Make, change and delete a VPC, which is a router in Neutron's words. Done when it is answered."""

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.network import Vpc, new_network_id
from openrds.domain.network_rules import (
    check_network_description,
    check_network_name,
    check_vpc_cidr,
    cidr_in,
    refuse,
)
from openrds.operations.intake.intake import Intake
from openrds.operations.intake.networks import default_of
from openrds.operations.intake.quotas import check_networks
from openrds.operations.network.unused import check_unused
from openrds.store.networks import subnet_of, vpc_of
from openrds.store.queries import Queries

_sql = Queries("networks")


def create(
    intake: Intake, name: str, *, description: str = "", cidr: str = "", enterprise_project_id: str = "0"
) -> Vpc:
    """Its range may be left open, and overlap others'."""
    row = {
        "id": new_network_id(),
        "project_id": intake.project_id,
        "name": check_network_name(name),
        "description": check_network_description(description),
        "cidr": check_vpc_cidr(cidr, intake.settings.private_network),
        "enterprise_project_id": enterprise_project_id,
    }
    check_networks(intake.connection, intake.project_id, intake.settings, "vpcs")
    (made,) = intake.connection.execute(_sql.insert_vpc, row).fetchall()
    return vpc_of(made)


def change(
    intake: Intake, vpc_id: str, *, name: str | None, description: str | None, cidr: str | None = None
) -> Vpc:
    """What is None stays. Its subnets must be within its new range."""
    found = _lock(intake, vpc_id)
    row = {
        "id": found.id,
        "name": found.name if name is None else check_network_name(name),
        "description": found.description if description is None else check_network_description(description),
        "cidr": found.cidr if cidr is None else _new_cidr(intake, found, cidr),
    }
    (changed,) = intake.connection.execute(_sql.set_vpc, row).fetchall()
    return vpc_of(changed)


def delete(intake: Intake, vpc_id: str) -> None:
    """
    Raises:
        Refusal: NETWORK_IN_USE, it has subnets or instances.
    """
    found = _lock(intake, vpc_id)
    check_unused(intake, _sql.users_of_vpc, found.id, "VPC")
    intake.connection.execute(_sql.delete_vpc, [found.id])


def _new_cidr(intake: Intake, vpc: Vpc, text: str) -> str:
    check_vpc_cidr(text, intake.settings.private_network)
    for row in intake.connection.execute(_sql.subnets, [intake.project_id]).fetchall():
        subnet = subnet_of(row)
        if not text or subnet.vpc_id != vpc.id or not subnet.cidr:
            continue
        if not cidr_in("cidr", subnet.cidr).subnet_of(cidr_in("cidr", text)):
            raise refuse(f"cidr must have that of the VPC's subnet {subnet.id}, {subnet.cidr}.")
    return text


def _lock(intake: Intake, vpc_id: str) -> Vpc:
    """
    Raises:
        Refusal: NETWORK_NOT_FOUND; NETWORK_IN_USE, it is the default one.
    """
    if vpc_id == default_of(intake).vpc.id:
        raise Refusal(ErrorCode.NETWORK_IN_USE, "The default VPC always exists, and stays as it is.")
    key = {"id": vpc_id, "project_id": intake.project_id}
    row = intake.connection.execute(_sql.lock_vpc, key).fetchone()
    if row is None:
        raise Refusal(ErrorCode.NETWORK_NOT_FOUND, f"There is no VPC {vpc_id}.")
    return vpc_of(row)
