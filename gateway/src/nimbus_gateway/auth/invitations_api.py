"""Inviting people, and accepting an invitation."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from nimbus_sdk.contracts.base import WireModel
from pydantic import Field, StringConstraints

from nimbus_gateway.auth.api import open_session, refuse_foreign_page
from nimbus_gateway.auth.invitations import InvitationRow, Invitations
from nimbus_gateway.auth.login_limit import attempt_succeeded, count_attempt
from nimbus_gateway.auth.models import NewPassword, RoleName, Username
from nimbus_gateway.auth.models import User as UserView
from nimbus_gateway.auth.sessions import Sessions
from nimbus_gateway.auth.users import Users
from nimbus_gateway.database import now, parse_id
from nimbus_gateway.http.dependencies import (
    AdminDep,
    AuditDep,
    ClientDep,
    CredentialsDep,
    CursorDep,
    LimitDep,
    ReadSessionDep,
    SessionDep,
    StateDep,
)
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

Code = Annotated[str, StringConstraints(min_length=1, max_length=64)]

router = APIRouter(route_class=StrictRoute)


class InvitationCreate(WireModel):
    """Body of the call that invites somebody."""

    role: RoleName = "user"
    note: Annotated[str, StringConstraints(max_length=200)] = Field(default="", description="For whom, for the list.")
    hours: int = Field(default=72, ge=1, le=24 * 30, description="How long it is good.")


class Invitation(WireModel):
    """An invitation, without its code."""

    id: str
    role: RoleName
    note: str
    state: Literal["open", "accepted", "expired"]
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = None
    username: str | None = Field(default=None, description="The account that was made with it.")

    @classmethod
    def of(cls, row: InvitationRow) -> "Invitation":
        """The view of a row."""
        state = "accepted" if row.accepted_at else "expired" if row.expires_at <= now() else "open"
        return cls.model_validate({**row.model_dump(), "id": str(row.id), "state": state})


class NewInvitation(Invitation):
    """An invitation that was just made: the only answer that shows its code."""

    code: str
    path: str = Field(description="The page that accepts it; the code is behind the `#`, so that no log holds it.")


class InvitationPage(WireModel):
    """Invitations, newest first."""

    items: list[Invitation]
    next: str | None = None


class InvitationCode(WireModel):
    """Body of the call that looks at an invitation."""

    code: Code


class InvitationOffer(WireModel):
    """What an invitation is for."""

    role: RoleName
    expires_at: datetime


class InvitationAccept(WireModel):
    """Body of the call that accepts an invitation."""

    code: Code
    username: Username
    password: NewPassword


@router.get("/api/admin/invitations", tags=["accounts"], responses=responses(401, 403))
async def invitations_list(
    _: AdminDep, session: ReadSessionDep, cursor: CursorDep, limit: LimitDep = 50
) -> InvitationPage:
    """All invitations, newest first."""
    rows = await Invitations(session).page(cursor, limit + 1)
    more = str(rows[limit - 1].id) if len(rows) > limit else None
    return InvitationPage(items=[Invitation.of(row) for row in rows[:limit]], next=more)


@router.post("/api/admin/invitations", status_code=201, tags=["accounts"], responses=responses(401, 403, 409))
async def invitations_create(
    body: InvitationCreate, admin: AdminDep, session: SessionDep, audit: AuditDep
) -> NewInvitation:
    """Invite somebody. The answer is the only one that shows the code."""
    row, code = await Invitations(session).create(
        role=body.role, note=body.note, hours=body.hours, by=uuid.UUID(admin.id)
    )
    audit.write(session, "invitation.create", admin, f"invitation:{row.id}", role=row.role, note=row.note)
    return NewInvitation(**Invitation.of(row).model_dump(), code=code, path=f"/invitation#{code}")


@router.delete(
    "/api/admin/invitations/{invitation_id}",
    status_code=204,
    tags=["accounts"],
    responses=responses(401, 403, 404),
)
async def invitations_withdraw(invitation_id: str, admin: AdminDep, session: SessionDep, audit: AuditDep) -> None:
    """Take an invitation back, or out of the list. An account that was made with it stays."""
    row = await Invitations(session).withdraw(parse_id(invitation_id))
    audit.write(session, "invitation.withdraw", admin, f"invitation:{row.id}")


@router.post("/api/auth/invitation", tags=["auth"], responses=responses(403, 404, 410, 429))
async def invitation_look(
    body: InvitationCode, request: Request, state: StateDep, info: ClientDep
) -> InvitationOffer:
    """What an invitation is for, before it is accepted."""
    refuse_foreign_page(request, state, info)
    attempt = await count_attempt(state.database, address=info.address, username_key=None)
    async with state.database.write() as session:
        row = await Invitations(session).open(body.code)
        await attempt_succeeded(session, attempt)
        return InvitationOffer.model_validate({"role": row.role, "expires_at": row.expires_at})


@router.post(
    "/api/auth/invitation/accept", status_code=201, tags=["auth"], responses=responses(403, 404, 409, 410, 429)
)
async def invitation_accept(
    *,
    body: InvitationAccept,
    request: Request,
    response: Response,
    state: StateDep,
    info: ClientDep,
    credentials: CredentialsDep,
    audit: AuditDep,
) -> UserView:
    """Make an account with an invitation, and sign in."""
    refuse_foreign_page(request, state, info)
    accounts = state.accounts
    attempt = await count_attempt(state.database, address=info.address, username_key=None)
    async with state.database.read() as session:
        await Invitations(session).open(body.code)  # hashing a password is work that only the invited cause
    password_hash = await accounts.passwords.hash(body.password)
    async with state.database.write() as session:
        row = await Invitations(session).open(body.code)
        role: RoleName = "admin" if row.role == "admin" else "user"
        user = await Users(session, accounts.changes).create(body.username, password_hash, role)
        row.accepted_at, row.username = now(), user.username
        session.add(row)
        await attempt_succeeded(session, attempt)
        sessions = Sessions(session, accounts.changes)
        hand_over = await open_session(
            request=request, response=response, sessions=sessions, user=user, info=info, old=credentials
        )
        audit.write(
            session,
            "invitation.accept",
            None,
            f"user:{user.id}",
            actor=f"invitation:{row.id}",
            actor_name=user.username,
        )
    hand_over()
    return UserView.of(user)
