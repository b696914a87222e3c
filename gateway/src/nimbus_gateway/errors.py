"""The gateway's errors: each class owns its problem type and status (RFC 9457); handlers never build bodies."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from nimbus_sdk.contracts.problem import PROBLEM_MEDIA_TYPE, FieldProblem, Problem
from starlette.responses import Response
from starlette.types import Send

Cause = Literal["plugin", "gateway", "client"]
"""Who an answer goes back to: the plugin's own or its failure, the gateway's own trouble, or the caller's doing."""

_FIRST_SERVER_ERROR = 500


class GatewayError(Exception):
    """Base of every error that a caller gets to see.

    Args:
        detail: what happened, in words the caller can act on.
        errors: what is wrong with which field.
        retry_after: seconds after which a repeat makes sense; sent as ``Retry-After``.
        headers: further headers of the answer, names in lower case.
        extra: extension members of the problem, JSON values.
    """

    type: ClassVar[str] = "/problems/internal"
    title: ClassVar[str] = "Something went wrong"
    status: ClassVar[int] = 500

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldProblem] | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = list(errors) if errors else None
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["retry-after"] = str(retry_after)
        self.extra = dict(extra or {})

    @property
    def cause(self) -> Cause:
        """Who it goes back to, for the metrics."""
        return "gateway" if self.status >= _FIRST_SERVER_ERROR else "client"

    def problem(self, request_id: str | None = None) -> Problem:
        """The wire form; extension members are added by `problem_body`."""
        return Problem(
            type=self.type,
            title=self.title,
            status=self.status,
            detail=self.detail,
            instance=request_id,
            errors=self.errors,
        )


class NotFoundError(GatewayError):
    """There is no such thing."""

    type = "/problems/not-found"
    title = "Not found"
    status = 404


class CompatPortUnmappedError(NotFoundError):
    """Nothing is mapped to the compatibility port that a request came in on."""

    type = "/problems/compat-port-unmapped"
    title = "No plugin at this port"


class CompatPortTakenError(GatewayError):
    """A compatibility port is mapped to another plugin."""

    type = "/problems/compat-port-taken"
    title = "Port already mapped"
    status = 409


class NoCompatRoutesError(GatewayError):
    """A plugin has nothing to show at a compatibility port."""

    type = "/problems/no-compat-routes"
    title = "No compatibility routes"
    status = 409


class UnauthenticatedError(GatewayError):
    """Nobody is signed in, or the credentials are not valid."""

    type = "/problems/unauthenticated"
    title = "Sign-in needed"
    status = 401


class ForbiddenError(GatewayError):
    """The caller is known and may not do this."""

    type = "/problems/forbidden"
    title = "Not allowed"
    status = 403


class CsrfError(GatewayError):
    """A state-changing call with a cookie came from another site."""

    type = "/problems/csrf"
    title = "Request from another site refused"
    status = 403


class PermissionMissingError(GatewayError):
    """A scope or permission is missing; `detail` names it."""

    type = "/problems/permission-missing"
    title = "Permission missing"
    status = 403


class ValidationError(GatewayError):
    """The input does not fit; `errors` says where."""

    type = "/problems/validation"
    title = "Input not valid"
    status = 422


class BadPathError(GatewayError):
    """The path has more than one reading (dot segments, encoded separators, …)."""

    type = "/problems/bad-request-path"
    title = "Ambiguous path refused"
    status = 400


class BadRequestError(GatewayError):
    """The request's framing or headers are malformed."""

    type = "/problems/bad-request"
    title = "Malformed request"
    status = 400


class HeadersTooLargeError(GatewayError):
    """Too many or too large headers (RFC 6585)."""

    type = "/problems/headers-too-large"
    title = "Headers too large"
    status = 431


class UriTooLongError(GatewayError):
    """The request target is too long."""

    type = "/problems/uri-too-long"
    title = "Address too long"
    status = 414


class RequestTimeoutError(GatewayError):
    """The client did not send its request in time."""

    type = "/problems/request-timeout"
    title = "Request took too long to arrive"
    status = 408


class UnknownHostError(GatewayError):
    """The Host header names a host that this gateway does not answer to."""

    type = "/problems/unknown-host"
    title = "Unknown host"
    status = 421


class RateLimitedError(GatewayError):
    """Too many attempts."""

    type = "/problems/rate-limited"
    title = "Too many requests"
    status = 429


class GoneError(GatewayError):
    """It was there once and is not any more."""

    type = "/problems/gone"
    title = "No longer available"
    status = 410


class MethodNotAllowedError(GatewayError):
    """The path exists, for other methods."""

    type = "/problems/method-not-allowed"
    title = "Method not allowed"
    status = 405


class PayloadTooLargeError(GatewayError):
    """The body is larger than the limit that `detail` names."""

    type = "/problems/payload-too-large"
    title = "Body too large"
    status = 413


class BackupRefusedError(GatewayError):
    """The file is no backup that can be restored; `detail` says what is wrong with it."""

    type = "/problems/backup-refused"
    title = "Backup refused"
    status = 422


