"""The route table against the declared order of patterns."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_gateway.proxy.routes import CompiledRoute, compile_plugin, compile_snapshot
from nimbus_sdk.contracts.routes import route_conflicts, specificity
from nimbus_sdk.contracts.snapshot import Snapshot

from tests.support.gateway import manifest, snapshot_plugin

ADDRESS = ("127.0.0.1", 1)


def table(*routes):
    described = [{"path": path, "methods": methods.split(), "auth": "none"} for path, methods in routes]
    return compile_plugin(snapshot_plugin(manifest(described), ADDRESS))


def template(plugin, path, method="GET"):
    found = plugin.match(path[1:].split("/"), method)
    return found.template if isinstance(found, CompiledRoute) else found


class TestMatch:
    PLUGIN = table(
        ("/items/{id}", "GET POST"),
        ("/items/new", "GET"),
        ("/items/{id}/parts/{rest:path}", "GET"),
        ("/items/{id}/parts/first", "GET"),
        ("/{rest:path}", "DELETE"),
        ("/any", "*"),
        ("/", "GET"),
    )

    @pytest.mark.parametrize(
        ("path", "method", "expected"),
        [
            ("/", "GET", "/"),
            ("/", "DELETE", frozenset({"GET", "HEAD"})),
            ("/items/new", "GET", "/items/new"),
            ("/items/new", "HEAD", "/items/new"),
            ("/items/7", "GET", "/items/{id}"),
            ("/items/new", "POST", "/items/{id}"),
            ("/items/7/parts/first", "GET", "/items/{id}/parts/first"),
            ("/items/7/parts/first/x", "GET", "/items/{id}/parts/{rest:path}"),
            ("/items/7/parts/a/", "GET", "/items/{id}/parts/{rest:path}"),
            ("/items/7/parts/", "GET", frozenset({"DELETE"})),
            ("/items/7/parts/", "DELETE", "/{rest:path}"),
            ("/any", "PROPFIND", "/any"),
            ("/nothing", "GET", frozenset({"DELETE"})),
            ("/_nimbus", "DELETE", None),
            ("/_NIMBUS/health", "DELETE", None),
        ],
    )
    def test_table(self, path, method, expected):
        assert template(self.PLUGIN, path, method) == expected

    def test_nothing_matches_an_empty_table(self):
        assert template(table(), "/a") is None

    def test_a_parameter_is_never_empty(self):
        assert template(table(("/a/{id}", "GET")), "/a/") is None


SEGMENTS = st.sampled_from(["a", "b", "{x}", "{y}"])
PATTERNS = st.tuples(st.lists(SEGMENTS, min_size=1, max_size=3), st.booleans()).map(
    lambda parts: "/" + "/".join(parts[0] + (["{rest:path}"] if parts[1] else []))
)


def matches(pattern, segments):
    parts = pattern[1:].split("/")
    for position, part in enumerate(parts):
        if part == "{rest:path}":
            return "/".join(segments[position:]) != "" and len(segments) > position
        if position >= len(segments) or (part[0] == "{" and not segments[position]):
            return False
        if part[0] != "{" and part != segments[position]:
            return False
    return len(parts) == len(segments)


class TestAgainstTheRule:
    @given(st.lists(PATTERNS, max_size=6), st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4))
    def test_the_most_specific_pattern_that_matches_wins(self, patterns, segments):
        kept = []
        for pattern in patterns:
            if not route_conflicts([(path, ["GET"]) for path in [*kept, pattern]]):
                kept.append(pattern)
        expected = next((path for path in sorted(kept, key=specificity) if matches(path, segments)), None)
        assert template(table(*((path, "GET") for path in kept)), "/" + "/".join(segments)) == expected


class TestLimits:
    def test_a_routes_own_limits_win(self):
        routes = [
            {"path": "/a", "auth": "none"},
            {"path": "/b", "auth": "none", "timeout": "0", "maxBody": "1k"},
            {"path": "/c", "auth": "apikey", "role": "admin", "scopes": ["demo:read"], "timeout": "5s"},
        ]
        plugin = compile_plugin(snapshot_plugin(manifest(routes, maxBody="2m"), ADDRESS))
        first, second, third = (plugin.match([name], "GET") for name in "abc")
        assert (first.response_timeout, first.idle_timeout, first.max_body) == (30.0, 300.0, 2 * 1024**2)
        assert (second.response_timeout, second.idle_timeout, second.max_body) == (None, None, 1024)
        assert (third.response_timeout, third.admin, third.scopes) == (5.0, True, frozenset({"demo:read"}))


class TestSnapshot:
    def test_unchanged_plugins_are_taken_over(self):
        one = snapshot_plugin(manifest([], "one"), ADDRESS)
        two = snapshot_plugin(manifest([], "two"), ADDRESS)
        first = compile_snapshot(Snapshot(generation=1, instance="x", plugins=[one, two]))
        later = two.model_copy(update={"token_sha256": "ab"})
        second = compile_snapshot(
            Snapshot(generation=2, instance="x", plugins=[one.model_copy(deep=True), later]), first
        )
        assert second.routes["one"] is first.routes["one"]
        assert second.routes["two"] is not first.routes["two"]
        assert second.token_index == {"ab": "two"}

    def test_many_plugins_cost_a_request_nothing(self):
        routes = [{"path": f"/r{number}/{{id}}", "auth": "none"} for number in range(20)]
        plugins = [snapshot_plugin(manifest(routes, f"p{number}"), ADDRESS) for number in range(300)]
        compiled = compile_snapshot(Snapshot(generation=1, instance="x", plugins=plugins))
        started = time.perf_counter()
        for _ in range(10_000):
            assert isinstance(compiled.routes["p299"].match(("r19", "x"), "GET"), CompiledRoute)
        assert time.perf_counter() - started < 1
