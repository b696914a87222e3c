#!/usr/bin/env bash
# Writes the lock files: everything (requirements.lock) and what each image installs (<part>/requirements.lock).
# Versions that are locked stay; lock.sh --upgrade takes the newest that fit.
set -euo pipefail
# shellcheck source=deploy/dev/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$NIMBUS_ROOT"

compile() {
    local output="$1"
    shift
    # No header and no index: a lock says what, not where this machine took it from.
    .venv/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
        --python-version 3.11 --no-emit-package nimbus-gateway --no-emit-package nimbus-registry \
        --no-emit-package nimbus-plugin-sdk --no-emit-package nimbus-embedded --output-file "$output" "$@" >/dev/null
}

compile requirements.lock pyproject.toml --group dev "$@"
for part in sdk gateway registry; do
    compile "$part/requirements.lock" "$part/pyproject.toml" "$@"
done
