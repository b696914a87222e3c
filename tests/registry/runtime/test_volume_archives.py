"""Archives of data volumes on an engine whose helpers do not go away."""

import io
from typing import Any

import pytest
from docker.errors import APIError
from nimbus_registry.runtime import volume_archives
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.spec import Names
from nimbus_registry.runtime.volume_archives import VolumeArchives
from nimbus_sdk.contracts.archive import ArchiveError

pytestmark = pytest.mark.anyio

NAMES = Names("test", "sample")


class Volumes:
    """Removes a helper once, before it is made; after that neither helpers nor copies go away."""

    def __init__(self) -> None:
        self.removed = self.dropped = 0

    async def helper_image(self) -> str:
        return "helper"

    async def remove_container(self, _: Names, name: str) -> None:
        assert name == NAMES.archiver
        self.removed += 1
        if self.removed > 1:
            raise APIError("removal is in progress")

    async def drop_snapshot(self, _: Names, name: str) -> None:
        assert name == "incoming"
        self.dropped += 1
        if self.dropped > 1:
            raise RuntimeFailure("stop", "volume-in-use", "It is in use.")


class Engine:
    """Runs what it is given without an engine behind."""

    async def call(self, work: Any, **_: Any) -> Any:
        return work(None)


@pytest.fixture
def volumes(monkeypatch: pytest.MonkeyPatch) -> Volumes:
    monkeypatch.setattr(volume_archives, "create_container", lambda *_: "made")
    return Volumes()


def archives(volumes: Volumes) -> VolumeArchives:
    engine: Any = Engine()
    kept: Any = volumes
    return VolumeArchives(engine, kept)


async def test_a_helper_that_stays_makes_no_failure_of_a_success(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[str] = []
    monkeypatch.setattr(volume_archives, "_fill", lambda _api, container, *_: filled.append(container))
    await archives(volumes).take_in(NAMES, "incoming", io.BytesIO(), None)
    assert (filled, volumes.removed, volumes.dropped) == ([NAMES.archiver], 2, 1)


async def test_what_went_wrong_is_told_although_the_copy_stays(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ArchiveError("it is not whole")

    monkeypatch.setattr(volume_archives, "_fill", broken)
    with pytest.raises(ArchiveError, match="not whole"):
        await archives(volumes).take_in(NAMES, "incoming", io.BytesIO(), None)
    assert (volumes.removed, volumes.dropped) == (2, 2)
