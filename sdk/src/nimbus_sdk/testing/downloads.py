"""Downloads in memory."""

import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import ValidationError

from nimbus_sdk.contracts.downloads import (
    DOWNLOADER,
    FINISHED_STATES,
    Download,
    DownloadCreate,
    DownloadPage,
    DownloadProvider,
    DownloadProviderList,
    DownloadReport,
    DownloadUpdate,
)
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.testing.media import merge_patch
from nimbus_sdk.testing.refusals import Refused, invalid

_ACTIONS = {"pause", "resume", "cancel", "retry"}


class FakeDownloads:
    """Downloads and the plugins that do them.

    Attributes:
        items: every download by id, oldest first.
        providers: the plugins that download; the plugin under test is one when its manifest says so. Add others.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.items: dict[str, Download] = {}
        self.providers: dict[str, DownloadProvider] = {}
        self._own = manifest.id
        schemes = sorted(
            one.removeprefix(f"{DOWNLOADER}:") for one in manifest.capabilities if one.startswith(f"{DOWNLOADER}:")
        )
        if schemes or DOWNLOADER in manifest.capabilities:
            self.add_provider(manifest.id, schemes=schemes, takes_any=DOWNLOADER in manifest.capabilities)

    def add_provider(self, plugin_id: str, *, schemes: list[str] | None = None, takes_any: bool = True) -> None:
        """Let another plugin be a downloader."""
        self.providers[plugin_id] = DownloadProvider(
            id=plugin_id, name=plugin_id, schemes=schemes or [], takes_any=takes_any, ready=True
        )

    def add(self, url: str, *, requested_by: str = "user:operator", **values: Any) -> Download:  # noqa: ANN401
        """Queue a download, as the operator would. Deliver it: `client.deliver(DOWNLOAD_REQUESTED, item.wire())`."""
        return self._create(DownloadCreate(url=url, **values), requested_by)

    def answer(self, request: httpx.Request, rest: str, caller: str) -> httpx.Response:
        """Answer one call under `/downloads`."""
        try:
            match (request.method, rest.split("/") if rest else []):
                case ("GET", []):
                    return httpx.Response(200, json=self._page(request.url.params, queue=False).wire())
                case ("GET", ["queue"]):
                    return httpx.Response(200, json=self._page(request.url.params, queue=True).wire())
                case ("GET", ["providers"]):
                    found = sorted(self.providers.values(), key=lambda one: one.id)
                    return httpx.Response(200, json=DownloadProviderList(items=found).wire())
                case ("POST", []):
                    created = self._create(DownloadCreate.model_validate_json(request.content), caller)
                    return _one(created, 201)
                case (method, [key, *action]):
                    return self._single(request, method, self._get(key), action)
        except ValidationError as error:
            raise invalid(error) from error
        raise Refused(405, "method-not-allowed", f"{request.method} is not for this path.")

    def _single(self, request: httpx.Request, method: str, item: Download, action: list[str]) -> httpx.Response:
        match (method, action):
            case ("GET", []):
                return _one(item)
            case ("PATCH", []):
                guard = request.headers.get("if-match")
                if guard is not None and guard not in {"*", item.etag}:
                    raise Refused(412, "precondition-failed", "The download was changed meanwhile.")
                return _one(self._update(item, DownloadUpdate.model_validate_json(request.content)))
            case ("DELETE", []):
                if item.state not in FINISHED_STATES:
                    raise Refused(409, "conflict", "The download has not ended. Cancel it first.")
                del self.items[item.id]
                return httpx.Response(204)
            case ("POST", ["report"]):
                return _one(self._report(item, DownloadReport.model_validate_json(request.content)))
            case ("POST", [name]) if name in _ACTIONS:
                return _one(self._act(item, name))
        raise Refused(405, "method-not-allowed", f"{method} is not for this path.")

    def _get(self, key: str) -> Download:
        if key not in self.items:
            raise Refused(404, "not-found", "There is no such download.")
        return self.items[key]

    def _create(self, body: DownloadCreate, by: str) -> Download:
        scheme = body.url.partition(":")[0].lower()
        if body.provider is not None and body.provider not in self.providers:
            problem = {"path": "/provider", "message": "an enabled plugin with the capability downloader"}
            raise Refused(422, "validation", "That plugin does not download.", errors=[problem])
        fitting = [one for one in self.providers.values() if one.takes_any or scheme in one.schemes]
        chosen = body.provider or min(
            (one.id for one in sorted(fitting, key=lambda one: (scheme not in one.schemes, one.id))[:1]), default=None
        )
        if chosen is None:
            raise Refused(409, "conflict", f"No enabled plugin downloads {scheme}: addresses.")
        now = datetime.now(UTC)
        item = Download(
            id=str(uuid.UUID(int=((len(self.items) + 1) << 80) | (7 << 76) | (0b10 << 62))),
            url=body.url,
            title=body.title or body.url.partition("?")[0].rstrip("/").rpartition("/")[2],
            provider=chosen,
            state="queued",
            wanted="run",
            position=len(self._queue()),
            done_bytes=0,
            metadata=body.metadata,
            attempt=1,
            requested_by=by,
            etag='"1"',
            created_at=now,
            updated_at=now,
        )
        self.items[item.id] = item
        return item

    def _queue(self) -> list[Download]:
        waiting = [item for item in self.items.values() if item.position is not None]
        return sorted(waiting, key=lambda item: item.position or 0)

    def _page(self, params: httpx.QueryParams, *, queue: bool) -> DownloadPage:
        limit, states = int(params.get("limit", "50")), params.get_list("state")
        found = self._queue() if queue else list(reversed(self.items.values()))
        found = [item for item in found if not states or item.state in states]
        found = [item for item in found if params.get("provider", item.provider) == item.provider]
        start = int(params.get("cursor", "0"))
        page = found[start : start + limit]
        return DownloadPage(items=page, next=str(start + limit) if len(found) > start + limit else None)

    def _save(self, item: Download, **changes: Any) -> Download:  # noqa: ANN401
        version = int(item.etag.strip('"')) + 1
        changes |= {"etag": f'"{version}"', "updated_at": datetime.now(UTC)}
        state = changes.get("state", item.state)
        if state in FINISHED_STATES:
            changes |= {"position": None, "finished_at": datetime.now(UTC), "speed": None}
        elif state == "running" and item.started_at is None:
            changes["started_at"] = datetime.now(UTC)
        self.items[item.id] = item.model_copy(update=changes)
        return self.items[item.id]

    def _update(self, item: Download, body: DownloadUpdate) -> Download:
        changes: dict[str, Any] = {}
        if body.title is not None:
            changes["title"] = body.title
        if body.metadata is not None:
            changes["metadata"] = merge_patch(item.metadata, body.metadata)
        if body.position is not None:
            if item.position is None:
                raise Refused(409, "conflict", f"The download has ended ({item.state}).")
            others = [one for one in self._queue() if one.id != item.id]
            others.insert(body.position, item)
            for place, one in enumerate(others):
                self.items[one.id] = self.items[one.id].model_copy(update={"position": place})
            item = self.items[item.id]
        return self._save(item, **changes)

    def _act(self, item: Download, action: str) -> Download:
        ended = item.state in FINISHED_STATES
        if action == "retry":
            if item.state not in {"failed", "canceled"}:
                raise Refused(409, "conflict", "Only a download that failed or was canceled can be tried again.")
            fresh = {"error": None, "done_bytes": 0, "started_at": None, "finished_at": None}
            place = len(self._queue())
            self.items[item.id] = item.model_copy(update={**fresh, "position": place, "attempt": item.attempt + 1})
            return self._save(self.items[item.id], state="queued", wanted="run")
        if ended:
            raise Refused(409, "conflict", f"The download has ended ({item.state}).")
        after = {
            "pause": ("paused" if item.state == "queued" else item.state, "pause"),
            "resume": ("queued" if item.state == "paused" else item.state, "run"),
            "cancel": (item.state if item.state == "running" else "canceled", "cancel"),
        }[action]
        return item if (item.state, item.wanted) == after else self._save(item, state=after[0], wanted=after[1])

    def _report(self, item: Download, body: DownloadReport) -> Download:
        if item.provider != self._own:
            raise Refused(403, "forbidden", f"This download belongs to the plugin {item.provider}.")
        if item.state in FINISHED_STATES:
            if item.state != body.state:
                raise Refused(409, "conflict", f"The download has ended ({item.state}).")
            return item
        names = ("done_bytes", "total_bytes", "speed", "error", "result")
        given = {name: getattr(body, name) for name in names if getattr(body, name) is not None}
        return self._save(item, state=body.state, **given)


def _one(item: Download, status: int = 200) -> httpx.Response:
    return httpx.Response(status, headers={"etag": item.etag}, json=item.wire())
