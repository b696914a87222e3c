"""`NimbusClient`: a running Nimbus from a script, with an API key or as a person who signs in.

Synchronous, because scripts are. Inside a plugin use the parameters that the SDK hands in.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any
from urllib.parse import quote

import httpx

from nimbus_sdk.client.answers import error_of
from nimbus_sdk.client.bulk import CONTENT_TYPE, calls, outcomes
from nimbus_sdk.client.transport import if_match
from nimbus_sdk.contracts.backup import RestoreResult
from nimbus_sdk.contracts.control import LogLine
from nimbus_sdk.contracts.core_api import (
    Media,
    MediaBulkItem,
    MediaChangePage,
    MediaCreate,
    MediaPage,
    MediaUpdate,
    MediaUpsert,
)
from nimbus_sdk.contracts.inspection import Diagnosis
from nimbus_sdk.contracts.install import (
    InstallJobList,
    InstallResult,
    PluginPermissions,
    PluginVersion,
    PluginVersionList,
    UninstallResult,
)
from nimbus_sdk.contracts.jobs import InstallJob
from nimbus_sdk.contracts.snapshot import PluginDetail, PluginSummary
from nimbus_sdk.errors import Unavailable
from nimbus_sdk.nimbus_connection import TIMEOUT, NimbusConnection, Progress

LONGEST_WAIT = 120


class NimbusClient(NimbusConnection):
    """Calls a Nimbus over its public API.

    Args:
        url: where Nimbus is, e.g. `http://nimbus.local:8080`.
        api_key: an API key (`nbk_…`); without one, `login` first.
        timeout: seconds for one call.
        transport: how requests travel, for tests.

    Example::

        with NimbusClient("http://nimbus.local:8080", api_key=key) as nimbus:
            for film in nimbus.media(kind="movie"):
                print(film.title)
            nimbus.call("subtitles", "search", params={"title": "Metropolis"}).json()

    Errors are those of `nimbus_sdk.errors`. A connection that cannot be made is tried twice more; nothing that has
    been sent is sent again.
    """

    def plugins(self) -> list[PluginSummary]:
        """Every plugin."""
        found = self.request("GET", "/api/plugins").json()
        return [PluginSummary.model_validate(item) for item in (found["items"] if isinstance(found, dict) else found)]

    def plugin(self, plugin_id: str) -> PluginDetail:
        """One plugin with everything that is known of it.

        Raises:
            NotFound: there is none with this id.
        """
        return PluginDetail.model_validate(self.request("GET", _of(plugin_id)).json())

    def enable(self, plugin_id: str, *, wait: int = 0, with_dependencies: bool = False) -> PluginDetail:
        """Enable a plugin, and wait up to `wait` seconds until it is ready; also what it needs, when asked.

        Raises:
            Conflict: it failed, needs plugins that are missing or disabled, or somebody must decide about its
                permissions first; the message says why.
        """
        return self._change(f"{_of(plugin_id)}/enable", wait, withDependencies=with_dependencies)

    def disable(self, plugin_id: str, *, wait: int = 0, cascade: bool = False, force: bool = False) -> PluginDetail:
        """Disable a plugin, and wait up to `wait` seconds until it has stopped.

        With `cascade` the plugins that need it are disabled before, with `force` they are left as they are.

        Raises:
            Conflict: enabled plugins need it.
        """
        return self._change(f"{_of(plugin_id)}/disable", wait, cascade=cascade, force=force)

    def restart(self, plugin_id: str, *, wait: int = 0) -> PluginDetail:
        """Start a plugin anew; also takes one out of quarantine."""
        return self._change(f"{_admin(plugin_id)}/restart", wait)

    def _change(self, path: str, wait: int, body: dict[str, Any] | None = None, **options: bool) -> PluginDetail:
        most = min(wait, LONGEST_WAIT)
        params = {"wait": str(most)} | {name: "true" for name, wanted in options.items() if wanted}
        answer = self.request("POST", path, params=params, json=body, timeout=TIMEOUT + most)
        return PluginDetail.model_validate(answer.json()["plugin"])

    def scan(self) -> None:
        """Look for plugins in the plugins folder."""
        self.request("POST", "/api/admin/plugins/scan")

    def doctor(self, plugin_id: str) -> Diagnosis:
        """Look at each hop from the plugin's image to its permissions."""
        return Diagnosis.model_validate(self.request("GET", f"{_admin(plugin_id)}/doctor", timeout=60).json())

    def install(
        self,
        *,
        image: str | None = None,
        path: str | None = None,
        manifest: Mapping[str, Any] | None = None,
        grant: Sequence[str] | None = None,
        wait: int = 30,
    ) -> InstallResult:
        """Install a plugin from one of three sources; it is disabled until `enable`.

        Args:
            image: reference of an image, which brings its manifest along.
            path: a folder in the plugins folder: its name, or its whole path.
            manifest: a manifest; the image is the one that its `runtime.image` names.
            grant: permissions to grant; left out, nothing is decided yet.
            wait: seconds to wait for an image to be fetched; `plugin` is None in the result when it takes longer.
        """
        decided = list(grant) if grant is not None else None
        source = {"image": image, "path": path, "manifest": manifest, "grant": decided}
        answer = self.request(
            "POST",
            "/api/admin/plugins",
            json={key: value for key, value in source.items() if value is not None},
            params={"wait": min(wait, LONGEST_WAIT)},
            timeout=TIMEOUT + wait,
        )
        return InstallResult.model_validate(answer.json())

    def installs(self) -> list[InstallJob]:
        """Installations and upgrades that are fetched now, or were a moment ago."""
        return InstallJobList.model_validate(self.request("GET", "/api/admin/plugins/installs").json()).items

    def versions(self, plugin_id: str) -> list[PluginVersion]:
        """The versions that are here: the installed one, then those that are kept, wait for consent or were tried."""
        answer = self.request("GET", f"{_admin(plugin_id)}/versions")
        return PluginVersionList.model_validate(answer.json()).items

    def upgrade(
        self,
        plugin_id: str,
        *,
        image: str | None = None,
        manifest: Mapping[str, Any] | None = None,
        version: str | None = None,
        grant: Sequence[str] | None = None,
        allow_downgrade: bool = False,
        wait: int = 0,
    ) -> PluginDetail:
        """Change to another version: from an image or a manifest, or one that waits for consent.

        Raises:
            Conflict: it did not become ready and was taken back, or asks for permissions that were not granted.
        """
        decided = list(grant) if grant is not None else None
        source = {"image": image, "manifest": manifest, "version": version, "grant": decided}
        body = {key: value for key, value in source.items() if value is not None}
        return self._change(f"{_admin(plugin_id)}/upgrade", wait, {**body, "allowDowngrade": allow_downgrade})

    def rollback(
        self, plugin_id: str, *, version: str | None = None, data: str = "snapshot", wait: int = 0
    ) -> PluginDetail:
        """Go back to a version that is kept; left out, the one before.

        Args:
            plugin_id: the plugin.
            version: the version.
            data: `snapshot` brings back its data as that version left them, `keep` gives it the data of now.
            wait: seconds to wait until it is ready.

        Raises:
            Conflict: there is none to go back to.
        """
        body = {"data": data} | ({"version": version} if version else {})
        return self._change(f"{_admin(plugin_id)}/rollback", wait, body)

    def uninstall(
        self, plugin_id: str, *, delete_data: bool = False, cascade: bool = False, force: bool = False
    ) -> UninstallResult:
        """Remove a plugin; its data are kept unless asked otherwise. `cascade` and `force` as for `disable`."""
        options = {"deleteData": delete_data, "cascade": cascade, "force": force}
        params = {name: "true" if wanted else "false" for name, wanted in options.items()}
        return UninstallResult.model_validate(self.request("DELETE", _admin(plugin_id), params=params).json())

    def backup(self, plugin_id: str, file: IO[bytes], *, progress: Progress | None = None) -> int:
        """Write a backup of a plugin into a file; its secret settings are not in it. Returns its size in bytes.

        A plugin with data is stopped while these are copied, before the first byte comes.

        Args:
            plugin_id: the plugin.
            file: where it goes.
            progress: told of the bytes so far and of all, as they come.

        Raises:
            Conflict: the data could not be copied.
            Unavailable: it broke off; what is in the file is no backup.
        """
        return self.download("POST", f"{_admin(plugin_id)}/backup", file, progress=progress)

    def restore(
        self, plugin_id: str, file: IO[bytes], *, any_version: bool = False, progress: Progress | None = None
    ) -> RestoreResult:
        """Restore a backup; a plugin that is not installed is installed for it, disabled.

        Args:
            plugin_id: the plugin.
            file: the backup, read to its end.
            any_version: also when another version is installed than the backup's.
            progress: told of the bytes that were sent and of all.

        Raises:
            ValidationFailed: it is no backup of this plugin, or damaged; nothing was changed.
            Conflict: another version is installed, or the plugin did not start with the data and has its own again.
        """
        params = {"anyVersion": "true" if any_version else "false"}
        answer = self.upload(f"{_admin(plugin_id)}/restore", file, params=params, progress=progress)
        return RestoreResult.model_validate(answer.json())

    def permissions(self, plugin_id: str) -> PluginPermissions:
        """What a plugin asks for and what it was granted."""
        return PluginPermissions.model_validate(self.request("GET", f"{_admin(plugin_id)}/permissions").json())

    def grant(self, plugin_id: str, permissions: Sequence[str]) -> PluginPermissions:
        """Decide all that a plugin may do from now on."""
        answer = self.request("PUT", f"{_admin(plugin_id)}/permissions", json={"grant": list(permissions)})
        return PluginPermissions.model_validate(answer.json())

    def logs(self, plugin_id: str, *, tail: int = 200, follow: bool = False) -> Iterator[LogLine]:
        """The last lines of a plugin's log; with `follow` also those that come, until the iterator is closed.

        Raises:
            Unavailable: the stream broke off.
        """
        params = {"tail": str(tail), "follow": "true" if follow else "false"}
        timeout = httpx.Timeout(TIMEOUT, read=60)  # a ping comes every 15 seconds
        try:
            with self._http.stream("GET", f"{_admin(plugin_id)}/logs", params=params, timeout=timeout) as answer:
                if not answer.is_success:
                    raise error_of(answer.status_code, answer.headers, answer.read())
                for event, data in _events(answer.iter_lines()):
                    if event == "log":
                        yield LogLine.model_validate(json.loads(data))
                    elif event == "end":
                        return
        except httpx.TransportError as error:
            raise Unavailable(f"the log of {plugin_id} broke off: {error or type(error).__name__}") from error

    def call(self, plugin_id: str, path: str, *, method: str = "GET", **options: Any) -> httpx.Response:  # noqa: ANN401
        """Call a route of a plugin; options are httpx's: `json`, `params`, `headers`, `content`."""
        return self.request(method, f"{_of(plugin_id)}/{path.lstrip('/')}", **options)

    # -- media ----------------------------------------------------------------------------------------------

    def media(self, **filters: str | int) -> Iterator[Media]:
        """Every media item that fits, newest first: `kind`, `search`, `year`, `parent_id`, `external_id`."""
        names = {"parent_id": "parentId", "external_id": "externalId"}
        params = {names.get(name, name): str(value) for name, value in filters.items()} | {"limit": "100"}
        while True:
            page = MediaPage.model_validate(self.request("GET", "/api/media", params=params).json())
            yield from page.items
            if page.next is None:
                return
            params["cursor"] = page.next

    def create_media(self, item: MediaCreate) -> Media:
        """Add a media item."""
        return Media.model_validate(self.request("POST", "/api/media", json=item.wire()).json())

    def update_media(self, item: Media, changes: MediaUpdate) -> Media:
        """Change a media item as it was read; fields that were not set stay.

        Raises:
            PreconditionFailed: somebody changed it meanwhile.
        """
        body = changes.model_dump(mode="json", by_alias=True, exclude_unset=True)
        answer = self.request("PATCH", f"/api/media/{item.id}", json=body, headers=if_match(item.etag))
        return Media.model_validate(answer.json())

    def delete_media(self, item: Media) -> None:
        """Remove a media item as it was read."""
        self.request("DELETE", f"/api/media/{item.id}", headers=if_match(item.etag))

    def upsert_media(self, items: Iterable[MediaUpsert]) -> Iterator[MediaBulkItem]:
        """Make items, or bring those that are there by kind and external id to what is given; any number of them.

        What came of each is told in their order, `line` from 1; one that fails holds up no other. When the whole
        breaks off, send it again: what is stored is found unchanged.
        """
        before = 0
        for call in calls(items):
            answer = self.request(
                "POST", "/api/media/bulk", content=call.body(), headers={"Content-Type": CONTENT_TYPE}
            )
            yield from outcomes(answer.json(), before)
            before += len(call)

    def media_changes(self, after: str = "0") -> Iterator[MediaChangePage]:
        """What has changed since `after`, page by page, until there is no more; a page's `next` is for later."""
        while True:
            answer = self.request("GET", "/api/media/changes", params={"after": after, "limit": "100"})
            page = MediaChangePage.model_validate(answer.json())
            if page.items:
                yield page
            if not page.more:
                return
            after = page.next


def _of(plugin_id: str) -> str:
    return f"/api/plugins/{quote(plugin_id, safe='')}"


def _admin(plugin_id: str) -> str:
    return f"/api/admin/plugins/{quote(plugin_id, safe='')}"


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Server-sent events as (event, data)."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                yield fields.get("event", "message"), fields["data"]
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
