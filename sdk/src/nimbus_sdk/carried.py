"""What goes on from a request to the calls that are made for it: the trace, and the chain of plugins.

It is kept in a context variable, so handlers, their tasks and threads have it without handing it on.
"""

from collections.abc import Iterable, Mapping
from contextvars import ContextVar

from nimbus_sdk.contracts.identity import HEADER_CALL_CHAIN

TRACE = frozenset({"traceparent", "tracestate"})
CALL_CHAIN = HEADER_CALL_CHAIN.lower()
KEPT = frozenset(name.encode() for name in (*TRACE, CALL_CHAIN))
_CARRIED: ContextVar[Mapping[str, str]] = ContextVar("nimbus_carried")
_NOTHING: Mapping[str, str] = {}


def carry(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Keep those of a request's headers that are in `KEPT`, for the calls that are made while it is handled."""
    _CARRIED.set({name.decode(): value.decode("latin-1") for name, value in headers if name in KEPT} or _NOTHING)


def carried(*, to_plugins: bool) -> dict[str, str]:
    """Headers for a call of the core; one that goes on to another plugin also says by which plugins it came."""
    found = _CARRIED.get(_NOTHING)
    return {name: value for name, value in found.items() if to_plugins or name in TRACE}
