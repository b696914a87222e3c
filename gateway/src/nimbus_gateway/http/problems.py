"""Every error of a FastAPI application as a problem body, and how OpenAPI tells of them."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from nimbus_sdk.contracts.jsontext import pointer, shown
from nimbus_sdk.contracts.problem import PROBLEM_MEDIA_TYPE, FieldProblem, Problem
from starlette.exceptions import HTTPException
from starlette.responses import Response

from nimbus_gateway.errors import (
    BadRequestError,
    GatewayError,
    MethodNotAllowedError,
    NotFoundError,
    PayloadTooLargeError,
    ValidationError,
    problem_response,
)
from nimbus_gateway.http.requests import UnreadableBodyError, request_id

MOST_ERRORS = 50

log = structlog.get_logger(__name__)

_BY_STATUS: dict[int, type[GatewayError]] = {
    400: BadRequestError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    413: PayloadTooLargeError,
}


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem body."""

    @app.exception_handler(GatewayError)
    async def known(request: Request, error: GatewayError) -> Response:
        return problem_response(error, request_id(request))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return problem_response(
            ValidationError(errors=field_problems(error.errors())[:MOST_ERRORS]), request_id(request)
        )

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        if isinstance(error, UnreadableBodyError):
            # Values are left out: nobody knows yet which of them are passwords.
            problems = [problem.model_copy(update={"value": None}) for problem in error.problems[:MOST_ERRORS]]
            return problem_response(ValidationError(errors=problems), request_id(request))
        kind = _BY_STATUS.get(error.status_code, NotFoundError if error.status_code < 500 else GatewayError)  # noqa: PLR2004
        detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
        return problem_response(kind(detail, headers=dict(error.headers or {})), request_id(request))

    @app.exception_handler(sa.exc.DataError)
    async def unstorable(request: Request, error: sa.exc.DataError) -> Response:
        log.warning("the database refused a value", reason=str(error.orig))
        return problem_response(ValidationError("A value cannot be stored."), request_id(request))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("a request failed unexpectedly", path=request.url.path, exc_info=error)
        return problem_response(GatewayError(), request_id(request))


def field_problems(errors: Iterable[Any]) -> list[FieldProblem]:
    """Pydantic's errors: JSON pointers into a body, names for parameters."""
    return [
        FieldProblem(path=_place(tuple(item["loc"])), message=_words(item), value=_shown(item)) for item in errors
    ]


def _words(item: dict[str, Any]) -> str:
    """What was expected, without the kind of exception that pydantic puts before words of our own."""
    return str(item["msg"]).removeprefix("Value error, ")


def _place(location: tuple[str | int, ...]) -> str:
    if location and location[0] == "body":
        return pointer(*location[1:])
    if len(location) > 1:
        return str(location[1])  # of a repeated parameter, its name and not which of the values it is
    return str(location[-1]) if location else ""


def _shown(item: dict[str, Any]) -> object:
    last = str(item["loc"][-1]).lower() if item["loc"] else ""
    if "password" in last or last in {"code", "passphrase"} or item["type"] in {"missing", "json_invalid"}:
        return None
    return None if isinstance(item.get("input"), dict | bytes) else shown(item.get("input"))


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of problem answers, for a route's `responses`."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem_schemas() -> dict[str, Any]:
    """Schemas of the problem body, for OpenAPI's components."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "Problem": schema}
