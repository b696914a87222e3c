"""The shell around the proxy: dashboard files, the watch on the registry, signing keys, the service token."""

import asyncio
import json
import os
import re
import signal
import stat
import sys
import time

import pytest
from nimbus_gateway.__main__ import BindError, bind
from nimbus_gateway.auth.identity import KEY_LIFE_SECONDS, IdentitySigner, StoredKey, rotated, signing_key
from nimbus_gateway.errors import RegistryUnavailableError
from nimbus_gateway.observability import _escape
from nimbus_gateway.plugins.api import OWN_WORKER_SECONDS
from nimbus_gateway.registry_client import SnapshotCache
from nimbus_gateway.service_token import bearer_matches, load_service_token
from nimbus_sdk.contracts.snapshot import Snapshot
from nimbus_sdk.signing import verify_identity

from tests.support.connections import tcp_server
from tests.support.gateway import ADMIN, ALICE, Echo, eventually, manifest, running_gateway, snapshot_plugin

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PAGE = b'<!doctype html><script type="importmap" nonce="__NIMBUS_CSP_NONCE__">{}</script>'


def build_dashboard(folder):
    (folder / "web/assets").mkdir(parents=True)
    (folder / "web/index.html").write_bytes(PAGE)
    (folder / "web/frame.html").write_bytes(PAGE)
    (folder / "web/assets/main-1a2b.js").write_bytes(b"1")
    (folder / "web/favicon.svg").write_bytes(b"<svg/>")
    (folder / "secret.txt").write_bytes(b"secret")
    (folder / "web/link.txt").symlink_to(folder / "secret.txt")


class TestDashboard:
    async def test_the_page_is_served_for_every_address_with_its_own_nonce(self, tmp_path):
        build_dashboard(tmp_path)
        async with running_gateway(tmp_path) as gateway:
            nonces = set()
            for path in ("/", "/plugins/hello/deep/link", "/login"):
                answer = await gateway.get(path, "Accept: text/html,application/xhtml+xml")
                assert answer.status == 200
                policy = answer.get("content-security-policy")
                nonce = re.search(r"script-src 'self' 'nonce-([^']+)'", policy)[1]
                assert f'nonce="{nonce}"'.encode() in answer.body
                assert "default-src 'none'" in policy
                assert "frame-ancestors 'none'" in policy
                assert answer.get("cache-control") == "no-store"
                nonces.add(nonce)
            assert len(nonces) == 3

    async def test_files(self, tmp_path):
        build_dashboard(tmp_path)
        async with running_gateway(tmp_path) as gateway:
            script = await gateway.get("/assets/main-1a2b.js")
            assert (script.status, script.body) == (200, b"1")
            assert script.get("content-type") == "text/javascript; charset=utf-8"
            assert "immutable" in script.get("cache-control")
            icon = await gateway.get("/favicon.svg")
            assert icon.get("cache-control") == "no-cache"
            assert (await gateway.get("/favicon.svg", f"If-None-Match: {icon.get('etag')}")).status == 304

    @pytest.mark.parametrize(
        ("path", "accept", "status"),
        [
            ("/assets/gone.js", "*/*", 404),
            ("/assets/gone.js", "text/html", 404),
            ("/gone.png", "image/png", 404),
            ("/gone.png", "*/*", 404),
            ("/link.txt", "*/*", 404),
            ("/plugins/x", "application/json", 404),
            ("/plugins/x", "*/*", 200),
        ],
    )
    async def test_unknown_addresses(self, tmp_path, path, accept, status):
        build_dashboard(tmp_path)
        async with running_gateway(tmp_path) as gateway:
            assert (await gateway.get(path, f"Accept: {accept}")).status == status

    async def test_the_frame_for_plugin_pages_is_sandboxed_by_its_own_policy_and_framed_by_the_dashboard_only(
        self, tmp_path
    ):
        build_dashboard(tmp_path)
        async with running_gateway(tmp_path) as gateway:
            answer = await gateway.get("/plugin-frame", "Accept: text/html")
            assert answer.status == 200
            policy = answer.get("content-security-policy")
            nonce = re.search(r"script-src 'self' 'nonce-([^']+)'", policy)[1]
            assert f'nonce="{nonce}"'.encode() in answer.body
            for part in ("connect-src 'none'", "form-action 'none'", "frame-ancestors 'self'", "default-src 'none'"):
                assert part in policy
            assert policy.endswith("sandbox allow-scripts allow-forms")
            assert "unsafe" not in policy
            assert answer.get("x-frame-options") == "SAMEORIGIN"
            assert (await gateway.get("/", "Accept: text/html")).get("x-frame-options") == "DENY"
            # The frame's origin is opaque, so it needs leave to load the dashboard's modules; they hold no secret.
            script = await gateway.get("/assets/main-1a2b.js")
            assert script.get("access-control-allow-origin") == "*"
            assert (await gateway.get("/favicon.svg")).get("access-control-allow-origin") is None

    async def test_a_dashboard_that_is_not_built_says_how(self, tmp_path):
        async with running_gateway(tmp_path) as gateway:
            answer = await gateway.get("/", "Accept: text/html")
            assert answer.status == 503
            assert b"npm run build" in answer.body


