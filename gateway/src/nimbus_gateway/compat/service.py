"""Mapping ports to plugins."""

import sqlalchemy as sa
from nimbus_sdk.contracts.snapshot import SnapshotPlugin
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.changes import CredentialChanges
from nimbus_gateway.compat.tables import CompatPortRow
from nimbus_gateway.database import new_id
from nimbus_gateway.errors import CompatPortTakenError, CompatPortUnmappedError, NoCompatRoutesError, ValidationError
from nimbus_gateway.proxy.routes import has_compat_routes
from nimbus_gateway.settings import Settings


class CompatMapping:
    """Changes the mapping in a transaction; every worker hears of it by the log of changes."""

    def __init__(self, session: AsyncSession, settings: Settings, changes: CredentialChanges) -> None:
        self._session = session
        self._settings = settings
        self._changes = changes

    async def rows(self) -> dict[int, CompatPortRow]:
        """What is mapped, by port."""
        return {row.port: row for row in (await self._session.exec(select(CompatPortRow))).all()}

    async def put(self, port: int, plugin: SnapshotPlugin) -> bool:
        """Map a port to a plugin; False when it was already.

        Raises:
            ValidationError: the port is not in the range that is bound.
            NoCompatRoutesError: the plugin declares none.
            CompatPortTakenError: it is mapped to another plugin.
        """
        bound = self._settings.compat_ports
        if port not in bound:
            raise ValidationError(_not_bound(port, bound))
        plugin_id = plugin.detail.id
        if not has_compat_routes(plugin.detail.manifest):
            raise NoCompatRoutesError(
                f"The plugin {plugin_id!r} declares no routes for compatibility ports (routes with a `tag` such as "
                "`compat:sonarr` in its manifest)."
            )
        row = await self._session.get(CompatPortRow, port)
        if row is not None:
            if row.plugin_id == plugin_id:
                return False
            raise CompatPortTakenError(
                f"Port {port} is mapped to the plugin {row.plugin_id!r}. Free it first, or choose another port.",
                extra={"pluginId": row.plugin_id},
            )
        self._session.add(CompatPortRow(port=port, plugin_id=plugin_id))
        try:
            await self._session.flush()
        except sa.exc.IntegrityError:
            raise CompatPortTakenError(f"Port {port} has been mapped by somebody else just now.") from None
        await self._changes.record(self._session, "compat-port", new_id())
        return True

    async def delete(self, port: int) -> str:
        """Free a port; the plugin that it was mapped to.

        Raises:
            CompatPortUnmappedError: it is mapped to none.
        """
        row = await self._session.get(CompatPortRow, port)
        if row is None:
            raise CompatPortUnmappedError(f"No plugin is mapped to port {port}.")
        await self._session.delete(row)
        await self._changes.record(self._session, "compat-port", new_id())
        return row.plugin_id


def _not_bound(port: int, bound: tuple[int, ...]) -> str:
    if not bound:
        return (
            f"Port {port} cannot be mapped: Nimbus binds no compatibility ports. Set NIMBUS_COMPAT_PORTS, such as "
            "8989-8999, and start it again."
        )
    return f"Port {port} is not one of the compatibility ports: {shown_ports(bound)} (NIMBUS_COMPAT_PORTS)."


def shown_ports(ports: tuple[int, ...]) -> str:
    """Ports in ascending order as an operator writes them: ``7878, 8989-8999``."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and runs[-1][-1] == port - 1:
            runs[-1] = [runs[-1][0], port]
        else:
            runs.append([port])
    return ", ".join("-".join(str(port) for port in run) for run in runs)
