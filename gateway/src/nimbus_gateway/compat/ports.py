"""Which plugin each compatibility port is mapped to, as one worker knows it."""

import asyncio
from collections.abc import Mapping

from sqlmodel import select

from nimbus_gateway.auth.changes import Change
from nimbus_gateway.compat.tables import CompatPortRow
from nimbus_gateway.database import Database
from nimbus_gateway.errors import CompatPortUnmappedError
from nimbus_gateway.proxy.streams import OpenStreams


class CompatPorts:
    """The mapping in memory: requests ask nothing else. It follows the log of changes, within a second."""

    def __init__(self) -> None:
        self._mapped: Mapping[int, str] = {}
        self._changed = asyncio.Event()

    def plugin_at(self, port: int) -> str | None:
        """The plugin that a port is mapped to."""
        return self._mapped.get(port)

    def leads_to(self, port: int | None, plugin_id: str) -> bool:
        """Whether a request may go on to a plugin: it came by a port that is mapped to it, or by none of these."""
        return port is None or self.plugin_at(port) == plugin_id

    def check(self, port: int | None, plugin_id: str) -> None:
        """Let a request go on that had to wait: its port may have been freed or given away meanwhile.

        Raises:
            CompatPortUnmappedError: it was.
        """
        if not self.leads_to(port, plugin_id):
            raise CompatPortUnmappedError(f"port {port} leads to the plugin {plugin_id!r} no longer")

    def ports_of(self, plugin_id: str) -> list[int]:
        """The ports that are mapped to a plugin, in ascending order."""
        return sorted(port for port, mapped in self._mapped.items() if mapped == plugin_id)

    def note(self, change: Change) -> None:
        """Take notice of the log: what it says of ports, and that it may have said something unheard."""
        if change.kind in {None, "compat-port"}:
            self._changed.set()

    async def load(self, database: Database) -> None:
        """Read the mapping.

        Raises:
            DatabaseUnavailableError: the database does not answer; the mapping stays as it was.
        """
        async with database.read() as session:
            rows = (await session.exec(select(CompatPortRow))).all()
        self.serve({row.port: row.plugin_id for row in rows})

    def serve(self, mapped: Mapping[int, str]) -> None:
        """From now on, ports lead to these plugins."""
        self._mapped = dict(mapped)

    async def follow(self, database: Database, streams: OpenStreams) -> None:
        """Read the mapping anew after every change, and end the streams of ports that lead elsewhere now.

        It ends only by an error, and forgets no change by it.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.load(database)
                streams.end_unmapped(self.plugin_at)
            except BaseException:
                self._changed.set()
                raise
