#!/usr/bin/env bash
# What the Makefile's test targets run. Ends with pytest's own closing line.
#
#   test.sh all     set up what is missing, then everything
#   test.sh fast    what needs neither engine nor Postgres nor browser
#   test.sh lint    formatting, lint, strict types, import rules
#   test.sh e2e     the browser tests alone
#   test.sh faults  the fault tests alone, with the table of what they measured; FAULT_RUNS=100 for many runs
#
# With CI=true a part that is missing is a failure; elsewhere it is said, and its tests are skipped.
set -euo pipefail
# shellcheck source=deploy/dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$NIMBUS_ROOT"

on_ci() { [ "${CI:-}" = true ] || [ "${CI:-}" = 1 ]; }

# part NAME COMMAND…: a part of the set-up that some machines cannot have.
part() {
    local name="$1"
    shift
    "$@" || {
        ! on_ci || die "$name is missing, and on CI nothing is skipped"
        say "$name is missing; its tests are skipped"
        return 1
    }
}

# What this run started is stopped at its end, quietly: the last line belongs to pytest.
started=()
stop_started() {
    local name
    for name in "${started[@]}"; do "deploy/dev/$name" stop >/dev/null 2>&1 || true; done
}
trap stop_started EXIT

set_up_engine() {
    local runs=no
    deploy/dev/engine.sh status >/dev/null 2>&1 && runs=yes
    part "a Docker engine" deploy/dev/engine.sh start || return 0
    [ "$runs" = yes ] || started+=(engine.sh)
    eval "$(deploy/dev/engine.sh env)"
    part "the base images" deploy/dev/standins.sh || return 0
    set -a
    # shellcheck source=/dev/null
    . "$(deploy/dev/standins.sh path)"
    set +a
}

set_up_postgres() {
    local runs=no
    deploy/dev/postgres.sh url >/dev/null 2>&1 && runs=yes
    part "Postgres" deploy/dev/postgres.sh start || return 0
    [ "$runs" = yes ] || started+=(postgres.sh)
    NIMBUS_TEST_POSTGRES_URL="$(deploy/dev/postgres.sh url)"
    export NIMBUS_TEST_POSTGRES_URL
}

set_up_attacker() { part "slowhttptest" install_attacker || return 0; }

# The real program with the real rules of deploy/compose/socket-proxy, without an engine.
set_up_proxy() { part "HAProxy" install_proxy || return 0; }

set_up_image_registry() { part "a container registry" deploy/dev/image-registry.sh || return 0; }

# In a subshell: where it cannot be had, only its tests are left out.
install_attacker() { (install_packages slowhttptest); }

install_proxy() { (install_packages haproxy); }

lint() {
    say "lint and types"
    .venv/bin/ruff format --check --quiet .
    .venv/bin/ruff check --quiet .
    .venv/bin/mypy
    .venv/bin/lint-imports --no-logo
    npm --prefix frontend run --silent lint
    npm --prefix frontend run --silent typecheck
    npm --prefix frontend run --silent api:check
    npm --prefix frontend run --silent ui:check
}

frontend_tests() {
    say "frontend tests"
    npm --prefix frontend run --silent test
}

browser_tests() {
    part "Chromium" deploy/dev/bootstrap.sh chromium || return 0
    deploy/dev/e2e.sh embedded
    if deploy/dev/engine.sh status >/dev/null 2>&1; then
        deploy/dev/e2e.sh compose
    else
        say "no engine: the browser tests against compose are skipped"
    fi
}

case "${1:-}" in
all)
    deploy/dev/bootstrap.sh python frontend
    set_up_engine
    set_up_postgres
    set_up_attacker
    set_up_proxy
    set_up_image_registry
    lint
    frontend_tests
    browser_tests
    .venv/bin/python -m pytest
    ;;
fast)
    deploy/dev/bootstrap.sh python
    .venv/bin/python -m pytest -m "not engine and not postgres and not browser and not slow"
    ;;
lint)
    deploy/dev/bootstrap.sh python frontend
    lint
    ;;
e2e)
    deploy/dev/bootstrap.sh python frontend
    set_up_engine
    set_up_image_registry
    browser_tests
    ;;
faults)
    deploy/dev/bootstrap.sh python
    set_up_engine
    set_up_postgres
    set_up_attacker
    set_up_image_registry
    .venv/bin/python -m pytest tests/faults
    ;;
*) die "usage: test.sh all|fast|lint|e2e|faults" ;;
esac
