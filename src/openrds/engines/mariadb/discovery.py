"""What a MariaDB on this host looks like."""

import re

from openrds.domain.engine import EngineName
from openrds.engines.discovery import Kind
from openrds.engines.fetching import Recipe

KIND = Kind(
    engine=EngineName.MARIADB,
    programs=("mariadbd", "mysqld"),
    places=("usr/sbin", "usr/libexec", "usr/bin", "usr/local/mysql/bin", "opt/mariadb*/bin"),
    release=re.compile(r"Ver (\d+)\.(\d+)\.(\d+)-MariaDB", re.ASCII),
    named_by=2,
    oldest=(10, 6),
    ask=("--no-defaults", "--version"),
)

#: The server's package needs those of the programs; the one for backups is apart.
RECIPE = Recipe(
    KIND,
    prefix="mariadb-server",
    server=re.compile(r"mariadb-server()", re.ASCII),
    beside=("mariadb-backup",),
)
