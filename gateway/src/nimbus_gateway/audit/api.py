"""The audit record, for administrators."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from nimbus_sdk.contracts.base import WireModel
from pydantic import Field

from nimbus_gateway.audit.service import audit_page
from nimbus_gateway.http.dependencies import AdminDep, CursorDep, LimitDep, ReadSessionDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses

router = APIRouter(tags=["audit"], responses=responses(401, 403))


class AuditRecord(WireModel):
    """One action."""

    id: str
    at: datetime
    actor: str = Field(description="`user:<id>`, `api-key:<id>`, `setup`, `host` (a command there) or `anonymous`.")
    actor_name: str
    action: str
    target: str
    outcome: str
    detail: dict[str, Any]
    address: str
    request_id: str


class AuditPage(WireModel):
    """A page of the record, newest first."""

    items: list[AuditRecord]
    next: str | None = None


@router.get("/api/admin/audit")
async def audit_list(
    *,
    _: AdminDep,
    session: ReadSessionDep,
    cursor: CursorDep,
    limit: LimitDep = 50,
    action: Annotated[PlainText | None, Query()] = None,
    actor: Annotated[PlainText | None, Query()] = None,
    target: Annotated[PlainText | None, Query()] = None,
) -> AuditPage:
    """What was done, by whom, newest first."""
    rows = await audit_page(session, before=cursor, limit=limit + 1, action=action, actor=actor, target=target)
    views = [AuditRecord.model_validate({**row.model_dump(), "id": str(row.id)}) for row in rows[:limit]]
    return AuditPage(items=views, next=str(rows[limit - 1].id) if len(rows) > limit else None)
