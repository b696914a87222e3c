"""`validate` reads from the code which permissions it uses; what it takes each call to need is what a core says."""

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from nimbus_sdk.cli.permissions import CALLS, Use, compare, other_packages, uses
from nimbus_sdk.client import Downloads, Events, Media, Plugins
from nimbus_sdk.contracts.core_api import MediaUpsert
from nimbus_sdk.contracts.events import EventPublish
from nimbus_sdk.errors import PermissionMissing
from nimbus_sdk.testing import PluginTestClient

from tests.sdk.conftest import MakePlugin

HEAD = "from nimbus_sdk import Core, Downloads, Events, Media, Plugin, Plugins\nplugin = Plugin(__name__)\n"


def found(source: str) -> list[tuple[str, int]]:
    return [(use.permission, use.line - 2) for use in uses({"src/x/__init__.py": HEAD + source}) if use.sure]


class TestWhatIsUsed:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("async def f(media: Media):\n  await media.get('1')", [("media:read", 2)]),
            ("async def f(media: Media | None):\n  await media.create('a', 'b')", [("media:write", 2)]),
            ("async def f(library: 'Media'):\n  await library.get('1')", [("media:read", 2)]),
            ("async def f(core: Core):\n  [x async for x in core.downloads.queue()]", [("downloads:read", 2)]),
            ("async def f():\n  await plugin.core.events.publish('x')", [("events:publish", 2)]),
            ("async def f(core: Core):\n  m = core.media\n  await m.delete('1')", [("media:write", 3)]),
            ("@plugin.get('/x')\nasync def f(media):\n  await media.get('1')", [("media:read", 3)]),
            ("async def f(plugins: Plugins):\n  await plugins.call('indexer', '/s')", [("plugins:call:indexer", 2)]),
            ("async def f(plugins: Plugins, which):\n  await plugins.call(which, '/s')", [("plugins:call:*", 2)]),
            ("async def f(plugins: Plugins):\n  await plugins.find()", []),
            ("async def f(media: Media):\n  async def g():\n    await media.get('1')", [("media:read", 3)]),
            ("async def f(media: Media):\n  run(media.get)", [("media:read", 2)]),
            (
                "class W:\n def __init__(self, m: Media):\n  self.m = m\n def f(self):\n  return self.m.get('1')",
                [("media:read", 5)],
            ),
            ("class Work:\n  media: Media\n\nasync def f(w: Work):\n  await w.media.get('1')", [("media:read", 5)]),
        ],
    )
    def test_calls_are_found_with_their_line(self, source: str, expected: list[tuple[str, int]]) -> None:
        assert found(source) == expected

    @pytest.mark.parametrize(
        "source",
        [
            "async def f(media):\n  await media.get('1')",  # nobody hands it in
            "async def f(media: dict):\n  media.get('1')",
            "async def f(media: Media):\n  def g(media: dict):\n    media.get('1')",
            "async def f(media: Media):\n  media = {}\n  media.get('1')",
            "class A:\n  media: Media\nclass B:\n  media: dict\n\ndef f(b: B):\n  b.media.get('1')",
            "this is no Python",
        ],
    )
    def test_what_is_not_known_to_be_the_sdks_is_left_out(self, source: str) -> None:
        assert found(source) == []

    def test_imports_that_reach_other_machines_are_a_guess(self) -> None:
        for line in ("import httpx", "from urllib import request", "from urllib.request import urlopen"):
            assert [(use.permission, use.sure) for use in uses({"x.py": line})] == [("network:egress", False)], line
        assert uses({"x.py": "import urllib.parse, json\nfrom .socket import x"}) == []


