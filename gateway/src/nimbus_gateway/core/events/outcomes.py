"""What the answer to a delivery means. Pure."""

from nimbus_gateway.core.events.dispatcher import Outcome
from nimbus_gateway.database import storable

_OK = 2
_GONE = 410


def outcome_of(status: int, body: bytes, where: str) -> Outcome:
    """What an answer means: 2xx is done, 410 no more events, anything else a failure. Pure."""
    if status // 100 == _OK:
        return Outcome("done")
    if status == _GONE:
        return Outcome("gone")
    said = storable(body[:300].decode("utf-8", "replace"))
    return Outcome("failed", f"{where} answered {status}: {said}".rstrip(": "))
