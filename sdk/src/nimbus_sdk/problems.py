"""Errors of a plugin as problem details (RFC 9457), for HTTP exceptions, bad input and what the core refused."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Send

from nimbus_sdk.contracts.identity import HEADER_REQUEST_ID
from nimbus_sdk.contracts.jsontext import shown
from nimbus_sdk.contracts.problem import PROBLEM_MEDIA_TYPE, FieldProblem, Problem
from nimbus_sdk.errors import CoreError, NotReady, PermissionMissing, Unavailable, ValidationFailed

_TYPES = {
    400: "bad-request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    412: "precondition-failed",
    422: "validation",
    503: "plugin-unavailable",
}


def problem(
    status: int, detail: str | None, *, request_id: str | None = None, errors: Sequence[FieldProblem] | None = None
) -> Problem:
    """Problem details for a status, with the type that the contract has for it."""
    kind = _TYPES.get(status, "plugin-failed" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "bad-request")
    return Problem(
        type=f"/problems/{kind}",
        title=HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else "Error",
        status=status,
        detail=detail,
        instance=request_id,
        errors=list(errors) if errors else None,
    )


def response(found: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that carries a problem."""
    return Response(
        json.dumps(found.wire()), status_code=found.status, headers=dict(headers or {}), media_type=PROBLEM_MEDIA_TYPE
    )


async def send_problem(send: Send, found: Problem, headers: Mapping[str, str] | None = None) -> None:
    """Answer a raw ASGI request with a problem."""
    body = json.dumps(found.wire()).encode()
    pairs = {"content-type": PROBLEM_MEDIA_TYPE, "content-length": str(len(body)), **(headers or {})}
    await send(
        {
            "type": "http.response.start",
            "status": found.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in pairs.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})


def install(app: FastAPI) -> None:
    """Make the app answer every error as a problem."""
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _validation)  # type: ignore[arg-type]
    app.add_exception_handler(CoreError, _core)  # type: ignore[arg-type]
    app.add_exception_handler(NotReady, _not_ready)
    app.add_exception_handler(Exception, _unexpected)


def _id(request: Request) -> str | None:
    return request.headers.get(HEADER_REQUEST_ID)


async def _http(request: Request, error: HTTPException) -> Response:
    detail = error.detail if isinstance(error.detail, str) else json.dumps(error.detail)
    return response(problem(error.status_code, detail, request_id=_id(request)), error.headers)


async def _validation(request: Request, error: RequestValidationError) -> Response:
    errors = [
        FieldProblem(
            path=_pointer(item["loc"]),
            message=str(item["msg"]).removeprefix("Value error, "),
            value=_scalar(item.get("input")),
        )
        for item in error.errors()
    ]
    return response(problem(422, "The request does not fit.", request_id=_id(request), errors=errors))


async def _core(request: Request, error: CoreError) -> Response:
    """What the core refused. A missing permission is the plugin's fault, so its caller gets a 500 that names it."""
    headers = {}
    status, detail, errors = error.status, str(error), None
    if isinstance(error, PermissionMissing):
        status, detail = 500, f"The plugin lacks a permission: {error.permission or error}."
    elif isinstance(error, ValidationFailed):
        errors = error.errors
    elif isinstance(error, Unavailable):
        headers["retry-after"] = str(int(error.retry_after or 1))
    elif status == HTTPStatus.UNAUTHORIZED:
        status, detail = 503, "The plugin is not connected to Nimbus any more."
    return response(problem(status, detail, request_id=_id(request), errors=errors), headers)


async def _not_ready(request: Request, error: Exception) -> Response:
    return response(problem(503, str(error), request_id=_id(request)), {"retry-after": "5"})


async def _unexpected(request: Request, _error: Exception) -> Response:
    """The traceback goes to the log (the server writes it); the caller gets what leads there."""
    detail = "The plugin failed. Its log has the details under this request's id."
    return response(problem(500, detail, request_id=_id(request)))


def _pointer(location: Sequence[str | int]) -> str:
    if location and location[0] == "body":
        return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location[1:])
    return str(location[-1]) if location else ""


def _scalar(value: object) -> object:
    """One value. Not a whole object, which may be the body with a secret beside what is wrong."""
    return shown(value) if isinstance(value, str | int | float | bool) else None
