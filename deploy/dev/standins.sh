#!/usr/bin/env bash
# Base images for machines that reach no container registry.
#
#   standins.sh            see that a Python, a Node, a Postgres and an HAProxy image are in the engine, and write
#                          images.env (PYTHON_IMAGE, NODE_IMAGE, POSTGRES_IMAGE, HAPROXY_IMAGE) for compose and
#                          the tests
#   standins.sh path       print where images.env is
#
# A real image that is in the engine or can be pulled is used. Otherwise a stand-in is made from Debian's
# packages and kept as a tarball under NIMBUS_DEV_CACHE, so that later runs only look.
set -euo pipefail
# shellcheck source=deploy/dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

IMAGES_ENV="$NIMBUS_CACHE/images.env"
FOLDER="$NIMBUS_CACHE/standins"
CA=/etc/ssl/certs/ca-certificates.crt
PULL_SECONDS=20

real_name() {
    case "$1" in
    python) echo python:3.11-slim-bookworm ;;
    node) echo node:20-bookworm-slim ;;
    postgres) echo postgres:17 ;;
    haproxy) echo haproxy:3.2 ;;
    esac
}

standin_name() {
    case "$1" in
    python) echo nimbus-standin/python:3.11 ;;
    node) echo nimbus-standin/node:20 ;;
    postgres) echo nimbus-standin/postgres:17 ;;
    haproxy) echo nimbus-standin/haproxy:2.6 ;;
    esac
}

# recipe_of KIND: what the stand-in is made from, as one hash; raise the number when its make_… changes.
recipe_of() {
    case "$1" in
    python | haproxy) echo 1 ;;
    node) echo "1 $NPM_VERSION" ;;
    postgres) cat "$NIMBUS_ROOT/deploy/dev/postgres-entrypoint.sh" - <<<2 ;;
    esac | cat "$CA" - | sha256sum | cut -c1-16
}

# bootstrap_root SUITE FOLDER PACKAGES: a minimal Debian with those packages and this machine's CA bundle.
bootstrap_root() {
    local suite="$1" root="$2" packages="$3" keyring=/usr/share/keyrings/debian-archive-keyring.gpg log
    log="${root%.*}.log"
    # Without a cache of packages: stand-ins of one suite are built at once and would write into each other's files.
    if ! debootstrap --variant=minbase --keyring="$keyring" --include="$packages" "$suite" "$root" \
        "$(debian_mirror)" >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        return 1
    fi
    mkdir -p "$root/etc/ssl/certs"
    cp "$CA" "$root$CA"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* \
        "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* "$root"/var/log/*
    : >"$root/etc/resolv.conf"
    : >"$root/etc/hostname"
}

make_python() {
    bootstrap_root bookworm "$1" python3,python3-venv,python3-pip,ca-certificates
    # As in the published image: `python` is there and pip may install into the image.
    ln -s /usr/bin/python3 "$1/usr/local/bin/python"
    rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED
}

