#!/usr/bin/env bash
# A container registry's program for the tests that install and pull real images over loopback.
#
#   image-registry.sh         see that it is there; on Debian it is unpacked, not installed: it runs in tests only
#   image-registry.sh path    print where it is; false when it is not there
set -euo pipefail
# shellcheck source=deploy/dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PROGRAM="$NIMBUS_CACHE/image-registry/docker-registry"

path() {
    if have docker-registry; then
        command -v docker-registry
    elif [ -x "$PROGRAM" ]; then
        printf '%s\n' "$PROGRAM"
    else
        return 1
    fi
}

ensure() {
    path >/dev/null && return 0
    is_debian || die "docker-registry is missing; install Docker's registry and run this again"
    local work
    work="$(mktemp -d)"
    say "unpacking docker-registry"
    download_packages trixie "$work" docker-registry
    dpkg -x "$work"/docker-registry_*.deb "$work/unpacked"
    "$work/unpacked/usr/bin/docker-registry" --version >&2 || die "docker-registry does not run here"
    mkdir -p "$(dirname "$PROGRAM")"
    install -m 755 "$work/unpacked/usr/bin/docker-registry" "$PROGRAM"
    rm -rf "$work"
}

case "${1:-ensure}" in
ensure) ensure ;;
path) path ;;
*) die "usage: image-registry.sh [ensure|path]" ;;
esac
