"""How an exchange with a plugin fails."""

from typing import Literal


class UpstreamError(Exception):
    """The exchange with the plugin failed; the message says how, for the log and the problem's detail."""


class UpstreamClosedError(UpstreamError):
    """The plugin closed the connection too early."""


class UpstreamProtocolError(UpstreamError):
    """The plugin broke HTTP."""


class UpstreamTimeout(UpstreamError):  # noqa: N818 - an UpstreamError that says what ran out
    """The plugin was silent for longer than its route allows."""


class UpstreamConnectError(UpstreamError):
    """No connection could be made; `hop` is ``dns`` or ``connect``."""

    def __init__(self, message: str, hop: Literal["dns", "connect"]) -> None:
        super().__init__(message)
        self.hop: Literal["dns", "connect"] = hop


class ExchangeAbortedError(UpstreamError):
    """The exchange was given up on this side, e.g. because the client has gone."""
