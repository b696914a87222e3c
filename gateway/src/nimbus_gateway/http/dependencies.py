"""What routes ask for: the state, a transaction, the caller."""

import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from nimbus_sdk.contracts.problem import FieldProblem
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.audit.service import write_audit
from nimbus_gateway.auth.csrf import csrf_allowed
from nimbus_gateway.auth.principal import Credentials, Principal
from nimbus_gateway.database import parse_id
from nimbus_gateway.errors import (
    CsrfError,
    ForbiddenError,
    PermissionMissingError,
    UnauthenticatedError,
    ValidationError,
)
from nimbus_gateway.guard.client import ClientInfo
from nimbus_gateway.http.requests import client_of, guard_info, request_id
from nimbus_gateway.proxy.headers import sort_request
from nimbus_gateway.state import GatewayState

Dependency = Callable[..., Coroutine[Any, Any, Principal]]


def gateway_state(request: Request) -> GatewayState:
    """The worker's shared parts."""
    state: GatewayState = request.app.state.gateway
    return state


StateDep = Annotated[GatewayState, Depends(gateway_state)]


async def _write(state: StateDep) -> AsyncIterator[AsyncSession]:
    async with state.database.write() as session:
        yield session


async def _read(state: StateDep) -> AsyncIterator[AsyncSession]:
    async with state.database.read() as session:
        yield session


# scope="function": the commit comes before the answer goes out, so an answer never tells of what was not kept.
SessionDep = Annotated[AsyncSession, Depends(_write, scope="function")]
ReadSessionDep = Annotated[AsyncSession, Depends(_read, scope="function")]


def client(request: Request, state: StateDep) -> ClientInfo:
    """Who is at the other end."""
    return client_of(request, state.settings)


ClientDep = Annotated[ClientInfo, Depends(client)]


def presented_credentials(request: Request) -> Credentials:
    """The credentials that the request brought along."""
    return sort_request(request.scope["headers"]).credentials


CredentialsDep = Annotated[Credentials, Depends(presented_credentials)]


def refuse_foreign_site(request: Request, state: GatewayState, info: ClientInfo) -> None:
    """For a state-changing call that a browser authenticates by itself.

    Raises:
        CsrfError: no page of this gateway sent it.
    """
    known = guard_info(request)
    own = known.own_origins if known else (info.origin, state.settings.public_url or info.origin)
    headers = request.headers
    if not csrf_allowed(
        request.method, origin=headers.get("origin"), fetch_site=headers.get("sec-fetch-site"), own_origins=own
    ):
        raise CsrfError(
            "A call that changes something with a session cookie needs an Origin header of this site. "
            "Programs use an API key."
        )


async def caller(request: Request, state: StateDep, credentials: CredentialsDep, info: ClientDep) -> Principal:
    """Whoever calls, known and, with a cookie, from a page of this gateway.

    Raises:
        UnauthenticatedError: nobody, or with credentials that are not valid.
        CsrfError: a state-changing call with a cookie from another site.
    """
    principal = await state.authenticator.authenticate(credentials)
    if principal is None:
        raise UnauthenticatedError("Sign in, or send a valid API key.")
    known = guard_info(request)
    if known is not None:
        known.user = principal.subject  # for the access log
    if principal.kind == "user":
        refuse_foreign_site(request, state, info)
    return principal


async def signed_in(principal: Annotated[Principal, Depends(caller)]) -> Principal:
    """A person with a session.

    Raises:
        ForbiddenError: it is an API key.
    """
    if principal.kind != "user":
        raise ForbiddenError("This call needs a signed-in person, not an API key.")
    return principal


async def administrator(principal: Annotated[Principal, Depends(signed_in)]) -> Principal:
    """A person who administers Nimbus.

    Raises:
        ForbiddenError: somebody else.
    """
    if principal.role != "admin":
        raise ForbiddenError("This call needs an administrator.")
    return principal


def caller_with(scope: str) -> Dependency:
    """A dependency: any person, or an API key with the scope."""

    async def check(principal: Annotated[Principal, Depends(caller)]) -> Principal:
        require_scope(principal, scope)
        return principal

    return check


def administrator_or(scope: str) -> Dependency:
    """A dependency: an administrator, or an API key with the scope."""

    async def check(principal: Annotated[Principal, Depends(caller)]) -> Principal:
        require_scope(principal, scope)
        return principal if principal.kind == "api-key" else await administrator(principal)

    return check


def require_scope(principal: Principal, scope: str) -> None:
    """Raises: PermissionMissingError: an API key without the scope."""
    if principal.kind == "api-key" and scope not in principal.scopes:
        raise PermissionMissingError(f"The API key needs the scope {scope}.", extra={"missing": scope})


UserDep = Annotated[Principal, Depends(signed_in)]
AdminDep = Annotated[Principal, Depends(administrator)]


class Audit:
    """Writes audit entries for one request."""

    def __init__(self, request: Request, info: ClientDep) -> None:
        self._request_id = request_id(request) or ""
        self._address = info.address

    def write(
        self,
        session: AsyncSession,
        action: str,
        by: Principal | None,
        target: str = "",
        *,
        outcome: str = "done",
        actor: str = "anonymous",
        actor_name: str = "",
        **detail: Any,  # noqa: ANN401 - any JSON value
    ) -> None:
        """Add an entry to the session's transaction; `actor` and its name are for who is no principal yet."""
        write_audit(
            session,
            action,
            actor=f"{by.kind}:{by.id}" if by else actor,
            actor_name=by.name if by else actor_name,
            target=target,
            outcome=outcome,
            detail=detail,
            address=self._address,
            request_id=self._request_id,
        )


AuditDep = Annotated[Audit, Depends()]

LimitDep = Annotated[int, Query(ge=1, le=200, description="At most this many items.")]


def parsed_cursor(
    cursor: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
) -> uuid.UUID | None:
    """The cursor of a list whose order is that of its ids.

    Raises:
        ValidationError: it is none that Nimbus gave out.
    """
    if cursor is None:
        return None
    found = parse_id(cursor)
    if found is None:
        raise ValidationError(errors=[FieldProblem(path="cursor", message="`next` of the page before")])
    return found


CursorDep = Annotated[uuid.UUID | None, Depends(parsed_cursor)]
