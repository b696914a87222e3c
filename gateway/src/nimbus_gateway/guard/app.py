"""The guard's part that needs a whole request: host, path, client. Plain ASGI, in front of everything public."""

import os
import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from nimbus_gateway.errors import BadRequestError
from nimbus_gateway.guard.client import ClientInfo, client_info
from nimbus_gateway.guard.headers import Header, check_host
from nimbus_gateway.guard.path import parse_path
from nimbus_gateway.guard.request import SCOPE_KEY, RequestInfo
from nimbus_gateway.settings import Settings

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")
_MAX_KNOWN_HOSTS = 256


def _header(headers: Sequence[Header], wanted: bytes) -> str:
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return ""


class Guard:
    """Lets well-formed requests through, with a `RequestInfo` in their scope.

    Raises `GatewayError` for the others; whoever stands in front answers them.
    """

    def __init__(self, app: ASGIApp, settings: Settings, *, any_host: bool = False) -> None:
        self._app = app
        self._settings = settings
        self._any_host = any_host
        self._known_hosts: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, annotate, pass on."""
        headers: list[Header] = scope["headers"]
        peer = scope.get("client") or ("127.0.0.1", 0)
        client = client_info(peer[0], scope["scheme"], headers, self._settings.proxies)
        request_id = self.given_request_id(client, headers) or os.urandom(16).hex()
        scope.setdefault("state", {})["request_id"] = request_id
        self._check_host(client.host)
        path = parse_path(scope["raw_path"])
        public = self._settings.public_url
        origins = (client.origin,) if public is None else (client.origin, public)
        scope[SCOPE_KEY] = RequestInfo(request_id, client, path, origins)
        scope["client"] = (client.address, peer[1] if client.address == peer[0] else 0)
        scope["scheme"] = client.scheme
        await self._app(scope, receive, send)

    @staticmethod
    def given_request_id(client: ClientInfo, headers: Sequence[Header]) -> str | None:
        """The request id that a trusted proxy in front has given."""
        if client.trusted and _REQUEST_ID.fullmatch(given := _header(headers, b"x-request-id")):
            return given
        return None

    def known_client(self, peer: str, scheme: str, headers: Sequence[Header]) -> ClientInfo | None:
        """The client of a request; None unless its host was let through before.

        Args:
            peer: address of the connection's other end.
            scheme: of the connection.
            headers: names in lower case.
        """
        client = client_info(peer, scheme, headers, self._settings.proxies)
        return client if client.host in self._known_hosts else None

    def _check_host(self, host: str) -> None:
        if self._any_host or host in self._known_hosts:
            return
        if not host:
            raise BadRequestError("a request has exactly one Host header")
        check_host(host, self._settings.hosts)
        if len(self._known_hosts) >= _MAX_KNOWN_HOSTS:
            self._known_hosts.clear()
        self._known_hosts.add(host)
