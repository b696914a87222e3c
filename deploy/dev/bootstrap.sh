#!/usr/bin/env bash
# What running and testing from a checkout need. Each part does nothing when nothing changed.
#
#   bootstrap.sh [python] [frontend] [chromium]     default: python frontend
#
# python    .venv with the locked dependencies and this repository's packages, editable
# frontend  node_modules and the built dashboard
# chromium  a browser for the end-to-end tests; chromium-path prints where it is
set -euo pipefail
# shellcheck source=deploy/dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$NIMBUS_ROOT"

VENV=.venv
PACKAGES=(sdk gateway registry deploy/embedded plugins/hello plugins/notifier plugins/downloader plugins/indexer plugins/sonarr)
NODE_MINIMUM=20.19.0

# hash_of FILE…: one hash for the names and contents of files.
hash_of() { sha256sum -- "$@" | sha256sum | cut -d' ' -f1; }

# at_least MINIMUM VERSION
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

suitable_python() {
    local name
    for name in "${PYTHON:-}" python3 python3.11 python3.12 python3.13; do
        if [ -n "$name" ] && have "$name" &&
            "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

make_venv() {
    local python
    if ! python="$(suitable_python)"; then
        ! is_debian || install_packages python3 python3-venv
        python="$(suitable_python)" || die "Python 3.11, 3.12 or 3.13 is needed; set PYTHON to one"
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        # Debian ships the module in a package of its own, and only for its own Python.
        install_packages python3-venv
        "$python" -c 'import ensurepip, venv' 2>/dev/null || die "$python has no venv module"
    fi
    say "making $VENV with $("$python" --version)"
    "$python" -m venv --clear "$VENV"
}

python_part() {
    local stamp="$VENV/nimbus-stamp" now package editable=()
    now="$(hash_of requirements.lock pyproject.toml "${PACKAGES[@]/%//pyproject.toml}")"
    [ "$(cat "$stamp" 2>/dev/null)" != "$now" ] || return 0
    with_lock bootstrap
    # Another run may have done it while this one waited.
    [ "$(cat "$stamp" 2>/dev/null)" != "$now" ] || return 0
    [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -c '' 2>/dev/null || make_venv
    # The locked block of uv alone, with its hashes: pip installs the installer, uv does the rest.
    if ! cmp -s "$VENV/uv.lock" <(uv_block); then
        uv_block >"$VENV/uv.lock.part"
        "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$VENV/bin/python" -m ensurepip >/dev/null
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
            -r "$VENV/uv.lock.part"
        mv "$VENV/uv.lock.part" "$VENV/uv.lock"
    fi
    say "installing the Python dependencies"
    export VIRTUAL_ENV="$NIMBUS_ROOT/$VENV"
    "$VENV/bin/uv" pip sync --quiet --require-hashes requirements.lock
    for package in "${PACKAGES[@]}"; do editable+=(--editable "$package"); done
    "$VENV/bin/uv" pip install --quiet --no-deps "${editable[@]}"
    "$VENV/bin/uv" pip check --quiet
    printf '%s\n' "$now" >"$stamp"
}

uv_block() { awk '/^uv==/ { inside = 1 } inside { print; if ($0 !~ /\\$/) inside = 0 }' requirements.lock; }

frontend_files() {
    find frontend \( -name node_modules -o -name dist -o -name coverage -o -name test-results \
        -o -name playwright-report \) -prune -o -type f -print0 | sort -z
}

need_node() {
    have node || ! is_debian || install_packages nodejs
    have node || die "Node $NODE_MINIMUM or newer is needed to build the dashboard"
    at_least "$NODE_MINIMUM" "$(node --version | tr -d v)" ||
        die "Node $NODE_MINIMUM or newer is needed to build the dashboard; this is $(node --version)"
    have npm || ! is_debian || install_packages npm
    have npm || die "npm is needed to build the dashboard"
}

# npm_ci: as the image does it. A newer npm refuses a lock without entries for the binaries of every platform,
# and an index need not have them all; so there the image's npm is taken, which still refuses a stale lock.
npm_ci() {
    local npm=(npm)
    at_least 11 "$(npm --version 2>/dev/null)" && npm=(npx --yes "npm@$NPM_VERSION")
    "${npm[@]}" --prefix frontend ci --no-audit --no-fund --loglevel=error >&2
}

frontend_part() {
    local stamps=frontend/node_modules/.nimbus dependencies sources
    dependencies="$(hash_of frontend/package.json frontend/package-lock.json)"
    sources="$(frontend_files | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)"
    if [ "$(cat "$stamps/dependencies" 2>/dev/null)" = "$dependencies" ] && [ -f frontend/dist/index.html ] &&
        [ "$(cat "$stamps/build" 2>/dev/null)" = "$sources" ]; then
        return 0
    fi
    with_lock bootstrap
    need_node
    if [ "$(cat "$stamps/dependencies" 2>/dev/null)" != "$dependencies" ]; then
        say "installing the dashboard's dependencies"
        npm_ci
        mkdir -p "$stamps"
        printf '%s\n' "$dependencies" >"$stamps/dependencies"
    fi
    say "building the dashboard"
    npm --prefix frontend run --silent build >&2
    # Taken again: a build may write generated sources.
    sources="$(frontend_files | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)"
    printf '%s\n' "$sources" >"$stamps/build"
}

chromium_path() {
    local name
    for name in "${NIMBUS_CHROMIUM:-}" chromium chromium-browser google-chrome; do
        if [ -n "$name" ] && command -v "$name"; then return 0; fi
    done
    return 1
}

chromium_part() { chromium_path >/dev/null || install_packages chromium; }

for part in "${@:-python frontend}"; do
    for name in $part; do
        case "$name" in
        python | frontend | chromium) "${name}_part" ;;
        chromium-path) chromium_path ;;
        *) die "usage: bootstrap.sh [python] [frontend] [chromium] | chromium-path" ;;
        esac
    done
done
