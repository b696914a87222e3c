"""Invitations: a code, good once and for a while, that makes an account."""

import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Field, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.authenticator import hash_token
from nimbus_gateway.auth.tables import User
from nimbus_gateway.database import Table, UtcDateTime, new_id, now
from nimbus_gateway.errors import ConflictError, GoneError, NotFoundError

MOST_OPEN = 200
KEPT = timedelta(days=30)


class InvitationRow(Table, table=True):
    """An invitation; only the hash of its code is kept."""

    __tablename__ = "invitations"

    id: uuid.UUID = Field(default_factory=new_id, primary_key=True)
    code_hash: str = Field(max_length=64, unique=True)
    role: str = Field(max_length=16)
    note: str = Field(default="", max_length=200)
    created_by: uuid.UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    accepted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    username: str | None = Field(default=None, max_length=64)


class Invitations:
    """Invitations within one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, *, role: str, note: str, hours: int, by: uuid.UUID) -> tuple[InvitationRow, str]:
        """An invitation and its code, which exists nowhere else.

        Raises:
            ConflictError: too many are open.
        """
        still_open = sa.and_(col(InvitationRow.accepted_at).is_(None), col(InvitationRow.expires_at) > now())
        if (await self._session.exec(select(sa.func.count()).where(still_open))).one() >= MOST_OPEN:
            raise ConflictError(f"{MOST_OPEN} invitations are open already. Withdraw some first.")
        code = secrets.token_urlsafe(24)
        row = InvitationRow(
            code_hash=hash_token(code),
            role=role,
            note=note,
            created_by=by,
            expires_at=now() + timedelta(hours=hours),
        )
        self._session.add(row)
        await self._session.flush()
        return row, code

    async def page(self, before: uuid.UUID | None, limit: int) -> Sequence[InvitationRow]:
        """Invitations, newest first."""
        query = select(InvitationRow).order_by(col(InvitationRow.id).desc()).limit(limit)
        if before is not None:
            query = query.where(col(InvitationRow.id) < before)
        return (await self._session.exec(query)).all()

    async def withdraw(self, invitation_id: uuid.UUID | None) -> InvitationRow:
        """Take an invitation back.

        Raises:
            NotFoundError: there is none with this id.
        """
        row = await self._session.get(InvitationRow, invitation_id) if invitation_id else None
        if row is None:
            raise NotFoundError("There is no such invitation.")
        await self._session.delete(row)
        return row

    async def open(self, code: str) -> InvitationRow:
        """The invitation of a code, held until the transaction ends.

        Raises:
            NotFoundError: there is none with this code, or who made it is no administrator any more.
            GoneError: it was used, or has expired.
        """
        query = select(InvitationRow).where(col(InvitationRow.code_hash) == hash_token(code)).with_for_update()
        row = (await self._session.exec(query)).one_or_none()
        creator = await self._session.get(User, row.created_by) if row is not None else None
        if row is None or creator is None or creator.disabled or creator.role != "admin":
            raise NotFoundError("There is no such invitation. It may have been withdrawn.")
        if row.accepted_at is not None:
            raise GoneError("The invitation has been used already.")
        if row.expires_at <= now():
            raise GoneError("The invitation has expired. Ask for a new one.")
        return row


async def withdraw_all_of(session: AsyncSession, user_id: uuid.UUID) -> None:
    """Delete the open invitations of somebody who may not invite any more."""
    theirs = sa.and_(col(InvitationRow.created_by) == user_id, col(InvitationRow.accepted_at).is_(None))
    await session.exec(sa.delete(InvitationRow).where(theirs))


async def cut_invitations(session: AsyncSession) -> None:
    """Delete what was over long ago."""
    await session.exec(sa.delete(InvitationRow).where(col(InvitationRow.expires_at) < now() - KEPT))
