"""What a tenant wrote that would run while definitions are loaded by a superuser, as pg_upgrade does it.

Tables are empty then, but some expressions are planned when they are defined, or when something beside them is, and
what is constant in one is computed by the planner: a function that it calls runs with the rights of who loads it. An
index is made as the owner of its table, but its expressions are planned by whoever attaches it to another, or plans a
query. Those of views, policies, triggers and defaults are not planned.
"""

from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.sessions import superuser_session
from openrds.engines.protocol import NodeSpec

#: Functions that a role may change that is no superuser, and operators that call one; and what calls those: checks of
#: tables and of domains, keys of partitions, indexes, generated columns, statistics.
_CALLS = """
WITH tenants AS (
    SELECT oid FROM pg_authid WHERE NOT rolsuper
), code AS (
    SELECT 'pg_proc'::regclass AS class, oid FROM pg_proc WHERE proowner IN (SELECT oid FROM tenants)
    UNION ALL
    SELECT 'pg_operator'::regclass, pg_operator.oid FROM pg_operator JOIN pg_proc ON pg_proc.oid = oprcode
    WHERE proowner IN (SELECT oid FROM tenants) OR oprowner IN (SELECT oid FROM tenants)
)
SELECT DISTINCT pg_describe_object(classid, objid, 0), pg_describe_object(class, oid, 0)
FROM pg_depend JOIN code ON refclassid = class AND refobjid = oid
WHERE classid = 'pg_constraint'::regclass AND objid IN (SELECT oid FROM pg_constraint WHERE contype = 'c')
   OR classid = 'pg_class'::regclass
   OR classid = 'pg_attrdef'::regclass AND objid IN (
          SELECT pg_attrdef.oid FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
          WHERE attgenerated <> '')
   OR classid = 'pg_statistic_ext'::regclass
ORDER BY 1, 2 LIMIT %s
"""
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1"
#: Of each database.
_MOST = 10


def what_would_run(node: NodeSpec) -> list[str]:
    """A sentence for each call; empty where nothing of a tenant's would run.

    Raises:
        EngineError: the server does not answer.
    """
    with superuser_session(node) as connection:
        names = [name for (name,) in catalog.rows(connection, _DATABASES)]
    found: list[str] = []
    for name in names:
        with superuser_session(node, name) as connection:
            calls = catalog.rows(connection, _CALLS, _MOST)
        found.extend(f"in database {name}, {caller} calls {called}" for caller, called in calls)
    return found
