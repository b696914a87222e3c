"""Settings of the registry, read from the environment (prefix `NIMBUS_`)."""

import json
import sys
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from nimbus_sdk.contracts.units import LEAST_CPUS, LEAST_MEMORY, Size, parse_size
from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

TRUST_FOLDERS = "folders"
"""Stands for every plugin that somebody put into the plugins folder."""


class RegistrySettings(BaseSettings):
    """Everything an operator can set. Paths may be relative to the working directory."""

    model_config = SettingsConfigDict(
        env_prefix="NIMBUS_", extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    instance: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")] = Field(
        default="nimbus", description="Name of this installation; labels everything that it makes."
    )
    data_dir: Path = Field(default=Path(".nimbus"), description="Database, plugin data and environments.")
    service_token_file: Path | None = Field(
        default=None, description="Secret shared with the gateway. Default: `service-token` in the data directory."
    )
    log_format: Literal["json", "console"] | None = Field(
        default=None, description="Default: console on a terminal, else json."
    )
    host: str = Field(
        default="127.0.0.1", validation_alias=AliasChoices("NIMBUS_REGISTRY_HOST"), description="Bind address."
    )
    port: int = Field(
        default=8083, ge=0, le=65535, validation_alias=AliasChoices("NIMBUS_REGISTRY_PORT"), description="Port."
    )
    database_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("NIMBUS_REGISTRY_DATABASE_URL"),
        description="`postgresql+psycopg://…` or `sqlite+aiosqlite:///…`. Default: a file in the data directory.",
    )
    database_wait: float = Field(
        default=300.0,
        ge=0,
        validation_alias=AliasChoices("NIMBUS_REGISTRY_DATABASE_WAIT"),
        description="Seconds to wait for the database at start.",
    )
    runtime: Literal["process", "docker"] = Field(default="process", description="How plugins are run.")
    plugins_dir: Path = Field(
        default=Path("plugins"),
        validation_alias=AliasChoices("NIMBUS_PLUGINS_DIR", "PLUGINS_DIR"),
        description="Folders with a `manifest.json` are discovered here.",
    )
    enable_plugins: bool = Field(
        default=True,
        validation_alias=AliasChoices("NIMBUS_ENABLE_PLUGINS", "ENABLE_PLUGINS"),
        description="False: the plugin host is off, no plugin runs.",
    )
    safe_mode: bool = Field(default=False, description="Start with every plugin off, leaving `enabled` as it is.")
    stop_plugins_on_exit: bool = Field(
        default=False, description="True: the end of the registry stops its plugins; `enabled` stays."
    )
    gateway_management_url: str = Field(
        default="http://127.0.0.1:8082", description="The gateway's management listener."
    )
    core_url: str = Field(default="http://127.0.0.1:8081", description="Where plugins reach the core.")
    plugin_network_pool: str = Field(
        default="10.213.0.0/16", description="Subnets of plugin networks come from here."
    )
    sdk_source: Path | None = Field(
        default=None, description="Folder or wheel of the SDK that plugin environments get (process runtime)."
    )
    max_memory: Size = Field(default="2g", description="The most memory one plugin may use.")
    max_cpus: float = Field(default=2.0, ge=LEAST_CPUS, description="The most CPU cores one plugin may use.")
    max_pids: int = Field(default=512, ge=8, description="The most processes and threads of one plugin.")
    max_data: Size = Field(
        default="10g",
        description="The most that one plugin may keep in its data volume. It is told at 90%, and stopped beyond.",
    )
    trusted_plugins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(TRUST_FOLDERS,),
        description="Plugins whose pages run in the dashboard with the signed-in user's powers: ids with commas "
        "between, `folders` for those that somebody put into the plugins folder, `*` for all, `none` for none. Pages "
        "of any other run in a frame that is kept apart, and its documents are sandboxed.",
    )
    build_args: dict[str, str] = Field(default_factory=dict, description="Build arguments of plugin images, as JSON.")
    upgrade_timeout: float = Field(
        default=20.0,
        gt=0,
        le=600,
        description="Seconds that a new version of a plugin with data gets to become ready, while requests to it are "
        "held; then the old version comes back. A plugin without data has its own start timeout.",
    )
    image_credentials_file: Path | None = Field(
        default=None,
        description="Logins of private image registries, in the form of Docker's `config.json`. "
        "Default: that of the user who runs the registry.",
    )
    helper_image: str | None = Field(default=None, description="Image of the helper that prepares a fresh volume.")
    docker_host: str | None = Field(
        default=None, validation_alias=AliasChoices("DOCKER_HOST"), description="Address of the Docker engine."
    )

    @field_validator("image_credentials_file")
    @classmethod
    def _is_read_as_logins(cls, value: Path | None) -> Path | None:
        # It is read at each pull, and may come later. A misspelt bind mount makes a folder of it.
        if value is None or not value.exists():
            return value
        try:
            if isinstance(json.loads(value.read_bytes()), dict):
                return value
        except OSError as error:
            raise ValueError(f"a file that can be read; {value}: {error.strerror}") from error
        except ValueError:
            pass
        raise ValueError(f"a file with a JSON object, as `docker login` writes it; {value} holds something else")

    @field_validator("max_memory")
    @classmethod
    def _is_a_limit(cls, value: str) -> str:
        if parse_size(value) < LEAST_MEMORY:
            raise ValueError("at least 6m: this is a limit, and there is no way to run plugins without one")
        return value

    @field_validator("trusted_plugins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return () if value.strip() == "none" else tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def max_memory_bytes(self) -> int:
        """`max_memory` in bytes."""
        return parse_size(self.max_memory)

    @property
    def max_data_bytes(self) -> int:
        """`max_data` in bytes."""
        return parse_size(self.max_data)

    @cached_property
    def database(self) -> str:
        """The database's SQLAlchemy address, for an async driver."""
        if self.database_url is None:
            return f"sqlite+aiosqlite:///{self.data_dir.absolute() / 'registry.db'}"
        for written, wanted in (
            ("postgres://", "postgresql+psycopg://"),
            ("postgresql://", "postgresql+psycopg://"),
            ("sqlite://", "sqlite+aiosqlite://"),
        ):
            if self.database_url.startswith(written):
                return wanted + self.database_url.removeprefix(written)
        return self.database_url

    @property
    def token_file(self) -> Path:
        """Where the service token is kept."""
        return self.service_token_file or self.data_dir / "service-token"

    @property
    def console(self) -> bool:
        """True when log lines are for a person at a terminal."""
        return self.log_format == "console" or (self.log_format is None and sys.stderr.isatty())

    def trusts(self, plugin_id: str, *, discovered: bool) -> bool:
        """Whether the operator trusts this plugin's code; `discovered` says that it lies in the plugins folder."""
        if discovered and TRUST_FOLDERS in self.trusted_plugins:
            return True
        named = set(self.trusted_plugins) - {TRUST_FOLDERS}  # a plugin may have that id
        return "*" in named or plugin_id in named
