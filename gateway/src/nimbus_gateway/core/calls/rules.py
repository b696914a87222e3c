"""Who may call whom, and when a call goes in a circle. Pure."""

import re

from nimbus_gateway.errors import CallLoopError

LONGEST_CHAIN = 8
_PLUGIN_ID = re.compile(r"[a-z][a-z0-9-]{1,39}")


def extended_chain(given: str, caller: str, target: str) -> tuple[str, ...]:
    """The plugins that a call has gone through, the caller included.

    Args:
        given: the header's text, as the caller got it; what is no plugin id in it does not count.
        caller: who calls.
        target: who is called.

    Raises:
        CallLoopError: the call would come back to one of them, or is too long.
    """
    known = [part.strip() for part in given.split(",") if _PLUGIN_ID.fullmatch(part.strip())]
    chain = (*known, caller) if not known or known[-1] != caller else tuple(known)
    if target in chain:
        raise CallLoopError(f"The call came from {' → '.join(chain)} and would go to {target} again.")
    if len(chain) >= LONGEST_CHAIN:
        raise CallLoopError(f"The call went through {LONGEST_CHAIN} plugins: {' → '.join(chain)}.")
    return chain
