"""Query parameters: types of those that reach the database, and refusing those that a call does not have."""

from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_flat_params, solve_dependencies
from fastapi.params import Query
from fastapi.routing import APIRoute
from nimbus_sdk.contracts.problem import FieldProblem
from pydantic import AfterValidator, StringConstraints

from nimbus_gateway.errors import ValidationError


def _storable(text: str) -> str:
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("text without NUL or lone surrogates")
    return text


PlainText = Annotated[str, StringConstraints(max_length=200), AfterValidator(_storable)]
"""Text that every database can compare."""


def _query_names(route: APIRoute) -> frozenset[str]:
    """The query parameters of a call, as its OpenAPI document has them: `metadata.{key}` is any `metadata.…`."""
    declared = {field.alias for field in get_flat_params(route.dependant) if isinstance(field.field_info, Query)}
    described = (route.openapi_extra or {}).get("parameters", ())
    return frozenset(declared | {one["name"] for one in described if one["in"] == "query"})


async def refuse_unknown_parameters(request: Request) -> None:
    """A dependency of all calls of an API: a misspelt filter must not answer with everything.

    Raises:
        GatewayError: who calls is not known, or may not.
        ValidationError: naming each parameter that the call does not have, and those that it has.
    """
    if not request.query_params:
        return
    route: APIRoute = request.scope["route"]
    known = _query_names(route)
    open_ended = tuple(name.partition("{")[0] for name in known if "{" in name)
    unknown = [name for name in request.query_params if name not in known and not name.startswith(open_ended)]
    if unknown:
        await _let_in(request, route)
        allowed = f"a parameter of this call: {', '.join(sorted(known))}" if known else "this call has no parameters"
        raise ValidationError(errors=[FieldProblem(path=name[:80], message=allowed) for name in unknown[:20]])


async def _let_in(request: Request, route: APIRoute) -> None:
    """What else a call depends on, which FastAPI asks later: a stranger hears of that, not of parameters."""
    stack: AsyncExitStack = request.scope["fastapi_inner_astack"]
    others = [one for one in route.dependant.dependencies if one.call is not refuse_unknown_parameters]
    await solve_dependencies(
        request=request, dependant=Dependant(dependencies=others), async_exit_stack=stack, embed_body_fields=False
    )
