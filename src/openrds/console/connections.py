"""How a client comes to an instance: what a person copies. No password is in it."""

from collections.abc import Mapping

from openrds.domain.engine import RULES, EngineName
from openrds.domain.instance_values import Instance


def connections(instance: Instance) -> Mapping[str, str]:
    """By what is used; empty while the instance has no address."""
    if not instance.address:
        return {}
    user, host, port = RULES[instance.engine].administrator, instance.address, instance.port
    if instance.engine is EngineName.POSTGRESQL:
        url = f"postgresql://{user}@{host}:{port}/postgres"
        return {
            "psql": f"psql --host={host} --port={port} --username={user} --dbname=postgres",
            "URL": url,
            "JDBC": f"jdbc:postgresql://{host}:{port}/postgres?user={user}",
            "Python": f'psycopg.connect("{url}", password=...)',
        }
    scheme = instance.engine.lower()
    return {
        scheme: f"{scheme} --host={host} --port={port} --user={user} --password",
        "URL": f"{scheme}://{user}@{host}:{port}/",
        "JDBC": f"jdbc:{scheme}://{host}:{port}/?user={user}",
        "Python": f'pymysql.connect(host="{host}", port={port}, user="{user}", password=...)',
    }