make_node() {
    local work
    work="$(mktemp -d)"
    (cd "$work" && npm pack --silent "npm@$NPM_VERSION" >/dev/null)
    bootstrap_root trixie "$1" nodejs,ca-certificates
    mkdir -p "$1/usr/local/lib/node_modules/npm"
    tar -xzf "$work"/npm-*.tgz -C "$1/usr/local/lib/node_modules/npm" --strip-components=1
    rm -rf "$work"
    ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/local/bin/npm"
    ln -s ../lib/node_modules/npm/bin/npx-cli.js "$1/usr/local/bin/npx"
    chmod 755 "$1"/usr/local/lib/node_modules/npm/bin/*-cli.js
    chroot "$1" useradd --create-home --shell /bin/bash node
}

make_haproxy() { bootstrap_root bookworm "$1" haproxy,ca-certificates; }

make_postgres() {
    bootstrap_root trixie "$1" postgresql-17,ca-certificates
    # Query compilation is a third of the size and nothing here needs it; the server does without.
    rm -rf "$1"/var/lib/postgresql/* "$1"/etc/postgresql/* "$1"/usr/lib/postgresql/*/lib/*llvmjit* \
        "$1"/usr/lib/postgresql/*/lib/bitcode "$1"/usr/lib/*/libLLVM*
    mkdir -p "$1/docker-entrypoint-initdb.d" "$1/var/lib/postgresql/data"
    chroot "$1" chown -R postgres:postgres /var/lib/postgresql
    install -m 755 "$NIMBUS_ROOT/deploy/dev/postgres-entrypoint.sh" "$1/usr/local/bin/docker-entrypoint.sh"
}

import_changes() {
    printf '%s\n' "LABEL io.nimbus.recipe=$(recipe_of "$1")" "ENV LANG=C.UTF-8" "ENV SSL_CERT_FILE=$CA" "ENV PIP_CERT=$CA" \
        "ENV NODE_EXTRA_CA_CERTS=$CA"
    case "$1" in
    python)
        printf '%s\n' 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' 'CMD ["python3"]'
        ;;
    node)
        printf '%s\n' 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' 'CMD ["node"]'
        ;;
    haproxy)
        printf '%s\n' 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            'CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]'
        ;;
    postgres)
        printf '%s\n' 'ENV PGDATA=/var/lib/postgresql/data' \
            'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/lib/postgresql/17/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["postgres"]' 'EXPOSE 5432' \
            'VOLUME /var/lib/postgresql/data'
        ;;
    esac
}

tarball_of() { printf '%s\n' "$FOLDER/$1-$(recipe_of "$1").tar"; }

# build_standin KIND: the tarball, once. A shell of its own, where the first failure ends it (so never call it in
# a condition), and written under another name first, so that a half tarball is never used.
build_standin() (
    kind="$1"
    tarball="$(tarball_of "$kind")"
    [ ! -s "$tarball" ] || exit 0
    say "building the $kind stand-in"
    root="$(mktemp -d "$FOLDER/$kind.XXXXXX")"
    trap 'rm -rf --one-file-system "$root" "$tarball.part"' EXIT
    chmod 755 "$root"
    "make_$kind" "$root"
    tar -C "$root" --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' -cf "$tarball.part" .
    mv "$tarball.part" "$tarball"
)

has_standin() {
    [ "$(docker image inspect --format '{{index .Config.Labels "io.nimbus.recipe"}}' "$(standin_name "$1")" \
        2>/dev/null)" = "$(recipe_of "$1")" ]
}

import_standin() {
    local changes=() line
    while IFS= read -r line; do changes+=(--change "$line"); done < <(import_changes "$1")
    docker import "${changes[@]}" "$(tarball_of "$1")" "$(standin_name "$1")" >/dev/null
}

# pull KIND: once one pull has failed, the others of this run are not tried.
reachable=yes
pull() {
    [ "$reachable" = yes ] || return 1
    say "pulling $(real_name "$1") (at most ${PULL_SECONDS} s)"
    timeout "$PULL_SECONDS" docker pull --quiet "$(real_name "$1")" >/dev/null 2>&1 || {
        reachable=no
        return 1
    }
}

# chosen KIND: the image that a variable names, or one that is in the engine already.
chosen() {
    local variable="${1^^}_IMAGE"
    if [ -n "${!variable:-}" ]; then
        printf '%s\n' "${!variable}"
    elif docker image inspect "$(real_name "$1")" >/dev/null 2>&1; then
        real_name "$1"
    elif has_standin "$1"; then
        standin_name "$1"
    else
        return 1
    fi
}

ensure() {
    eval "$("$NIMBUS_ROOT/deploy/dev/engine.sh" env)"
    mkdir -p "$FOLDER"
    local kind missing=() builders=() pid failed=no
    [ -s "$CA" ] || install_packages ca-certificates
    for kind in python node postgres haproxy; do
        chosen "$kind" >/dev/null || pull "$kind" || missing+=("$kind")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        is_debian && is_root || die "these images can neither be pulled nor built here (Debian, root): ${missing[*]}"
        with_lock standins
        install_packages debootstrap
        [[ " ${missing[*]} " != *" node "* ]] || have npm || install_packages npm
        for kind in "${missing[@]}"; do
            build_standin "$kind" &
            builders+=($!)
        done
        # All of them are waited for, so that none goes on behind the back of a run that failed.
        for pid in "${builders[@]}"; do wait "$pid" || failed=yes; done
        [ "$failed" = no ] || die "a stand-in could not be built (see above)"
        for kind in "${missing[@]}"; do has_standin "$kind" || import_standin "$kind"; done
    fi
    for kind in python node postgres haproxy; do
        printf '%s_IMAGE=%s\n' "${kind^^}" "$(chosen "$kind")"
    done >"$IMAGES_ENV.part"
    mv "$IMAGES_ENV.part" "$IMAGES_ENV"
    say "images: $(tr '\n' ' ' <"$IMAGES_ENV")"
}

case "${1:-ensure}" in
ensure) ensure ;;
path) printf '%s\n' "$IMAGES_ENV" ;;
*) die "usage: standins.sh [ensure|path]" ;;
esac
