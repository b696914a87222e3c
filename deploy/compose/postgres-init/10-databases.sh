#!/bin/sh
# Runs once, when the cluster is made: a database for each service, each with a user that sees only its own.
set -eu

make_database() {
    psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
        -v name="$1" -v password="$2" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

make_database gateway "$NIMBUS_GATEWAY_DB_PASSWORD"
make_database registry "$NIMBUS_REGISTRY_DB_PASSWORD"
