"""Structured log lines."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nimbus_sdk.contracts.core_api import LogBatch, LogEntry

if TYPE_CHECKING:
    from nimbus_sdk.client.transport import Transport


class Logs:
    """Sends log lines to the core, where the operator reads them beside the plugin's output."""

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    async def send(self, entries: Sequence[LogEntry]) -> None:
        """Send up to 1000 lines at once. Nothing is sent when there are none."""
        if entries:
            await self._transport.request("POST", "/logs", json=LogBatch(entries=list(entries)).wire())
