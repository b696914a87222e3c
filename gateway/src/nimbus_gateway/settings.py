"""Settings of the gateway, read once from the environment."""

import os
import socket
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Network = IPv4Network | IPv6Network

MOST_COMPAT_PORTS = 100
BUSY_POLL_SECONDS = 100e-6
_LAST_PORT = 65535

_REPOSITORY = Path(__file__).resolve().parents[3]
_IMAGE_WEB_DIR = Path("/opt/nimbus/web")


def _split(value: object) -> object:
    """Accept a comma-separated list where a list is wanted."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def parse_ports(text: str) -> tuple[int, ...]:
    """Ports out of numbers and ranges with commas between, such as ``8989-8999,7878``, in ascending order.

    Raises:
        ValueError: it is something else, or too many.
    """
    ports: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) <= _LAST_PORT):
            raise ValueError(f"{part.strip()!r} is no port and no range of ports; write one such as 8989-8999")
        if int(last) - int(first) >= MOST_COMPAT_PORTS:
            raise ValueError(f"{part.strip()!r} holds more than {MOST_COMPAT_PORTS} ports")
        ports.update(range(int(first), int(last) + 1))
    if len(ports) > MOST_COMPAT_PORTS:
        raise ValueError(f"these are {len(ports)} ports; at most {MOST_COMPAT_PORTS} are bound")
    return tuple(sorted(ports))


class Settings(BaseSettings):
    """What an operator can set. Every field is the environment variable ``NIMBUS_<FIELD>``."""

    model_config = SettingsConfigDict(
        env_prefix="NIMBUS_", extra="ignore", populate_by_name=True, env_ignore_empty=True, frozen=True
    )

    host: str = Field(default="127.0.0.1", description="Address that the public port is bound to.")
    port: int = Field(default=8080, ge=0, le=65535, description="Public port.")
    core_host: str = Field(default="127.0.0.1", description="Address of the listener that plugins call.")
    core_port: int = Field(default=8081, ge=0, le=65535, description="Port of the listener that plugins call.")
    management_host: str = Field(
        default="127.0.0.1", description="Address of the management listener; a name is resolved, then bound."
    )
    management_port: int = Field(default=8082, ge=0, le=65535, description="Port of the management listener.")
    compat_ports: Annotated[tuple[int, ...], NoDecode] = Field(
        default=(),
        description="Ports that administrators can map to plugins, such as `8989-8999`; bound like the public port.",
    )

    instance: str = Field(
        default="nimbus", pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Name of the instance."
    )
    data_dir: Path = Field(default=Path(".nimbus"), description="Where everything that lasts is kept.")
    registry_url: str = Field(default="http://127.0.0.1:8083", description="Base URL of the registry.")
    gateway_database_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy URL; a SQLite file in the data folder when not set."
    )
    secret_key_file: Path | None = Field(default=None, description="Key that encrypts secrets at rest.")
    service_token_file: Path | None = Field(default=None, description="Token shared by gateway and registry.")
    web_dir: Path | None = Field(default=None, description="The built dashboard.")

    workers: int = Field(default=1, ge=1, le=256, description="Worker processes; `auto` is one a core.")
    drain_timeout: float = Field(default=25.0, ge=0, le=300, description="Seconds that a stop waits for requests.")
    busy_poll: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Microseconds for which a worker stays awake between the steps of quick exchanges; 0 saves the"
        " CPU time. `100` where the machine has several CPUs, else 0, when not set.",
    )
    coalesce: int = Field(
        default=500,
        ge=0,
        le=2000,
        description="Microseconds for which a worker at most lets events gather while a plugin has eight requests or"
        " more before it; 0 takes each as it comes.",
    )
    public_url: str | None = Field(default=None, description="URL that people use, when a proxy is in front.")
    trusted_proxies: Annotated[list[str], NoDecode] = Field(
        default_factory=list, description="Addresses or networks whose X-Forwarded-* headers are believed."
    )
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=list,
        description="Names the gateway answers to besides IP literals, localhost, *.local and its own host name.",
    )

    admin_username: str = Field(default="admin", min_length=1, max_length=80, description="First administrator.")
    admin_password: SecretStr | None = Field(default=None, description="Creates the first administrator.")
    generate_admin: bool = Field(
        default=False,
        description="Generate the first administrator's password into `first-admin` in the data folder.",
    )
    enable_plugins: bool = Field(
        default=True,
        validation_alias=AliasChoices("NIMBUS_ENABLE_PLUGINS", "ENABLE_PLUGINS"),
        description="False: the plugin host is off.",
    )

    kv_keys: int = Field(default=100_000, ge=1, description="Most entries in the key-value store of one plugin.")
    kv_bytes: int = Field(default=64 * 1024**2, ge=1024, description="Most bytes in it, keys included.")
    backup_bytes: int = Field(
        default=20 * 1024**3, ge=1024**2, description="Most bytes of the backup of one plugin, made or restored."
    )
    system_backup_bytes: int = Field(
        default=200 * 1024**3, ge=1024**2, description="Most bytes of a backup of everything, made or uploaded."
    )
    plugin_events: int = Field(
        default=200_000, ge=1, description="Most events of one plugin that are kept at a time."
    )
    plugin_event_bytes: int = Field(
        default=256 * 1024**2, ge=1024, description="Most bytes of them: data, types and subjects."
    )
    plugin_media: int = Field(
        default=200_000, ge=1, description="Most items of the media library that are of one plugin's making."
    )
    webhook_private_addresses: bool = Field(
        default=False, description="Let webhooks go to private and loopback addresses too."
    )
    plugin_calls: int = Field(
        default=12_000, ge=60, description="Most calls a minute of one plugin to the core, for each worker."
    )

    log_format: Literal["json", "console"] | None = Field(
        default=None, description="`console` on a terminal, else `json`, when not set."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level shown.")

    @field_validator("trusted_proxies", "allowed_hosts", mode="before")
    @classmethod
    def _lists(cls, value: object) -> object:
        return _split(value)

    @field_validator("compat_ports", mode="before")
    @classmethod
    def _compat_ports(cls, value: object) -> object:
        return parse_ports(value) if isinstance(value, str) else value

    @field_validator("workers", mode="before")
    @classmethod
    def _cores(cls, value: object) -> object:
        return len(os.sched_getaffinity(0)) if value == "auto" else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for part in value:
            ip_network(part, strict=False)
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path not in {"", "/"}:
            raise ValueError("write scheme and host only, such as https://nimbus.example.org")
        return f"{parts.scheme}://{parts.netloc.lower()}"

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = [port for port in (self.port, self.core_port, self.management_port) if port]
        if len(set(ports)) != len(ports):
            raise ValueError("public, core and management port must differ: requests are told apart by them")
        if taken := set(ports) & set(self.compat_ports):
            raise ValueError(f"NIMBUS_COMPAT_PORTS holds {min(taken)}, which is one of Nimbus's own ports")
        return self

    @cached_property
    def proxies(self) -> tuple[Network, ...]:
        """The networks of `trusted_proxies`."""
        return tuple(ip_network(part, strict=False) for part in self.trusted_proxies)

    @cached_property
    def hosts(self) -> frozenset[str]:
        """Names (lower case, without port) that a Host header may carry besides literals and ``*.local``."""
        names = {"localhost", socket.gethostname().lower(), *(host.lower() for host in self.allowed_hosts)}
        if self.public_url:
            names.add(urlsplit(self.public_url).hostname or "")
        return frozenset(names)

    @property
    def busy_poll_seconds(self) -> float:
        """The longest time for which a worker stays awake without anything to do.

        It counts the machine's CPUs, not those that this process may use: on the others a plugin or a client runs
        that a sleeping gateway would keep waiting.
        """
        if self.busy_poll is not None:
            return self.busy_poll / 1e6
        return BUSY_POLL_SECONDS if (os.cpu_count() or 1) > 1 else 0.0

    @property
    def database_url(self) -> str:
        """The database, SQLite by default."""
        if self.gateway_database_url is not None:
            return self.gateway_database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{(self.data_dir / 'gateway.db').resolve()}"

    @property
    def secret_key_path(self) -> Path:
        """File of the key that encrypts secrets at rest."""
        return self.secret_key_file or self.data_dir / "secret-key"

    @property
    def service_token_path(self) -> Path:
        """File of the token that gateway and registry share."""
        return self.service_token_file or self.data_dir / "service-token"

    @property
    def web_path(self) -> Path:
        """Folder of the built dashboard: as set, or the image's, or the working tree's."""
        if self.web_dir is not None:
            return self.web_dir
        return _IMAGE_WEB_DIR if _IMAGE_WEB_DIR.is_dir() else _REPOSITORY / "frontend" / "dist"
