"""Reading requests: strict JSON, the request's id, and where it came from."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from nimbus_sdk.contracts.jsontext import read_json
from nimbus_sdk.contracts.problem import FieldProblem
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from nimbus_gateway.guard.client import ClientInfo, client_info
from nimbus_gateway.guard.request import SCOPE_KEY, RequestInfo
from nimbus_gateway.settings import Settings


class UnreadableBodyError(HTTPException):
    """The body is not JSON that can be kept. FastAPI lets HTTP errors pass while it reads a body, no others."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__(422)
        self.problems = problems


class StrictRequest(Request):
    """A request whose JSON is read strictly: no NUL, no lone surrogates, no repeated keys, bounded nesting."""

    async def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The parsed body.

        Raises:
            UnreadableBodyError: with everything that is wrong.
        """
        if not hasattr(self, "_document"):
            document, problems = read_json(await self.body())
            if problems:
                raise UnreadableBodyError(problems)
            self._document = document
        return self._document


class StrictRoute(APIRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def request_id(connection: HTTPConnection) -> str | None:
    """The id that the gateway gave to this request."""
    found = connection.scope.get("state", {}).get("request_id")
    return str(found) if found else None


def client_of(connection: HTTPConnection, settings: Settings) -> ClientInfo:
    """Address, scheme and host of the client, seen through trusted proxies."""
    known = guard_info(connection)
    if known is not None:
        return known.client
    peer = connection.client.host if connection.client else ""
    return client_info(peer, connection.scope["scheme"], connection.scope["headers"], settings.proxies)


def guard_info(connection: HTTPConnection) -> RequestInfo | None:
    """What the guard knows of the request; None behind the listeners that have no guard."""
    found: RequestInfo | None = connection.scope.get(SCOPE_KEY)
    return found
