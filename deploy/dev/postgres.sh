#!/usr/bin/env bash
# A private Postgres cluster for the tests: a socket of its own, a free loopback port, nothing synced to disk.
#
#   postgres.sh start    make it (once) and start it
#   postgres.sh stop     stop it and remove its data
#   postgres.sh url      print its address, postgresql://user:password@127.0.0.1:port/postgres
#
# A server that NIMBUS_TEST_POSTGRES_URL names is used instead, and neither started nor stopped.
set -euo pipefail
# shellcheck source=deploy/dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

STATE="$NIMBUS_CACHE/postgres"

programs() {
    local folder
    folder="$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)"
    [ -n "$folder" ] || ! have initdb || folder="$(dirname "$(command -v initdb)")"
    [ -n "$folder" ] && printf '%s\n' "$folder"
}

# The server refuses to run as root, and its user cannot enter root's home: root's cluster lives elsewhere.
as_owner() { if is_root; then runuser -u postgres -- "$@"; else "$@"; fi; }

home() { cat "$STATE/home" 2>/dev/null; }

runs() { [ -n "$(home)" ] && as_owner "$(programs)/pg_ctl" -D "$(home)/data" status >/dev/null 2>&1; }

create() {
    local folder password
    if is_root; then
        folder="$(mktemp -d /var/tmp/nimbus-postgres.XXXXXX)"
        chown postgres: "$folder"
    else
        folder="$(mktemp -d "$NIMBUS_CACHE/postgres-data.XXXXXX")"
    fi
    password="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    as_owner sh -c 'umask 077; printf "%s\n" "$1" >"$2"' - "$password" "$folder/password"
    as_owner "$(programs)/initdb" -D "$folder/data" --username=nimbus --pwfile="$folder/password" --no-sync \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >"$STATE/initdb.log" 2>&1 || {
        cat "$STATE/initdb.log" >&2
        die "initdb failed (its messages are above)"
    }
    cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$folder'
max_connections = 200
fsync = off
synchronous_commit = off
full_page_writes = off
CONF
    (umask 077 && printf '%s\n' "$folder" >"$STATE/home" && printf '%s\n' "$password" >"$STATE/password")
}

start() {
    local attempt port
    [ -z "${NIMBUS_TEST_POSTGRES_URL:-}" ] || return 0
    mkdir -p "$STATE"
    with_lock postgres
    runs && return 0
    [ -n "$(programs)" ] || install_packages postgresql
    [ -n "$(home)" ] && [ -d "$(home)/data" ] || create
    # A port that is taken makes the start fail at once; another is tried.
    for attempt in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 10000))
        if as_owner "$(programs)/pg_ctl" -D "$(home)/data" -l "$(home)/server.log" -w -t 30 -o "-p $port" start \
            >/dev/null 2>&1 9>&-; then
            printf '%s\n' "$port" >"$STATE/port"
            say "Postgres ready on 127.0.0.1:$port"
            return 0
        fi
    done
    tail -n 20 "$(home)/server.log" >&2
    die "Postgres did not start after $attempt attempts (its log is above)"
}

stop() {
    [ -d "$STATE" ] && [ -n "$(home)" ] || return 0
    with_lock postgres
    ! runs || as_owner "$(programs)/pg_ctl" -D "$(home)/data" -m immediate -w -t 30 stop >/dev/null
    rm -rf "$(home)" "$STATE"
    say "private Postgres stopped"
}

url() {
    if [ -n "${NIMBUS_TEST_POSTGRES_URL:-}" ]; then
        printf '%s\n' "$NIMBUS_TEST_POSTGRES_URL"
        return 0
    fi
    runs || die "no private Postgres runs; start it with: deploy/dev/postgres.sh start"
    printf 'postgresql://nimbus:%s@127.0.0.1:%s/postgres\n' "$(cat "$STATE/password")" "$(cat "$STATE/port")"
}

case "${1:-}" in
start) start ;;
stop) stop ;;
url) url ;;
*) die "usage: postgres.sh start|stop|url" ;;
esac
