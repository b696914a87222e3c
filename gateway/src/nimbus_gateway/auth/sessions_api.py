"""Where people are signed in, and ending it."""

import uuid
from datetime import datetime

from fastapi import APIRouter
from nimbus_sdk.contracts.base import WireModel
from pydantic import Field
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.credentials_store import SESSION_IDLE
from nimbus_gateway.auth.sessions import Sessions
from nimbus_gateway.auth.tables import UserSession
from nimbus_gateway.auth.users import Users
from nimbus_gateway.database import now, parse_id
from nimbus_gateway.errors import NotFoundError
from nimbus_gateway.http.dependencies import AdminDep, AuditDep, ReadSessionDep, SessionDep, StateDep, UserDep
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

MOST_SHOWN = 200

router = APIRouter(route_class=StrictRoute, tags=["auth"], responses=responses(401, 403))


class SignedInSession(WireModel):
    """A browser that somebody is signed in with."""

    id: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str = Field(description="Where the sign-in came from.")
    user_agent: str
    current: bool = Field(description="It is the session of this call.")


class SignedInSessionList(WireModel):
    """Sessions, the one that was used last first."""

    items: list[SignedInSession]


async def _sessions(session: AsyncSession, user_id: uuid.UUID, current: str | None) -> SignedInSessionList:
    moment = now()
    query = (
        select(UserSession)
        .where(
            col(UserSession.user_id) == user_id,
            col(UserSession.expires_at) > moment,
            col(UserSession.last_seen_at) > moment - SESSION_IDLE,
        )
        .order_by(col(UserSession.last_seen_at).desc())
        .limit(MOST_SHOWN)
    )
    rows = (await session.exec(query)).all()
    views = [
        SignedInSession.model_validate({**row.model_dump(), "id": str(row.id), "current": str(row.id) == current})
        for row in rows
    ]
    return SignedInSessionList(items=views)


async def _session_of(session: AsyncSession, session_id: str, user_id: uuid.UUID) -> UserSession:
    key = parse_id(session_id)
    found = await session.get(UserSession, key) if key else None
    if found is None or found.user_id != user_id:
        raise NotFoundError("There is no such session.")
    return found


@router.get("/api/auth/sessions")
async def auth_sessions(principal: UserDep, session: ReadSessionDep) -> SignedInSessionList:
    """Where one is signed in oneself."""
    return await _sessions(session, uuid.UUID(principal.id), principal.session_id)


@router.delete("/api/auth/sessions/{session_id}", status_code=204, responses=responses(404))
async def auth_end_session(
    session_id: str, principal: UserDep, state: StateDep, session: SessionDep, audit: AuditDep
) -> None:
    """Sign oneself out somewhere; it ends there within a second."""
    found = await _session_of(session, session_id, uuid.UUID(principal.id))
    await Sessions(session, state.accounts.changes).end(str(found.id))
    audit.write(session, "auth.end-session", principal, f"user:{principal.id}", ended=str(found.id))


@router.get("/api/admin/users/{user_id}/sessions", responses=responses(404), tags=["accounts"])
async def users_sessions(
    user_id: str, admin: AdminDep, state: StateDep, session: ReadSessionDep
) -> SignedInSessionList:
    """Where a person is signed in."""
    user = await Users(session, state.accounts.changes).get(parse_id(user_id))
    return await _sessions(session, user.id, admin.session_id)


@router.delete("/api/admin/users/{user_id}/sessions", status_code=204, responses=responses(404), tags=["accounts"])
async def users_end_sessions(
    user_id: str, admin: AdminDep, state: StateDep, session: SessionDep, audit: AuditDep
) -> None:
    """Sign a person out everywhere; one's own present session stays."""
    users = Users(session, state.accounts.changes)
    user = await users.get(parse_id(user_id))
    await users.end_sessions(user, keep_session=admin.session_id if str(user.id) == admin.id else None)
    await state.accounts.changes.record(session, "user", user.id)
    audit.write(session, "user.end-sessions", admin, f"user:{user.id}")
