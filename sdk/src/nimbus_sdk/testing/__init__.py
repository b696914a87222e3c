"""The test kit: run a plugin in memory, against a core in memory, as any caller.

::

    from nimbus_sdk.testing import PluginTestClient
    from hello import plugin

    def test_greets_the_user():
        with PluginTestClient(plugin) as client:
            client.core.media.add("movie", "Metropolis", year=1927)
            answer = client.as_user("ada").get("/status")
            assert answer.json()["media"] == 1
            assert client.anonymous().get("/status").status_code == 401
"""

from nimbus_sdk.testing.client import As, PluginTestClient
from nimbus_sdk.testing.core import FakeConfig, FakeCore, FakeEvents, FakeKv, FakeMedia

__all__ = ["As", "FakeConfig", "FakeCore", "FakeEvents", "FakeKv", "FakeMedia", "PluginTestClient"]
