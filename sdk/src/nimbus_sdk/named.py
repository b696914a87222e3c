"""Settings that are a list of named things with a secret each, such as servers with their keys.

A secret must be a setting of its own (`x-secret`), so that it is encrypted where it is kept and never shown. So the
things are one setting, a list, and their secrets another, by name; `NamedSettings` keeps the two together.
"""

from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from fastapi import HTTPException

from nimbus_sdk.client.config import Config


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    def model_dump(self, *, mode: str) -> dict[str, object]: ...


ItemT = TypeVar("ItemT", bound=_Named)


class NamedSettings(Generic[ItemT]):
    """The things, for routes that show, store and remove one.

    Args:
        config: the plugin's settings in the core.
        what: what people call one, such as ``server``; messages name it.
        items: the setting that holds them, and what it holds.
        secrets: the setting that holds their secrets by name, and what it holds.
    """

    def __init__(
        self,
        config: Config,
        what: str,
        *,
        items: tuple[str, Sequence[ItemT]],
        secrets: tuple[str, Mapping[str, str]],
    ) -> None:
        self._config = config
        self._what = what
        self._items_key, self._items = items
        self._secrets_key, self._secrets = secrets

    def get(self, name: str) -> ItemT:
        """One of them.

        Raises:
            HTTPException: 404, there is none with this name.
        """
        for item in self._items:
            if item.name == name:
                return item
        raise HTTPException(404, f"There is no {self._what} {name}.")

    async def put(self, name: str, item: ItemT, secret: str | None) -> bool:
        """Add one, or replace the one with this name; whether it has a secret now.

        Args:
            name: as the address says.
            item: as the body says.
            secret: of now on; None leaves it as it was, an empty one takes it away.

        Raises:
            HTTPException: 422, address and body do not agree on the name.
        """
        if item.name != name:
            raise HTTPException(422, f"The body names the {self._what} {item.name!r}, the address {name!r}.")
        others = [one for one in self._items if one.name != name]
        await self._keep([*others, item])
        if secret is None:
            return bool(self._secrets.get(name))
        await self._config.set(self._secrets_key, self._others(name) | ({name: secret} if secret else {}))
        return bool(secret)

    async def remove(self, name: str) -> None:
        """Remove one and its secret.

        Raises:
            HTTPException: 404, there is none with this name.
        """
        self.get(name)
        await self._keep([one for one in self._items if one.name != name])
        if name in self._secrets:
            await self._config.set(self._secrets_key, self._others(name))

    async def _keep(self, items: Sequence[ItemT]) -> None:
        await self._config.set(self._items_key, [one.model_dump(mode="json") for one in items])

    def _others(self, name: str) -> dict[str, str]:
        return {key: value for key, value in self._secrets.items() if key != name}
