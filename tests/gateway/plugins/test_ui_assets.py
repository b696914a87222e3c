"""UI files: fetched, checked, kept by content, and served by look-up only."""

import hashlib
import json

import pytest
from nimbus_gateway.plugins.ui_assets import UiRefusedError, check_list, content_hash, content_type
from nimbus_sdk.contracts.snapshot import UiAssets

from tests.support.connections import tcp_server
from tests.support.gateway import manifest, read_body, read_head, respond, running_gateway, snapshot_plugin

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FILES = {"web/main.js": b"export default 1", "web/chunk-1.css": b"a{}", "web/logo.svg": b"<svg onload=alert(1)/>"}


def hashes(files):
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


class UiPlugin:
    """Serves a list and its files; either can be made to lie."""

    def __init__(self, files=None, listed=None):
        self.files = dict(FILES) if files is None else files
        self.listed = hashes(self.files) if listed is None else listed
        self.seen = []

    async def __call__(self, reader, writer):
        while (request := await read_head(reader)) is not None:
            await read_body(reader, request)
            self.seen.append(request)
            path = request.target.removeprefix("/_nimbus/ui")
            if path == "":
                writer.write(respond(json.dumps({"files": self.listed}).encode()))
            elif path[1:] in self.files:
                writer.write(respond(self.files[path[1:]]))
            else:
                writer.write(respond(b"", "404 Not Found"))


async def fetch(gateway, address, bundle="web/main.js"):
    body = json.dumps({"pluginId": "demo", "upstream": {"host": address[0], "port": address[1]}, "bundle": bundle})
    raw = body.encode()
    answer = await gateway.raw(
        b"POST /internal/v1/ui HTTP/1.1\r\nHost: gateway-control\r\nConnection: close\r\n"
        b"Authorization: Bearer service-token-of-the-tests-of-this-gateway\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(raw) + raw,
        port=gateway.management_port,
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0]
    return json.loads(body)


class TestFetch:
    async def test_files_are_fetched_and_served_by_their_address(self, tmp_path):
        plugin = UiPlugin()
        async with tcp_server(plugin) as address, running_gateway(tmp_path) as gateway:
            result = await fetch(gateway, address)
            assert result["ok"]
            assets = UiAssets.model_validate(result["assets"])
            assert assets.files == hashes(FILES)
            assert all(request.get("x-nimbus-identity") for request in plugin.seen)
            await gateway.publish(snapshot_plugin(manifest([]), address, ui=assets))
            base = f"/plugin-assets/demo/{assets.content_hash}"
            answer = await gateway.get(f"{base}/web/main.js")
            assert (answer.status, answer.body) == (200, FILES["web/main.js"])
            assert answer.get("content-type") == "text/javascript; charset=utf-8"
            assert "immutable" in answer.get("cache-control")
            assert answer.get("x-content-type-options") == "nosniff"
            assert answer.get("access-control-allow-origin") == "*"
            again = await gateway.get(f"{base}/web/main.js", f"If-None-Match: {answer.get('etag')}")
            assert (again.status, again.body) == (304, b"")
            assert (await gateway.get(f"{base}/web/main.js", method="HEAD")).get("content-length") == "16"
            assert "sandbox" in (await gateway.get(f"{base}/web/logo.svg")).get("content-security-policy")
            assert (await gateway.get(f"{base}/web/main.js", method="POST", body=b"")).status == 405

    async def test_what_is_kept_already_is_not_fetched_again(self, tmp_path):
        plugin = UiPlugin()
        async with tcp_server(plugin) as address, running_gateway(tmp_path) as gateway:
            await fetch(gateway, address)
            plugin.seen.clear()
            assert (await fetch(gateway, address))["ok"]
            assert [request.target for request in plugin.seen] == ["/_nimbus/ui"]

    @pytest.mark.parametrize(
        ("plugin", "bundle", "said"),
        [
            (UiPlugin(listed={"web/main.js": "0" * 64}), "web/main.js", "hash"),
            (UiPlugin(listed={"web/main.js": "short"}), "web/main.js", "not acceptable"),
            (UiPlugin(listed={"../main.js": "0" * 64}), "../main.js", "not acceptable"),
            (UiPlugin(listed={**hashes(FILES), "web/gone.js": "0" * 64}), "web/main.js", "404"),
            (UiPlugin(), "web/other.js", "not acceptable"),
            (UiPlugin(listed=[]), "web/main.js", "must answer"),
        ],
    )
    async def test_what_is_wrong_is_said(self, tmp_path, plugin, bundle, said):
        async with tcp_server(plugin) as address, running_gateway(tmp_path) as gateway:
            result = await fetch(gateway, address, bundle)
            assert result["ok"] is False
            assert said in result["detail"]

    async def test_too_many_bytes(self, tmp_path, monkeypatch):
        monkeypatch.setattr("nimbus_gateway.plugins.ui_assets.MAX_BYTES", 20)
        async with tcp_server(UiPlugin()) as address, running_gateway(tmp_path) as gateway:
            result = await fetch(gateway, address)
            assert result["ok"] is False
            assert "larger than" in result["detail"]


