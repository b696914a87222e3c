"""The registry as the gateway sees it: a watch on its snapshot, and control calls with deadlines."""

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import structlog
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.control import (
    ChangeRequest,
    ChangeResult,
    InUse,
    LogLine,
    PluginPage,
    ScanResult,
    TransitionPage,
)
from nimbus_sdk.contracts.inspection import Diagnosis, OrphanList, PluginMetrics, PluginMetricsPage, Span
from nimbus_sdk.contracts.snapshot import PluginDetail, Snapshot
from pydantic import ValidationError as ModelError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from nimbus_gateway.errors import (
    GatewayError,
)
from nimbus_gateway.proxy.routes import Address
from nimbus_gateway.registry_answers import lines_of, pieces_of, raise_for, read_answer, unavailable
from nimbus_gateway.snapshots import SnapshotStore

WATCH_SECONDS = 25
"""One long poll; a worker counts as gone 35 s after its last one began."""
RESTART_SECONDS = 5.0
CALL_SECONDS = 10.0
DRAIN_LOOK_SECONDS = 0.2
"""So often the registry is told what still is under way with a version that was replaced."""
DOCTOR_SECONDS = 60.0
METRICS_SECONDS = 2.0
_BACKOFF_FIRST = 0.1
_BACKOFF_MOST = 2.0
_NO_CONTENT = 204
_MOST_BUSY = 100

log = structlog.get_logger("nimbus.registry")


class SnapshotCache:
    """The last good snapshot on disk, so that a start without the registry serves what was there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Snapshot | None:
        """The snapshot, or None when there is none that can be read."""
        try:
            return Snapshot.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ModelError) as error:
            log.warning("the kept snapshot cannot be read", path=str(self._path), error=str(error))
            return None

    def save(self, snapshot: Snapshot) -> None:
        """Replace the snapshot whole; it holds token hashes, so only the owner may read it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(snapshot.model_dump_json(by_alias=True, exclude_none=True).encode())
        temporary.replace(self._path)


