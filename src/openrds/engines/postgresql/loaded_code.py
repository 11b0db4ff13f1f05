"""What a tenant wrote that would run while definitions are loaded by a superuser, as pg_upgrade does it.

Tables are empty then, but some expressions are planned when they are defined, or when something beside them is, and
what is constant in one is computed by the planner: a function that it calls runs with the rights of who loads it. An
index is made as the owner of its table, but its expressions are planned by whoever attaches it to another, or plans a
query. Those of views, policies, triggers and defaults are not planned.

But each literal in any of them is read when it is defined, and where a domain is part of its type (`'{1}'::domain[]`),
the check of that domain is asked of it, by the superuser; as it is of bounds of partitions, of what a column has in
older rows, and of statistics. A built-in function called there may run a statement that it is given as text, or write a
file. So such a check may hold only what is known to compute and do nothing else.
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
#: What the checks of domains call that a tenant owns, or that is not immutable, and what else is in them but `known`
#: expressions: the server's own text of an expression names each by a word behind a brace. What is immutable and the
#: superuser's comes from PostgreSQL or from an extension that is offered, and calls nothing by a name or a type.
_IN_DOMAINS = r"""
WITH checks AS (
    SELECT oid, conbin::text AS tree FROM pg_constraint WHERE contype = 'c' AND contypid <> 0 AND oid >= 16384
), calls AS (
    SELECT oid, found[1]::oid AS called FROM checks, regexp_matches(tree, ':funcid (\d+)', 'g') AS found
    UNION ALL
    SELECT checks.oid, oprcode FROM checks, regexp_matches(tree, ':opno (\d+)', 'g') AS found
    JOIN pg_operator ON pg_operator.oid = found[1]::oid
)
SELECT DISTINCT pg_describe_object('pg_constraint'::regclass, calls.oid, 0),
       pg_describe_object('pg_proc'::regclass, called, 0)
FROM calls JOIN pg_proc ON pg_proc.oid = called JOIN pg_authid ON pg_authid.oid = proowner
WHERE provolatile <> 'i' OR NOT rolsuper
UNION
SELECT pg_describe_object('pg_constraint'::regclass, oid, 0), lower(found[1])
FROM checks, regexp_matches(tree, '\{([A-Z]+)', 'g') AS found WHERE found[1] <> ALL(%s)
ORDER BY 1, 2 LIMIT %s
"""
#: Without those that make JSON: they convert with the casts of tenants. Some have a longer name since version 16.
_KNOWN_EXPRESSIONS = """
ARRAY ARRAYCOERCEEXPR ARRAYEXPR BOOLEANTEST BOOLEXPR CASE CASEEXPR CASETESTEXPR CASEWHEN COALESCE COALESCEEXPR
COERCETODOMAIN COERCETODOMAINVALUE COERCEVIAIO COLLATE COLLATEEXPR CONST CONVERTROWTYPEEXPR DISTINCTEXPR FIELDSELECT
FUNCEXPR JSONISPREDICATE MINMAX MINMAXEXPR NAMEDARGEXPR NULLIFEXPR NULLTEST OPEXPR RELABELTYPE ROW ROWCOMPARE
ROWCOMPAREEXPR ROWEXPR SCALARARRAYOPEXPR SQLVALUEFUNCTION SUBSCRIPTINGREF WHEN XMLEXPR
"""
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1"
#: Such a name can end a comment in what pg_dumpall writes for psql, before the releases of August 2025.
_BROKEN = r"SELECT rolname FROM pg_roles WHERE rolname ~ '[\n\r]' ORDER BY 1 LIMIT %s"
#: Of each database.
_MOST = 10


def what_would_run(node: NodeSpec) -> list[str]:
    """A sentence for each call; empty where nothing would run that a tenant has a say in.

    Raises:
        EngineError: the server does not answer.
    """
    with superuser_session(node) as connection:
        names = [name for (name,) in catalog.rows(connection, _DATABASES)]
    found: list[str] = []
    for name in names:
        with superuser_session(node, name) as connection:
            calls = {
                *catalog.rows(connection, _CALLS, _MOST),
                *catalog.rows(connection, _IN_DOMAINS, _KNOWN_EXPRESSIONS.split(), _MOST),
            }
        found.extend(f"in database {name}, {caller} calls {called}" for caller, called in sorted(calls))
    return found


def broken_names(node: NodeSpec) -> list[str]:
    """Names of roles that have line breaks in them.

    Raises:
        EngineError: the server does not answer.
    """
    with superuser_session(node) as connection:
        return [name for (name,) in catalog.rows(connection, _BROKEN, _MOST)]
