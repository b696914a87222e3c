"""What is under way with plugins, ended when its caller's credential is revoked or its plugin is out of reach."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from nimbus_gateway.auth.principal import Authenticator, Credentials, Principal
from nimbus_gateway.errors import DatabaseUnavailableError
from nimbus_gateway.proxy.failures import ExchangeAbortedError
from nimbus_gateway.proxy.routes import CompiledSnapshot

RECHECK_SECONDS = 5.0
"""Credentials also run out by themselves, and nobody says so."""

REVOKED = "the session or API key has ended"
DISABLED = "the plugin was disabled"
UNMAPPED = "the compatibility port leads to this plugin no longer"


class StreamEndedError(ExchangeAbortedError):
    """An event stream is ended properly from this side: its client comes back by itself and learns why."""


class OpenStream(ABC):
    """One request or WebSocket under way.

    Attributes:
        plugin_id: with whom.
        caller: who it was let in for, and by which credentials; None is nobody in particular.
        lasting: it would not end by itself (an event stream, a WebSocket), so it does not outlive its plugin.
        port: the compatibility port that it came in on; None is the public port.
    """

    __slots__ = ("caller", "lasting", "plugin_id", "port")

    def __init__(
        self,
        plugin_id: str,
        caller: tuple[Principal, Credentials] | None,
        *,
        lasting: bool = False,
        port: int | None = None,
    ) -> None:
        self.plugin_id = plugin_id
        self.caller = caller
        self.lasting = lasting
        self.port = port

    @abstractmethod
    def end(self, reason: str) -> None:
        """End it at once."""


class CallbackStream(OpenStream):
    """Ended by a function, which takes the reason."""

    __slots__ = ("_end",)

    def __init__(
        self,
        plugin_id: str,
        caller: tuple[Principal, Credentials] | None,
        end: Callable[[str], None],
        *,
        lasting: bool = False,
        port: int | None = None,
    ) -> None:
        super().__init__(plugin_id, caller, lasting=lasting, port=port)
        self._end = end

    def end(self, reason: str) -> None:
        """End it at once."""
        self._end(reason)


class OpenStreams:
    """All of one worker. Everything runs on the event loop; nothing locks."""

    def __init__(self) -> None:
        self._open: set[OpenStream] = set()
        self._changed = asyncio.Event()

    def add(self, stream: OpenStream) -> None:
        """Take note of a stream; every `add` needs one `discard`."""
        self._open.add(stream)

    def discard(self, stream: OpenStream) -> None:
        """Forget a stream that is over."""
        self._open.discard(stream)

    def any_with(self, plugin_id: str) -> bool:
        """Whether anything is under way with a plugin, if only towards a slow client."""
        return any(stream.plugin_id == plugin_id for stream in self._open)

    def end_disabled(self, table: CompiledSnapshot) -> None:
        """End the lasting streams of plugins that are disabled or gone."""
        for stream in list(self._open):
            plugin = table.plugins.get(stream.plugin_id)
            if stream.lasting and (plugin is None or not plugin.detail.enabled):
                stream.end(DISABLED)

    def end_unmapped(self, plugin_at: Callable[[int], str | None]) -> None:
        """End the lasting streams of compatibility ports that lead to their plugins no longer."""
        for stream in list(self._open):
            if stream.lasting and stream.port is not None and plugin_at(stream.port) != stream.plugin_id:
                stream.end(UNMAPPED)

    async def end_revoked(self, authenticator: Authenticator) -> None:
        """Until cancelled: after each change of a credential, end the streams of callers who are no longer let in."""
        unsubscribe = authenticator.subscribe(self._changed.set)
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(RECHECK_SECONDS):
                        await self._changed.wait()
                self._changed.clear()
                for caller in {stream.caller for stream in self._open if stream.caller is not None}:
                    if not await _still(authenticator, *caller):
                        for stream in [stream for stream in self._open if stream.caller == caller]:
                            stream.end(REVOKED)
        finally:
            unsubscribe()


async def _still(authenticator: Authenticator, principal: Principal, credentials: Credentials) -> bool:
    try:
        return await authenticator.authenticate(credentials) == principal
    except DatabaseUnavailableError:
        return True  # nobody can have been signed out meanwhile


def caller_of(principal: Principal | None, presented: Credentials) -> tuple[Principal, Credentials] | None:
    """The caller with that one of the presented credentials which let them in."""
    if principal is None:
        return None
    if principal.kind == "api-key":
        return principal, Credentials(api_key=presented.api_key)
    return principal, Credentials(session_cookie=presented.session_cookie)