class BackupVersionError(GatewayError):
    """The backup is of another version of the plugin than the one that is installed."""

    type = "/problems/backup-version"
    title = "Backup of another version"
    status = 409


class DiskFullError(GatewayError):
    """There is no room for what is to be kept for a moment (RFC 4918, section 11.5)."""

    type = "/problems/disk-full"
    title = "No room on the disk"
    status = 507


class QuotaExceededError(GatewayError):
    """The caller would keep more than it may; `detail` says of what and how much."""

    type = "/problems/quota-exceeded"
    title = "Quota exceeded"
    status = 413


class PreconditionFailedError(GatewayError):
    """`If-Match` names an older version."""

    type = "/problems/precondition-failed"
    title = "Changed in the meantime"
    status = 412


class ConflictError(GatewayError):
    """The request contradicts the present state."""

    type = "/problems/conflict"
    title = "Conflict"
    status = 409


class PluginNotFoundError(GatewayError):
    """No plugin has this id."""

    type = "/problems/plugin-not-found"
    title = "No such plugin"
    status = 404


class PluginDisabledError(GatewayError):
    """The plugin is there and switched off."""

    type = "/problems/plugin-disabled"
    title = "Plugin is disabled"
    status = 404


class PluginsDisabledError(GatewayError):
    """The plugin host is off (`NIMBUS_ENABLE_PLUGINS=false`)."""

    type = "/problems/plugins-disabled"
    title = "Plugins are switched off"
    status = 404


class RouteNotFoundError(GatewayError):
    """The plugin declares no such route."""

    type = "/problems/route-not-found"
    title = "No such route"
    status = 404


class _PluginsOwnError(GatewayError):
    """It goes back to the plugin."""

    @property
    def cause(self) -> Cause:
        """Who it goes back to, for the metrics."""
        return "plugin"


class PluginUnavailableError(_PluginsOwnError):
    """The plugin is enabled and cannot take requests now."""

    type = "/problems/plugin-unavailable"
    title = "Plugin is not ready"
    status = 503


class CallLoopError(GatewayError):
    """A call between plugins came back to one that it had gone through (RFC 5842, section 7.2)."""

    type = "/problems/call-loop"
    title = "Plugins call each other in a circle"
    status = 508


class PluginHeldError(PluginUnavailableError):
    """The plugin's versions are being exchanged; its requests wait."""


class PluginAsleepError(PluginUnavailableError):
    """The plugin sleeps until it is asked for, and a request that it declares asks."""

    def __init__(self, detail: str, *, plugin: Any, route: Any) -> None:  # noqa: ANN401 - of the proxy, which knows this
        super().__init__(detail, retry_after=5)
        self.plugin = plugin
        self.route = route


class PluginFailedError(GatewayError):
    """The plugin did not reach the asked state."""

    type = "/problems/plugin-failed"
    title = "Plugin failed"
    status = 409


class PluginInvalidError(GatewayError):
    """The plugin's manifest has errors."""

    type = "/problems/plugin-invalid"
    title = "Plugin is not valid"
    status = 409


class UpstreamTimeoutError(_PluginsOwnError):
    """The plugin did not answer in time."""

    type = "/problems/upstream-timeout"
    title = "Plugin did not answer in time"
    status = 504


class UpstreamFailedError(_PluginsOwnError):
    """The plugin could not be reached or broke the protocol."""

    type = "/problems/upstream-failed"
    title = "Plugin did not answer properly"
    status = 502


class RegistryUnavailableError(GatewayError):
    """The registry could not be reached."""

    type = "/problems/registry-unavailable"
    title = "Registry is not reachable"
    status = 503


class DatabaseUnavailableError(GatewayError):
    """The database could not be reached."""

    type = "/problems/database-unavailable"
    title = "Database is not reachable"
    status = 503


def problem_parts(error: GatewayError, request_id: str | None = None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers (names in lower case) and body of an error's answer."""
    problem = error.problem(request_id)
    if error.extra:
        document = {**problem.wire(), **error.extra}
        body = _json(document)
    else:
        body = problem.model_dump_json(by_alias=True, exclude_none=True).encode()
    headers = [
        (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    headers += [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in error.headers.items()]
    if error.status == UnauthenticatedError.status and b"www-authenticate" not in {name for name, _ in headers}:
        headers.append((b"www-authenticate", b'Bearer realm="nimbus"'))
    return error.status, headers, body


def problem_response(error: GatewayError, request_id: str | None = None) -> Response:
    """An error as a Starlette response, for FastAPI's exception handlers."""
    status, headers, body = problem_parts(error, request_id)
    response = Response(body, status_code=status)
    response.raw_headers = headers
    return response


async def send_problem(send: Send, error: GatewayError, request_id: str | None = None) -> None:
    """Answer an HTTP scope with an error, in plain ASGI."""
    status, headers, body = problem_parts(error, request_id)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), default=str).encode()
