"""API keys: `nbk_` and 256 random bits, shown once, stored hashed."""

import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.authenticator import hash_token
from nimbus_gateway.auth.changes import CredentialChanges
from nimbus_gateway.auth.principal import API_KEY_PREFIX
from nimbus_gateway.auth.tables import ApiKey
from nimbus_gateway.errors import NotFoundError

SHOWN_LENGTH = len(API_KEY_PREFIX) + 6


class ApiKeys:
    """API keys within one transaction."""

    def __init__(self, session: AsyncSession, changes: CredentialChanges) -> None:
        self._session = session
        self._changes = changes

    async def create(
        self, *, name: str, scopes: Sequence[str], expires_at: datetime | None, owner_id: uuid.UUID
    ) -> tuple[ApiKey, str]:
        """Make a key. The second value is the key itself, which exists nowhere else."""
        key = API_KEY_PREFIX + secrets.token_urlsafe(32)
        row = ApiKey(
            name=name,
            key_hash=hash_token(key),
            prefix=key[:SHOWN_LENGTH],
            scopes=sorted(set(scopes)),
            owner_id=owner_id,
            expires_at=expires_at,
        )
        self._session.add(row)
        await self._session.flush()
        return row, key

    async def page(self, before: uuid.UUID | None, limit: int) -> Sequence[ApiKey]:
        """Keys, newest first, before the given one."""
        query = select(ApiKey).order_by(col(ApiKey.id).desc()).limit(limit)
        if before is not None:
            query = query.where(col(ApiKey.id) < before)
        return (await self._session.exec(query)).all()

    async def revoke(self, key_id: uuid.UUID | None) -> ApiKey:
        """Delete a key; every worker forgets it within a second.

        Raises:
            NotFoundError: there is none with that id.
        """
        found = await self._session.get(ApiKey, key_id) if key_id else None
        if found is None:
            raise NotFoundError("No such API key.")
        await self._session.delete(found)
        await self._changes.record(self._session, "api-key", found.id)
        return found
