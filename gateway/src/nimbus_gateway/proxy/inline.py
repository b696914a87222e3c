"""The short way to a plugin: request and answer are passed on inside the server's protocol, without ASGI.

It takes what needs to wait for nobody: a bodyless HTTP/1.1 request to a plugin that is up, whose caller was verified
before, while a connection to the plugin is idle. Everything else goes the long way (`proxy.http`), and so does every
refusal. Both ways decide with the same functions, on the same bytes.
"""

import os
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nimbus_gateway.access_log import AccessSubject
from nimbus_gateway.auth.csrf import SAFE_METHODS
from nimbus_gateway.auth.identity import IssuedToken
from nimbus_gateway.auth.principal import Credentials
from nimbus_gateway.errors import CsrfError, GatewayError, UnauthenticatedError
from nimbus_gateway.guard.path import parse_path
from nimbus_gateway.proxy.admission import Provenance, check_principal, find_target, usable_credentials
from nimbus_gateway.proxy.connection import Connection
from nimbus_gateway.proxy.failures import UpstreamError
from nimbus_gateway.proxy.headers import Forwarding, Header, header_lines, identity_headers, sort_request
from nimbus_gateway.proxy.inline_exchange import InlineClient, InlineExchange
from nimbus_gateway.proxy.inline_request import Caller, Chosen, ClientEnd, Prepared, RawRequest, Told
from nimbus_gateway.proxy.routes import EMPTY, PREFIX_SEGMENTS, CompiledPlugin, is_plugin_route
from nimbus_gateway.proxy.upstream import REPEATABLE

if TYPE_CHECKING:
    from nimbus_gateway.guard.app import Guard
    from nimbus_gateway.state import GatewayState

_MAX_KEPT = 4096
"""Entries of each look-up table; a full one is emptied, since making an entry is cheap."""

_MAX_HEADS = 1024
"""Requests that are recognised by their bytes, so that they are not read again."""
_MAX_HEAD = 2 * 1024
"""Bytes of such a request."""
_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[\x21\x22\x24-\x7e]*) HTTP/1\.1\r\n")
"""One whose target `guard.path.check_target` lets pass, with nothing left to a parser."""

_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
"""Headers of which the short way takes one Host and nothing else."""

_UNKNOWN_PROVENANCE = Provenance(None, None, ())
"""Stands for "not looked at": a request for which it matters is refused here and decided on the long way."""


class RandomHex:
    """Random hexadecimal digits, fetched from the system in blocks."""

    def __init__(self) -> None:
        self._block = b""
        self._position = 0

    def take(self, digits: int) -> bytes:
        """The next digits."""
        start, self._position = self._position, self._position + digits
        if self._position > len(self._block):
            self._block = os.urandom(8192).hex().encode()
            start, self._position = 0, digits
        return self._block[start : self._position]


