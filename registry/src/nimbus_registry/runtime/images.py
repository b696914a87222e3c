"""From an image's name to the exact image that is run: what is there, else built from the folder, else pulled."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import docker
import requests
from docker.errors import APIError, ImageNotFound
from docker.utils import parse_repository_tag

from nimbus_registry.runtime.base import PluginSpec, Prepared, Report, RuntimeFailure, UnusedImage
from nimbus_registry.runtime.build_log import BuildLog
from nimbus_registry.runtime.docker_engine import Engine, explain
from nimbus_registry.runtime.docker_stream import StreamClient
from nimbus_registry.runtime.source_copies import require_version

BUILD_TIMEOUT: Final = 1800.0
PULL_TIMEOUT: Final = 1800.0

LABEL_BUILT_BY: Final = "io.nimbus.built-by"
"""Label of images built here. Not the instance label: a container made by hand from the image inherits its labels."""
LABEL_BUILT_PLUGIN: Final = "io.nimbus.built-plugin"
LABEL_BUILT_VERSION: Final = "io.nimbus.built-version"
"""Of which plugin's folder, and which version was in it: versions may go by the same name of an image."""


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """An image in the engine.

    Attributes:
        pin: digest reference where the image has one, else its id; always names the same bytes.
        volumes: paths that the image declares as volumes.
        labels: what is written on it.
    """

    pin: str
    volumes: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


