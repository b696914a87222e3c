"""A signed-in client of the public API, as tests of whole stacks use it."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], *, seconds: float, what: str, every: float = 0.1) -> T:
    """The first truthy value of `condition`; fails when there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(every)


class Api:
    """The gateway's public API over HTTP, with the cookie and the Origin that a browser would send."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False, headers={"Origin": url})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def sign_in(self, username: str, password: str) -> Self:
        """Sign in; the cookie stays in the client."""
        answer = self.http.post("/api/auth/login", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        return self

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.http.post(path, **options)

    def plugin(self, plugin_id: str) -> dict[str, Any]:
        """The plugin's detail."""
        answer = self.get(f"/api/plugins/{plugin_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def enable(self, plugin_id: str, *, wait: int = 60) -> dict[str, Any]:
        """Enable and wait until every worker serves it."""
        answer = self.post(f"/api/plugins/{plugin_id}/enable", params={"wait": wait})
        assert answer.status_code == 200, answer.text
        plugin: dict[str, Any] = answer.json()["plugin"]
        return plugin

    def disable(self, plugin_id: str, *, wait: int = 30) -> dict[str, Any]:
        """Disable and wait until no worker serves it."""
        answer = self.post(f"/api/plugins/{plugin_id}/disable", params={"wait": wait})
        assert answer.status_code == 200, answer.text
        plugin: dict[str, Any] = answer.json()["plugin"]
        return plugin

    def state(self, plugin_id: str) -> str:
        return str(self.plugin(plugin_id)["state"])

    def wait_for_state(self, plugin_id: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        """The plugin's detail once it is in one of the states."""

        def reached() -> dict[str, Any] | None:
            plugin = self.plugin(plugin_id)
            return plugin if plugin["state"] in states else None

        return wait_until(reached, seconds=seconds, what=f"{plugin_id} to be {' or '.join(states)}")