class TestEdge:
    async def test_what_fails_unexpectedly_is_a_problem_with_the_requests_id(self, tmp_path, monkeypatch):
        async def broken(*_):
            raise ZeroDivisionError

        monkeypatch.setattr("nimbus_gateway.web.WebApp._send_page", broken)
        async with running_gateway(tmp_path) as gateway:
            answer = await gateway.get("/")
            assert (answer.status, answer.json()["type"]) == (500, "/problems/internal")
            assert answer.json()["instance"] == answer.get("x-request-id")

    async def test_what_the_guard_refuses_has_an_id_too(self, tmp_path):
        async with running_gateway(tmp_path) as gateway:
            answer = await gateway.get("/a/../b")
            assert answer.json()["instance"] == answer.get("x-request-id")

    def test_nobody_writes_lines_or_colours_into_the_log(self):
        event = {"path": "/a\r\nforged", "user": "\x1b[31mred\x9b", "status": 200, "name": "Zoë"}
        assert _escape(None, "info", event) == {
            "path": "/a\\x0d\\x0aforged",
            "user": "\\x1b[31mred\\x9b",
            "status": 200,
            "name": "Zoë",
        }

    async def test_bodies_of_the_gateways_own_api_are_limited(self, tmp_path):
        async with running_gateway(tmp_path) as gateway:
            head = (
                b"POST /api/media HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 9000000\r\n\r\n"
            )
            assert b" 413 " in (await gateway.raw(head))[:20]


class TestWatch:
    async def test_the_last_snapshot_is_served_while_the_registry_is_away(self, tmp_path):
        echo = Echo()
        async with tcp_server(echo) as address:
            described = manifest([{"path": "/hello", "auth": "none"}])
            kept = Snapshot(generation=7, instance="test", plugins=[snapshot_plugin(described, address)])
            SnapshotCache(tmp_path / "snapshot.json").save(kept)
            async with running_gateway(tmp_path, registry_url="http://127.0.0.1:9", first=7) as gateway:
                assert gateway.state.registry.reachable is False
                assert (await gateway.get("/api/plugins/demo/hello")).status == 200
                with pytest.raises(RegistryUnavailableError):
                    await gateway.state.registry.plugins()

    async def test_a_broken_kept_snapshot_is_passed_over(self, tmp_path):
        (tmp_path / "snapshot.json").write_text("{")
        assert SnapshotCache(tmp_path / "snapshot.json").load() is None

    async def test_the_kept_snapshot_is_the_owners_only(self, tmp_path):
        SnapshotCache(tmp_path / "snapshot.json").save(Snapshot(generation=1, instance="x"))
        assert stat.S_IMODE((tmp_path / "snapshot.json").stat().st_mode) == 0o600

    async def test_followers_see_each_change_and_the_worker_signs_off(self, tmp_path):
        async with running_gateway(tmp_path) as gateway:
            async with gateway.state.snapshots.subscribe() as changes:
                await gateway.publish(snapshot_plugin(manifest([]), None, state="starting"))
                old, new = await asyncio.wait_for(anext(changes), 3)
                assert (old.generation, new.generation) == (1, 2)
            assert await gateway.state.snapshots.wait_for(99, 0.01) is False
            registry = gateway.registry
            await eventually(lambda: gateway.state.registry.reachable)
        assert registry.calls[-1].startswith("DELETE /v1/workers/")


class TestKeys:
    def test_a_key_is_published_before_it_signs_and_after(self):
        first = rotated([], 0.0)
        assert rotated(first, 1.0) == first
        later = KEY_LIFE_SECONDS - 3000
        second = rotated(first, later)
        assert len(second) == 2
        assert signing_key(second, later) is first[0].key
        active = second[1].active_from
        assert active > later
        assert signing_key(second, active) is second[1].key
        assert rotated(second, active + 10) == second
        assert rotated(second, active + 2 * 3600) == second[1:]

    def test_two_workers_share_one_set(self, tmp_path):
        one = IdentitySigner(tmp_path / "keys.json", "test")
        two = IdentitySigner(tmp_path / "keys.json", "test")
        assert one.key_set() == two.key_set()
        assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
        claims = verify_identity(one.token(ALICE, "demo"), two.key_set(), audience="demo", issuer="test")
        assert claims.sub == ALICE.id
        assert claims.exp - claims.iat <= 60

    def test_tokens_are_reused_per_caller_and_plugin(self, tmp_path):
        signer = IdentitySigner(tmp_path / "keys.json", "test")
        assert signer.token(ALICE, "demo") is signer.token(ALICE, "demo")
        tokens = {signer.token(ALICE, "demo"), signer.token(ALICE, "other"), signer.token(ADMIN, "demo")}
        assert len(tokens) == 3

    def test_a_token_near_its_end_is_not_handed_out(self, tmp_path, monkeypatch):
        signer = IdentitySigner(tmp_path / "keys.json", "test")
        first = signer.token(ALICE, "demo")
        real = __import__("time").time
        monkeypatch.setattr("nimbus_gateway.auth.identity.time.time", lambda: real() + 45)
        assert signer.token(ALICE, "demo") != first

    def test_a_stored_key_signs_as_before(self, tmp_path):
        (stored,) = rotated([], 0.0)
        again = StoredKey(type(stored.key).from_jwk(json.loads(json.dumps(stored.key.to_jwk()))), 0.0)
        assert again.key.kid == stored.key.kid


