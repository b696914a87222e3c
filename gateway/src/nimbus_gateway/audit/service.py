"""Writing and reading the audit record."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.audit.tables import AuditEntry


def write_audit(
    session: AsyncSession,
    action: str,
    *,
    actor: str,
    actor_name: str = "",
    target: str = "",
    outcome: str = "done",
    detail: Mapping[str, Any] | None = None,
    address: str = "",
    request_id: str = "",
) -> None:
    """Add an entry to the session's transaction: it is kept exactly when the action is.

    Args:
        session: the transaction.
        action: what was done, such as ``user.create``.
        actor: ``user:<id>``, ``api-key:<id>``, ``setup``, ``host`` or ``anonymous``.
        actor_name: the name as it is now.
        target: what it was done to, such as ``plugin:hello``.
        outcome: ``done``, ``failed`` or ``refused``.
        detail: further facts; never a secret.
        address: where the call came from.
        request_id: the request's id.
    """
    session.add(
        AuditEntry(
            action=action,
            actor=actor[:80],
            actor_name=actor_name[:120],
            target=target[:160],
            outcome=outcome,
            detail=dict(detail or {}),
            address=address[:64],
            request_id=request_id[:80],
        )
    )


async def audit_page(
    session: AsyncSession,
    *,
    before: uuid.UUID | None,
    limit: int,
    action: str | None = None,
    actor: str | None = None,
    target: str | None = None,
) -> Sequence[AuditEntry]:
    """Entries, newest first, before the given one."""
    query = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(AuditEntry.id) < before)
    for column, wanted in ((AuditEntry.action, action), (AuditEntry.actor, actor), (AuditEntry.target, target)):
        if wanted is not None:
            query = query.where(col(column) == wanted)
    return (await session.exec(query)).all()
