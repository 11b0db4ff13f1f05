#!/usr/bin/env bash
# The tests, in parallel: they wait for servers as much as they compute, so there are twice as many workers as cores.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

. scripts/memory.sh

# Each worker collects all tests. Compiling them takes as long again, so what is compiled is kept, also where Python is
# told otherwise, as in many containers.
unset PYTHONDONTWRITEBYTECODE

exec scripts/run.sh pytest -n "${WORKERS:-$((2 * $(nproc)))}" --dist loadgroup --no-loadscope-reorder
