"""The public address of an instance, connections to which are passed on while it is bound."""

from openrds.operations.steps.certificates import renew_certificates
from openrds.operations.steps.resources import Resources
from openrds.store.queries import Queries

_sql = Queries("instances")


def set_bound(resources: Resources, instance_id: str, *, bound: bool) -> None:
    """Whether connections to the public address of an instance are passed on, and its servers vouch for it."""
    address = resources.view.public_address(instance_id)
    with resources.store.transaction() as connection:
        connection.execute(_sql.set_bound, {"instance_id": instance_id, "bound": bound})
    resources.apply_routes(*([address] if address else []))
    renew_certificates(resources, instance_id)
