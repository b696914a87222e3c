"""The circuit breaker in front of a plugin that does not answer: callers are told at once instead of made to wait."""

from typing import Literal

import structlog

from nimbus_gateway.errors import PluginUnavailableError

FAILURES = 5
"""Failures in a row that open it: no connection, or no answer in time."""
OPEN_SECONDS = 5.0
"""After this long one request is let through to try."""

BreakerState = Literal["closed", "half-open", "open"]

log = structlog.get_logger("nimbus.proxy")


class Breaker:
    """Opens after `FAILURES` connect or timeout failures in a row; half-open after `OPEN_SECONDS`.

    Half-open, one request is under way as a trial: its success closes the breaker, its failure opens it again. A
    trial that ends without either (its client left, say) makes room for the next after `OPEN_SECONDS`. Each worker
    has its own. Times are monotonic seconds and given by the caller.
    """

    __slots__ = ("_failures", "_plugin_id", "_retry_at", "closed")

    def __init__(self, plugin_id: str) -> None:
        self._plugin_id = plugin_id
        self._failures = 0
        self._retry_at = 0.0
        self.closed = True

    def state(self, now: float) -> BreakerState:
        """What it does with the next request."""
        if self.closed:
            return "closed"
        return "half-open" if now >= self._retry_at else "open"

    def admit(self, now: float) -> None:
        """Let a request through.

        Raises:
            PluginUnavailableError: it is open; says when to come back.
        """
        if self.closed:
            return
        if now < self._retry_at:
            raise PluginUnavailableError(
                f"the plugin did not answer {FAILURES} times in a row; it is tried again in a moment",
                retry_after=max(1, round(self._retry_at - now)),
            )
        self._retry_at = now + OPEN_SECONDS  # this request is the trial; the others are still told to wait

    def succeeded(self) -> None:
        """The plugin answered, whatever it said."""
        self._failures = 0
        if not self.closed:
            self.closed = True
            log.info("the plugin answers again", plugin=self._plugin_id)

    def failed(self, now: float) -> None:
        """No connection could be made, or no answer came in time."""
        self._failures += 1
        if self._failures < FAILURES:
            return
        if self.closed:
            log.warning("the plugin does not answer; requests to it are refused for a while", plugin=self._plugin_id)
        self.closed = False
        self._retry_at = now + OPEN_SECONDS

    def reset(self) -> None:
        """Forget what was: another process answers now."""
        self._failures = 0
        self.closed = True
