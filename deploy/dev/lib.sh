# Shared by the scripts of this folder; sourced, never run.
# shellcheck shell=bash

NIMBUS_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
# The npm that comes with Node 20, and so with the image that builds the dashboard.
NPM_VERSION=10.9.4
NIMBUS_CACHE="${NIMBUS_DEV_CACHE:-${HOME:-/root}/.cache/nimbus-dev}"

say() { printf '%s\n' "nimbus: $*" >&2; }

die() {
    say "$*"
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

have() { command -v "$1" >/dev/null 2>&1; }

is_debian() { have apt-get && have dpkg; }

# with_lock NAME: hold a lock for the rest of the (sub)shell, so that two runs at once do the work once.
with_lock() {
    mkdir -p "$NIMBUS_CACHE"
    exec 9>"$NIMBUS_CACHE/$1.lock"
    flock -w 900 9 || die "another run has held $NIMBUS_CACHE/$1.lock for 15 minutes"
}

# wait_until SECONDS COMMAND…: true as soon as the command is, false at the deadline.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# debian_mirror: the archive that this machine's own apt uses for its release.
debian_mirror() {
    local codename
    codename="$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")"
    # Read in full before the first line is taken: a reader that leaves early would fail under pipefail.
    apt-get indextargets --format '$(CODENAME) $(SUITE) $(COMPONENT) $(SITE)' 'Created-By: Packages' 2>/dev/null |
        awk -v want="$codename" '($1 == want || $2 == want) && $3 == "main" && !found { print $4; found = 1 }'
}

# install_packages PACKAGE…: Debian packages that are missing, without starting any service of theirs.
install_packages() {
    local package missing=() guard=""
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    is_debian || die "missing: ${missing[*]}; install what your system calls them and run this again"
    is_root || die "missing Debian packages: ${missing[*]}; run as root: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    # A package's service would otherwise start at once and claim the default socket, port or bridge.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        guard=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$guard"
        chmod 755 "$guard"
    fi
    local status=0
    {
        apt_quietly update &&
            apt_quietly install --yes --no-install-recommends "${missing[@]}"
    } || status=$?
    [ -z "$guard" ] || rm -f "$guard"
    [ "$status" -eq 0 ] || die "apt-get could not install ${missing[*]} (its messages are above)"
}

apt_quietly() {
    local log
    log="$(mktemp)"
    if ! DEBIAN_FRONTEND=noninteractive timeout 900 apt-get -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# download_packages SUITE FOLDER PACKAGE…: package files of another Debian suite, through a configuration,
# lists and a package state of their own: the machine's own apt never learns of that suite.
download_packages() {
    local suite="$1" folder="$2" apt="$NIMBUS_CACHE/apt-$1" mirror
    shift 2
    mirror="$(debian_mirror)"
    [ -n "$mirror" ] || die "no Debian archive in this machine's apt sources"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$folder"
    : >"$apt/status"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$mirror" "$suite" \
        >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$apt/status";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
CONF
    APT_CONFIG="$apt/apt.conf" apt_quietly update
    (cd "$folder" && APT_CONFIG="$apt/apt.conf" apt_quietly download "$@")
}
