"""What the operator can set."""

from nimbus_sdk import Settings
from pydantic import Field


class DownloaderSettings(Settings):
    """The same is in the manifest, where the dashboard finds it."""

    parallel: int = Field(3, ge=1, le=20, description="How many downloads run at a time.")
    speed_limit_kib: int = Field(0, ge=0, description="KiB a second for all downloads together; 0 is no limit.")
    max_bytes: int = Field(100 * 1024**3, ge=1, description="The largest file that is taken.")
    add_to_library: bool = Field(default=True, description="Put finished files into the media library.")
    media_kind: str = Field(
        "file", pattern=r"^[a-z][a-z0-9-]{0,39}$", description="Their kind, when the download names none."
    )
