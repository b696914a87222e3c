#!/usr/bin/env bash
# The browser tests, against a Nimbus of their own that is started here and gone afterwards.
#
#   e2e.sh embedded    registry and gateway from this checkout, on free ports and a fresh data folder
#   e2e.sh compose     the compose stack on the engine in reach, under a project name of its own
#
# What follows goes to Playwright: `e2e.sh embedded --project=console webhooks` runs one file.
set -euo pipefail
# shellcheck source=deploy/dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$NIMBUS_ROOT"

E2E_PASSWORD="$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')"
export E2E_PASSWORD NIMBUS_ADMIN_PASSWORD="$E2E_PASSWORD" NIMBUS_ADMIN_USERNAME=admin
work="$(mktemp -d)"

# free_ports COUNT: ports that nobody has now, all different.
free_ports() {
    .venv/bin/python -IS -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in held))' "$1"
}

ready() { .venv/bin/python -IS -c '
import http.client, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=5)
connection.request("GET", "/readyz")
sys.exit(connection.getresponse().status != 200)' "$E2E_BASE_URL"; }

playwright() {
    say "browser tests against $1 at $E2E_BASE_URL"
    NIMBUS_CHROMIUM="$(deploy/dev/bootstrap.sh chromium-path)" E2E_TARGET="$1" npm --prefix frontend run --silent e2e -- "${only[@]}"
}

stop_embedded() {
    if [ -n "${pid:-}" ] && kill -INT "$pid" 2>/dev/null; then
        wait_until 10 test ! -d "/proc/$pid" || kill -9 "$pid" 2>/dev/null || true
    fi
    rm -rf "$work"
}

run_embedded() {
    local public core management registry compat
    read -r public core management registry compat <<<"$(free_ports 5)"
    trap stop_embedded EXIT
    cp -r plugins "$work/plugins"
    cp -r tests/fixtures/plugins/boxed "$work/plugins/"
    NIMBUS_PLUGINS_DIR="$work/plugins" NIMBUS_DATA_DIR="$work/data" NIMBUS_PORT="$public" NIMBUS_CORE_PORT="$core" \
        NIMBUS_MANAGEMENT_PORT="$management" NIMBUS_REGISTRY_PORT="$registry" NIMBUS_COMPAT_PORTS="$compat" NIMBUS_WEBHOOK_PRIVATE_ADDRESSES=true \
        .venv/bin/nimbus-embedded >"$work/log" 2>&1 </dev/null &
    pid=$!
    export E2E_BASE_URL="http://127.0.0.1:$public"
    if ! wait_until 60 ready; then
        tail -n 40 "$work/log" >&2
        die "embedded Nimbus was not ready within 60 s (its log is above)"
    fi
    playwright embedded || {
        tail -n 80 "$work/log" >&2
        return 1
    }
}

compose() { docker compose -p "$project" --env-file "$work/env" "$@"; }

stop_compose() {
    {
        deploy/compose/down.sh -p "$project" --env-file "$work/env"
        compose down --volumes --remove-orphans
    } >"$work/down.log" 2>&1 || cat "$work/down.log" >&2
    stop_image_registry
    # What this run built and pulled has names of its own.
    docker image ls --quiet --filter "reference=$project-hello" --filter "reference=*/$project/shelf" |
        sort -u | xargs -r docker image rm --force >/dev/null || true
    rm -rf "$work"
}

# A container registry that the engine pulls from over loopback, without a login.
start_image_registry() {
    local program port
    program="$(deploy/dev/image-registry.sh path)" || {
        [ "${CI:-}" != true ] || die "docker-registry is missing, and on CI nothing is skipped"
        say "no container registry; installing from images is left out. Get it with: deploy/dev/image-registry.sh"
        return 0
    }
    read -r port <<<"$(free_ports 1)"
    printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s/images}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
        "$work" "$port" >"$work/registry.yml"
    "$program" serve "$work/registry.yml" >"$work/registry.log" 2>&1 </dev/null &
    registry_pid=$!
    export E2E_IMAGE_REGISTRY="127.0.0.1:$port" E2E_REPOSITORY="$project/shelf"
}

stop_image_registry() {
    [ -z "${registry_pid:-}" ] || kill "$registry_pid" 2>/dev/null || true
}

# The code that the gateway prints while nobody has set it up.
setup_code() { compose logs --no-color gateway | grep -o 'code[^A-Za-z0-9]*[A-Za-z0-9-]\{8,\}' | tail -n 1 | grep -o '[A-Za-z0-9-]*$'; }

run_compose() {
    project="nimbus-e2e-$$"
    eval "$(deploy/dev/engine.sh env)"
    # The port is the engine's choice; the images are those that this machine has.
    cat "$(deploy/dev/standins.sh path)" >"$work/env"
    printf 'NIMBUS_PORT=127.0.0.1:0\nNIMBUS_PLUGINS_DIR=%s/plugins\n' "$work" >>"$work/env"
    set -a
    # shellcheck source=/dev/null
    . "$(deploy/dev/standins.sh path)"
    set +a
    # Nobody is administrator yet: the first test sets it up. And hello's image is this run's own, so that it is built.
    unset NIMBUS_ADMIN_PASSWORD NIMBUS_ADMIN_USERNAME
    cp -r plugins "$work/plugins"
    sed -i "s|nimbus-plugin-hello:|$project-hello:|" "$work/plugins/hello/manifest.json"
    trap stop_compose EXIT
    start_image_registry
    compose build --quiet
    if ! compose up --detach --quiet-pull --wait --wait-timeout 180 gateway >"$work/up.log" 2>&1; then
        cat "$work/up.log" >&2
        compose logs --no-color --tail 60 >&2
        die "the compose stack did not come up (its log is above)"
    fi
    E2E_BASE_URL="http://$(compose port gateway 8080)"
    export E2E_BASE_URL
    wait_until 60 ready || die "the compose stack was not ready within 60 s"
    E2E_SETUP_CODE="$(setup_code)" || die "the gateway's log has no set-up code"
    export E2E_SETUP_CODE
    playwright compose || {
        compose logs --no-color --tail 80 >&2
        return 1
    }
}

only=("${@:2}")
case "${1:-}" in
embedded) run_embedded ;;
compose) run_compose ;;
*) die "usage: e2e.sh embedded|compose" ;;
esac
