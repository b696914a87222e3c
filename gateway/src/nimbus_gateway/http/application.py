"""A FastAPI application as the gateway's listeners have them."""

import re
from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nimbus_gateway.errors import PayloadTooLargeError, send_problem
from nimbus_gateway.http.problems import add_error_handlers, problem_schemas, responses
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system import VERSION

LARGEST_BODY = 2 * 1024 * 1024
LARGEST_STREAM = 8 * 1024 * 1024
_STREAMED = ("/media/bulk",)
"""Calls that read their body piece by piece."""
_UPLOADED: Final = re.compile(r"/api/admin/(plugins/[^/]+/restore|backups/upload)")
"""Calls whose body is a file, which they keep on disk and count themselves."""


def _operation_id(route: APIRoute) -> str:
    return route.name


def build_application(
    state: GatewayState, *, title: str, description: str, openapi_url: str, dependencies: Sequence[Depends] = ()
) -> FastAPI:
    """An application with the error bodies, limits and OpenAPI document that all listeners share.

    Args:
        state: what the process shares.
        title: of the OpenAPI document.
        description: of the OpenAPI document.
        openapi_url: its path.
        dependencies: of every call.
    """
    app = FastAPI(
        title=title,
        description=description,
        version=VERSION,
        openapi_url=openapi_url,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        separate_input_output_schemas=False,
        redirect_slashes=False,
        dependencies=dependencies,
        responses=responses(400, 413, 422, 503),
    )
    app.state.gateway = state
    add_error_handlers(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(ApiHeaders)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of extending the document
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update({name: schema for name, schema in problem_schemas().items() if name not in schemas})
    document["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": "nimbus_session"},
        "apiKey": {"type": "http", "scheme": "bearer", "description": "`nbk_…`, also as X-Api-Key."},
    }
    return document


class BodyLimit:
    """Refuses bodies above their limit: at once by their Content-Length, else as soon as they have grown."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or _UPLOADED.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        limit = LARGEST_STREAM if scope["path"].endswith(_STREAMED) else LARGEST_BODY
        detail = f"The body is larger than {limit} bytes."
        length = Headers(scope=scope).get("content-length", "")
        if length.isascii() and length.isdigit() and int(length) > limit:
            request = scope.get("state", {}).get("request_id")
            await send_problem(send, PayloadTooLargeError(detail), request)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(PayloadTooLargeError.status, detail)  # FastAPI lets it pass while it reads
            return message

        await self._app(scope, counted, send)


class ApiHeaders:
    """Answers of the API are never cached, sniffed or framed, unless they say otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
                headers.setdefault("Referrer-Policy", "no-referrer")
            await send(message)

        await self._app(scope, receive, with_headers)
