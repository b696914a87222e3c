#!/bin/sh
# Entry point of the Postgres stand-in. It honours what the stack uses of the published image's interface:
# POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB (each also as …_FILE), PGDATA, /docker-entrypoint-initdb.d.
set -eu

PGDATA="${PGDATA:-/var/lib/postgresql/data}"
export PGDATA

if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown postgres:postgres "$PGDATA" /run/postgresql
    chmod 0700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

# value NAME: what NAME or the file named by NAME_FILE holds.
value() {
    eval "direct=\${$1:-} file=\${$1_FILE:-}"
    if [ -n "$file" ]; then cat "$file"; else printf '%s' "$direct"; fi
}

user="$(value POSTGRES_USER)"
user="${user:-postgres}"
database="$(value POSTGRES_DB)"
database="${database:-$user}"

run_sql() { psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$user" "$@"; }

initialise() {
    password="$(value POSTGRES_PASSWORD)"
    if [ -z "$password" ]; then
        echo "set POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE): a server without a password is refused" >&2
        exit 1
    fi
    secret="$(mktemp)"
    printf '%s\n' "$password" >"$secret"
    initdb --username="$user" --pwfile="$secret" --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8
    rm -f "$secret"
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"

    # While the scripts run, the server is reachable only inside this container.
    pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w -t 60 start
    if [ "$database" != postgres ]; then
        printf 'CREATE DATABASE :"name";\n' | run_sql --dbname postgres -v name="$database"
    fi
    export PGUSER="$user" PGDATABASE="$database" POSTGRES_USER="$user" POSTGRES_DB="$database"
    for script in /docker-entrypoint-initdb.d/*; do
        case "$script" in
        *.sh)
            echo "running $script"
            if [ -x "$script" ]; then "$script"; else . "$script"; fi
            ;;
        *.sql)
            echo "running $script"
            run_sql --dbname "$database" -f "$script"
            ;;
        *.sql.gz)
            echo "running $script"
            gunzip -c "$script" | run_sql --dbname "$database"
            ;;
        esac
    done
    unset PGUSER PGDATABASE
    pg_ctl -D "$PGDATA" -m fast -w -t 60 stop
}

if [ "${1:-postgres}" = postgres ]; then
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        # A first start that failed half-way must not leave something that looks like a finished cluster.
        if ! (initialise); then
            pg_ctl -D "$PGDATA" -m immediate stop 2>/dev/null || :
            find "$PGDATA" -mindepth 1 -delete
            exit 1
        fi
    fi
    [ "$#" -gt 0 ] || set -- postgres
    shift
    # The server shuts down fast on SIGINT and waits for its clients on SIGTERM; a container that is asked to
    # stop should stop, so both mean fast here.
    postgres -c listen_addresses='*' "$@" &
    server=$!
    trap 'kill -INT "$server"' INT TERM
    status=0
    wait "$server" || status=$?
    while kill -0 "$server" 2>/dev/null; do
        status=0
        wait "$server" || status=$?
    done
    exit "$status"
fi
exec "$@"
