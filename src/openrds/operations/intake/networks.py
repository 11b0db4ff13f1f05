"""What a call may name of its project's networks, found and held until the call is accepted.

A default one is always there, and has no row. What is held is not deleted meanwhile.
"""

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.network import (
    DefaultNetwork,
    SecurityGroup,
    Subnet,
    Vpc,
    default_network,
)
from openrds.operations.intake.intake import Intake
from openrds.store.database import Row
from openrds.store.networks import security_group_of, subnet_of, vpc_of
from openrds.store.queries import Queries

_sql = Queries("networks")


def default_of(intake: Intake) -> DefaultNetwork:
    return default_network(intake.project_id, intake.settings)


def find_vpc(intake: Intake, vpc_id: str) -> Vpc:
    """
    Raises:
        Refusal: VPC, the project has none of this id.
    """
    default = default_of(intake).vpc
    row = _row(intake, _sql.hold_vpc, vpc_id)
    if vpc_id != default.id and row is None:
        raise Refusal(ErrorCode.VPC, f"vpc_id: there is no VPC {vpc_id}; GET vpcs lists them.")
    return default if row is None else vpc_of(row)


def find_subnet(intake: Intake, subnet_id: str) -> Subnet:
    """
    Raises:
        Refusal: SUBNET, the project has none of this id.
    """
    default = default_of(intake).subnet
    row = _row(intake, _sql.hold_subnet, subnet_id)
    if subnet_id != default.id and row is None:
        raise Refusal(ErrorCode.SUBNET, f"subnet_id: there is no subnet {subnet_id}; GET subnets lists them.")
    return default if row is None else subnet_of(row)


def find_security_group(intake: Intake, group_id: str) -> SecurityGroup:
    """Without the rules that were added to it.

    Raises:
        Refusal: SECURITY_GROUP, the project has none of this id.
    """
    default = default_of(intake).security_group
    row = _row(intake, _sql.hold_security_group, group_id)
    if group_id != default.id and row is None:
        raise Refusal(
            ErrorCode.SECURITY_GROUP,
            f"security_group_id: there is no security group {group_id}; GET security-groups lists them.",
        )
    return default if row is None else security_group_of(row)


def check_place(intake: Intake, vpc_id: str, subnet_id: str, group_id: str) -> None:
    """Whether an instance may be in this subnet of this VPC, and in this security group.

    Raises:
        Refusal: VPC, SUBNET or SECURITY_GROUP.
    """
    vpc, subnet = find_vpc(intake, vpc_id), find_subnet(intake, subnet_id)
    if subnet.vpc_id != vpc.id:
        raise Refusal(ErrorCode.SUBNET, f"subnet_id: {subnet.id} is not a subnet of the VPC {vpc.id}.")
    if not subnet.cidr:
        raise Refusal(ErrorCode.SUBNET, f"subnet_id: the network {subnet.id} has no subnet yet; make one.")
    find_security_group(intake, group_id)


def _row(intake: Intake, statement: bytes, id_: str) -> Row | None:
    return intake.connection.execute(statement, {"id": id_, "project_id": intake.project_id}).fetchone()
