"""The data volume of a plugin, and its owner."""

import tarfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import docker
from docker.errors import APIError, NotFound

from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.data_folder import missing
from nimbus_registry.runtime.docker_engine import Engine, create_container, explain, raise_for_status
from nimbus_registry.runtime.networks import foreign
from nimbus_registry.runtime.spec import (
    DATA_MOUNT,
    LABEL_INSTANCE,
    LABEL_PLUGIN,
    LABEL_ROLE,
    PLUGIN_UID,
    ROLE_HELPER,
    Names,
    copy_options,
    helper_options,
)

_HELPER_SECONDS: Final = 30.0
_COPY_SECONDS: Final = 300.0
_SIZES_SECONDS: Final = 300.0


class Volumes:
    """Hands data volumes to the plugins' user.

    Args:
        engine: the engine.
        helper_image: what the helper is run from; None takes the image of the container that this process runs
            in, and outside of containers the plugin's own.
    """

    def __init__(self, engine: Engine, helper_image: str | None) -> None:
        self._engine = engine
        self._helper_image = helper_image
        self._looked = helper_image is not None

    async def sizes(self, instance: str) -> dict[str, int]:
        """Bytes in the data volume of each plugin of an instance. The engine walks over every volume for it.

        Raises:
            APIError, RuntimeFailure: the engine refused, or does not answer.
        """
        found = await self._engine.call(lambda api: api.df(), deadline=_SIZES_SECONDS)
        sizes = {}
        for volume in found.get("Volumes") or []:
            labels = volume.get("Labels") or {}
            plugin_id = labels.get(LABEL_PLUGIN, "")
            used = (volume.get("UsageData") or {}).get("Size", -1)
            if used >= 0 and labels.get(LABEL_INSTANCE) == instance:
                names = Names(instance, plugin_id)
                if volume["Name"] == names.volume:
                    sizes[plugin_id] = int(used)
        return sizes

    async def check_own(self, names: Names) -> None:
        """Refuse a volume of the plugin's volume name that is not ours.

        Raises:
            RuntimeFailure: there is one.
        """
        try:
            facts = await self._engine.call(lambda api: api.inspect_volume(names.volume))
        except NotFound:
            return
        if not _is_own(facts.get("Labels"), names):
            raise foreign("volume", names.volume, "start")

    async def hand_over(self, names: Names, container: str, image: str) -> None:
        """See that `/data` of a created container belongs to the plugin's user, before it is started.

        The owner is read from the volume itself, so it does not matter who was killed when, or where the volume
        came from.

        Raises:
            RuntimeFailure: the helper failed.
        """
        if await self._engine.call(lambda api: _owner(api, container)) == PLUGIN_UID:
            return
        helper_image = await self.helper_image() or image
        reason = await self._help(names, helper_options(names, image=helper_image), _HELPER_SECONDS)
        if reason is not None:
            raise RuntimeFailure(
                "start",
                "volume-failed",
                f"The plugin's new data volume could not be given to its user: {reason}",
                hint=f"The helper ran from {helper_image}; set NIMBUS_HELPER_IMAGE to an image that holds chown.",
            )

    async def _help(self, names: Names, options: dict[str, object], limit: float) -> str | None:
        """Run a helper to its end; what went wrong, or None."""
        try:
            await self._remove_helper(names)
            helper = await self._engine.call(lambda api: create_container(api, options, names.helper))
            await self._engine.call(lambda api: api.start(helper))
            ended = await self._engine.call(lambda api: api.wait(helper, timeout=int(limit)), deadline=limit + 5)
            if ended["StatusCode"] == 0:
                return None
            said = await self._engine.call(lambda api: api.logs(helper, tail=10))
            return str(said.decode("utf-8", "replace").strip())
        except APIError as error:
            return explain(error)
        finally:
            with suppress(APIError, RuntimeFailure):  # what is left goes before the next one, or with the next pass
                await self._remove_helper(names)

    async def snapshot(self, names: Names, name: str, image: str | None) -> None:
        """Copy the data volume, if there is one, into a fresh volume.

        Raises:
            RuntimeFailure: the copy is not whole.
        """
        await self.check_own(names)
        await self.drop_snapshot(names, name)
        await self._copy(names, names.volume, names.snapshot(name), image)

    async def restore(self, names: Names, name: str, image: str | None) -> None:
        """Put a copy in the place of the data volume. No container may use that.

        Raises:
            RuntimeFailure: there is no such copy, or it was not copied whole.
        """
        await self.check_snapshot(names, name)
        await self._remove_volume(names, names.volume)
        await self._copy(names, names.snapshot(name), names.volume, image)

    async def _copy(self, names: Names, source: str, target: str, image: str | None) -> None:
        helper_image = await self.helper_image() or image
        if helper_image is None:
            raise RuntimeFailure(
                "init",
                "snapshot-failed",
                "The plugin's data could not be copied: there is no image for the helper.",
                hint="Set NIMBUS_HELPER_IMAGE to an image that holds cp and chown.",
            )
        options = copy_options(names, image=helper_image, source=source, target=target)
        reason = await self._help(names, options, _COPY_SECONDS)
        if reason is not None:
            raise RuntimeFailure(
                "init",
                "snapshot-failed",
                f"The plugin's data could not be copied: {reason}",
                hint=f"The helper ran from {helper_image}; set NIMBUS_HELPER_IMAGE to an image that holds cp. "
                "Is there room for a second copy?",
            )

    async def drop_snapshot(self, names: Names, name: str) -> None:
        """Delete a copy; nothing happens when there is none.

        Raises:
            RuntimeFailure: it stays.
        """
        try:
            await self._remove_volume(names, names.snapshot(name))
        except APIError as error:
            message = f"The copy {name!r} of the plugin's data could not be deleted: {explain(error)}"
            raise RuntimeFailure("init", "snapshot-stays", message) from error

    async def copies(self, instance: str) -> dict[str, frozenset[str]]:
        """Names of the copies of each plugin's data.

        Raises:
            APIError, RuntimeFailure: the engine refused, or does not answer.
        """
        labels = [f"{LABEL_INSTANCE}={instance}", LABEL_PLUGIN]
        found = await self._engine.call(lambda api: api.volumes(filters={"label": labels}))
        copies: defaultdict[str, set[str]] = defaultdict(set)
        for volume in found.get("Volumes") or []:
            plugin_id = (volume.get("Labels") or {}).get(LABEL_PLUGIN, "")
            prefix = Names(instance, plugin_id).snapshot("")
            if volume["Name"].startswith(prefix):
                copies[plugin_id].add(volume["Name"].removeprefix(prefix))
        return {plugin_id: frozenset(names) for plugin_id, names in copies.items()}

    async def check_snapshot(self, names: Names, name: str) -> None:
        """Refuse a copy that is not there, or not ours.

        Raises:
            RuntimeFailure: it is so.
        """
        try:
            facts = await self._engine.call(lambda api: api.inspect_volume(names.snapshot(name)))
        except NotFound:
            raise missing(name) from None
        if not _is_own(facts.get("Labels"), names):
            raise foreign("volume", names.snapshot(name), "start")

    async def _remove_helper(self, names: Names) -> None:
        await self.remove_container(names, names.helper)

    async def remove_container(self, names: Names, container: str) -> None:
        """Remove a helper of this plugin by its name; nothing happens when it is not there.

        Raises:
            RuntimeFailure: it is not ours.
        """
        with suppress(NotFound):
            facts = await self._engine.call(lambda api: api.inspect_container(container))
            labels = facts["Config"].get("Labels")
            if not _is_own(labels, names) or labels.get(LABEL_ROLE) != ROLE_HELPER:
                raise foreign("container", container, "start")
            await self._engine.call(lambda api: api.remove_container(facts["Id"], force=True, v=True))

    async def helper_image(self) -> str | None:
        """The image for helpers that does not depend on the plugin, when there is one."""
        if not self._looked:
            self._looked = True
            hostname = Path("/etc/hostname")
            if Path("/.dockerenv").exists() and hostname.exists():  # noqa: ASYNC240 - once, two files
                own = hostname.read_text(encoding="utf-8").strip()  # noqa: ASYNC240
                with suppress(APIError):
                    facts = await self._engine.call(lambda api: api.inspect_container(own))
                    self._helper_image = str(facts["Image"])
        return self._helper_image

    async def remove(self, names: Names) -> None:
        """Delete the volume with everything in it.

        Raises:
            RuntimeFailure: it is not ours, or in use.
        """
        for name in (await self.copies(names.instance)).get(names.plugin_id, ()):
            await self._remove_volume(names, names.snapshot(name))
        await self._remove_volume(names, names.volume)

    async def _remove_volume(self, names: Names, volume: str) -> None:
        try:
            facts = await self._engine.call(lambda api: api.inspect_volume(volume))
        except NotFound:
            return
        if not _is_own(facts.get("Labels"), names):
            raise foreign("volume", volume, "stop")
        try:
            await self._engine.call(lambda api: api.remove_volume(volume))
        except NotFound:
            return
        except APIError as error:
            raise RuntimeFailure(
                "stop",
                "volume-in-use",
                f"The data volume could not be deleted: {explain(error)}",
                hint="Disable the plugin first.",
            ) from error


def _is_own(labels: Mapping[str, Any] | None, names: Names) -> bool:
    found = labels or {}
    return found.get(LABEL_INSTANCE) == names.instance and found.get(LABEL_PLUGIN) == names.plugin_id


def _owner(api: docker.APIClient, container: str) -> int:
    """The user that owns `/data` in a created container: the head of its archive tells, the rest is not read."""
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    head = {"Accept-Encoding": "identity"}
    with api.get(url, params={"path": DATA_MOUNT}, headers=head, stream=True, timeout=api.timeout) as response:
        raise_for_status(response)
        with tarfile.open(fileobj=response.raw, mode="r|", bufsize=512) as archive:
            entry = archive.next()
        return entry.uid if entry is not None else 0
