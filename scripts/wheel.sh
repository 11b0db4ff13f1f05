#!/usr/bin/env bash
# Build dist/openrds-VERSION-py3-none-any.whl, with all that a machine needs of this repository.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
rm -rf dist
# The same commit gives the same file.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 1767225600) \
    .venv/bin/python -m hatchling build -t wheel
