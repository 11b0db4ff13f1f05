# shellcheck shell=bash
# Sourced by what runs tests: their data goes to memory where there is room. Servers write a lot that nobody keeps, and
# in memory that takes a third of the time on a disk.

memory=/dev/shm
room=$((8 * 1024 * 1024)) # KiB

has_room() {
    [[ -w $memory && $(df --output=avail -k "$memory" | tail -n 1) -ge $room ]] &&
        (($(awk '/^MemAvailable:/ {print $2}' /proc/meminfo) >= room)) &&
        ! findmnt --noheadings --output options --target "$memory" | grep -q noexec
}

if [[ -z ${TMPDIR:-} ]] && has_room; then
    export TMPDIR=$memory
fi
