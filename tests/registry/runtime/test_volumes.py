"""Data volumes on an engine that answers with errors: each is a failure that people can be told about."""

from typing import Any

import pytest
from docker.errors import APIError
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.spec import ROLE_HELPER, ROLE_PLUGIN, Names
from nimbus_registry.runtime.volumes import Volumes

pytestmark = pytest.mark.anyio

NAMES = Names("test", "sample")


class Api:
    """The calls of a helper's life. What is in `refused` is answered with an error."""

    def __init__(self, *refused: str) -> None:
        self.refused = set(refused)
        self.called: list[str] = []

    def _answer(self, call: str, answer: Any = None) -> Any:
        self.called.append(call)
        if call in self.refused:
            raise APIError(f"{call} does not work")
        return answer

    def inspect_container(self, _: str) -> Any:
        return self._answer("inspect", {"Id": "1", "Config": {"Labels": NAMES.labels(ROLE_HELPER)}})

    def inspect_volume(self, name: str) -> Any:
        return self._answer("inspect volume", {"Name": name, "Labels": NAMES.labels(ROLE_PLUGIN)})

    def remove_volume(self, _: str) -> None:
        self._answer("remove volume")

    def remove_container(self, *_: Any, **__: Any) -> None:
        self._answer("remove")

    def start(self, _: str) -> None:
        self._answer("start")

    def wait(self, *_: Any, **__: Any) -> Any:
        return self._answer("wait", {"StatusCode": 0})


class Engine:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def call(self, work: Any, **_: Any) -> Any:
        return work(self._api)


def volumes(api: Api, monkeypatch: pytest.MonkeyPatch) -> Volumes:
    monkeypatch.setattr("nimbus_registry.runtime.volumes.create_container", lambda *_: "made")
    engine: Any = Engine(api)
    return Volumes(engine, "helper")


@pytest.mark.parametrize("call", ["inspect", "remove", "start", "wait"])
async def test_a_helper_that_fails_is_a_failure_of_the_copy(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    api = Api(call)
    with pytest.raises(RuntimeFailure, match="does not work") as caught:
        await volumes(api, monkeypatch).snapshot(NAMES, "copy", None)
    assert (caught.value.hop, caught.value.code) == ("init", "snapshot-failed")


async def test_a_helper_that_stays_makes_no_failure_of_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api()
    ended = api.wait

    def wait(*args: Any, **options: Any) -> Any:
        api.refused.add("remove")
        return ended(*args, **options)

    monkeypatch.setattr(api, "wait", wait)
    await volumes(api, monkeypatch).snapshot(NAMES, "copy", None)
    assert api.called[-1] == "remove"
