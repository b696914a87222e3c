"""Numbers for items of Nimbus: clients of this API expect small whole numbers, and Nimbus has UUIDs.

A number is an entry of the key-value store, made only where there is none, so that an item never has two and a number
never means two items, also while two runs of the plugin exist during an upgrade.
"""

import asyncio

from nimbus_sdk import Kv
from nimbus_sdk.errors import PreconditionFailed

_PREFIX = "number/"
_WIDTH = 10


class Numbers:
    """Which number stands for which item. Read once, then kept in memory."""

    def __init__(self) -> None:
        self._by_item: dict[str, int] = {}
        self._items: dict[int, str] = {}
        self._store: Kv | None = None
        self._lock = asyncio.Lock()

    async def of(self, kv: Kv, item_id: str) -> int:
        """The number of an item; it gets one when it has none."""
        await self._read(kv)
        while (number := self._by_item.get(item_id)) is None:
            async with self._lock:
                await self._give(kv, item_id)
        return number

    async def item(self, kv: Kv, number: int) -> str | None:
        """The item that a number stands for."""
        await self._read(kv)
        if number not in self._items and number > 0:
            # Another run of this plugin may have given it out.
            found = await kv.get(_key(number))
            if isinstance(found, str):
                self._note(number, found)
        return self._items.get(number)

    async def _give(self, kv: Kv, item_id: str) -> None:
        if item_id in self._by_item:
            return
        number = max(self._items, default=0) + 1
        try:
            await kv.put(_key(number), item_id, new=True)
        except PreconditionFailed:
            item_id = str(await kv.get(_key(number)))  # somebody else was faster: it stands for theirs
        self._note(number, item_id)

    def _note(self, number: int, item_id: str) -> None:
        self._items[number] = item_id
        self._by_item.setdefault(item_id, number)

    async def _read(self, kv: Kv) -> None:
        if self._store is kv:
            return
        async with self._lock:
            if self._store is kv:
                return
            self._by_item, self._items = {}, {}
            async for entry in kv.iterate(_PREFIX):
                self._note(int(entry.key.removeprefix(_PREFIX)), str(entry.value))
            self._store = kv


def _key(number: int) -> str:
    return f"{_PREFIX}{number:0{_WIDTH}d}"
