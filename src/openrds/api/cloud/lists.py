"""How lists outside RDS are asked: filters by any attribute, and pages.

Source: contract, clients.md. Lists filter by any attribute of theirs that the query names, and page by
`limit` with `marker` (the last id seen) or `offset`; parameters that name nothing are ignored.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import NotFoundException

from openrds.domain.errors import ErrorCode, Refusal
from openrds.domain.network import ALL_ENTERPRISE_PROJECTS
from openrds.domain.texts import number_in

Item = TypeVar("Item", bound=msgspec.Struct)
AnyRequest = Request[Any, Any, Any]


def select(items: Sequence[Item], request: AnyRequest) -> list[Item]:
    """The items that the query asks for.

    Raises:
        Refusal: PARAMETER, `limit` or `offset` is not a number.
    """
    query = request.query_params
    found = [item for item in items if _matches(item, query)]
    if marker := query.get("marker"):
        ids = [_attribute(item, "id") for item in found]
        found = found[ids.index(marker) + 1 :] if marker in ids else []
    start = _number(query, "offset", 0)
    return found[start : start + _number(query, "limit", len(found))]


def one(items: Sequence[Item], id: str) -> Item:
    """The item with this id; lists are searched by name, so a name is not found here.

    Raises:
        NotFoundException: clients then search the list.
    """
    for item in items:
        if _attribute(item, "id") == id:
            return item
    raise NotFoundException(f"{id} does not exist.")


def _matches(item: msgspec.Struct, query: Any) -> bool:
    """`query` is a multi dict; of several values of a key one must match."""
    return all(
        str(_attribute(item, key)).lower() in {value.lower() for value in query.getall(key)}
        for key in set(query)
        if isinstance(_attribute(item, key), (str, int)) and not _means_any(key, query)
    )


def _means_any(key: str, query: Any) -> bool:
    return key == "enterprise_project_id" and ALL_ENTERPRISE_PROJECTS in query.getall(key)


def _attribute(item: msgspec.Struct, key: str) -> object:
    """By the name that the attribute has in JSON, such as `router:external`."""
    fields = item.__struct_encode_fields__
    return getattr(item, item.__struct_fields__[fields.index(key)]) if key in fields else None


def _number(query: Any, key: str, default: int) -> int:
    value = query.get(key, "")
    number = number_in(value) if value else default
    if number is None:
        raise Refusal(ErrorCode.PARAMETER, f"{key}: expected a number that is not negative.")
    return number