class TestServing:
    @pytest.mark.parametrize(
        "path",
        [
            "/plugin-assets/demo/{hash}/web/none.js",
            "/plugin-assets/demo/{hash}/web",
            "/plugin-assets/demo/{hash}/",
            "/plugin-assets/demo/{hash}",
            "/plugin-assets/demo/" + "0" * 64 + "/web/main.js",
            "/plugin-assets/other/{hash}/web/main.js",
            "/plugin-assets/demo/{hash}/web/%2e%2e/web/main.js",
            "/plugin-assets/demo/{hash}/../../service-token",
            "/plugin-assets/demo/{hash}/..%2f..%2fservice-token",
        ],
    )
    async def test_only_what_is_listed(self, tmp_path, path):
        async with tcp_server(UiPlugin()) as address, running_gateway(tmp_path) as gateway:
            assets = UiAssets.model_validate((await fetch(gateway, address))["assets"])
            await gateway.publish(snapshot_plugin(manifest([]), address, ui=assets))
            answer = await gateway.get(path.replace("{hash}", assets.content_hash))
            assert answer.status in {400, 404}
            assert b"service-token" not in answer.body

    async def test_a_disabled_plugin_shows_nothing(self, tmp_path):
        async with tcp_server(UiPlugin()) as address, running_gateway(tmp_path) as gateway:
            assets = UiAssets.model_validate((await fetch(gateway, address))["assets"])
            await gateway.publish(snapshot_plugin(manifest([]), None, ui=assets, enabled=False, state="disabled"))
            assert (await gateway.get(f"/plugin-assets/demo/{assets.content_hash}/web/main.js")).status == 404


class TestRules:
    @pytest.mark.parametrize(
        "path", ["/a.js", "a//b", "a/../b", ".hidden", "a b", "a\\b", "a?b", "", "a/", "x" * 300]
    )
    def test_unsafe_paths(self, path):
        with pytest.raises(UiRefusedError) as caught:
            check_list({path: "0" * 64, "m.js": "0" * 64}, "m.js")
        assert caught.value.errors

    def test_too_many_files(self):
        with pytest.raises(UiRefusedError):
            check_list({f"f{number}.js": "0" * 64 for number in range(501)}, "f0.js")

    def test_the_hash_of_the_whole_depends_on_names_and_contents(self):
        first = content_hash({"a": "1", "b": "2"})
        assert first == content_hash({"b": "2", "a": "1"})
        assert len({first, content_hash({"a": "2", "b": "1"}), content_hash({"a": "1"}), content_hash({})}) == 4

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.HTML", "application/octet-stream"),
            ("a", "application/octet-stream"),
        ],
    )
    def test_types(self, path, kind):
        assert content_type(path) == kind
