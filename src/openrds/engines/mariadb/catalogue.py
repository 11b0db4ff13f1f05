"""What MariaDB servers say of their parameters."""

from collections.abc import Iterator, Mapping
from typing import Any

from openrds.domain.parameters import Parameter
from openrds.engines.binlog.offered import OFFERED, SHOWN, bounds
from openrds.engines.binlog.sessions import Connection, rows

#: One that no option sets would keep a server from starting, were it written down. Of some that are options it does not
#: say so.
_OPTIONS = ("autocommit", "character_set_server", "collation_server", "lc_time_names", "tx_isolation")
_VARIABLES = """
SELECT LOWER(variable_name) AS name, COALESCE(global_value, '') AS value, variable_type AS type,
       COALESCE(numeric_min_value, '') AS low, COALESCE(numeric_max_value, '') AS high,
       COALESCE(enum_value_list, '') AS words, read_only AS fixed, COALESCE(variable_comment, '') AS comment
FROM information_schema.system_variables
WHERE variable_scope <> 'SESSION ONLY' AND LOWER(variable_name) IN %s
      AND (command_line_argument IS NOT NULL OR LOWER(variable_name) IN %s)
ORDER BY 1
"""


def catalogue(connection: Connection) -> Iterator[Parameter]:
    for row in rows(connection, _VARIABLES, tuple(OFFERED | SHOWN), _OPTIONS):
        yield _parameter(row)


def _parameter(row: Mapping[str, Any]) -> Parameter:
    name, type_ = row["name"], _type(row["type"])
    # Those of an optimizer's switches are pairs, which the server checks.
    choices = tuple(row["words"].split(",")) if row["words"] and row["type"] != "FLAGSET" else ()
    low, high = bounds(name, row["low"], row["high"]) if type_ in ("integer", "float") else ("", "")
    return Parameter(
        name=name,
        type=type_,
        value=row["value"],
        description=row["comment"],
        minimum=low,
        maximum=high,
        choices=("ON", "OFF") if type_ == "boolean" else choices,
        restart=row["fixed"] == "YES",
        readonly=name not in OFFERED,
    )


def _type(type_: str) -> str:
    match type_:
        case "BOOLEAN":
            return "boolean"
        case "DOUBLE":
            return "float"
        case "SET":
            return "list"
        case "ENUM" | "VARCHAR" | "FLAGSET":
            return "string"
    return "integer"