class TestServiceToken:
    def test_the_first_makes_it_and_the_others_read_it(self, tmp_path):
        path = tmp_path / "deep/service-token"
        token = load_service_token(path)
        assert load_service_token(path) == token
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_an_empty_file_is_waited_for_and_not_for_ever(self, tmp_path):
        (tmp_path / "token").touch()
        with pytest.raises(TimeoutError):
            load_service_token(tmp_path / "token", wait=0.1)

    def test_a_full_disk_leaves_no_empty_one(self, tmp_path, monkeypatch):
        def full(descriptor, *_, **__):
            os.close(descriptor)
            raise OSError(28, "No space left on device")

        path = tmp_path / "token"
        with monkeypatch.context() as patch:
            patch.setattr("os.fdopen", full)
            with pytest.raises(OSError, match="No space left"):
                load_service_token(path)
        assert len(load_service_token(path)) >= 43

    @pytest.mark.parametrize(
        ("header", "matches"),
        [
            ("Bearer abc", True),
            ("bearer abc", True),
            ("Bearer abd", False),
            ("Basic abc", False),
            ("", False),
            (None, False),
        ],
    )
    def test_bearer(self, header, matches):
        assert bearer_matches(header, "abc") is matches


class TestSupervisor:
    def test_a_taken_port_names_the_setting(self):
        taken = bind("127.0.0.1", 0, "NIMBUS")
        taken.listen()
        with pytest.raises(BindError, match="NIMBUS_PORT"):
            bind("127.0.0.1", taken.getsockname()[1], "NIMBUS")
        taken.close()

    def test_a_name_that_does_not_resolve_names_the_setting(self):
        with pytest.raises(BindError, match="NIMBUS_MANAGEMENT_HOST"):
            bind("no-such-host.invalid", 0, "NIMBUS_MANAGEMENT", wait=0)

    @pytest.mark.slow
    @pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
    async def test_the_whole_process_starts_serves_and_stops(self, tmp_path, workers, number):
        environment = {
            **os.environ,
            "NIMBUS_DATA_DIR": str(tmp_path),
            "NIMBUS_PORT": "0",
            "NIMBUS_CORE_PORT": "0",
            "NIMBUS_MANAGEMENT_PORT": "0",
            "NIMBUS_REGISTRY_URL": "http://127.0.0.1:9",
            "NIMBUS_WORKERS": str(workers),
            "NIMBUS_LOG_FORMAT": "json",
            "NIMBUS_DRAIN_TIMEOUT": "3",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "nimbus_gateway", env=environment, stderr=asyncio.subprocess.PIPE
        )
        try:
            ports = None
            async with asyncio.timeout(60):
                while ports is None:
                    line = json.loads(await process.stderr.readline())
                    if line["event"] == "listening":
                        ports = [line[name][1] for name in ("public", "core", "management")]
                up = 0
                while up < workers:
                    up += json.loads(await process.stderr.readline())["event"] == "the gateway is up"
            statuses = []
            for port, path in zip(ports, ("/healthz", "/core/v1/keys", "/metrics"), strict=True):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                statuses.append((await asyncio.wait_for(reader.read(), 10)).split(b" ")[1])
                writer.close()
            assert statuses == [b"200", b"200", b"200"]
            process.send_signal(number)
            rest = asyncio.create_task(process.stderr.read())
            assert await asyncio.wait_for(process.wait(), 10) == 0
            assert b"Traceback" not in await rest
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


class TestSeveralWorkers:
    """The worker that answers may be a moment behind the one whose event stream the caller listens to."""

    async def test_an_answer_is_no_older_than_what_the_caller_has_heard_of(self, tmp_path):
        async with running_gateway(tmp_path) as gateway:
            asyncio.get_running_loop().call_later(0.2, gateway.registry.publish, [])
            await gateway.get("/api/session", "X-Nimbus-Generation: 2")
            assert gateway.state.snapshots.current.generation == 2

    async def test_it_does_not_wait_for_ever(self, tmp_path):
        async with running_gateway(tmp_path) as gateway:
            began = time.monotonic()
            await gateway.get("/api/session", "X-Nimbus-Generation: 999")
            assert OWN_WORKER_SECONDS * 0.9 < time.monotonic() - began < 4

    @pytest.mark.parametrize("heard_of", ["1", "0", "-1", "soon", "9" * 40])
    async def test_it_does_not_wait_for_what_it_knows_or_does_not_understand(self, tmp_path, heard_of):
        async with running_gateway(tmp_path) as gateway:
            began = time.monotonic()
            await gateway.get("/api/session", f"X-Nimbus-Generation: {heard_of}")
            assert time.monotonic() - began < OWN_WORKER_SECONDS * 0.9
