"""Acting for a person: the identity token that a plugin got with their request, checked live when it is used."""

from nimbus_sdk.signing import InvalidIdentity, UnknownKey, verify_identity

from nimbus_gateway.auth.credentials_store import load_api_key_by_id, load_session_by_id
from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.database import parse_id
from nimbus_gateway.errors import UnauthenticatedError
from nimbus_gateway.state import GatewayState

_KEY = "key:"


async def user_behind(state: GatewayState, plugin_id: str, token: str) -> Principal:
    """Whom an identity token stands for, as they are now.

    Args:
        state: the worker's state.
        plugin_id: who uses the token; it must have been made for this plugin.
        token: `X-Nimbus-Identity` as the plugin got it.

    Raises:
        UnauthenticatedError: it is not valid (any more), stands for nobody, or they have been signed out meanwhile.
        DatabaseUnavailableError: it cannot be found out now.
    """
    try:
        keys = state.signer.key_set()
        claims = verify_identity(token, keys, audience=plugin_id, issuer=keys.issuer)
    except (InvalidIdentity, UnknownKey) as error:
        raise UnauthenticatedError(f"The identity in X-Nimbus-On-Behalf-Of is not valid: {error}") from error
    found = await _live(state, claims.sub, claims.sid)
    if found is None:
        raise UnauthenticatedError("Whoever X-Nimbus-On-Behalf-Of stands for is not signed in any more.")
    return found


async def _live(state: GatewayState, subject: str, session_id: str | None) -> Principal | None:
    key_id = parse_id(subject.removeprefix(_KEY)) if subject.startswith(_KEY) else None
    session_key = parse_id(session_id) if session_id else None
    async with state.database.read() as session:
        if key_id is not None:
            found = await load_api_key_by_id(session, key_id)
        else:
            found = await load_session_by_id(session, session_key) if session_key else None
    return found.principal if found is not None and found.principal.subject == subject else None
