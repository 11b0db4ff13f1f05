#!/usr/bin/env bash
# The tests, in parallel: they wait for servers as much as they compute, so there is one more worker than cores.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

. scripts/memory.sh
exec scripts/run.sh pytest -n "${WORKERS:-$(($(nproc) + 1))}" --dist loadgroup --no-loadscope-reorder
