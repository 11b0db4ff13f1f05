#!/usr/bin/env bash
# Random operations with random kills, run after run, until one fails or Ctrl-C. Each run says its seed, which repeats it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

seed=${SEED:-$RANDOM}
export OPENRDS_CHAOS_RUNS=1 OPENRDS_CHAOS_STEPS=${OPERATIONS:-100}
while true; do
    echo "chaos: a run of $OPENRDS_CHAOS_STEPS operations, SEED=$seed"
    OPENRDS_CHAOS_SEED=$seed scripts/run.sh pytest -n 0 -x -s tests/chaos
    [[ -z ${SEED:-} ]] || break
    seed=$((seed + 1))
done
