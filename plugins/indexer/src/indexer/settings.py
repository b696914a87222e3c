"""What the operator sets: the servers, their keys, and what is preferred."""

from typing import Annotated, Literal

from nimbus_sdk import Settings
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=60)]


class Server(BaseModel):
    """A Newznab or Torznab server."""

    model_config = ConfigDict(json_schema_extra={"x-action": {"label": "Test", "path": "/servers/{name}/test"}})

    name: Name = Field(description="Short name: lower-case letters, digits and hyphens.")
    url: str = Field(
        pattern=r"^https?://[^\s/]+\S*$",
        max_length=1000,
        title="Address",
        description="With or without /api at the end.",
    )
    kind: Literal["newznab", "torznab"] = "newznab"
    enabled: bool = True
    priority: int = Field(10, ge=1, le=100, description="Of the same release on two servers, the lower number wins.")
    categories: list[Annotated[int, Field(ge=0, le=999_999)]] = Field(
        default_factory=list, max_length=50, description="Only these, e.g. 2000 for films, 5000 for series."
    )


class IndexerSettings(Settings):
    """The same is in the manifest. The plugin's page is the pleasant way to change it."""

    servers: list[Server] = Field(
        default_factory=list, max_length=50, description="Which are searched. Their API keys stand below."
    )
    keys: dict[str, str] = Field(
        default_factory=dict,
        repr=False,
        json_schema_extra={"x-secret": True},
        title="API keys",
        description='By the server\'s name, e.g. {"my-server": "0123abc"}.',
    )
    prefer: list[Word] = Field(
        default=["1080p", "2160p", "720p"],
        max_length=20,
        title="Preferred words",
        description="In titles of releases, the best first.",
    )
    avoid: list[Word] = Field(
        default=["cam", "telesync"],
        max_length=50,
        title="Words to avoid",
        description="Releases with one of them come last.",
    )
    timeout: int = Field(15, ge=1, le=60, title="Timeout (seconds)", description="What one server may take.")
