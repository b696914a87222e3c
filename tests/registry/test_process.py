"""The program itself: start, one at a time, signals, settings, the service token."""

import asyncio
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from nimbus_registry.errors import StartError
from nimbus_registry.service_token import service_token
from nimbus_registry.settings import RegistrySettings

from tests.registry.conftest import Folder


@contextlib.contextmanager
def program(data: Path, folder: Folder, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "nimbus_registry", *arguments],
        env={
            **keep,
            "NIMBUS_DATA_DIR": str(data),
            "NIMBUS_PLUGINS_DIR": str(folder.path),
            "NIMBUS_REGISTRY_PORT": "0",
            "NIMBUS_LOG_FORMAT": "json",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=data,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


def port_of(process: subprocess.Popen[str]) -> int:
    """The port it took, from its first log line."""
    assert process.stderr is not None
    for line in process.stderr:
        entry = json.loads(line)
        if entry["event"] == "the registry starts":
            return int(entry["port"])
    pytest.fail("it never said its port")


def until_ready(port: int) -> float:
    began = time.monotonic()
    while time.monotonic() - began < 30:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2, trust_env=False).status_code == 200:
                return time.monotonic() - began
        except httpx.HTTPError:
            time.sleep(0.05)
    pytest.fail("it never became ready")


@pytest.mark.slow
def test_serves_and_ends_on_sigterm(tmp_path: Path, folder: Folder) -> None:
    folder.add()
    with program(tmp_path, folder) as process:
        port = port_of(process)
        until_ready(port)
        token = (tmp_path / "service-token").read_text().strip()
        answer = httpx.get(
            f"http://127.0.0.1:{port}/v1/plugins", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )
        assert [item["id"] for item in answer.json()["items"]] == ["hello"]
        with httpx.stream(
            "GET",
            f"http://127.0.0.1:{port}/v1/snapshot",
            params={"worker": "w", "wait": 0},
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        ) as stream:
            assert stream.status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.slow
def test_who_waits_for_a_start_is_told_how_far_it_came_when_the_registry_ends(tmp_path: Path, folder: Folder) -> None:
    runtime = {"image": "example/hello:1", "process": {"command": ["sleep", "60"]}, "timeouts": {"start": "30s"}}
    folder.add(runtime=runtime)
    with program(tmp_path, folder, NIMBUS_RUNTIME="process") as process:
        port = port_of(process)
        until_ready(port)
        token = (tmp_path / "service-token").read_text().strip()
        with (
            httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
                trust_env=False,
            ) as api,
            ThreadPoolExecutor(1) as pool,
        ):
            waiting = pool.submit(api.post, "/v1/plugins/hello/enable", params={"wait": 20}, json={"cause": "test"})
            until = time.monotonic() + 10
            while api.get("/v1/plugins/hello").json()["state"] == "disabled":
                assert time.monotonic() < until, waiting.result(timeout=20).text
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            answer = waiting.result(timeout=20)
        _, errors = process.communicate(timeout=20)
    assert (answer.status_code, answer.json()["plugin"]["enabled"]) == (202, True), answer.text
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_second_registry_is_refused_and_a_wrong_setting_named(tmp_path: Path, folder: Folder) -> None:
    with program(tmp_path, folder) as first:
        until_ready(port_of(first))
        with program(tmp_path, folder, "teardown") as second:
            _, errors = second.communicate(timeout=40)
            assert second.returncode == 1
            assert "another registry runs on" in errors
    with program(tmp_path, folder, NIMBUS_RUNTIME="kubernetes") as third:
        _, errors = third.communicate(timeout=30)
        assert third.returncode == 1
        assert "a setting is wrong" in errors
        assert "runtime" in errors
        assert "Traceback" not in errors


@pytest.mark.slow
def test_no_database_ends_with_a_sentence(tmp_path: Path, folder: Folder) -> None:
    url = "postgresql://nobody:secret-word@127.0.0.1:1/none"
    with program(tmp_path, folder, NIMBUS_REGISTRY_DATABASE_URL=url, NIMBUS_REGISTRY_DATABASE_WAIT="0.5") as process:
        _, errors = process.communicate(timeout=40)
        assert process.returncode == 1
        assert "waiting for the database" in errors
        assert "did not answer for 0.5 s" in errors
        assert "secret-word" not in errors
        assert "Traceback" not in errors


