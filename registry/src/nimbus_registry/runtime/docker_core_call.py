"""Calling the core from a plugin's place: a short-lived helper in the network of the plugin's container."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from docker.errors import APIError, NotFound

from nimbus_registry.runtime import core_call
from nimbus_registry.runtime.base import CoreReach
from nimbus_registry.runtime.core_reach import reach_of, untried
from nimbus_registry.runtime.docker_engine import Engine, create_container, explain
from nimbus_registry.runtime.spec import PLUGIN_UID, ROLE_HELPER, Names

_SECONDS: Final = 12


def caller_options(names: Names, *, image: str, url: str) -> dict[str, object]:
    """Body of the create call for the helper: no capability, no mount, the plugin's user, the plugin's network.

    It joins by name: the socket proxy lets no container join another one than a plugin's, and knows it by that.
    """
    return {
        "Image": image,
        "User": f"{PLUGIN_UID}:{PLUGIN_UID}",
        "Entrypoint": ["python3", "-I", "-c", Path(core_call.__file__).read_text(encoding="utf-8"), url],
        "Cmd": [],
        "Labels": names.labels(ROLE_HELPER),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "CapDrop": ["ALL"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
            "Memory": 64 * 1024**2,
            "MemorySwap": 64 * 1024**2,
            "NetworkMode": f"container:{names.container}",
            "PidsLimit": 16,
            "ReadonlyRootfs": True,
            "RestartPolicy": {"Name": "no"},
            "SecurityOpt": ["no-new-privileges:true"],
        },
    }


class CoreCaller:
    """Calls the core the way a running plugin would.

    Args:
        engine: the engine.
        helper_image: gives the image of helpers when there is one; else the plugin's own image is taken.
    """

    def __init__(self, engine: Engine, helper_image: Callable[[], Awaitable[str | None]]) -> None:
        self._engine = engine
        self._helper_image = helper_image
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def call(self, names: Names, url: str) -> CoreReach:
        """Call the core from the container of these names.

        What cannot be tried says why; only an engine that does not answer raises.

        Raises:
            RuntimeFailure: the engine does not answer.
        """
        name = f"{names.container}.doctor"
        async with self._locks[names.plugin_id]:
            try:
                image = await self._helper_image() or str(
                    (await self._engine.call(lambda api: api.inspect_container(names.container)))["Image"]
                )
                await self._remove(name, names)
                options = caller_options(names, image=image, url=url)
                helper = await self._engine.call(lambda api: create_container(api, options, name))
                try:
                    return await self._run(helper, url)
                finally:
                    await self._remove(name, names)
            except APIError as error:
                return untried(url, explain(error))

    async def _run(self, helper: str, url: str) -> CoreReach:
        await self._engine.call(lambda api: api.start(helper))
        ended = await self._engine.call(lambda api: api.wait(helper, timeout=_SECONDS), deadline=_SECONDS + 5)
        said = (await self._engine.call(lambda api: api.logs(helper, stderr=False, tail=5))).decode(
            "utf-8", "replace"
        )
        if ended["StatusCode"] != 0:
            return untried(url, f"the helper ended with {ended['StatusCode']}")
        return reach_of(url, said)

    async def _remove(self, name: str, names: Names) -> None:
        with suppress(NotFound):
            facts: dict[str, Any] = await self._engine.call(lambda api: api.inspect_container(name))
            labels = facts["Config"].get("Labels") or {}
            if labels == {**labels, **names.labels(ROLE_HELPER)}:
                await self._engine.call(lambda api: api.remove_container(facts["Id"], force=True, v=True))
