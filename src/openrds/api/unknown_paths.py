"""Paths that look like those of something with an id, where no id can be: there is no such API.

Source: contract, clients.md. `GET /v3/{project_id}/instances/statistic` is no wrong method on an instance.
"""

import re

from litestar import Litestar
from litestar.routes import HTTPRoute

#: A UUID, with or without hyphens, or the id of an instance or what belongs to one.
_ID = re.compile(
    r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}(?:[a-z]{2}[0-9]{2})?", re.ASCII | re.IGNORECASE
)
_NO_IDS = {"project_id", "region_id"}


def may_exist(app: Litestar, path: str) -> bool:
    """Whether every part of a path that is in the place of an id looks like one, in the route that is nearest to it."""
    parts = path.strip("/").split("/")
    routes = [route for route in app.routes if isinstance(route, HTTPRoute) and _leads_to(route, parts)]
    if not routes:
        return True
    nearest = max(routes, key=lambda route: sum(isinstance(one, str) for one in route.path_components))
    return all(
        isinstance(one, str) or not one.name.endswith("_id") or one.name in _NO_IDS or _ID.fullmatch(part)
        for one, part in zip(nearest.path_components, parts, strict=True)
    )


def _leads_to(route: HTTPRoute, parts: list[str]) -> bool:
    return len(route.path_components) == len(parts) and all(
        one == part for one, part in zip(route.path_components, parts, strict=True) if isinstance(one, str)
    )