class InlineProxy:
    """Decides about requests for the short way and sends them off. One per worker."""

    def __init__(self, state: "GatewayState", guard: "Guard") -> None:
        self._state = state
        self._guard = guard
        self._table = EMPTY
        self._chosen: dict[tuple[bytes, bytes], Chosen] = {}
        self._ends: dict[tuple[str, str, bytes, str], ClientEnd] = {}
        self._identities: dict[IssuedToken, bytes] = {}
        self._prepared: dict[bytes, Prepared] = {}
        self._akin: dict[bytes, Prepared] = {}
        self._random = RandomHex()
        # Credentials that have ended are not kept in memory either; as long as the worker lives.
        state.authenticator.subscribe(self._forget_heads)

    def prepare(self, client: InlineClient, request: RawRequest) -> Prepared | None:
        """Decide what the request's bytes decide; None when it is for the long way.

        Args:
            client: the connection that it came on.
            request: checked by the guard, read by a strict parser.
        """
        chosen = self._find(request.method, request.target.partition(b"?")[0])
        end = None if chosen is None else self._end_of(client, request.headers, chosen.target.plugin)
        if chosen is None or end is None:
            return None
        sorted_request = sort_request(request.headers)
        told = Told(header_lines(sorted_request.passing), sorted_request.credentials, sorted_request.traceparent)
        return self._put_together(client, request, chosen, end, told)

    def _prepare_akin(self, client: InlineClient, akin: Prepared, target: bytes) -> Prepared | None:
        """The request that differs from one before in its target only: its headers are not read again."""
        known = akin.request
        chosen = self._find(known.method, target.partition(b"?")[0])
        if chosen is None:
            return None
        before, now = akin.chosen.target, chosen.target
        request = RawRequest(known.method, target, known.headers, known.keep_alive)
        if now.plugin is before.plugin and now.route is before.route:
            return Prepared(
                request,
                chosen,
                akin.end,
                akin.told,
                came_from=akin.came_from,
                opening=_opening(request, chosen, akin.told, akin.end),
                credentials=akin.credentials,
                caller_key=akin.caller_key,
                logged=akin.logged if chosen is akin.chosen else _logged(chosen, akin.end),
                admitted=akin.admitted,
                identity=akin.identity,
            )
        end = self._end_of(client, known.headers, now.plugin)
        return None if end is None else self._put_together(client, request, chosen, end, akin.told)

    def _put_together(
        self, client: InlineClient, request: RawRequest, chosen: Chosen, end: ClientEnd, told: Told
    ) -> Prepared | None:
        try:
            credentials = self._usable(chosen, told.credentials)
        except GatewayError:
            return None
        return Prepared(
            request,
            chosen,
            end,
            told,
            came_from=(client.peer, client.scheme),
            opening=_opening(request, chosen, told, end),
            credentials=credentials,
            caller_key=None if credentials is None else self._state.authenticator.key_of(credentials),
            logged=_logged(chosen, end),
        )

    def remember(self, data: bytes, prepared: Prepared) -> None:
        """`data` was this request and nothing else: whoever sends the same bytes wants the same."""
        line = _REQUEST_LINE.match(data) if len(data) <= _MAX_HEAD else None
        if line is not None:
            self._keep(data, data[line.end() :], prepared)

    def _keep(self, data: bytes, headers: bytes, prepared: Prepared) -> None:
        for table, key in ((self._prepared, data), (self._akin, headers)):
            if len(table) >= _MAX_HEADS and key not in table:
                table.clear()
            table[key] = prepared

    def _forget_heads(self) -> None:
        self._prepared.clear()
        self._akin.clear()

    def remembered(self, client: InlineClient, data: bytes) -> Prepared | None:
        """The request that these bytes are, if they came before from the same address under the same route table.

        The target may be another one: everything behind the request line came before, byte for byte, as the headers
        of one whole request with the same method, so that they mean the same and nothing follows them.
        """
        if self._state.snapshots.current is not self._table:
            return None
        came_from = (client.peer, client.scheme)
        prepared = self._prepared.get(data)
        if prepared is not None:
            return prepared if prepared.came_from == came_from else None
        line = _REQUEST_LINE.match(data) if len(data) <= _MAX_HEAD else None
        if line is None:
            return None
        headers = data[line.end() :]
        akin = self._akin.get(headers)
        if akin is None or akin.came_from != came_from or akin.request.method != line[1]:
            return None
        prepared = self._prepare_akin(client, akin, line[2])
        if prepared is not None:
            self._keep(data, headers, prepared)
        return prepared

    def send(self, client: InlineClient, prepared: Prepared) -> InlineExchange | None:
        """Send a request off when nothing has to be waited for; None leaves it to the long way."""
        try:
            caller = self._caller(prepared)
        except GatewayError:
            return None
        digits = self._random.take(80)
        request_id = prepared.end.request_id or digits[:32]
        traceparent = prepared.told.traceparent or b"00-%b-%b-01" % (digits[32:64], digits[64:])
        identity = b"" if caller is None else self._identity_lines(prepared, caller)
        chosen = prepared.chosen
        connection = self._connect(chosen)
        if connection is None:
            return None
        exchange = InlineExchange(self._state, client, prepared, caller, connection=connection, request_id=request_id)
        try:
            exchange.start(
                b"%bx-request-id: %b\r\ntraceparent: %b\r\n%b\r\n"
                % (prepared.opening, request_id, traceparent, identity)
            )
        except UpstreamError:
            self._state.upstreams.release(connection)
            chosen.gate.leave()
            return None
        except BaseException:
            connection.abort()
            if not exchange.response_complete:  # else it has given both back
                self._state.upstreams.release(connection)
                chosen.gate.leave()
            raise
        return exchange

    @staticmethod
    def _usable(chosen: Chosen, presented: Credentials) -> Credentials | None:
        """Those of the presented credentials that count on the route, if there are any.

        Raises:
            GatewayError: they are not enough, or it takes more than the route to tell.
        """
        if presented.session_cookie is not None and chosen.method not in SAFE_METHODS:
            raise CsrfError  # whether the cookie counts depends on where the request came from
        usable = usable_credentials(chosen.target.route, presented, _UNKNOWN_PROVENANCE, method=chosen.method)
        return None if usable.api_key is None and usable.session_cookie is None else usable

    def _caller(self, prepared: Prepared) -> Caller | None:
        """Who calls, and by what; None is nobody in particular on a route that asks for nobody.

        Raises:
            GatewayError: they are not let in, or it takes more than memory to find out.
        """
        if prepared.credentials is None:
            return None
        key = prepared.caller_key
        principal = None if key is None else self._state.authenticator.remembered(key)
        if principal is None:
            raise UnauthenticatedError
        admitted = prepared.admitted
        if admitted is not None and admitted[0] is principal:
            return admitted
        route = prepared.chosen.target.route
        if route.auth != "none":
            check_principal(route, principal)
        prepared.admitted = principal, prepared.credentials
        return prepared.admitted

    def _connect(self, chosen: Chosen) -> Connection | None:
        """A place at the plugin and an idle connection to it, if there are both at once."""
        if not chosen.gate.try_enter():
            return None
        connection = self._state.upstreams.take(chosen.target.address, repeatable=chosen.method in REPEATABLE)
        if connection is None:
            chosen.gate.leave()
        return connection

    def _find(self, method: bytes, path: bytes) -> Chosen | None:
        """Plugin and route, from memory as long as the table is the same."""
        table = self._state.snapshots.current
        if table is not self._table:
            self._table = table
            self._chosen.clear()
            self._forget_heads()
        chosen = self._chosen.get((method, path))
        if chosen is not None or not path.startswith(b"/api/plugins/"):
            return chosen
        try:
            canonical = parse_path(path)
            segments = canonical.segments
            if not is_plugin_route(segments):
                return None
            name = method.decode("ascii")
            enabled = self._state.settings.enable_plugins
            target = find_target(table, segments[2], segments[PREFIX_SEGMENTS:], name, enabled=enabled)
        except GatewayError:
            return None
        chosen = Chosen(
            target,
            canonical.raw_after(PREFIX_SEGMENTS) or b"/",
            path.decode("ascii"),
            name,
            self._state.gates.of(target.plugin.id),
            self._state.metrics.tally(target.plugin.id, target.route.template),
        )
        if len(path) <= _MAX_HEAD:  # anybody may ask for any path: what is kept of them has a bound
            if len(self._chosen) >= _MAX_KEPT:
                self._chosen.clear()
            self._chosen[method, path] = chosen
        return chosen

    def _end_of(self, client: InlineClient, headers: Sequence[Header], plugin: CompiledPlugin) -> ClientEnd | None:
        """The client's end; None when the request is not for the short way."""
        host: bytes | None = None
        for name, value in headers:
            if name in _FRAMING and (name != b"host" or host is not None):
                return None
            if name == b"host":
                host = value
        if host is None:
            return None
        key = (client.peer, client.scheme, host, plugin.id)
        end = self._ends.get(key)
        if end is not None:
            return end
        info = self._guard.known_client(client.peer, client.scheme, headers)
        if info is None:
            return None
        forwarding = Forwarding(plugin.id, plugin.prefix, info.address, info.host, info.scheme)
        given = self._guard.given_request_id(info, headers)
        end = ClientEnd(info, header_lines(forwarding.headers()), None if given is None else given.encode())
        if info.trusted:
            return end  # a proxy's next request is somebody else's
        if len(self._ends) >= _MAX_KEPT:
            self._ends.clear()
        self._ends[key] = end
        return end

    def _identity_lines(self, prepared: Prepared, caller: Caller) -> bytes:
        shown = prepared.identity
        if shown is not None and shown[0] is caller and shown[1].usable(time.time()):
            return shown[2]
        principal = caller[0]
        issued = self._state.signer.issued(principal, prepared.chosen.target.plugin.id)
        lines = self._identities.get(issued)
        if lines is None:
            lines = header_lines(identity_headers(principal, issued.token))
            if len(self._identities) >= _MAX_KEPT:
                self._identities.clear()
            self._identities[issued] = lines
        prepared.identity = caller, issued, lines
        return lines


def _opening(request: RawRequest, chosen: Chosen, told: Told, end: ClientEnd) -> bytes:
    _, mark, query = request.target.partition(b"?")
    line = (request.method, b" ", chosen.forward, mark, query, b" HTTP/1.1\r\n")
    return b"".join((*line, told.passing, end.lines))


def _logged(chosen: Chosen, end: ClientEnd) -> AccessSubject:
    target = chosen.target
    return AccessSubject(
        "public", chosen.method, chosen.path, end.info.address, target.plugin.id, target.route.template
    )