class TestBothWays:
    def test_what_is_used_must_be_declared(self) -> None:
        used = [Use("media:read", "src/x.py", 3, "media.get()"), Use("media:read", "src/x.py", 9, "media.page()")]
        errors, warnings = compare(used, [], [])
        assert ([error.path for error in errors], warnings) == (["src/x.py:3"], [])
        assert "media:read, and 1 more such places; add it to permissions in manifest.json" in errors[0].message

    def test_a_guess_is_only_a_warning(self) -> None:
        errors, warnings = compare([Use("network:egress", "x.py", 1, "httpx", sure=False)], [], [])
        assert (errors, [warning.path for warning in warnings]) == ([], ["x.py:1"])

    def test_what_is_declared_must_be_used(self) -> None:
        errors, warnings = compare([], ["media:read", "network:egress"], [])
        assert (errors, [warning.path for warning in warnings]) == (
            [],
            ["manifest.json#/permissions/0", "manifest.json#/permissions/1"],
        )
        assert compare([], ["network:egress"], [], others={"yt_dlp"}) == ([], [])

    @pytest.mark.parametrize("pattern", ["io.nimbus.media.*.v1", "io.nimbus.**", "**", "*.nimbus.*.created.v1"])
    def test_hearing_of_something_is_a_use(self, pattern: str) -> None:
        assert compare([], ["media:read"], [pattern]) == ([], [])
        assert len(compare([], ["media:read"], ["io.nimbus.user.*.v1", "plugin.x.*"])[1]) == 1

    def test_wide_permissions(self) -> None:
        calls = [Use("downloads:write", "x.py", 1, ""), Use("plugins:call:*", "x.py", 2, "")]
        assert compare(calls, ["downloads:*", "plugins:call:indexer"], []) == ([], [])
        assert "<the id of each plugin that it calls>" in compare(calls[1:], [], [])[0][0].message

    def test_packages_of_others(self) -> None:
        code = "import json, yt_dlp.utils\nfrom nimbus_sdk import Media\nfrom films.lists import a\nfrom . import b"
        assert other_packages({"src/films/lists.py": code}) == {"yt_dlp"}


ARGUMENTS: dict[str, dict[str, tuple[Any, ...]]] = {
    "media": {
        **dict.fromkeys(("get", "delete", "update"), ("id",)),
        "find": ("movie", "imdb:1"),
        "create": ("movie", "X"),
        "upsert": ([MediaUpsert(kind="movie", title="X", external_id="a:1")],),
    },
    "downloads": {
        **dict.fromkeys(("get", "pause", "resume", "cancel", "retry", "delete", "update"), ("id",)),
        "create": ("http://a.example/x",),
        "report": ("id", "running"),
    },
    "events": {"publish": ("plugin.x.y",), "publish_all": ([EventPublish(type="plugin.x.y")],)},
    "plugins": {"call": ("other", "/x")},
}


class TestTruth:
    """The table of calls, against the test kit's core, which `tests/contract` holds against the real one."""

    @pytest.mark.parametrize("kind", [Media, Downloads, Events, Plugins])
    def test_every_call_is_in_the_table(self, kind: type) -> None:
        public = {
            name
            for name, member in vars(kind).items()
            if not name.startswith("_")
            and (inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member))
        }
        assert public - {"find" if kind is Plugins else ""} == set(CALLS[kind.__name__.lower()])

    @pytest.mark.parametrize(
        ("area", "name", "permission"),
        [(area, name, permission) for area, calls in CALLS.items() for name, permission in calls.items()],
    )
    def test_a_core_asks_for_the_same(self, make_plugin: MakePlugin, area: str, name: str, permission: str) -> None:
        plugin = make_plugin()
        with PluginTestClient(plugin) as client:
            client.core.permissions = set()
            call: Callable[..., Any] = getattr(getattr(plugin.core, area), name)

            async def run() -> None:
                made = call(*ARGUMENTS[area].get(name, ()))
                if isinstance(made, AsyncIterator):
                    await anext(made)
                else:
                    await made

            with pytest.raises(PermissionMissing) as refused:
                client.call(run)
        assert refused.value.permission == permission.replace("*", "other")
