"""What the operator sets."""

from nimbus_sdk import Settings
from pydantic import Field


class SonarrSettings(Settings):
    """The same is in the manifest."""

    instance_name: str = Field("Nimbus", min_length=1, max_length=60, description="What clients show as its name.")
    root_folder: str = Field(
        "/library/series",
        pattern=r"^/[^\x00-\x1f]*$",
        max_length=300,
        description="The root folder that clients are offered first. Files stay where the downloader puts them.",
    )
    indexer: str = Field(
        "indexer",
        pattern=r"^[a-z][a-z0-9-]{1,39}$",
        description="The plugin that is searched. It needs the permission to call it.",
    )
