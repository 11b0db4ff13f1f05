#!/usr/bin/env bash
# Run a command of .venv with the words of $ARGS added, which may be quoted as in a shell.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

program=$1
shift
eval "set -- \"\$@\" ${ARGS:-}"
exec ".venv/bin/$program" "$@"