class RegistryClient:
    """Calls the registry. Every call has a deadline; an unreachable registry is `RegistryUnavailableError`."""

    def __init__(
        self, base_url: str, token: str, snapshots: SnapshotStore, cache: SnapshotCache, worker: str
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(CALL_SECONDS, connect=2.0),
            trust_env=False,
        )
        self._snapshots = snapshots
        self._cache = cache
        self._worker = worker
        self.in_use: Callable[[], Collection[Address]] = tuple
        """Where requests are under way; what no snapshot names any more is drained before it is stopped."""
        self._reachable = False
        self._changed = asyncio.Event()

    # -- reachability -----------------------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        """Whether the last call of the watch got an answer."""
        return self._reachable

    async def reachability(self) -> AsyncIterator[bool]:
        """Follow `reachable`: its value at each change from now on."""
        seen = self._reachable
        while True:
            while self._reachable == seen:
                await self._changed.wait()
            seen = self._reachable
            yield seen

    def _set_reachable(self, *, reachable: bool) -> None:
        if reachable != self._reachable:
            self._reachable = reachable
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    # -- watch ------------------------------------------------------------------------------------------------

    def load_cached(self) -> None:
        """Serve the snapshot that is kept on disk, if there is one."""
        snapshot = self._cache.load()
        if snapshot is not None:
            self._snapshots.swap(snapshot)

    async def watch(self) -> None:
        """Follow the registry's snapshot until cancelled: swap, keep, acknowledge by the next call."""
        backoff = _BACKOFF_FIRST
        while True:
            try:
                await self._poll()
            except (httpx.HTTPError, ModelError, GatewayError) as error:
                if self._reachable or backoff == _BACKOFF_FIRST:
                    log.warning("the registry is not reachable", error=str(error) or type(error).__name__)
                self._set_reachable(reachable=False)
                await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                backoff = min(backoff * 2, _BACKOFF_MOST)
            else:
                backoff = _BACKOFF_FIRST

    async def _poll(self) -> None:
        # The first call after a break is short, so that `reachable` is known at once.
        busy = self._busy()
        wait = (DRAIN_LOOK_SECONDS if busy else WATCH_SECONDS) if self._reachable else 0
        parameters: dict[str, str | float | list[str]] = {"worker": self._worker, "wait": wait, "busy": busy}
        if self._snapshots.loaded:
            parameters["serving"] = self._snapshots.current.generation
        response = await self._http.get("/v1/snapshot", params=parameters, timeout=httpx.Timeout(wait + 5, connect=2))
        raise_for(response)
        if response.status_code != _NO_CONTENT:
            snapshot = Snapshot.model_validate_json(response.content)
            self._snapshots.swap(snapshot)
            try:
                await asyncio.to_thread(self._cache.save, snapshot)
            except OSError as error:
                log.warning("the snapshot could not be kept on disk", error=str(error))
        if not self._reachable:
            log.info("following the registry", generation=self._snapshots.current.generation)
        self._set_reachable(reachable=True)

    def _busy(self) -> list[str]:
        """Addresses with requests under way that are served no more."""
        served = {plugin.address for plugin in self._snapshots.current.routes.values()}
        return [f"{host}:{port}" for host, port in sorted(set(self.in_use()) - served)][:_MOST_BUSY]

    async def close(self) -> None:
        """Take this worker off the registry's list and close the connections."""
        with contextlib.suppress(httpx.HTTPError, GatewayError):
            raise_for(await self._http.delete(f"/v1/workers/{self._worker}", timeout=1.0))
        await self._http.aclose()

    # -- control calls ----------------------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: WireModel | None = None,
        timeout: float = CALL_SECONDS,  # noqa: ASYNC109 - becomes httpx's own
    ) -> httpx.Response:
        """One call of the registry's API.

        A call that changes something waits `RESTART_SECONDS` for a registry that is just starting again: nothing
        was sent as long as no connection could be made.

        Raises:
            RegistryUnavailableError: no answer, or one that says so.
            GatewayError: what the registry refused, passed on as it came.
        """
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(httpx.ConnectError),
                stop=stop_after_delay(0 if method == "GET" else RESTART_SECONDS),
                wait=wait_fixed(0.25),
                reraise=True,
            ):
                with attempt:
                    response = await self._http.request(
                        method, path, params=params, json=None if body is None else body.wire(), timeout=timeout
                    )
        except httpx.HTTPError as error:
            raise unavailable(error) from error
        raise_for(response)
        return response

    async def upload(
        self,
        method: str,
        path: str,
        content: AsyncIterator[bytes],
        *,
        params: Mapping[str, str],
        media_type: str,
        timeout: float,  # noqa: ASYNC109 - becomes httpx's own
    ) -> httpx.Response:
        """A call with a long body, sent as it comes. `timeout` is for each step of it.

        Raises:
            RegistryUnavailableError, GatewayError: as for `call`.
        """
        try:
            response = await self._http.request(
                method, path, params=params, content=content, headers={"content-type": media_type}, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise unavailable(error) from error
        raise_for(response)
        return response

    @asynccontextmanager
    async def streamed(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int],
        timeout: float | httpx.Timeout,  # noqa: ASYNC109 - becomes httpx's own
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A call with a long answer, piece by piece.

        Raises:
            RegistryUnavailableError: also from the iterator, when the answer breaks off.
            GatewayError: what the registry refused.
        """
        request = self._http.build_request(method, path, params=params, timeout=timeout)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            raise unavailable(error) from error
        try:
            if response.is_error:
                await response.aread()
            raise_for(response)
            yield pieces_of(response)
        finally:
            await response.aclose()

    async def plugins(self) -> list[PluginDetail]:
        """All plugins, straight from the registry."""
        return read_answer(PluginPage, await self.call("GET", "/v1/plugins")).items

    async def plugin(self, plugin_id: str) -> PluginDetail:
        """One plugin.

        Raises:
            PluginNotFoundError: there is none with this id.
        """
        return read_answer(PluginDetail, await self.call("GET", plugin_path(plugin_id)))

    async def enable(
        self, plugin_id: str, cause: str, wait: int = 0, *, with_dependencies: bool = False
    ) -> ChangeResult:
        """Enable a plugin and wait up to `wait` seconds (at most 120).

        Raises:
            PluginFailedError, PluginInvalidError: it did not become ready; `extra["plugin"]` shows it.
        """
        return await self._change(plugin_id, "enable", cause, wait, {"withDependencies": with_dependencies})

    async def disable(
        self, plugin_id: str, cause: str, wait: int = 0, *, cascade: bool = False, force: bool = False
    ) -> ChangeResult:
        """Disable a plugin and wait up to `wait` seconds."""
        return await self._change(plugin_id, "disable", cause, wait, {"cascade": cascade, "force": force})

    async def restart(self, plugin_id: str, cause: str, wait: int = 0) -> ChangeResult:
        """Restart an enabled plugin and wait up to `wait` seconds."""
        return await self._change(plugin_id, "restart", cause, wait)

    async def _change(
        self, plugin_id: str, verb: str, cause: str, wait: int, options: Mapping[str, bool] | None = None
    ) -> ChangeResult:
        asked = {name: "true" for name, wanted in (options or {}).items() if wanted}
        response = await self.call(
            "POST",
            f"{plugin_path(plugin_id)}/{verb}",
            params={"wait": wait, **asked},
            body=ChangeRequest(cause=cause),
            timeout=wait + CALL_SECONDS,
        )
        return read_answer(ChangeResult, response)

    async def wake(self, plugin_id: str, wait: float) -> ChangeResult:
        """Have a plugin that runs on demand started, and wait up to `wait` seconds until every worker serves it.

        Raises:
            PluginFailedError: it does not start.
        """
        response = await self.call(
            "POST", f"{plugin_path(plugin_id)}/wake", params={"wait": str(wait)}, timeout=wait + CALL_SECONDS
        )
        return read_answer(ChangeResult, response)

    async def tell_configured(self, plugin_id: str, cause: str) -> None:
        """Say that a plugin's settings were changed, so that one that needed it goes on at once."""
        body = ChangeRequest(cause=cause)
        await self.call("POST", f"/v1/plugins/{quote(plugin_id, safe='')}/configured", body=body)

    async def tell_in_use(self, plugin_ids: Sequence[str]) -> None:
        """Tell which plugins that run on demand are in use."""
        await self.call("POST", "/v1/in-use", body=InUse(plugins=list(plugin_ids)), timeout=METRICS_SECONDS)

    async def scan(self) -> ScanResult:
        """Look for plugins now."""
        return read_answer(ScanResult, await self.call("POST", "/v1/plugins/scan", timeout=60.0))

    async def transitions(self, plugin_id: str, after: int | None = None, limit: int = 100) -> TransitionPage:
        """A plugin's history, ascending."""
        parameters: dict[str, str | int] = {"limit": limit}
        if after is not None:
            parameters["after"] = after
        return read_answer(
            TransitionPage, await self.call("GET", f"{plugin_path(plugin_id)}/transitions", params=parameters)
        )

    async def doctor(self, plugin_id: str) -> Diagnosis:
        """The doctor's findings on a plugin, looked at now."""
        return read_answer(
            Diagnosis, await self.call("GET", f"{plugin_path(plugin_id)}/doctor", timeout=DOCTOR_SECONDS)
        )

    async def metrics(self, plugin_id: str, span: Span = "1h") -> PluginMetrics:
        """What a plugin uses, with its history."""
        return read_answer(
            PluginMetrics, await self.call("GET", f"{plugin_path(plugin_id)}/metrics", params={"span": span})
        )

    async def orphans(self) -> OrphanList:
        """What nothing needs any more, and goes with the next look."""
        return read_answer(OrphanList, await self.call("GET", "/v1/orphans"))

    async def collect_orphans(self) -> OrphanList:
        """Remove what is listed, and list what is new."""
        return read_answer(OrphanList, await self.call("POST", "/v1/orphans/collect", timeout=DOCTOR_SECONDS))

    async def all_metrics(self) -> list[PluginMetrics]:
        """What every plugin uses now; quick, because a scrape waits for it."""
        return read_answer(PluginMetricsPage, await self.call("GET", "/v1/metrics", timeout=METRICS_SECONDS)).items

    async def all_transitions(self, after: int, limit: int = 200) -> TransitionPage:
        """Every plugin's history after a transition, ascending."""
        parameters: dict[str, str | int] = {"after": after, "limit": limit}
        return read_answer(TransitionPage, await self.call("GET", "/v1/transitions", params=parameters))

    @asynccontextmanager
    async def logs(
        self, plugin_id: str, *, tail: int = 200, follow: bool = False
    ) -> AsyncIterator[AsyncIterator[LogLine]]:
        """A plugin's log lines, as they come when `follow` is set.

        Raises:
            RegistryUnavailableError: also from the iterator, when the stream breaks.
        """
        timeout = httpx.Timeout(CALL_SECONDS, read=None if follow else CALL_SECONDS)
        parameters: dict[str, str | int] = {"tail": tail, "follow": "true" if follow else "false"}
        path = f"{plugin_path(plugin_id)}/logs"
        async with self.streamed("GET", path, params=parameters, timeout=timeout) as pieces:
            yield lines_of(pieces)


def plugin_path(plugin_id: str) -> str:
    """Where the registry's API has a plugin."""
    return f"/v1/plugins/{quote(plugin_id, safe='')}"
