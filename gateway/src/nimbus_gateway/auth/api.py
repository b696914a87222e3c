"""Sign-in and sign-out, one's own account, and the set-up of a new Nimbus."""

import uuid
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from nimbus_sdk.contracts.problem import FieldProblem

from nimbus_gateway.auth.login_limit import attempt_succeeded, count_attempt
from nimbus_gateway.auth.models import LoginRequest, PasswordChange, SetupRequest, SetupStatus
from nimbus_gateway.auth.models import User as UserView
from nimbus_gateway.auth.principal import Credentials
from nimbus_gateway.auth.sessions import Sessions, clear_session_cookie, set_session_cookie
from nimbus_gateway.auth.tables import User
from nimbus_gateway.auth.users import Users, username_key
from nimbus_gateway.errors import ForbiddenError, UnauthenticatedError
from nimbus_gateway.guard.client import ClientInfo
from nimbus_gateway.http.dependencies import (
    AuditDep,
    ClientDep,
    CredentialsDep,
    ReadSessionDep,
    StateDep,
    UserDep,
    refuse_foreign_site,
)
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.state import GatewayState

SETUP_ACCOUNT = "\x00setup"
"""Attempts with the set-up code count under this name, which no person can have."""

router = APIRouter(route_class=StrictRoute, tags=["auth"])


def refuse_foreign_page(request: Request, state: GatewayState, info: ClientInfo) -> None:
    """A program sends neither header; a browser sends one of them with every POST of a page."""
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        refuse_foreign_site(request, state, info)


async def open_session(
    *, request: Request, response: Response, sessions: Sessions, user: User, info: ClientInfo, old: Credentials
) -> Callable[[], None]:
    """Open a session in place of the one the browser had; returns what hands its cookie over after the commit."""
    if old.session_cookie:
        await sessions.end_token(old.session_cookie)
    token = await sessions.open(user, address=info.address, user_agent=request.headers.get("user-agent", ""))
    return lambda: set_session_cookie(response, token, secure=info.scheme == "https")


@router.post("/api/auth/login", responses=responses(401, 403, 429))
async def auth_login(
    *,
    body: LoginRequest,
    request: Request,
    response: Response,
    state: StateDep,
    info: ClientDep,
    credentials: CredentialsDep,
    audit: AuditDep,
) -> UserView:
    """Sign in. Sets the session cookie; an earlier session of the same browser ends."""
    refuse_foreign_page(request, state, info)
    accounts = state.accounts
    attempt = await count_attempt(state.database, address=info.address, username_key=username_key(body.username))
    async with state.database.read() as session:
        found = await Users(session, accounts.changes).find(body.username)
    fits, rehashed = await accounts.passwords.verify(body.password, found.password_hash if found else None)
    if found is None or not fits or found.disabled:
        target = f"user:{found.id}" if found else ""
        async with state.database.write() as session:
            audit.write(session, "auth.login", None, target, outcome="failed")
        raise UnauthenticatedError("User name or password is wrong.")
    async with state.database.write() as session:
        await attempt_succeeded(session, attempt)
        user = await Users(session, accounts.changes).get(found.id)
        if user.disabled or user.password_hash != found.password_hash:  # changed while the password was checked
            raise UnauthenticatedError("User name or password is wrong.")
        user.password_hash = rehashed or user.password_hash
        sessions = Sessions(session, accounts.changes)
        hand_over = await open_session(
            request=request, response=response, sessions=sessions, user=user, info=info, old=credentials
        )
        itself = f"user:{user.id}"
        audit.write(session, "auth.login", None, itself, actor=itself, actor_name=user.username)
    hand_over()
    return UserView.of(user)


@router.post("/api/auth/logout", status_code=204, responses=responses(403))
async def auth_logout(request: Request, state: StateDep, info: ClientDep, credentials: CredentialsDep) -> Response:
    """Sign out. Also right when nobody is signed in."""
    answer = Response(status_code=204)
    if credentials.session_cookie:
        refuse_foreign_site(request, state, info)
        async with state.database.write() as session:
            await Sessions(session, state.accounts.changes).end_token(credentials.session_cookie)
        clear_session_cookie(answer, secure=info.scheme == "https")
    return answer


@router.get("/api/auth/me", responses=responses(401, 403))
async def auth_me(principal: UserDep, state: StateDep, session: ReadSessionDep) -> UserView:
    """Who is signed in."""
    return UserView.of(await Users(session, state.accounts.changes).get(uuid.UUID(principal.id)))


@router.post("/api/auth/password", status_code=204, responses=responses(401, 403, 429))
async def auth_change_password(
    body: PasswordChange, principal: UserDep, state: StateDep, info: ClientDep, audit: AuditDep
) -> None:
    """Change one's own password. All other sessions of the account end."""
    accounts = state.accounts
    async with state.database.read() as session:
        found = await Users(session, accounts.changes).get(uuid.UUID(principal.id))
    attempt = await count_attempt(state.database, address=info.address, username_key=found.username_key)
    fits, _ = await accounts.passwords.verify(body.current_password, found.password_hash)
    if not fits:
        wrong = "The present password is wrong."
        raise ForbiddenError(wrong, errors=[FieldProblem(path="/currentPassword", message=wrong)])
    new_hash = await accounts.passwords.hash(body.new_password)
    async with state.database.write() as session:
        await attempt_succeeded(session, attempt)
        users = Users(session, accounts.changes)
        user = await users.get(found.id)
        await users.set_password(user, new_hash, keep_session=principal.session_id)
        audit.write(session, "auth.password", principal, f"user:{user.id}")


@router.get("/api/setup")
async def setup_status(state: StateDep) -> SetupStatus:
    """Whether Nimbus waits for its first administrator."""
    return SetupStatus(needed=await state.accounts.first_run.needed())


@router.post("/api/setup", status_code=201, responses=responses(403, 409, 410, 429))
async def setup_complete(
    *,
    body: SetupRequest,
    request: Request,
    response: Response,
    state: StateDep,
    info: ClientDep,
    credentials: CredentialsDep,
    audit: AuditDep,
) -> UserView:
    """Make the first administrator with the one-time code of the log, and sign in."""
    refuse_foreign_page(request, state, info)
    accounts = state.accounts
    first_run = accounts.first_run
    first_run.check_open(needed=await first_run.needed())
    attempt = await count_attempt(state.database, address=info.address, username_key=SETUP_ACCOUNT)
    await first_run.check_code(body.code)
    password_hash = await accounts.passwords.hash(body.password)
    async with state.database.write() as session:
        await attempt_succeeded(session, attempt)
        user = await first_run.finish(session, code=body.code, username=body.username, password_hash=password_hash)
        sessions = Sessions(session, accounts.changes)
        hand_over = await open_session(
            request=request, response=response, sessions=sessions, user=user, info=info, old=credentials
        )
        audit.write(session, "setup.finish", None, f"user:{user.id}", actor="setup", actor_name=user.username)
    first_run.finished()
    hand_over()
    return UserView.of(user)
