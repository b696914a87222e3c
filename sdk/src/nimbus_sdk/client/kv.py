"""The plugin's own key-value store."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nimbus_sdk.contracts.kv import KvEntry, KvPage, KvPut, KvUsage
from nimbus_sdk.errors import NotFound

if TYPE_CHECKING:
    from nimbus_sdk.client.transport import Transport


class Kv:
    """Keeps JSON values under keys such as `feeds/news/etag`. Each plugin has a store of its own.

    It suits state of up to some thousand entries; files belong into the folder `NIMBUS_DATA_DIR`.
    """

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    async def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - any JSON
        """The value under a key, or `default`."""
        try:
            return (await self.read(key)).value
        except NotFound:
            return default

    async def read(self, key: str) -> KvEntry:
        """The entry under a key, with its `etag` for a guarded `put`.

        Raises:
            NotFound: there is none, or it has expired.
        """
        return KvEntry.model_validate(await self._transport.json("GET", _path(key)))

    async def put(
        self,
        key: str,
        value: Any,  # noqa: ANN401
        *,
        ttl: float | None = None,
        etag: str | None = None,
        new: bool = False,
    ) -> KvEntry:
        """Store a value and return the entry.

        Args:
            key: segments of letters, digits and `_:@.-`, with `/` between.
            value: any JSON value.
            ttl: seconds after which it is gone; it stays when left out.
            etag: store it only when the entry is still the one with this etag.
            new: store it only when there is no entry.

        Raises:
            PreconditionFailed: somebody else was faster; see `etag` and `new`.
            QuotaExceeded: the plugin would keep more than the operator allows.
            ValidationFailed: the key or the ttl does not fit.
        """
        body = KvPut.model_construct(value=value, ttl=ttl).model_dump(mode="json")
        headers = {"If-None-Match": "*"} if new else None
        return KvEntry.model_validate(
            await self._transport.json("PUT", _path(key), json=body, etag=etag, headers=headers)
        )

    async def delete(self, key: str, *, etag: str | None = None) -> None:
        """Remove an entry. Nothing happens when there is none.

        Raises:
            PreconditionFailed: it is not the one with this etag any more.
        """
        await self._transport.request("DELETE", _path(key), etag=etag)

    async def iterate(self, prefix: str = "", *, page_size: int = 100) -> AsyncIterator[KvEntry]:
        """Every entry whose key begins with `prefix`, by key, fetched page by page."""
        cursor: str | None = None
        while True:
            params = {"prefix": prefix, "limit": str(page_size)} | ({} if cursor is None else {"cursor": cursor})
            page = KvPage.model_validate(await self._transport.json("GET", "/kv", params=params))
            for entry in page.items:
                yield entry
            if page.next is None:
                return
            cursor = page.next

    async def usage(self) -> KvUsage:
        """How much is kept, and how much may be."""
        return KvUsage.model_validate(await self._transport.json("GET", "/kv-usage"))


def _path(key: str) -> str:
    return f"/kv/{quote(key, safe='/:@')}"
