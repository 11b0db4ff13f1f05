#!/usr/bin/env bash
# Run a command of .venv with the words of $ARGS added, which may be quoted as in a shell.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# Servers that setup.sh has fetched.
if [[ -d .engines ]]; then
    export OPENRDS_ENGINE_DIRS="$PWD/.engines${OPENRDS_ENGINE_DIRS:+,$OPENRDS_ENGINE_DIRS}"
fi

program=$1
shift
eval "set -- \"\$@\" ${ARGS:-}"
exec ".venv/bin/$program" "$@"
