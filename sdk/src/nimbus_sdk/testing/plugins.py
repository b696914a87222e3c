"""Other plugins, as a test describes them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from nimbus_sdk.contracts.calls import CallablePlugin, CallablePluginList
from nimbus_sdk.testing.refusals import Refused

Answer = Callable[[httpx.Request], httpx.Response]


@dataclass(slots=True)
class FakePlugins:
    """The other plugins that are on.

    Attributes:
        answers: by plugin id, what answers calls; the request's path is the route.
        capabilities: by plugin id.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    capabilities: dict[str, list[str]] = field(default_factory=dict)

    def add(self, plugin_id: str, answer: Answer, *, capabilities: list[str] | None = None) -> None:
        """Let there be another plugin."""
        self.answers[plugin_id] = answer
        self.capabilities[plugin_id] = capabilities or []

    def found(self, capability: str | None, permissions: set[str]) -> httpx.Response:
        """Answer `GET /plugins`."""
        items = [
            CallablePlugin(
                id=plugin_id,
                name=plugin_id,
                version="1.0.0",
                capabilities=self.capabilities[plugin_id],
                ready=True,
                callable=f"plugins:call:{plugin_id}" in permissions,
            )
            for plugin_id in sorted(self.answers)
            if capability is None or capability in self.capabilities[plugin_id]
        ]
        return httpx.Response(200, json=CallablePluginList(items=items).wire())

    def call(self, request: httpx.Request, plugin_id: str, route: str) -> httpx.Response:
        """Pass a call on."""
        if plugin_id not in self.answers:
            raise Refused(404, "plugin-not-found", f"There is no plugin {plugin_id}.")
        url = request.url.copy_with(path=f"/{route}")
        return self.answers[plugin_id](
            httpx.Request(request.method, url, headers=request.headers, content=request.content)
        )
