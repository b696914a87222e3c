#!/usr/bin/env bash
# What `make bench` compares the gateway with, and what it measures with.
#
#   bench.sh setup       install what is missing: nginx, HAProxy, Caddy and wrk (Debian), and an environment of
#                        its own with Envoy, an aiohttp ingress and py-spy
#   bench.sh run ARGS…   set up, then measure; ARGS as `python -m tests.bench --help` says
#
# The environment lives under NIMBUS_DEV_CACHE (default ~/.cache/nimbus-dev). nginx and wrk are needed; another
# competitor that cannot be had is left out, and the bench says so.
set -euo pipefail
# shellcheck source=deploy/dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$NIMBUS_ROOT"

VENV="$NIMBUS_CACHE/bench-venv"
REQUIREMENTS=deploy/dev/bench-requirements.txt

# Debian puts its servers where not every user's PATH looks.
PATH="$PATH:/usr/sbin:/sbin"

programs() {
    local program missing=()
    for program in nginx haproxy caddy wrk taskset; do
        have "$program" || missing+=("$program")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    if is_debian && is_root; then
        missing=("${missing[@]/#taskset/util-linux}")
        (install_packages "${missing[@]/#nginx/nginx-light}") || say "not all of them are there; going on without"
    fi
    for program in nginx wrk taskset; do
        have "$program" || die "the bench needs $program; install it and run this again"
    done
}

environment() {
    local stamp="$VENV/stamp" now
    now="$(sha256sum <"$REQUIREMENTS")"
    [ "$(cat "$stamp" 2>/dev/null)" != "$now" ] || return 0
    say "making the bench's environment"
    .venv/bin/python -m venv --clear "$VENV"
    "$NIMBUS_ROOT/.venv/bin/uv" pip install --quiet --require-hashes --python "$VENV/bin/python" -r "$REQUIREMENTS" || {
        say "Envoy, aiohttp and py-spy could not be installed: they are left out"
        return 0
    }
    printf '%s\n' "$now" >"$stamp"
}

setup() {
    deploy/dev/bootstrap.sh python
    (
        with_lock bench
        programs
        environment
    )
}

case "${1:-}" in
setup) setup ;;
run)
    shift
    setup
    NIMBUS_BENCH_VENV="$VENV" exec .venv/bin/python -m tests.bench "$@"
    ;;
*) die "usage: bench.sh setup | run [ARGS…]" ;;
esac
