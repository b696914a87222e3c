"""Sessions: opaque tokens of 256 bits in a cookie, only their hash in the database."""

import secrets
import uuid

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from nimbus_gateway.auth.authenticator import hash_token
from nimbus_gateway.auth.changes import CredentialChanges
from nimbus_gateway.auth.credentials_store import SESSION_IDLE, SESSION_LIFE
from nimbus_gateway.auth.principal import SECURE_SESSION_COOKIE, SESSION_COOKIE
from nimbus_gateway.auth.tables import User, UserSession
from nimbus_gateway.database import now


class Sessions:
    """Sessions within one transaction."""

    def __init__(self, session: AsyncSession, changes: CredentialChanges) -> None:
        self._session = session
        self._changes = changes

    async def open(self, user: User, *, address: str, user_agent: str) -> str:
        """Open a session and return its token, which exists nowhere else."""
        token = secrets.token_urlsafe(32)
        self._session.add(
            UserSession(
                token_hash=hash_token(token),
                user_id=user.id,
                expires_at=now() + SESSION_LIFE,
                address=address[:64],
                user_agent=user_agent[:256],
            )
        )
        return token

    async def end(self, session_id: str) -> None:
        """End a session; every worker forgets it within a second."""
        key = uuid.UUID(session_id)
        await self._session.exec(sa.delete(UserSession).where(col(UserSession.id) == key))
        await self._changes.record(self._session, "session", key)

    async def end_token(self, token: str) -> None:
        """End the session of a token, if there is one."""
        query = select(UserSession.id).where(col(UserSession.token_hash) == hash_token(token))
        found = (await self._session.exec(query)).one_or_none()
        if found is not None:
            await self.end(str(found))


async def cut_sessions(session: AsyncSession) -> None:
    """Delete sessions that have expired."""
    present = now()
    over = sa.or_(col(UserSession.expires_at) < present, col(UserSession.last_seen_at) < present - SESSION_IDLE)
    await session.exec(sa.delete(UserSession).where(over))


def set_session_cookie(response: Response, token: str, *, secure: bool) -> None:
    """Hand the token to the browser. On https the name binds it to this host (RFC 6265bis, section 4.1.3.2)."""
    response.set_cookie(
        SECURE_SESSION_COOKIE if secure else SESSION_COOKIE,
        token,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(response: Response, *, secure: bool) -> None:
    """Make the browser forget the token."""
    response.delete_cookie(
        SECURE_SESSION_COOKIE if secure else SESSION_COOKIE, path="/", secure=secure, httponly=True, samesite="lax"
    )
