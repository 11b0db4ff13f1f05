"""A service is idle only when its pool of spare data directories is full."""

from support.dialects import DIALECTS
from support.service import ServiceUnderTest, wait_for


def await_full_pool(service: ServiceUnderTest) -> None:
    """Wait until each version of each engine has its spare directory."""
    versions = sum(len(service.get(f"datastores/{engine}")["dataStores"]) for engine in DIALECTS)

    def is_full() -> bool:
        spares = [path for path in (service.data_dir / "pool").glob("*/*") if not path.name.startswith(".")]
        return len({spare.parent for spare in spares}) == versions

    wait_for(is_full, 300, "a full pool")
