"""What loaders may do beyond what everybody may: nothing that the owners whose objects they load may not.

Each of these asks one server's catalog what owners may do, and returns the statements that let their loaders do it:
GRANT, and ALTER ... OWNER, which call no code.
"""

from openrds.engines.postgresql import catalog
from openrds.engines.postgresql.loaders import Loaders
from openrds.engines.postgresql.sessions import Connection

_LOADERS = """
loader AS (SELECT * FROM unnest(%(owners)s::text[], %(names)s::text[]) AS loader (owner, name)),
     lent AS (SELECT oid AS role, coalesce(name, %(heir)s) AS name FROM pg_roles LEFT JOIN loader ON owner = rolname)
"""
#: A schema becomes its owner's loader's. Who has something in one may make something there.
_PLACES = """
WITH {loaders}, place AS (
    SELECT relnamespace AS schema, relowner AS role FROM pg_class UNION SELECT pronamespace, proowner FROM pg_proc
    UNION SELECT typnamespace, typowner FROM pg_type UNION SELECT oprnamespace, oprowner FROM pg_operator
    UNION SELECT collnamespace, collowner FROM pg_collation UNION SELECT connamespace, conowner FROM pg_conversion
    UNION SELECT cfgnamespace, cfgowner FROM pg_ts_config UNION SELECT dictnamespace, dictowner FROM pg_ts_dict
    UNION SELECT stxnamespace, stxowner FROM pg_statistic_ext UNION SELECT opcnamespace, opcowner FROM pg_opclass
    UNION SELECT opfnamespace, opfowner FROM pg_opfamily
), schema AS (
    SELECT oid, nspname, nspowner FROM pg_namespace
    WHERE (oid >= 16384 OR nspname = 'public') AND nspname !~ '^pg_' AND nspname <> %(aside)s
)
SELECT format('ALTER SCHEMA %%I OWNER TO %%I', nspname, name) FROM schema JOIN lent ON role = nspowner
WHERE pg_get_userbyid(nspowner) <> 'pg_database_owner'
UNION ALL
SELECT DISTINCT format('GRANT USAGE, CREATE ON SCHEMA %%I TO %%I', nspname, name)
FROM schema JOIN place ON schema.oid = place.schema JOIN lent USING (role)
UNION ALL
SELECT format('GRANT USAGE ON SCHEMA %%I TO %%I', nspname, name) FROM schema, loader
WHERE has_schema_privilege(owner, schema.oid, 'USAGE')
UNION ALL
SELECT format('GRANT CREATE ON DATABASE %%I TO %%I', %(aside)s::text, name)
FROM pg_extension JOIN lent ON role = extowner WHERE name <> %(heir)s
"""
#: What a policy hides from an owner stays hidden from the loader too, who comes before the policy does.
_READING = """
WITH {loaders}
SELECT format('GRANT SELECT ON TABLE %%s TO %%I', pg_class.oid::regclass, name)
FROM pg_class CROSS JOIN loader
WHERE pg_class.oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm') AND NOT relrowsecurity
  AND pg_get_userbyid(relowner) <> owner AND has_table_privilege(owner, pg_class.oid, 'SELECT')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
UNION ALL
SELECT DISTINCT format('GRANT REFERENCES ON TABLE %%s TO %%I', confrelid::regclass, name)
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid JOIN lent ON role = relowner WHERE contype = 'f'
"""
#: What is there already, and not for everybody. A function that runs as its owner is none that a loader may call.
_CODE = """
WITH {loaders}
SELECT format('GRANT CONNECT, TEMPORARY ON DATABASE %%I TO %%I', current_database(), name) FROM loader
UNION ALL
SELECT format('GRANT USAGE ON SCHEMA %%I TO %%I', nspname, name) FROM pg_namespace, loader
WHERE has_schema_privilege(owner, oid, 'USAGE') AND NOT has_schema_privilege('public', oid, 'USAGE')
  AND oid >= 16384 AND nspname !~ '^pg_'
UNION ALL
SELECT format('GRANT EXECUTE ON ROUTINE %%s TO %%I', oid::regprocedure, name) FROM pg_proc, loader
WHERE oid >= 16384 AND proacl IS NOT NULL AND NOT prosecdef
  AND has_function_privilege(owner, oid, 'EXECUTE') AND NOT has_function_privilege('public', oid, 'EXECUTE')
UNION ALL
SELECT format('GRANT USAGE ON TYPE %%s TO %%I', oid::regtype, name) FROM pg_type, loader
WHERE oid >= 16384 AND typacl IS NOT NULL
  AND has_type_privilege(owner, oid, 'USAGE') AND NOT has_type_privilege('public', oid, 'USAGE')
"""


def in_a_new_database(source: Connection, loaders: Loaders, aside: str) -> list[str]:
    """Once it has its schemas."""
    return _statements(source, _PLACES, loaders, aside=aside)


def on_loaded_tables(source: Connection, loaders: Loaders) -> list[str]:
    """Once they are there."""
    return _statements(source, _READING, loaders)


def in_a_serving_database(target: Connection, loaders: Loaders) -> list[str]:
    return _statements(target, _CODE, loaders)


def _statements(connection: Connection, query: str, loaders: Loaders, **words: str) -> list[str]:
    named = {
        "owners": loaders.owners,
        "names": list(loaders.names.values()),
        "heir": loaders.of(loaders.heir),
        **words,
    }
    return [
        statement for (statement,) in catalog.rows_named(connection, query.format(loaders=_LOADERS), named)
    ]
