#!/usr/bin/env bash
# Style, types, and the direction of the layers. Every check runs, whether or not one before it failed.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit

failed=0
check() {
    "$@" || {
        failed=1
        echo "lint: $* failed" >&2
    }
}

check .venv/bin/ruff check
check .venv/bin/ruff format --check
check .venv/bin/mypy --strict
check .venv/bin/mypy --config-file tests/mypy.ini
check .venv/bin/lint-imports --no-logo
exit "$failed"
