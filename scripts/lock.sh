#!/usr/bin/env bash
# Write the lock files in requirements/ from pyproject.toml. What is locked stays, unless --upgrade is given.
#
#   setup     what installs the rest
#   base      what openrds needs to run
#   embedded  base, and PostgreSQL as a wheel
#   dev       base, and what working on openrds needs
#
# A package has one version in all of them: dev is resolved first and binds the others.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

scripts/setup.sh

lock() { # NAME WHAT..., from the root as it is in pyproject.toml
    local name=$1
    shift
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-annotate --no-header --no-emit-index-url --output-file "requirements/$name.txt" "$@"
    echo "requirements/$name.txt: $(grep -c == "requirements/$name.txt") packages"
}

lock dev pyproject.toml --group dev "$@"
lock base pyproject.toml --constraints requirements/dev.txt "$@"
lock embedded pyproject.toml --extra embedded --constraints requirements/dev.txt "$@"
lock setup --group setup --constraints requirements/dev.txt "$@"
