"""Compatibility ports, for administrators."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.snapshot import SnapshotPlugin
from pydantic import Field

from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.compat.service import CompatMapping
from nimbus_gateway.compat.tables import CompatPortRow
from nimbus_gateway.http.dependencies import AuditDep, ReadSessionDep, StateDep, administrator_or
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute
from nimbus_gateway.plugins.api import plugin_or_404
from nimbus_gateway.state import GatewayState

router = APIRouter(
    prefix="/api/admin/compat-ports",
    route_class=StrictRoute,
    tags=["plugin administration"],
    responses=responses(401, 403),
)

ReaderDep = Annotated[Principal, Depends(administrator_or("plugins:read"))]
ManagerDep = Annotated[Principal, Depends(administrator_or("plugins:write"))]
PortPath = Annotated[int, Path(ge=1, le=65535)]


class CompatPort(WireModel):
    """A port that clients of another product can be pointed to."""

    port: int
    bound: bool = Field(description="False: it is no longer in NIMBUS_COMPAT_PORTS, and nobody can reach it.")
    plugin_id: str | None = Field(default=None, description="The plugin that it is mapped to.")
    plugin_name: str | None = Field(default=None, description="Null when there is no such plugin any more.")
    products: list[str] = Field(
        default_factory=list, description="What the plugin's routes there are compatible to, such as `sonarr`."
    )
    mapped_at: datetime | None = None


class CompatPortList(WireModel):
    """All compatibility ports in ascending order."""

    items: list[CompatPort]


class CompatPortMapping(WireModel):
    """What to map a port to."""

    plugin_id: PlainText


def products_of(plugin: SnapshotPlugin) -> list[str]:
    """The products that a plugin has compatibility routes for."""
    manifest = plugin.detail.manifest
    tags = {route.tag for route in manifest.routes if route.tag} if manifest is not None else set()
    return sorted(tag.removeprefix("compat:") for tag in tags)


def _shown(state: GatewayState, port: int, row: CompatPortRow | None) -> CompatPort:
    bound = port in state.settings.compat_ports
    if row is None:
        return CompatPort(port=port, bound=bound)
    plugin = state.snapshots.current.plugins.get(row.plugin_id)
    return CompatPort(
        port=port,
        bound=bound,
        plugin_id=row.plugin_id,
        plugin_name=plugin.detail.name if plugin is not None else None,
        products=products_of(plugin) if plugin is not None else [],
        mapped_at=row.mapped_at,
    )


@router.get("")
async def admin_compat_ports_list(_: ReaderDep, state: StateDep, session: ReadSessionDep) -> CompatPortList:
    """Ports of NIMBUS_COMPAT_PORTS, and those that were mapped when it held them, with their plugins."""
    rows = await CompatMapping(session, state.settings, state.accounts.changes).rows()
    ports = sorted({*state.settings.compat_ports, *rows})
    return CompatPortList(items=[_shown(state, port, rows.get(port)) for port in ports])


@router.put("/{port}", responses=responses(404, 409))
async def admin_compat_ports_put(
    port: PortPath, body: CompatPortMapping, manager: ManagerDep, state: StateDep, audit: AuditDep
) -> CompatPort:
    """Map a port to a plugin: its routes with a `compat:` tag appear at the port's root, on every worker in 1 s."""
    plugin = plugin_or_404(state, body.plugin_id)
    async with state.database.write() as session:
        mapping = CompatMapping(session, state.settings, state.accounts.changes)
        if await mapping.put(port, plugin):
            audit.write(session, "compat-port.map", manager, f"plugin:{plugin.detail.id}", port=port)
        rows = await mapping.rows()
    await state.compat_ports.load(state.database)
    return _shown(state, port, rows[port])


@router.delete("/{port}", status_code=204, responses=responses(404))
async def admin_compat_ports_delete(port: PortPath, manager: ManagerDep, state: StateDep, audit: AuditDep) -> None:
    """Free a port. Requests to it are 404 on every worker within 1 s."""
    async with state.database.write() as session:
        plugin_id = await CompatMapping(session, state.settings, state.accounts.changes).delete(port)
        audit.write(session, "compat-port.free", manager, f"plugin:{plugin_id}", port=port)
    await state.compat_ports.load(state.database)
