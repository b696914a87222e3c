"""What the platform calls on a plugin: `/_nimbus/*`."""

from typing import Any, Literal

from pydantic import Field

from nimbus_sdk.contracts.base import WireModel, empty_list

CONTRACT_VERSION = 1
HEALTH_PATH = "/_nimbus/health"
LIFECYCLE_PATH = "/_nimbus/lifecycle"
EVENTS_PATH = "/_nimbus/events"
UI_PATH = "/_nimbus/ui"


class HealthCheck(WireModel):
    """One named check behind a health answer."""

    name: str
    status: Literal["ok", "degraded", "failed"]
    detail: str | None = None


class Health(WireModel):
    """Answer of `GET /_nimbus/health`: 200 when the plugin can serve, 503 while it cannot."""

    status: Literal["ok", "degraded"]
    version: str | None = None
    contract: list[int] = Field(default=[CONTRACT_VERSION], description="Contract versions the plugin speaks.")
    checks: list[HealthCheck] = Field(default_factory=empty_list)


class LifecycleEvent(WireModel):
    """Body of `POST /_nimbus/lifecycle`. 204 is done, 404 not interested."""

    event: Literal["enabled", "disabled", "upgraded", "config_changed"]
    version: str
    previous_version: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class UiFiles(WireModel):
    """Answer of `GET /_nimbus/ui`: each file of the UI bundle with its SHA-256 in hex."""

    files: dict[str, str]
