"""What the routes of networks read: all that a project has, the default things first."""

import datetime as dt

from openrds.api.state import ApiRequest, project_of, service_of
from openrds.domain.network import DefaultNetwork, SecurityGroup, Subnet, Vpc, default_network
from openrds.store.networks import security_groups_of, subnet_of, vpc_of
from openrds.store.queries import Queries

_sql = Queries("networks")


def default_of(request: ApiRequest) -> DefaultNetwork:
    return default_network(project_of(request).id, service_of(request).settings)


async def vpcs_of(request: ApiRequest) -> list[Vpc]:
    rows = await service_of(request).reads.rows(_sql.vpcs, [project_of(request).id])
    return [default_of(request).vpc, *map(vpc_of, rows)]


async def subnets_of(request: ApiRequest) -> list[Subnet]:
    rows = await service_of(request).reads.rows(_sql.subnets, [project_of(request).id])
    return [default_of(request).subnet, *map(subnet_of, rows)]


async def groups_of(request: ApiRequest) -> list[SecurityGroup]:
    """Each with its rules."""
    reads, project_id = service_of(request).reads, project_of(request).id
    groups = await reads.rows(_sql.security_groups, [project_id])
    rules = await reads.rows(_sql.security_group_rules, [project_id])
    return security_groups_of(default_of(request).security_group, groups, rules)


def time_of(moment: dt.datetime) -> str:
    """`2026-02-03T04:05:06Z`, as the network services write it."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