class Images:
    """Finds, builds and pulls images.

    Args:
        engine: the engine.
        instance: written on images that are built.
        build_args: given to every build.
        credentials: a Docker `config.json` with logins of private registries.
    """

    def __init__(
        self, engine: Engine, instance: str, build_args: Mapping[str, str], credentials: Path | None = None
    ) -> None:
        self._engine = engine
        self._instance = instance
        self._build_args = dict(build_args)
        self._credentials = credentials
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def resolve(self, spec: PluginSpec, log: BuildLog, report: Report) -> ResolvedImage:
        """The image of a spec.

        Raises:
            RuntimeFailure: hop `image`; the build's last lines are its log.
        """
        reference = spec.image
        if reference is None:
            raise RuntimeFailure(
                "image",
                "no-image",
                "The plugin has no image: its manifest has no runtime.image.",
                hint="Add runtime.image to the manifest, or run Nimbus with the process runtime.",
            )
        built = spec.source_dir if await asyncio.to_thread(is_built_of, spec.source_dir) else None
        found = await self._made_before(spec, reference, built)
        if found is not None:
            return found
        async with self._locks[reference]:
            found = await self._made_before(spec, reference, built)
            if found is not None:
                return found
            if built is not None:
                await asyncio.to_thread(require_version, built, spec.version)
                await self._build(spec, reference, log, report)
            else:
                log.begin()
                report("pulling", f"pulling {reference}")
                await self.pull(reference, log, lambda line, _: report("pulling", line))
            found = await self.find(reference)
        if found is None:
            raise RuntimeFailure(
                "image",
                "image-missing",
                f"The image {reference} is still not there after it was fetched.",
                hint="Was it removed at the same moment? Enable the plugin again.",
            )
        return found

    async def _made_before(self, spec: PluginSpec, reference: str, built: Path | None) -> ResolvedImage | None:
        """The image that is here for this version, if there is one and it is not to be built anew.

        Versions of a folder may go by one name: then it means the one that was built last.
        """
        if built is not None and spec.rebuild:
            return None
        found = await self.find(reference)
        if found is None or built is None or LABEL_BUILT_BY not in found.labels:
            return found
        mine = {
            LABEL_BUILT_BY: self._instance,
            LABEL_BUILT_PLUGIN: spec.plugin_id,
            LABEL_BUILT_VERSION: spec.version,
        }
        if found.labels[LABEL_BUILT_BY] != self._instance or mine.items() <= found.labels.items():
            return found
        wanted = {"label": [f"{name}={value}" for name, value in mine.items()]}
        images = await self._engine.call(lambda api: api.images(filters=wanted, all=False))
        newest = max(images, key=lambda image: image["Created"], default=None)
        return await self.find(str(newest["Id"])) if newest is not None else None

    async def unused(self, needed: frozenset[str]) -> list[UnusedImage]:
        """Images that this instance built, without those that are needed or that any container was made from.

        Raises:
            RuntimeFailure: the engine does not answer.
        """
        wanted = {"label": f"{LABEL_BUILT_BY}={self._instance}"}

        def look(api: docker.APIClient) -> tuple[list[dict[str, Any]], set[str]]:
            images = api.images(filters=wanted)
            return images, {str(entry["ImageID"]) for entry in api.containers(all=True)}

        try:
            images, used = await self._engine.call(look)
        except APIError as error:
            raise RuntimeFailure("engine", "engine-error", f"The Docker engine refused: {explain(error)}") from error
        found = []
        for image in images:
            names = {str(image["Id"]), *(image.get("RepoTags") or []), *(image.get("RepoDigests") or [])}
            if image["Id"] not in used and not names & needed:
                tags = [tag for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]
                found.append(UnusedImage(str(image["Id"]), tags[0] if tags else str(image["Id"])[:19], image["Size"]))
        return found

    async def remove(self, image_id: str) -> None:
        """Remove an image with all its names; nothing happens when it is gone.

        Raises:
            RuntimeFailure: a container uses it, or another image is made from it.
        """

        def remove(api: docker.APIClient) -> None:
            # By its names one after the other: `force` would also take one that a container was just made from.
            facts = api.inspect_image(image_id)  # type: ignore[no-untyped-call]
            for name in facts.get("RepoTags") or [image_id]:
                api.remove_image(name)

        try:
            await self._engine.call(remove)
        except ImageNotFound:
            return
        except APIError as error:
            raise RuntimeFailure("image", "image-in-use", f"The image stays: {explain(error)}") from error

    async def prepared(self, spec: PluginSpec) -> Prepared:
        """Whether the image of a spec is here.

        Raises:
            RuntimeFailure: the name is no image's, or the engine does not answer.
        """
        if spec.image is None:
            hint = "Add runtime.image to the manifest, or run Nimbus with the process runtime."
            return Prepared(ready=False, message="The manifest has no runtime.image.", hint=hint)
        found = await self.find(spec.image)
        if found is not None:
            return Prepared(
                ready=True, message=f"The image {spec.image} is here ({found.pin.rpartition('@')[2][:19]})."
            )
        return Prepared(
            ready=False,
            message=f"The image {spec.image} is not on this machine.",
            hint="It is built or pulled at the next start; restart the plugin to try now.",
        )

    async def find(self, reference: str) -> ResolvedImage | None:
        """The image as it is on this machine, or None.

        Raises:
            RuntimeFailure: this cannot be an image's name.
        """
        try:
            facts = await self._engine.call(lambda api: api.inspect_image(reference))  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return None
        except APIError as error:
            raise RuntimeFailure(
                "image",
                "image-invalid",
                f"{reference!r} does not name an image: {explain(error)}",
                hint="Correct runtime.image in the manifest.",
            ) from error
        config = facts.get("Config") or {}
        return ResolvedImage(
            pin=pinned(reference, facts),
            volumes=tuple(sorted(config.get("Volumes") or {})),
            labels=config.get("Labels") or {},
        )

    async def _build(self, spec: PluginSpec, reference: str, log: BuildLog, report: Report) -> None:
        log.begin()
        report("building", f"building {reference}")

        def start(client: StreamClient) -> Iterator[dict[str, Any]]:
            try:
                stream: Iterator[dict[str, Any]] = client.build(
                    path=str(spec.source_dir),
                    tag=reference,
                    rm=True,
                    forcerm=True,
                    decode=True,
                    buildargs=self._build_args,
                    labels={
                        LABEL_BUILT_BY: self._instance,
                        LABEL_BUILT_PLUGIN: spec.plugin_id,
                        LABEL_BUILT_VERSION: spec.version,
                    },
                    timeout=int(BUILD_TIMEOUT),
                )
            except requests.RequestException:
                raise
            except OSError as error:  # before the engine was asked: the folder is copied to a temporary file first
                raise RuntimeFailure(
                    "image",
                    "build-context",
                    f"The plugin's folder could not be packed for the build of {reference}: {error}",
                    hint="Is there a file that cannot be read, or more than fits into the registry's temporary"
                    " folder? A .dockerignore keeps large files out.",
                ) from error
            return stream

        await self._follow(
            start,
            BUILD_TIMEOUT,
            log,
            lambda line, _: report("building", line),
            code="build-failed",
            message=f"Building the image {reference} failed",
            hint="The log's last lines name the step; correct the plugin's Dockerfile and enable it again.",
        )

    async def pull(
        self, reference: str, log: BuildLog | None, report: Callable[[str, Mapping[str, Any]], None]
    ) -> None:
        """Pull an image.

        Args:
            reference: its name, with a tag or a digest.
            log: gets the lines that are no progress of a layer.
            report: is told every line, and the engine's message behind it.

        Raises:
            RuntimeFailure: hop `image`.
        """
        repository, tag = parse_repository_tag(reference)

        def start(client: StreamClient) -> Iterator[dict[str, Any]]:
            if self._credentials is not None:
                client.reload_config(dockercfg_path=str(self._credentials))
            stream: Iterator[dict[str, Any]] = client.pull(repository, tag=tag or "latest", stream=True, decode=True)
            return stream

        await self._follow(
            start,
            PULL_TIMEOUT,
            log,
            report,
            code="image-missing",
            message=f"The image {reference} is not on this machine and could not be pulled",
            hint="Check runtime.image for a misspelling, give the engine access to the image's registry, or put a"
            " Dockerfile into the plugin's folder, so that Nimbus builds the image. A registry that wants a login"
            " finds it in the file that NIMBUS_IMAGE_CREDENTIALS_FILE names.",
        )

    async def _follow(
        self,
        start: Callable[[StreamClient], Iterator[dict[str, Any]]],
        timeout: float,  # noqa: ASYNC109 - part of the message below
        log: BuildLog | None,
        report: Callable[[str, Mapping[str, Any]], None],
        *,
        code: str,
        message: str,
        hint: str,
    ) -> None:
        try:
            async with asyncio.timeout(timeout):
                async for item in self._engine.stream(start):
                    for line in progress_lines(item):
                        report(line, item)
                        if log is not None and not item.get("progressDetail"):
                            log.add(line)
                    if "error" in item:
                        raise RuntimeFailure(
                            "image", code, f"{message}: {item['error']}", hint=hint, log_tail=_tail(log)
                        )
        except APIError as error:
            if log is not None:
                log.add(explain(error))
            raise RuntimeFailure(
                "image", code, f"{message}: {explain(error)}", hint=hint, log_tail=_tail(log)
            ) from error
        except TimeoutError:
            raise RuntimeFailure(
                "image",
                code,
                f"{message}: it took longer than {timeout:.0f} seconds.",
                hint=hint,
                log_tail=_tail(log),
            ) from None


def is_built_of(folder: Path | None) -> bool:
    """Whether a plugin's folder says how its image is made."""
    return folder is not None and (folder / "Dockerfile").is_file()


def _tail(log: BuildLog | None) -> list[str]:
    return log.tail(20) if log is not None else []


def pinned(reference: str, facts: Mapping[str, Any]) -> str:
    """The name of exactly this image: its digest in the repository it is called by, else its id."""
    repository = parse_repository_tag(reference)[0]
    for digest in facts.get("RepoDigests") or []:
        if digest.partition("@")[0] == repository:
            return str(digest)
    return str(facts["Id"])


def progress_lines(item: Mapping[str, Any]) -> list[str]:
    """Readable lines of one message of a build or pull."""
    if "error" in item:
        return [str(item["error"]).rstrip()]
    if "stream" in item:
        return [line.rstrip() for line in str(item["stream"]).splitlines() if line.strip()]
    if "status" in item:
        words = [str(item[key]) for key in ("id", "status", "progress") if item.get(key)]
        return [" ".join(words)]
    return []
