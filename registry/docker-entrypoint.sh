#!/bin/sh
# The service token is shared with the gateway, which is another user than this container's. The file is made
# here with that owner, complete before it has its name, so that neither side ever reads half of it.
set -eu

token="${NIMBUS_SERVICE_TOKEN_FILE:-}"
if [ -n "$token" ] && [ ! -e "$token" ]; then
    draft="$(mktemp "$token.XXXXXX")"
    python -IS -c 'import secrets; print(secrets.token_urlsafe(32))' >"$draft"
    chmod 0600 "$draft"
    chown 10001:10001 "$draft"
    ln "$draft" "$token" 2>/dev/null || true
    rm -f "$draft"
fi
exec nimbus-registry "$@"
