"""Fetching an image for an installation, and reading the manifest that is in it."""

import io
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import docker
from docker.errors import APIError, NotFound
from nimbus_sdk.contracts.jobs import PullLayer
from nimbus_sdk.contracts.jsontext import MAX_DOCUMENT_BYTES

from nimbus_registry.runtime.base import FetchedImage, LayerReport, RuntimeFailure
from nimbus_registry.runtime.docker_engine import Engine, create_container
from nimbus_registry.runtime.images import Images
from nimbus_registry.runtime.spec import LABEL_INSTANCE, LABEL_PLUGIN, LABEL_ROLE, ROLE_HELPER

LABEL_MANIFEST: Final = "io.nimbus.manifest"
MANIFEST_PATH: Final = "/manifest.json"

NOBODY: Final = "image.inspection"
"""Stands for a plugin on the containers made here: no plugin's id holds a dot, so what is left is swept away."""

_TAR_SLACK: Final = 16 * 1024
_ATTEMPTS: Final = 2


class Fetcher:
    """Fetches images and reads their manifests.

    Args:
        engine: the engine.
        images: pulls.
        instance: labels what is made for a moment.
    """

    def __init__(self, engine: Engine, images: Images, instance: str) -> None:
        self._engine = engine
        self._images = images
        self._instance = instance

    async def fetch(self, reference: str, report: LayerReport, *, always: bool) -> FetchedImage:
        """See `Runtime.fetch`."""
        found = await self._images.find(reference)
        if found is None or (always and "@" not in reference):
            await self._images.pull(reference, None, lambda line, item: _tell(report, line, item))
            found = await self._images.find(reference)
        if found is None:
            raise RuntimeFailure(
                "image",
                "image-missing",
                f"The image {reference} is still not there after it was fetched.",
                hint="Was it removed at the same moment? Try again.",
            )
        facts = await self._engine.call(lambda api: api.inspect_image(found.pin))  # type: ignore[no-untyped-call]
        config = facts.get("Config") or {}
        label = (config.get("Labels") or {}).get(LABEL_MANIFEST)
        if label:
            return FetchedImage(found.pin, str(label).encode())
        return FetchedImage(found.pin, await self._from_files(found.pin, config))

    async def _from_files(self, pin: str, config: Mapping[str, Any]) -> bytes | None:
        """The manifest at the image's root, else in the folder that its program starts in."""
        folder = str(config.get("WorkingDir") or "/").rstrip("/")
        paths = list(dict.fromkeys([MANIFEST_PATH, f"{folder}{MANIFEST_PATH}"]))
        options = {
            "Image": pin,
            "Entrypoint": ["never-started"],
            "Labels": {LABEL_INSTANCE: self._instance, LABEL_PLUGIN: NOBODY, LABEL_ROLE: ROLE_HELPER},
            "HostConfig": {"NetworkMode": "none"},
        }

        def read(api: docker.APIClient) -> bytes | None:
            container = create_container(api, options, None)
            try:
                for path in paths:
                    with suppress(NotFound):
                        return _file(api, container, path)
                return None
            finally:
                with suppress(NotFound):
                    api.remove_container(container, force=True, v=True)

        for _ in range(_ATTEMPTS - 1):
            with suppress(APIError):  # a sweep may have taken the container away under our hands
                return await self._engine.call(read)
        return await self._engine.call(read)


def _file(api: docker.APIClient, container: str, path: str) -> bytes | None:
    """A small file of a container that was never started; one that is too large is cut, and so no JSON."""
    stream, _ = api.get_archive(container, path)
    buffer = bytearray()
    for chunk in stream:
        buffer += chunk
        if len(buffer) > MAX_DOCUMENT_BYTES + _TAR_SLACK:
            break
    with tarfile.open(fileobj=io.BytesIO(bytes(buffer)), mode="r|") as archive:
        entry = archive.next()
        file = archive.extractfile(entry) if entry is not None and entry.isfile() else None
        try:
            return file.read(MAX_DOCUMENT_BYTES + 1) if file is not None else None
        except tarfile.ReadError:  # it was cut: more than any manifest has, and the validator says so
            return bytes(buffer)


def _tell(report: LayerReport, line: str, item: Mapping[str, Any]) -> None:
    detail = item.get("progressDetail") or {}
    status = str(item.get("status", line))
    report(
        PullLayer(
            # Its first message has the tag where the others have the layer.
            id="" if status.startswith("Pulling from ") else str(item.get("id", "")),
            status=status,
            current=detail.get("current"),
            total=detail.get("total"),
        )
    )
