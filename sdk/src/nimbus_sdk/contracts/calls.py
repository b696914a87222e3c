"""Calls between plugins: `/core/v1/plugins/{id}/call/<route>`, and finding whom to call.

The call is passed on to the other plugin's route as it is: method, query, body and answer, streamed. It needs the
permission `plugins:call:<id>`. The other plugin sees the caller in `X-Nimbus-Caller-Plugin` and the identity token.
"""

from pydantic import Field

from nimbus_sdk.contracts.base import WireModel


class CallablePlugin(WireModel):
    """A plugin that is on, as other plugins see it."""

    id: str
    name: str
    version: str
    capabilities: list[str]
    ready: bool
    callable: bool = Field(description="The asking plugin has the permission to call it.")


class CallablePluginList(WireModel):
    """Answer of `GET /core/v1/plugins`."""

    items: list[CallablePlugin]
