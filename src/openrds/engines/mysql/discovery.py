"""What a MySQL on this host looks like."""

import re

from openrds.domain.engine import EngineName
from openrds.engines.discovery import Kind
from openrds.engines.fetching import Recipe

#: A MariaDB may have a program of the same name. Percona's says what it is behind the version, and is one.
KIND = Kind(
    engine=EngineName.MYSQL,
    programs=("mysqld",),
    places=("usr/sbin", "usr/libexec", "usr/bin", "usr/local/mysql/bin", "opt/mysql*/bin"),
    release=re.compile(r"Ver (\d+)\.(\d+)\.(\d+)(?!\S*MariaDB)\b", re.ASCII),
    named_by=2,
    oldest=(8, 0),
    ask=("--no-defaults", "--version"),
)

#: Debian's packages have no version in their names, Ubuntu's had one until 8.0.
RECIPE = Recipe(
    KIND,
    prefix="mysql-server-core",
    server=re.compile(r"mysql-server-core(-\d+\.\d+)?", re.ASCII),
    beside=("mysql-client-core{}",),
)
