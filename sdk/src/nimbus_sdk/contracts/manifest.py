"""The plugin manifest, version 1: ``manifest.json`` at the root of a plugin.

The JSON Schema published at ``docs/reference/manifest.schema.json`` is generated from these models.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from nimbus_sdk.contracts.base import PluginId, WireModel, empty_list
from nimbus_sdk.contracts.events import EventPattern
from nimbus_sdk.contracts.routes import check_route_path, route_conflicts
from nimbus_sdk.contracts.units import MOST_START, Duration, Size, parse_duration

Auth = Literal["none", "session", "apikey"]
Role = Literal["user", "admin"]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*"]
Isolation = Literal["module", "iframe"]

SemVer = Annotated[
    str,
    StringConstraints(
        pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
        r"(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$",
        max_length=64,
    ),
    Field(examples=["1.2.0"]),
]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
Permission = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z]+:[a-z0-9*-]+(?::[a-z0-9*-]+)?$", max_length=80),
    Field(examples=["media:read"]),
]
Scope = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*:[a-z0-9*:-]+$", max_length=80)]
RoutePath = Annotated[
    str, StringConstraints(max_length=256), AfterValidator(check_route_path), Field(examples=["/items/{id}"])
]
PagePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9_\-./:]*$", max_length=256)]
AssetPath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_\-][A-Za-z0-9_\-.]*(/[A-Za-z0-9_\-][A-Za-z0-9_\-.]*)*$", max_length=256),
    Field(examples=["web/main.js"]),
]
ExportName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_$][A-Za-z0-9_$]*$", max_length=80)]


class Requires(WireModel):
    """What a plugin needs of its host."""

    nimbus: Annotated[str, Field(examples=[">=0.1,<2"])] = Field(
        default=">=0.1", description="Range of Nimbus versions, in the form of PEP 440 specifiers."
    )


class ProcessRuntime(WireModel):
    """How the embedded runtime starts the plugin without a container."""

    command: list[Annotated[str, StringConstraints(min_length=1, max_length=1024)]] = Field(
        min_length=1, description="Program and arguments; `python` is the plugin's own environment."
    )


class Resources(WireModel):
    """The most a plugin asks for. The operator's maximum caps each value."""

    memory: Size = "256m"
    cpus: float = Field(default=1.0, gt=0, le=64)
    pids: int = Field(default=128, ge=8, le=4096)


class Timeouts(WireModel):
    """How long Nimbus waits; `0` means no limit (not allowed for `start`)."""

    start: Duration = Field(default="60s", description="From start to the first healthy answer; at most 1h.")
    response: Duration = Field(default="30s", description="From request to response head; at most 24h, or 0.")
    idle: Duration = Field(default="300s", description="Between two chunks of a body; at most 24h, or 0.")

    @field_validator("start")
    @classmethod
    def _start_is_bounded(cls, value: str) -> str:
        if parse_duration(value) == 0:
            raise ValueError("a start needs a limit; write a duration such as 60s")
        return value

    @property
    def start_seconds(self) -> float:
        """The time of a start, also of a manifest that was installed before it had a bound."""
        return min(parse_duration(self.start), parse_duration(MOST_START))


class Runtime(WireModel):
    """How the plugin is run. At least one of `image` and `process` is needed."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        default=None, description="Image reference; built from the plugin's folder when missing there."
    )
    process: ProcessRuntime | None = None
    port: int = Field(default=8000, ge=1, le=65535, description="The port the plugin listens on.")
    resources: Resources = Field(default_factory=Resources)
    data: bool = Field(default=False, description="True: a volume that survives updates, at NIMBUS_DATA_DIR.")
    timeouts: Timeouts = Field(default_factory=Timeouts)
    max_body: Size = Field(default="100m", description="Largest request body that is passed on.")

    @model_validator(mode="after")
    def _runnable(self) -> Self:
        if self.image is None and self.process is None:
            raise ValueError("a plugin needs runtime.image, runtime.process or both")
        return self


class Route(WireModel):
    """One HTTP route of the plugin that the gateway passes on. What is not declared answers 404."""

    path: RoutePath
    methods: list[Method] = Field(default=["GET"], min_length=1)
    auth: Auth = "session"
    role: Role = "user"
    scopes: list[Scope] = Field(default_factory=empty_list, description="Scopes an API key must hold, all of them.")
    timeout: Duration | None = Field(
        default=None, description="Overrides runtime.timeouts.response and idle; at most 24h, or 0."
    )
    max_body: Size | None = Field(default=None, description="Overrides runtime.maxBody.")
    tag: Annotated[str, StringConstraints(pattern=r"^compat:[a-z0-9-]+$")] | None = None


class EventsSection(WireModel):
    """Events the plugin wants and events it sends. `*` is one segment, `**` any number; at most 16 in all."""

    subscribe: list[EventPattern] = Field(default_factory=empty_list, max_length=100)
    publish: list[EventPattern] = Field(default_factory=empty_list, max_length=100)


class Schedule(WireModel):
    """A job that Nimbus starts by an event at the times of a cron line."""

    id: PluginId
    cron: Annotated[str, StringConstraints(min_length=9, max_length=120)]
    timezone: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="UTC", examples=["Europe/Vienna"], description="In the names of the IANA database."
    )
    missed: Literal["once", "skip"] = Field(
        default="once", description="When its time passed while nobody could run it: run once as soon as possible."
    )


class Dependency(WireModel):
    """Another plugin that this one needs."""

    id: PluginId
    version: str = "*"
    optional: bool = False


class NavItem(WireModel):
    """An entry in the dashboard's sidebar."""

    label: ShortText
    path: PagePath = "/"
    icon: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", max_length=60)] | None = None
    group: ShortText | None = None
    order: int = 0
    role: Role = "user"


