"""A service is idle only when its pool of spare data directories is full."""

from pathlib import Path

from support.service import wait_for


def await_full_pool(data_dir: Path, versions: int) -> None:
    """Wait until each version has its spare directory."""

    def is_full() -> bool:
        spares = [path for path in (data_dir / "pool").glob("*/*") if not path.name.startswith(".")]
        return len({spare.parent for spare in spares}) == versions

    wait_for(is_full, 300, "a full pool")
