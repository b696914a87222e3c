"""Choosing the runtime by the operator's settings."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal, Self

from nimbus_registry.runtime.base import Runtime

DEFAULT_POOL = IPv4Network("10.213.0.0/16")


@dataclass(frozen=True, slots=True)
class RuntimeConfig:
    """What a runtime needs to know.

    Attributes:
        kind: which runtime.
        instance: names and labels everything this Nimbus makes.
        data_dir: run records, logs and data of plugins.
        sdk_source: folder or wheel of the SDK for plugin environments (process).
        docker_host: address of the engine; None takes DOCKER_HOST or the usual socket.
        network_pool: what plugin networks are cut from (docker).
        helper_image: image of the volume helper; None finds one.
        build_args: build arguments for images made from plugin folders.
        image_credentials: a Docker `config.json` with logins of private registries.
    """

    kind: Literal["process", "docker"]
    instance: str
    data_dir: Path
    sdk_source: Path | None = None
    docker_host: str | None = None
    network_pool: IPv4Network = DEFAULT_POOL
    helper_image: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    image_credentials: Path | None = None

    @classmethod
    def from_settings(cls, settings: object) -> Self:
        """Read what is there of the registry's settings; what is not there takes its default.

        Raises:
            ValueError: a value has the wrong form; the text names the setting.
        """
        kind = str(getattr(settings, "runtime", "process"))
        if kind not in {"process", "docker"}:
            raise ValueError(f"NIMBUS_RUNTIME is {kind!r}; it is process or docker")
        sdk_source = getattr(settings, "sdk_source", None)
        pool = getattr(settings, "plugin_network_pool", None) or DEFAULT_POOL
        try:
            network_pool = IPv4Network(str(pool))
        except ValueError as error:
            raise ValueError(f"NIMBUS_PLUGIN_NETWORK_POOL is not an IPv4 network: {error}") from None
        return cls(
            kind="docker" if kind == "docker" else "process",
            instance=str(getattr(settings, "instance", "nimbus")),
            data_dir=Path(getattr(settings, "data_dir", ".nimbus")),
            sdk_source=Path(sdk_source) if sdk_source else None,
            docker_host=getattr(settings, "docker_host", None) or os.environ.get("DOCKER_HOST") or None,
            network_pool=network_pool,
            helper_image=getattr(settings, "helper_image", None) or None,
            build_args=_build_args(getattr(settings, "build_args", None)),
            image_credentials=getattr(settings, "image_credentials_file", None),
        )


def _build_args(value: object) -> dict[str, str]:
    if isinstance(value, str) and value:
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"NIMBUS_BUILD_ARGS is not a JSON object: {error}") from None
    if value in (None, ""):
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("NIMBUS_BUILD_ARGS is not a JSON object of strings")  # noqa: TRY004 - a wrong setting
    return {str(key): str(entry) for key, entry in value.items()}


def open_runtime(settings: object) -> Runtime:
    """The runtime that the settings ask for, not yet connected: call its `open`."""
    return make_runtime(RuntimeConfig.from_settings(settings))


def make_runtime(config: RuntimeConfig) -> Runtime:
    """As `open_runtime`, from a config. Only the runtime that is used is imported: it makes a start quicker."""
    if config.kind == "docker":
        from nimbus_registry.runtime.docker import DockerRuntime  # noqa: PLC0415 - see above

        return DockerRuntime(
            config.instance,
            config.data_dir,
            host=config.docker_host,
            pool=config.network_pool,
            helper_image=config.helper_image,
            build_args=config.build_args,
            credentials=config.image_credentials,
        )
    from nimbus_registry.runtime.process import ProcessRuntime  # noqa: PLC0415 - see above

    return ProcessRuntime(config.data_dir, sdk_source=config.sdk_source)