class Page(WireModel):
    """A page of the plugin, at `/plugins/<id>` + `path` in the dashboard."""

    path: PagePath
    title: ShortText
    export: ExportName = "default"


class Slot(WireModel):
    """A place in the dashboard's own pages that the plugin fills."""

    target: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(/[a-z0-9-]+)*/v\d+$", max_length=80)]
    export: ExportName


class UserInterface(WireModel):
    """The plugin's part of the dashboard: one native ES module and what it exports."""

    bundle: AssetPath
    isolation: Isolation = "iframe"
    nav_items: list[NavItem] = Field(default_factory=empty_list, max_length=20)
    pages: list[Page] = Field(default_factory=empty_list, max_length=100)
    slots: list[Slot] = Field(default_factory=empty_list, max_length=50)


class ChangelogEntry(WireModel):
    """What one version of the plugin changed, for the people who run it."""

    version: SemVer
    date: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = Field(
        default=None, description="When it came out.", examples=["2026-11-27"]
    )
    changes: list[Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]] = Field(
        min_length=1, max_length=20, description="One change each, as plain text."
    )


class Manifest(WireModel):
    """A plugin's description of itself."""

    manifest_version: Literal[1]
    id: PluginId
    name: ShortText
    version: SemVer
    description: Annotated[str, StringConstraints(max_length=1000)] = ""
    author: Annotated[str, StringConstraints(max_length=200)] = ""
    license: Annotated[str, StringConstraints(max_length=100)] | None = None
    homepage: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=500)] | None = None
    icon: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+$", max_length=60)] | None = None
    requires: Requires = Field(default_factory=Requires)
    capabilities: list[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9:-]*$", max_length=60)]] = Field(
        default_factory=empty_list
    )
    runtime: Runtime
    permissions: list[Permission] = Field(default_factory=empty_list)
    routes: list[Route] = Field(default_factory=empty_list, max_length=500)
    settings: dict[str, Any] | None = Field(
        default=None,
        description="JSON Schema (2020-12) of the plugin's settings, an object, without `unevaluatedProperties` and "
        "`unevaluatedItems`; a pattern has at most 1000 characters.",
    )
    events: EventsSection = Field(default_factory=EventsSection)
    schedules: list[Schedule] = Field(default_factory=empty_list, max_length=20)
    dependencies: list[Dependency] = Field(default_factory=empty_list)
    activation: Literal["always", "on-demand"] = Field(
        default="always",
        description="`on-demand`: stopped when nobody uses it; the next request starts it.",
    )
    idle_after: Duration = Field(
        default="10m", description="How long nobody uses it before it is stopped, with `on-demand`; at least 1s."
    )
    ui: UserInterface | None = None
    changelog: list[ChangelogEntry] = Field(
        default_factory=empty_list,
        max_length=50,
        description="What its versions changed, in any order. Shown before an upgrade: the entries after the version "
        "that is installed.",
    )

    @field_validator("idle_after")
    @classmethod
    def _stays_awake_for_a_while(cls, value: str) -> str:
        if parse_duration(value) < 1:
            raise ValueError("at least 1s")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        conflicts = route_conflicts([(route.path, route.methods) for route in self.routes])
        if conflicts:
            raise ValueError("; ".join(conflicts))
        return self