@pytest.mark.slow
def test_a_wrong_pool_ends_with_a_sentence(tmp_path: Path, folder: Folder) -> None:
    with program(tmp_path, folder, NIMBUS_PLUGIN_NETWORK_POOL="10.213.0.1/16") as process:
        _, errors = process.communicate(timeout=40)
        assert process.returncode == 1
        assert "NIMBUS_PLUGIN_NETWORK_POOL is not an IPv4 network" in errors
        assert "Traceback" not in errors


def test_openapi_is_printed(tmp_path: Path, folder: Folder) -> None:
    with program(tmp_path, folder, "openapi") as process:
        output, _ = process.communicate(timeout=40)
        assert json.loads(output)["info"]["title"] == "Nimbus registry"


class TestServiceToken:
    @pytest.mark.anyio
    async def test_made_once_by_whoever_comes_first(self, tmp_path: Path) -> None:
        path = tmp_path / "shared" / "token"
        tokens = await asyncio.gather(*(service_token(path) for _ in range(8)))
        assert len(set(tokens)) == 1
        assert len(tokens[0]) >= 43
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.anyio
    async def test_waits_for_the_one_who_makes_it(self, tmp_path: Path) -> None:
        path = tmp_path / "token"
        path.touch()
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(service_token(path))
            await asyncio.sleep(0)
            path.write_text("x" * 43 + "\n")
        assert reading.result() == "x" * 43

    @pytest.mark.anyio
    async def test_says_what_is_wrong(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("nimbus_registry.service_token._WAIT", 0.05)
        (tmp_path / "short").write_text("abc")
        with pytest.raises(StartError, match="empty or too short"):
            await service_token(tmp_path / "short")
        (tmp_path / "folder").mkdir()
        with pytest.raises(StartError, match="cannot be read"):
            await service_token(tmp_path / "folder")

    @pytest.mark.anyio
    async def test_a_full_disk_leaves_no_empty_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(descriptor: int, *_: object, **__: object) -> None:
            os.close(descriptor)
            raise OSError(28, "No space left on device")

        path = tmp_path / "token"
        with monkeypatch.context() as patch:
            patch.setattr("os.fdopen", full)
            with pytest.raises(StartError, match="No space left"):
                await service_token(path)
        assert len(await service_token(path)) >= 43


class TestSettings:
    def test_aliases_and_defaults(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PLUGINS_DIR", "/older")
        monkeypatch.setenv("ENABLE_PLUGINS", "false")
        monkeypatch.setenv("NIMBUS_TRUSTED_PLUGINS", "one, two")
        monkeypatch.setenv("NIMBUS_BUILD_ARGS", "")
        monkeypatch.setenv("NIMBUS_DATA_DIR", str(tmp_path))
        settings = RegistrySettings()
        assert (settings.plugins_dir, settings.enable_plugins) == (Path("/older"), False)
        trusted = {name: settings.trusts(name, discovered=True) for name in ("two", "three")}
        assert trusted == {"two": True, "three": False}
        assert settings.build_args == {}
        assert settings.database == f"sqlite+aiosqlite:///{tmp_path / 'registry.db'}"
        assert settings.token_file == tmp_path / "service-token"
        monkeypatch.setenv("NIMBUS_PLUGINS_DIR", "/newer")
        monkeypatch.setenv("NIMBUS_REGISTRY_DATABASE_URL", "postgresql://a@b/c")
        settings = RegistrySettings()
        assert settings.plugins_dir == Path("/newer")
        assert settings.database == "postgresql+psycopg://a@b/c"
        for value, folder, image in [("folders", True, False), ("*", True, True), ("none", False, False)]:
            found = RegistrySettings(trusted_plugins=value)
            assert found.trusts("any", discovered=True) is folder
            assert found.trusts("any", discovered=False) is image
        assert RegistrySettings(trusted_plugins="folders,any").trusts("any", discovered=False)
        assert not RegistrySettings(trusted_plugins="folders").trusts("folders", discovered=False), (
            "it is no id there"
        )
        monkeypatch.delenv("NIMBUS_TRUSTED_PLUGINS")
        assert RegistrySettings().trusted_plugins == ("folders",)
