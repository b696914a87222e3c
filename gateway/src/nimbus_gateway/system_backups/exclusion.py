"""What nobody may do to plugins while everything is being restored."""

import asyncio

from nimbus_gateway.errors import ConflictError
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system_backups.shelf import Shelf


def refuse_while_restoring(shelf: Shelf) -> None:
    """Raises: ConflictError: a restore of everything is not at its end."""
    if shelf.restoring():
        raise ConflictError("Everything is being restored; wait until that is done.")


async def not_while_restoring(state: GatewayState) -> None:
    """For calls that start, stop, change or copy a plugin.

    Raises:
        ConflictError: a restore of everything is not at its end.
    """
    await asyncio.to_thread(refuse_while_restoring, Shelf(state.settings.data_dir))
