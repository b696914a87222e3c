"""Accounts of people."""

import unicodedata
import uuid
from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa
from nimbus_sdk.contracts.problem import FieldProblem
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.changes import CredentialChanges
from nimbus_gateway.auth.invitations import withdraw_all_of
from nimbus_gateway.auth.tables import User, UserSession
from nimbus_gateway.core.events.outbox import emit
from nimbus_gateway.database import now
from nimbus_gateway.errors import ConflictError, NotFoundError, ValidationError

Role = Literal["admin", "user"]
NAME_LENGTH = 64
NAME_PATTERN = r"^[\w.@+-]+$"
KEY_LENGTH = 128


def username_key(username: str) -> str:
    """A name as it is compared: case and Unicode form do not count (UTS 39 would be the long way)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold())


class Users:
    """Accounts within one transaction."""

    def __init__(self, session: AsyncSession, changes: CredentialChanges) -> None:
        self._session = session
        self._changes = changes

    async def any(self) -> bool:
        """Whether there is an account at all."""
        return (await self._session.exec(select(User.id).limit(1))).first() is not None

    async def find(self, username: str) -> User | None:
        """The account with that name."""
        query = select(User).where(col(User.username_key) == username_key(username))
        return (await self._session.exec(query)).one_or_none()

    async def get(self, user_id: uuid.UUID | None) -> User:
        """The account with that id.

        Raises:
            NotFoundError: there is none.
        """
        found = await self._session.get(User, user_id) if user_id else None
        if found is None:
            raise NotFoundError("No such user.")
        return found

    async def page(self, after: uuid.UUID | None, limit: int) -> Sequence[User]:
        """Accounts in the order in which they were made, after the given one."""
        query = select(User).order_by(col(User.id)).limit(limit)
        if after is not None:
            query = query.where(col(User.id) > after)
        return (await self._session.exec(query)).all()

    async def create(self, username: str, password_hash: str, role: Role) -> User:
        """Add an account.

        Raises:
            ConflictError: the name is taken.
            ValidationError: the name is too long in its compared form.
        """
        key = username_key(username)
        if len(key) > KEY_LENGTH:
            problem = FieldProblem(path="/username", message="a shorter name")
            raise ValidationError("The user name is too long.", errors=[problem])
        user = User(username=username, username_key=key, password_hash=password_hash, role=role)
        if await self.find(username) is not None:
            raise ConflictError(f"The name {username!r} is taken.")
        self._session.add(user)
        try:
            await self._session.flush()
        except sa.exc.IntegrityError as error:  # another transaction was faster
            raise ConflictError(f"The name {username!r} is taken.") from error
        await self._tell("created", user)
        return user

    async def _tell(self, what: str, user: User) -> None:
        data = {"id": str(user.id), "username": user.username, "role": user.role, "disabled": user.disabled}
        await emit(self._session, f"io.nimbus.user.{what}.v1", subject=str(user.id), data=data)

    async def change(self, user: User, *, role: Role | None = None, disabled: bool | None = None) -> None:
        """Change role or state of an account; its sessions notice at once.

        Raises:
            ConflictError: nobody could administer Nimbus any more.
        """
        loses = user.role == "admin" and not user.disabled and (role == "user" or disabled is True)
        if loses:
            await self._keep_an_administrator(user)
        user.role = role or user.role
        user.disabled = user.disabled if disabled is None else disabled
        user.updated_at = now()
        self._session.add(user)
        if user.disabled:
            await self.end_sessions(user)
        if loses:
            await withdraw_all_of(self._session, user.id)
        await self._changes.record(self._session, "user", user.id)
        await self._tell("updated", user)

    async def set_password(self, user: User, password_hash: str, *, keep_session: str | None = None) -> None:
        """Store a new password and end the user's sessions, but for the given one."""
        user.password_hash = password_hash
        user.updated_at = now()
        self._session.add(user)
        await self.end_sessions(user, keep_session=keep_session)
        await self._changes.record(self._session, "user", user.id)

    async def end_sessions(self, user: User, *, keep_session: str | None = None) -> None:
        """End the user's sessions, but for the given one."""
        doomed = sa.delete(UserSession).where(col(UserSession.user_id) == user.id)
        if keep_session is not None:
            doomed = doomed.where(col(UserSession.id) != uuid.UUID(keep_session))
        await self._session.exec(doomed)

    async def delete(self, user: User) -> None:
        """Delete an account with its sessions and API keys.

        Raises:
            ConflictError: nobody could administer Nimbus any more.
        """
        if user.role == "admin" and not user.disabled:
            await self._keep_an_administrator(user)
        await self._session.delete(user)
        await self._tell("deleted", user)
        await self._changes.record(self._session, "user", user.id)

    async def _keep_an_administrator(self, leaving: User) -> None:
        # The rows are locked, so that two administrators cannot demote each other at the same moment.
        query = select(User.id).where(col(User.role) == "admin", col(User.disabled).is_(False)).with_for_update()
        others = [found for found in (await self._session.exec(query)).all() if found != leaving.id]
        if not others:
            raise ConflictError("This is the last administrator. Make somebody else one first.")
