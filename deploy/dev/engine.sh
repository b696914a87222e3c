#!/usr/bin/env bash
# A Docker engine for development and for the tests.
#
#   engine.sh start    use the engine that is reachable, else start a private one (Debian, as root)
#   engine.sh stop     stop the private engine; an engine that was there before is never touched
#   engine.sh status   say which engine is in use
#   engine.sh env      print the variables to use it: eval "$(deploy/dev/engine.sh env)"
#
# The private engine keeps everything under NIMBUS_DEV_CACHE (default ~/.cache/nimbus-dev).
set -euo pipefail
# shellcheck source=deploy/dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

STATE="$NIMBUS_CACHE/engine"
SOCKET="$STATE/docker.sock"
PIDFILE="$STATE/dockerd.pid"
LOG="$STATE/dockerd.log"
PLUGINS=/usr/local/lib/docker/cli-plugins

answers() { DOCKER_HOST="$1" timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# host_in_use: the address of the engine that this environment reaches, private or not; false when none does.
host_in_use() {
    local host
    have docker || return 1
    for host in "${DOCKER_HOST:-}" "$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null || true)" \
        "unix://$SOCKET"; do
        if [ -n "$host" ] && answers "$host"; then
            printf '%s\n' "$host"
            return 0
        fi
    done
    return 1
}

# private_pid: the process of our own engine, proven by its command line, since pids are used again.
private_pid() {
    local pid
    pid="$(cat "$PIDFILE" 2>/dev/null)" || return 1
    [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "--pidfile=$PIDFILE" || return 1
    printf '%s\n' "$pid"
}

install_compose() {
    docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1 && return 0
    is_debian && is_root || die "docker compose v2 and buildx are missing; install them and run this again"
    local work
    work="$(mktemp -d)"
    say "unpacking docker compose v2 and buildx"
    download_packages trixie "$work" docker-compose docker-buildx
    mkdir -p "$PLUGINS"
    local package plugin
    for package in "$work"/*.deb; do dpkg -x "$package" "$work/root"; done
    for plugin in docker-compose docker-buildx; do
        install -m 755 "$(find "$work/root" -type f -name "$plugin" -path '*cli-plugins*')" "$PLUGINS/$plugin"
    done
    rm -rf "$work"
    docker compose version >/dev/null 2>&1 || die "docker compose does not run from $PLUGINS"
}

# usable_iptables: the folder that dockerd finds iptables in. Some kernels lack nftables; there the legacy
# program is taken, through a folder of our own and not through the machine's alternatives.
usable_iptables() {
    local folder="$STATE/bin" name
    rm -rf "$folder"
    mkdir -p "$folder"
    iptables -w -t nat -S >/dev/null 2>&1 && return 0
    iptables-legacy -w -t nat -S >/dev/null 2>&1 || die "neither iptables nor iptables-legacy works on this kernel"
    for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
        ln -s "$(command -v "${name/tables/tables-legacy}")" "$folder/$name"
    done
}

default_mtu() {
    local device mtu=1500
    device="$(awk '$2 == "00000000" && !found { print $1; found = 1 }' /proc/net/route)"
    [ -z "$device" ] || mtu="$(cat "/sys/class/net/$device/mtu")"
    printf '%s\n' "$mtu"
}

start() {
    local host
    if host="$(host_in_use)"; then
        install_compose
        say "engine ready at $host"
        return 0
    fi
    is_debian && is_root ||
        die "no Docker engine answers; start one (or set DOCKER_HOST), or run this as root on Debian for a private one"
    with_lock engine
    install_packages docker.io iptables ca-certificates
    install_compose
    mkdir -p "$STATE"
    if ! private_pid >/dev/null; then
        rm -f "$PIDFILE" "$SOCKET"
        usable_iptables
        say "starting a private engine, log in $LOG"
        # live-restore stays off, so that stopping the engine stops its containers. The descriptor of the
        # lock is closed for the engine, which outlives this script.
        PATH="$STATE/bin:/usr/sbin:/sbin:$PATH" setsid nohup dockerd \
            --host="unix://$SOCKET" --pidfile="$PIDFILE" --data-root="$STATE/data" --exec-root="$STATE/run" \
            --containerd-namespace=nimbus-dev --containerd-plugins-namespace=nimbus-dev-plugins \
            --storage-driver=overlay2 --mtu="$(default_mtu)" --shutdown-timeout=10 \
            --default-address-pool=base=172.24.0.0/14,size=24 >"$LOG" 2>&1 </dev/null 9>&- &
    fi
    if ! wait_until 60 answers "unix://$SOCKET"; then
        tail -n 20 "$LOG" >&2
        die "the private engine did not answer within 60 s (its log is above)"
    fi
    say "engine ready at unix://$SOCKET"
}

stop() {
    local pid
    if ! pid="$(private_pid)"; then
        say "no private engine runs"
        return 0
    fi
    with_lock engine
    kill "$pid"
    if ! wait_until 40 test ! -d "/proc/$pid"; then
        say "the private engine ignored SIGTERM for 40 s; killing it"
        kill -9 "$pid"
    fi
    rm -f "$PIDFILE" "$SOCKET"
    say "private engine stopped"
}

status() {
    local host
    host="$(host_in_use)" || die "no engine answers"
    printf '%s version %s%s\n' "$host" "$(DOCKER_HOST="$host" docker version --format '{{.Server.Version}}')" \
        "$([ "$host" = "unix://$SOCKET" ] && printf ' (private, pid %s)' "$(private_pid || echo '?')")"
}

case "${1:-}" in
start) start ;;
stop) stop ;;
status) status ;;
env)
    host="$(host_in_use)" || die "no engine answers; run: deploy/dev/engine.sh start"
    printf 'export DOCKER_HOST=%s\n' "$host"
    # The compose file mounts the socket into the registry.
    [ "$host" = "${host#unix://}" ] || printf 'export DOCKER_SOCKET=%s\n' "${host#unix://}"
    ;;
*) die "usage: engine.sh start|stop|status|env" ;;
esac
