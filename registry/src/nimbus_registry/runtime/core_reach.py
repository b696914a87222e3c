"""What came of a call of the core, read from what `core_call` prints. Pure."""

import json

from nimbus_registry.runtime.base import CoreReach


def reach_of(url: str, said: str) -> CoreReach:
    """The result behind what was printed."""
    try:
        answer = json.loads(said)
        detail = answer["detail"]
        return CoreReach(
            ok=answer["ok"] is True,
            url=url,
            hop="dns" if answer["hop"] == "dns" else "connect" if answer["hop"] == "connect" else "http",
            detail=str(detail) if detail else None,
        )
    except (ValueError, KeyError, TypeError):
        return untried(url, "the helper printed something else")


def untried(url: str, why: str) -> CoreReach:
    """The result when the call could not be made."""
    detail = f"It could not be tried from the plugin's place: {why.rstrip('.')}."
    return CoreReach(ok=False, url=url, hop="untried", detail=detail)
