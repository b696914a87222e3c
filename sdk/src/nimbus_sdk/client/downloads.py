"""Downloads: asking for them, and working on them as a provider."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nimbus_sdk.contracts.downloads import (
    Download,
    DownloadCreate,
    DownloadPage,
    DownloadProvider,
    DownloadProviderList,
    DownloadReport,
    DownloadState,
    DownloadUpdate,
    ReportedState,
)

if TYPE_CHECKING:
    from nimbus_sdk.client.transport import Transport


class Downloads:
    """Shared records of downloads. Reading needs `downloads:read`, everything else `downloads:write`.

    A provider is a plugin with the capability `downloader`. Its work comes as events that go to it alone, under
    `@plugin.on("io.nimbus.download.requested.v1")` and `@plugin.on("io.nimbus.download.control.v1")`, with the
    download as `data: Download`. It says how things stand by `report`.
    """

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    async def create(
        self,
        url: str,
        *,
        title: str | None = None,
        provider: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Download:
        """Queue a download.

        Args:
            url: what is to be fetched.
            title: for people; the last part of the address when left out.
            provider: the plugin that is to do it; the first that takes such addresses when left out.
            metadata: whatever asker and provider agree on.

        Raises:
            Conflict: no enabled plugin takes such addresses.
            ValidationFailed: the address or the provider does not fit.
        """
        body = DownloadCreate.model_construct(url=url, title=title, provider=provider, metadata=dict(metadata or {}))
        return Download.model_validate(await self._transport.json("POST", "/downloads", json=body.wire()))

    async def get(self, download_id: str) -> Download:
        """One download.

        Raises:
            NotFound: there is none with this id.
        """
        return Download.model_validate(await self._transport.json("GET", _path(download_id)))

    async def iterate(
        self, *, state: Sequence[DownloadState] = (), provider: str | None = None, page_size: int = 100
    ) -> AsyncIterator[Download]:
        """Every download in any of the states, or in any at all, newest first."""
        async for item in self._walk("/downloads", {"state": list(state)} if state else {}, provider, page_size):
            yield item

    async def queue(self, *, provider: str | None = None, page_size: int = 100) -> AsyncIterator[Download]:
        """What has not ended, in the order in which it is to be done."""
        async for item in self._walk("/downloads/queue", {}, provider, page_size):
            yield item

    async def _walk(
        self, path: str, filters: Mapping[str, Any], provider: str | None, size: int
    ) -> AsyncIterator[Download]:
        params: dict[str, Any] = {**filters, "limit": str(size)} | ({"provider": provider} if provider else {})
        while True:
            page = DownloadPage.model_validate(await self._transport.json("GET", path, params=params))
            for item in page.items:
                yield item
            if page.next is None:
                return
            params["cursor"] = page.next

    async def providers(self) -> list[DownloadProvider]:
        """The plugins that can download."""
        answer = await self._transport.json("GET", "/downloads/providers")
        return DownloadProviderList.model_validate(answer).items

    async def update(
        self,
        download: Download | str,
        *,
        title: str | None = None,
        position: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Download:
        """Change title, place in the queue (0 is the first) or metadata (merged, RFC 7396).

        Raises:
            PreconditionFailed: the download, given as it was read, was changed since.
        """
        merged = dict(metadata) if metadata is not None else None
        body = DownloadUpdate.model_construct(title=title, position=position, metadata=merged).wire()
        key, etag = (download.id, download.etag) if isinstance(download, Download) else (download, None)
        return Download.model_validate(await self._transport.json("PATCH", _path(key), json=body, etag=etag))

    async def pause(self, download_id: str) -> Download:
        """Let it rest until `resume`."""
        return await self._act(download_id, "pause")

    async def resume(self, download_id: str) -> Download:
        """Go on with what rests."""
        return await self._act(download_id, "resume")

    async def cancel(self, download_id: str) -> Download:
        """End it.

        Raises:
            Conflict: it has ended already.
        """
        return await self._act(download_id, "cancel")

    async def retry(self, download_id: str) -> Download:
        """Queue one again that failed or was canceled.

        Raises:
            Conflict: it did neither.
        """
        return await self._act(download_id, "retry")

    async def _act(self, download_id: str, action: str) -> Download:
        return Download.model_validate(await self._transport.json("POST", f"{_path(download_id)}/{action}"))

    async def delete(self, download_id: str) -> None:
        """Take one that has ended out of the history.

        Raises:
            Conflict: it has not ended.
        """
        await self._transport.request("DELETE", _path(download_id))

    async def report(
        self,
        download_id: str,
        state: ReportedState,
        *,
        done_bytes: int | None = None,
        total_bytes: int | None = None,
        speed: float | None = None,
        error: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> Download:
        """Say how a download stands, as its provider; `wanted` of the answer is what people want by now.

        A second report of the same changes nothing, so it is repeated when the core is away for a moment.

        Raises:
            Conflict: it has ended otherwise, e.g. somebody canceled it.
            PermissionMissing: another plugin is its provider.
        """
        body = DownloadReport.model_construct(
            state=state,
            done_bytes=done_bytes,
            total_bytes=total_bytes,
            speed=speed,
            error=error,
            result=dict(result) if result is not None else None,
        ).wire()
        answer = await self._transport.json("POST", f"{_path(download_id)}/report", json=body, repeatable=True)
        return Download.model_validate(answer)


def _path(download_id: str) -> str:
    return f"/downloads/{quote(download_id, safe='')}"
