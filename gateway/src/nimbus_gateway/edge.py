"""The outermost application of a listener: answers errors, writes one log line and counts one request."""

import logging
import time
from http import HTTPStatus

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nimbus_gateway.access_log import AccessLog, AccessSubject
from nimbus_gateway.errors import Cause, GatewayError, problem_parts
from nimbus_gateway.guard.request import SCOPE_KEY, RequestInfo
from nimbus_gateway.metrics import RequestMetrics

_SWITCHING = 101
_POLLED = frozenset({b"/healthz", b"/readyz"})


def _request_id(scope: Scope) -> str | None:
    found: str | None = scope.get("state", {}).get("request_id")
    return found


class _Observed:
    """Passes an answer on, remembers its status and size, and puts the request's id into it."""

    __slots__ = ("_scope", "_send", "size", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.status = 0
        self.size = 0

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            self.size += len(message.get("body", b""))
        elif kind == "http.response.start":
            self.status = message["status"]
            request_id = _request_id(self._scope)
            if request_id is not None and all(name != b"x-request-id" for name, _ in message["headers"]):
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
        await self._send(message)


class Edge:
    """In front of the guard; what is raised behind it as `GatewayError` is answered here.

    Args:
        app: what answers.
        access_log: gets a line a request.
        metrics: counts requests; None on listeners that are not counted.
        listener: its name in the log.
    """

    def __init__(
        self, app: ASGIApp, access_log: AccessLog, metrics: RequestMetrics | None = None, listener: str = "public"
    ) -> None:
        self._app = app
        self._access_log = access_log
        self._metrics = metrics
        self._listener = listener
        self._log = structlog.get_logger("nimbus.gateway")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.monotonic()
        observed = _Observed(scope, send)
        blamed: Cause | None = None
        try:
            await self._app(scope, receive, observed)
        except OSError:
            raise  # the server's own way of saying that the client has gone
        except Exception as error:
            if observed.status:
                raise
            if not isinstance(error, GatewayError):
                self._log.exception("a request failed unexpectedly", request_id=_request_id(scope))
                error = GatewayError()
            blamed = error.cause
            await answer(scope, observed, error)
        finally:
            self._record(scope, observed, blamed, time.monotonic() - started)

    def _record(self, scope: Scope, observed: _Observed, blamed: Cause | None, seconds: float) -> None:
        info: RequestInfo | None = scope.get(SCOPE_KEY)
        method: str = scope["method"]
        status, sent = observed.status, observed.size
        if info is not None and info.upgraded:
            method, status, sent = "WEBSOCKET", _SWITCHING, info.sent
        if self._metrics is not None:
            plugin, route = (info.plugin or "", info.route or "") if info is not None else ("", "")
            received = info.received if info is not None else 0
            self._metrics.tally(plugin, route).count(
                method, status, cause_of(status, info, blamed), seconds, received=received, sent=sent
            )
        # What asks every few seconds whether all is well would bury the rest; "not yet" is an answer to it, too.
        asked = scope["raw_path"] in _POLLED and status == HTTPStatus.SERVICE_UNAVAILABLE
        polled = self._listener == "management" or scope["raw_path"] in _POLLED
        quiet = asked or (polled and status < GatewayError.status)
        level = logging.DEBUG if quiet else logging.INFO
        if not self._access_log.wanted(level):
            return
        subject = AccessSubject(
            self._listener,
            method,
            scope["raw_path"].decode("latin-1"),
            (scope.get("client") or ("", 0))[0],
            None if info is None else info.plugin,
            None if info is None else info.route,
        )
        self._access_log.record(
            subject,
            request_id=_request_id(scope),
            status=status,
            sent=sent,
            seconds=seconds,
            user=None if info is None else info.user,
            upstream_seconds=None if info is None else info.upstream_seconds,
            outcome=None if info is None else info.outcome,
        )


def cause_of(status: int, info: RequestInfo | None, blamed: Cause | None) -> Cause:
    """Who an answer goes back to.

    Args:
        status: of the answer; 0 when there was none.
        info: what the guard and the proxy noted; None when the guard did not let it through.
        blamed: by the error that was answered, if it was one.
    """
    if info is not None and info.answered:
        return "plugin"
    if blamed is not None:
        return blamed
    return "gateway" if status else "client"


async def answer(scope: Scope, send: Send, error: GatewayError) -> None:
    """Answer a request with an error."""
    status, headers, body = problem_parts(error, _request_id(scope))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
