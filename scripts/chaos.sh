#!/usr/bin/env bash
# Random operations with random kills, run after run, until one fails or Ctrl-C. Each run says its seed, which repeats it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

. scripts/memory.sh
seed=${SEED:-$RANDOM}
export OPENRDS_CHAOS_RUNS=1 OPENRDS_CHAOS_OPERATIONS=${OPERATIONS:-100} OPENRDS_CHAOS_EVERYTHING=${EVERYTHING:-}
export OPENRDS_CHAOS_ENGINES=${ENGINES:-PostgreSQL,MariaDB,MySQL}
trap 'echo "chaos: stopped in the run of SEED=$seed"; exit 130' INT TERM
while true; do
    echo "chaos: a run of $OPENRDS_CHAOS_OPERATIONS operations, SEED=$seed"
    OPENRDS_CHAOS_SEED=$seed scripts/run.sh pytest -n 0 -x -s tests/chaos || {
        echo "chaos: failed; again: make chaos SEED=$seed OPERATIONS=$OPENRDS_CHAOS_OPERATIONS EVERYTHING=$OPENRDS_CHAOS_EVERYTHING" >&2
        exit 1
    }
    [[ -z ${SEED:-} ]] || break
    seed=$((seed + 1))
done
