"""The plugin's own settings, as the operator set them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from nimbus_sdk.contracts.core_api import ConfigDocument, ConfigValue
from nimbus_sdk.errors import NotFound

if TYPE_CHECKING:
    from nimbus_sdk.client.transport import Transport


class Versioned(NamedTuple):
    """A setting and the version it was read at."""

    value: Any
    etag: str


class Config:
    """Reads and writes this plugin's settings. Values are checked against the manifest's `settings` schema.

    For a typed view of all of them at once, write a class derived from `Settings`.
    """

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport
        self.when_changed: Callable[[], None] | None = None
        """Called after each change that was made here, so that nobody goes on with what was read before."""

    async def all(self) -> dict[str, Any]:
        """Every setting that is set, with the schema's defaults for the others."""
        answer = await self._transport.json("GET", "/config")
        return ConfigDocument.model_validate(answer).values

    async def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - settings are any JSON
        """One setting, the schema's default, or `default` when there is neither."""
        try:
            return (await self.read(key)).value
        except NotFound:
            return default

    async def read(self, key: str) -> Versioned:
        """One setting with its version, for a guarded `set`.

        Raises:
            NotFound: it is not set and has no default.
        """
        answer = await self._transport.request("GET", _path(key))
        return Versioned(ConfigValue.model_validate(answer.json()).value, answer.headers.get("etag", ""))

    async def set(self, key: str, value: Any, *, etag: str | None = None) -> None:  # noqa: ANN401
        """Store one setting; with `etag` only when nobody changed it since.

        Raises:
            ValidationFailed: the value does not fit the manifest's schema.
            PreconditionFailed: it changed since it was read.
        """
        await self._transport.request("PUT", _path(key), json=ConfigValue(value=value).model_dump(), etag=etag)
        self._changed()

    async def delete(self, key: str) -> None:
        """Go back to the default. Nothing happens when it was not set."""
        try:
            await self._transport.request("DELETE", _path(key))
        except NotFound:
            return
        self._changed()

    def _changed(self) -> None:
        if self.when_changed is not None:
            self.when_changed()


def _path(key: str) -> str:
    return f"/config/{quote(key, safe='')}"
