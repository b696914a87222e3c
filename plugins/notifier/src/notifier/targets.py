"""Where notifications go: the settings of one target, and which events it wants."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from nimbus_sdk import Event, Settings
from nimbus_sdk.contracts.events import EventPattern, event_matches
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from notifier.templates import lookup

Kind = Literal["webhook", "discord", "ntfy", "email"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
DEFAULT_EVENTS = (
    "io.nimbus.media.created.v1",
    "io.nimbus.download.completed.v1",
    "io.nimbus.download.failed.v1",
    "plugin.*.notify",
)
_NEEDED: dict[Kind, tuple[str, ...]] = {
    "webhook": ("url",),
    "discord": (),
    "ntfy": ("url", "topic"),
    "email": ("smtp_host", "mail_from", "mail_to"),
}


class Target(BaseModel):
    """One place that is told. Which fields it needs depends on its kind."""

    model_config = ConfigDict(
        json_schema_extra={"x-action": {"label": "Send a test", "path": "/targets/{name}/test"}}
    )

    name: Name = Field(description="Short name: lower-case letters, digits and hyphens.")
    kind: Kind
    enabled: bool = True
    events: list[EventPattern] = Field(
        default=list(DEFAULT_EVENTS), max_length=50, description="Patterns: * is one segment, ** any number."
    )
    filters: dict[str, str] = Field(
        default_factory=dict,
        description='Only events where each value fits, e.g. {"data.kind": "movie", "data.title": "*Metro*"}.',
    )
    title: str = Field("", max_length=500, description="Template, e.g. New: {data.title}. Empty: one that fits.")
    message: str = Field("", max_length=4000, description="Template of the text. Empty: one that fits.")
    url: str = Field(
        "",
        pattern=r"^(https?://[^\s/]+\S*)?$",
        max_length=1000,
        title="Address",
        description="webhook: where to post; ntfy: the server.",
    )
    topic: str = Field("", pattern=r"^[A-Za-z0-9_-]{0,64}$", description="ntfy: the topic.")
    priority: int = Field(3, ge=1, le=5, description="ntfy: 1 is least, 5 most.")
    smtp_host: str = Field("", max_length=255, title="Mail server", description="email: its host name.")
    smtp_port: int = Field(
        587, ge=1, le=65535, title="Port of the mail server", description="email: 587 with starttls, 465 with tls."
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", title="Encryption", description="email: as the mail server has it."
    )
    smtp_user: str = Field(
        "",
        max_length=255,
        title="User name",
        description="email: when the server wants one; its password is a secret.",
    )
    mail_from: str = Field("", max_length=320, title="Sender", description="email: the address it comes from.")
    mail_to: list[Annotated[str, StringConstraints(min_length=3, max_length=320)]] = Field(
        default_factory=list, max_length=50, title="Recipients", description="email: whom to write to."
    )

    @model_validator(mode="after")
    def _complete(self) -> "Target":
        missing = [name for name in _NEEDED[self.kind] if not getattr(self, name)]
        if missing:
            raise ValueError(f"a target of kind {self.kind} needs {' and '.join(missing)}")
        return self

    def wants(self, event: Event) -> bool:
        """Whether the target is told of an event."""
        if not self.enabled or not any(event_matches(pattern, event.type) for pattern in self.events):
            return False
        document = document_of(event)
        return all(fnmatchcase(lookup(document, path), pattern) for path, pattern in self.filters.items())


def document_of(event: Event) -> dict[str, Any]:
    """What templates and filters see of an event."""
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "subject": event.subject or "",
        "time": event.time.isoformat(timespec="seconds"),
        "data": event.data,
    }


class NotifierSettings(Settings):
    """What the operator sets. The plugin's page is the pleasant way to do it."""

    targets: list[Target] = Field(default_factory=list, max_length=50, description="Where notifications go.")
    secrets: dict[str, str] = Field(
        default_factory=dict,
        repr=False,
        json_schema_extra={"x-secret": True},
        description='By the target\'s name, e.g. {"my-phone": "tk_0123"}. discord: the webhook\'s whole address; '
        "ntfy: access token; email: password; webhook: signing secret (whsec_…).",
    )
    history_days: int = Field(
        default=7, ge=1, le=90, title="History (days)", description="How long sent notifications are listed."
    )
