#!/bin/sh
# Takes the stack down: the services, every plugin container and network of this instance. Volumes stay.
# Options are handed to `docker compose`, before the command: deploy/compose/down.sh --env-file site.env
set -eu
cd "$(dirname "$0")/../.."

# The services first: a registry that runs would start again what is removed, and a network is only removable
# when nothing that runs is attached to it.
docker compose "$@" stop gateway registry
image="$(docker compose "$@" config registry |
    awk '/^  registry:/ { inside = 1 } inside && /^    image:/ { print $2; inside = 0 }')"
# Where the image was never built there is no plugin of this instance.
if docker image inspect "$image" >/dev/null 2>&1; then
    docker compose "$@" run --rm --no-deps --quiet-pull registry teardown
fi
docker compose "$@" down --remove-orphans
