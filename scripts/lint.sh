#!/usr/bin/env bash
# Style, types, and the direction of the layers. Every check runs, whether or not one before it failed.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit

failed=0
check() {
    ".venv/bin/$@" || {
        failed=1
        echo "lint: $* failed" >&2
    }
}

check ruff check
check ruff format --check
check mypy --strict
check lint-imports
exit "$failed"
