#!/usr/bin/env bash
# What touches time, with the clock at each date of tests/dates/test_dates.py.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

. scripts/memory.sh
export OPENRDS_TEST_DATES=all
exec scripts/run.sh pytest -n "${WORKERS:-$(($(nproc) + 1))}" --dist loadgroup -rs tests/dates
