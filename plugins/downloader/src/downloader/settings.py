"""What the operator can set."""

from nimbus_sdk import Settings
from pydantic import Field


class DownloaderSettings(Settings):
    """The same is in the manifest, where the dashboard finds it."""

    parallel: int = Field(3, ge=1, le=20, title="Downloads at a time", description="More wait in the queue.")
    speed_limit_kib: int = Field(
        0, ge=0, title="Speed limit (KiB a second)", description="For all downloads together; 0 is no limit."
    )
    max_bytes: int = Field(
        100 * 1024**3,
        ge=1,
        title="Largest file (bytes)",
        description="Larger ones are refused. 1 GiB is 1073741824, 100 GiB are 107374182400.",
    )
    add_to_library: bool = Field(default=True, description="Put finished files into the media library.")
    media_kind: str = Field(
        "file",
        pattern=r"^[a-z][a-z0-9-]{0,39}$",
        title="Kind in the library",
        description="Of files whose download names none: lower-case letters, digits and hyphens.",
    )
