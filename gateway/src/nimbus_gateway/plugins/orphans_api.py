"""What Nimbus made and nothing needs any more, for administrators."""

from fastapi import APIRouter
from nimbus_sdk.contracts.inspection import OrphanList

from nimbus_gateway.http.dependencies import AdminDep, AuditDep, StateDep
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

router = APIRouter(
    prefix="/api/admin/orphans",
    route_class=StrictRoute,
    tags=["plugin administration"],
    responses=responses(401, 403, 503),
)


@router.get("")
async def admin_orphans(_: AdminDep, state: StateDep) -> OrphanList:
    """What Nimbus made and nothing needs any more: images, copies of data. It goes with the next hourly look."""
    return await state.registry.orphans()


@router.post("/collect")
async def admin_orphans_collect(admin: AdminDep, state: StateDep, audit: AuditDep) -> OrphanList:
    """Remove now what is listed, and list what is new since."""
    async with state.database.write() as session:
        audit.write(session, "orphans.collect", admin)
    return await state.registry.collect_orphans()
