#!/usr/bin/env bash
# The tests, in parallel: they wait for servers as much as they compute, so there is one more worker than cores.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

memory=/dev/shm
room=$((8 * 1024 * 1024)) # KiB

# Servers write a lot that nobody keeps. In memory that takes a third of the time on a disk.
has_room() {
    [[ -w $memory && $(df --output=avail -k "$memory" | tail -n 1) -ge $room ]] &&
        (($(awk '/^MemAvailable:/ {print $2}' /proc/meminfo) >= room)) &&
        ! findmnt --noheadings --output options --target "$memory" | grep -q noexec
}
if [[ -z ${TMPDIR:-} ]] && has_room; then
    export TMPDIR=$memory
fi
exec scripts/run.sh pytest -n "${WORKERS:-$(($(nproc) + 1))}" --dist loadgroup --no-loadscope-reorder
