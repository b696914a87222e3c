"""Reads of credentials: one query each, from the hash of a token to the principal."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.auth.tables import ApiKey, User, UserSession
from nimbus_gateway.database import now

SESSION_IDLE = timedelta(days=7)
SESSION_LIFE = timedelta(days=30)
ADMINISTRATIVE_SCOPES = frozenset({"metrics:read", "plugins:write"})
"""What only an administrator may do: a key has these scopes while its owner is one."""


@dataclass(frozen=True, slots=True)
class LoadedCredential:
    """A credential that is good now, and what bounds its life."""

    id: uuid.UUID
    owner_id: str
    principal: Principal
    expires_at: datetime | None
    idle: timedelta | None


async def load_session(session: AsyncSession, token_hash: str) -> LoadedCredential | None:
    """The session with that token hash, unless it has expired or its account is disabled."""
    return await _session_where(session, col(UserSession.token_hash) == token_hash)


async def load_session_by_id(session: AsyncSession, session_id: uuid.UUID) -> LoadedCredential | None:
    """The session with that id, unless it has ended."""
    return await _session_where(session, col(UserSession.id) == session_id)


async def _session_where(session: AsyncSession, which: sa.ColumnElement[bool]) -> LoadedCredential | None:
    moment = now()
    row = (
        await session.exec(
            select(UserSession, User)
            .join(User, col(User.id) == col(UserSession.user_id))
            .where(
                which,
                col(UserSession.expires_at) > moment,
                col(UserSession.last_seen_at) > moment - SESSION_IDLE,
                col(User.disabled).is_(False),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    found, user = row
    principal = Principal(
        kind="user",
        id=str(user.id),
        name=user.username,
        role="admin" if user.role == "admin" else "user",
        scopes=frozenset(),
        session_id=str(found.id),
    )
    return LoadedCredential(found.id, str(user.id), principal, found.expires_at, SESSION_IDLE)


async def load_api_key(session: AsyncSession, key_hash: str) -> LoadedCredential | None:
    """The API key with that hash, unless it has expired or its owner's account is disabled."""
    return await _api_key_where(session, col(ApiKey.key_hash) == key_hash)


async def load_api_key_by_id(session: AsyncSession, key_id: uuid.UUID) -> LoadedCredential | None:
    """The API key with that id, unless it is good no longer."""
    return await _api_key_where(session, col(ApiKey.id) == key_id)


async def _api_key_where(session: AsyncSession, which: sa.ColumnElement[bool]) -> LoadedCredential | None:
    row = (
        await session.exec(
            select(ApiKey, User)
            .join(User, col(User.id) == col(ApiKey.owner_id))
            .where(
                which,
                sa.or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now()),
                col(User.disabled).is_(False),
            )
        )
    ).one_or_none()
    if row is None:
        return None
    found, owner = row
    principal = Principal(
        kind="api-key",
        id=str(found.id),
        name=found.name,
        role="user",
        scopes=frozenset(found.scopes) - (frozenset() if owner.role == "admin" else ADMINISTRATIVE_SCOPES),
        session_id=None,
    )
    return LoadedCredential(found.id, str(owner.id), principal, found.expires_at, None)


async def store_usage(session: AsyncSession, used: Mapping[tuple[str, uuid.UUID], datetime]) -> None:
    """Write when credentials were last used; an older time never overwrites a newer one."""
    for (kind, subject), at in sorted(used.items(), key=lambda item: str(item[0])):
        if kind == "session":
            changed = sa.update(UserSession).where(col(UserSession.id) == subject, col(UserSession.last_seen_at) < at)
            await session.exec(changed.values(last_seen_at=at))
        else:
            last = col(ApiKey.last_used_at)
            update = sa.update(ApiKey).where(col(ApiKey.id) == subject, sa.or_(last.is_(None), last < at))
            await session.exec(update.values(last_used_at=at))
