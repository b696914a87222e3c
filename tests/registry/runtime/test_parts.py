"""The small parts of the runtimes, without engine or plugin."""

import asyncio
import contextlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from nimbus_registry.runtime.base import RuntimeEvent
from nimbus_registry.runtime.build_log import MAX_BYTES, BuildLog, read_build_log
from nimbus_registry.runtime.docker import DockerRuntime
from nimbus_registry.runtime.factory import RuntimeConfig, make_runtime, open_runtime
from nimbus_registry.runtime.hints import Hints
from nimbus_registry.runtime.keeper import OutputFiles, start_ticks
from nimbus_registry.runtime.log_stream import BuildLogFollower
from nimbus_registry.runtime.output_log import OutputReader, parse_line
from nimbus_registry.runtime.process import ProcessRuntime
from nimbus_registry.runtime.process_environment import process_environment
from nimbus_registry.runtime.run_state import PluginFolder
from nimbus_registry.runtime.settled import settled
from nimbus_registry.runtime.spec import OperatorPolicy, plugin_spec
from nimbus_registry.runtime.virtualenv import environment_key, setup_environment
from nimbus_sdk.contracts.manifest import Manifest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TestBuildLog:
    def test_lines_are_kept_in_order(self, tmp_path: Path):
        log = BuildLog(tmp_path / "a" / "build.log")
        log.begin()
        for text in ("one", "two", "three"):
            log.add(text)
        assert [line.text for line in read_build_log(tmp_path / "a" / "build.log")] == ["one", "two", "three"]
        assert log.tail(2) == ["two", "three"]

    def test_it_is_bounded_and_keeps_the_end(self, tmp_path: Path):
        path = tmp_path / "build.log"
        log = BuildLog(path)
        log.begin()
        for number in range(5000):
            log.add(f"{number} " + "x" * 300)
        assert path.stat().st_size <= MAX_BYTES
        assert read_build_log(path)[-1].text.startswith("4999 ")

    def test_a_cut_line_is_passed_over(self, tmp_path: Path):
        path = tmp_path / "build.log"
        log = BuildLog(path)
        log.begin()
        log.add("whole")
        with path.open("a") as file:
            file.write('{"n": 2, "te')
        assert [line.text for line in read_build_log(path)] == ["whole"]

    def test_following_over_a_second_build(self, tmp_path: Path):
        path = tmp_path / "build.log"
        follower = BuildLogFollower(path)
        assert follower.fresh() == []
        log = BuildLog(path)
        log.begin()
        log.add("one")
        assert [line.text for line in follower.fresh()] == ["one"]
        assert follower.fresh() == []
        log.add("two")
        assert [line.text for line in follower.fresh()] == ["two"]
        log.begin()
        log.add("again")
        assert [line.text for line in follower.fresh()] == ["again"]


class TestOutput:
    """The keeper writes, the registry reads."""

    @pytest.fixture
    def make(self, tmp_path: Path):
        with contextlib.ExitStack() as stack:
            yield lambda limit: stack.enter_context(contextlib.closing(OutputFiles(str(tmp_path), limit)))

    def test_streams_and_unfinished_lines(self, tmp_path: Path, make):
        files = make(10**6)
        files.feed("o", b"one\ntw")
        files.feed("e", b"bad\r\n")
        files.feed("o", b"o\nrest")
        files.finish()
        files.say("platform speaks")
        reader = OutputReader(tmp_path / "output.log")
        found = [(line.stream, line.text) for line in reader.tail(100)]
        reader.close()
        assert found == [
            ("stdout", "one"),
            ("stderr", "bad"),
            ("stdout", "two"),
            ("stdout", "rest"),
            ("platform", "platform speaks"),
        ]

    def test_a_flood_is_bounded_and_its_end_is_kept(self, tmp_path: Path, make):
        files = make(200_000)
        for number in range(20_000):
            files.feed("o", b"%d %s\n" % (number, b"x" * 80))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 210_000
        reader = OutputReader(tmp_path / "output.log")
        tail = reader.tail(800)
        reader.close()
        assert [line.text.split()[0] for line in tail] == [str(number) for number in range(19_200, 20_000)]
        assert len({line.cursor for line in tail}) == 800

    def test_goes_on_where_no_new_file_can_be_made(self, tmp_path: Path, make, monkeypatch: pytest.MonkeyPatch):
        def full(_: object) -> None:
            raise OSError(28, "No space left on device")

        files = make(2_000)
        with monkeypatch.context() as patch:
            patch.setattr(OutputFiles, "_open", full)
            for _ in range(100):
                files.feed("o", b"x" * 80 + b"\n")
        files.feed("o", b"before\n")
        files.feed("o", b"after\n")
        assert b"after\n" in (tmp_path / "output.log").read_bytes()

    def test_an_endless_line_is_cut(self, tmp_path: Path, make):
        files = make(10**6)
        for _ in range(10):
            files.feed("o", b"y" * 10_000)
        files.finish()
        reader = OutputReader(tmp_path / "output.log")
        tail = reader.tail(100)
        reader.close()
        assert sum(len(line.text) for line in tail) == 100_000
        assert max(len(line.text) for line in tail) <= 16 * 1024

    def test_following_across_rotations_misses_nothing(self, tmp_path: Path, make):
        files = make(20_000)
        reader = OutputReader(tmp_path / "output.log")
        seen = [line.text for line in reader.tail(10)]
        for number in range(1000):
            files.feed("o", b"%d\n" % number)
            if number % 7 == 0:
                seen += [line.text for line in reader.fresh()]
        seen += [line.text for line in reader.fresh()]
        reader.close()
        assert seen == [str(number) for number in range(1000)]

    def test_a_line_of_another_form_is_passed_over(self):
        assert parse_line(b"nonsense", "c") is None
        assert parse_line(b"2026-01-02T03:04:05Z o with  spaces", "c").text == "with  spaces"


class TestEnvironment:
    def make(self, tmp_path: Path, host: dict[str, str], virtualenv: Path | None = None) -> dict[str, str]:
        manifest = Manifest.model_validate(
            {
                "manifestVersion": 1, "id": "sample", "name": "S", "version": "1.0.0",
                "runtime": {"process": {"command": ["python"]}, "data": True},
            }
        )  # fmt: skip
        return process_environment(
            plugin_spec(manifest, OperatorPolicy(), core_url="http://127.0.0.1:8081"),
            {"NIMBUS_PLUGIN_TOKEN": "t"},
            host,
            folder=PluginFolder(tmp_path, "sample"),
            virtualenv=virtualenv,
            own_prefix="/registry/venv",
            port=4711,
            run_id="r",
        )

    def test_only_what_is_allowed_comes_through(self, tmp_path: Path):
        host = {
            "PATH": "/usr/bin",
            "LANG": "C.UTF-8",
            "TZ": "Europe/Berlin",
            "SSL_CERT_FILE": "/ca.pem",
            "NIMBUS_REGISTRY_DATABASE_URL": "secret",
            "NIMBUS_ADMIN_PASSWORD": "secret",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "PYTHONPATH": "/somewhere",
            "HTTPS_PROXY": "http://user:secret@proxy",
            "LD_PRELOAD": "/evil.so",
        }
        environment = self.make(tmp_path, host)
        assert "secret" not in environment.values()
        assert set(environment) & set(host) == {"PATH", "LANG", "TZ", "SSL_CERT_FILE"}
        assert environment["NIMBUS_PLUGIN_PORT"] == "4711"
        assert environment["NIMBUS_PLUGIN_HOST"] == "127.0.0.1"
        assert environment["NIMBUS_DATA_DIR"] == str(tmp_path / "plugins" / "sample" / "data")
        assert environment["HOME"] == str(tmp_path / "plugins" / "sample" / "home")

    def test_the_plugins_programs_come_first_and_the_registrys_never(self, tmp_path: Path):
        host = {"PATH": "/registry/venv/bin:/usr/bin:"}
        assert self.make(tmp_path, host)["PATH"] == "/usr/bin"
        assert self.make(tmp_path, host, Path("/env"))["PATH"] == "/env/bin:/usr/bin"
        assert self.make(tmp_path, {})["PATH"] == "/usr/local/bin:/usr/bin:/bin"

    def test_a_set_up_sees_what_it_needs_and_no_secret_of_nimbus(self):
        host = {
            "PATH": "/usr/bin", "HOME": "/root", "UV_CACHE_DIR": "/cache", "https_proxy": "http://proxy",
            "NIMBUS_ADMIN_PASSWORD": "secret", "PGPASSWORD": "secret",
        }  # fmt: skip
        assert set(setup_environment(host)) == {"PATH", "HOME", "UV_CACHE_DIR", "https_proxy"}


def test_another_project_sdk_or_folder_is_another_environment(tmp_path: Path):
    plugin, sdk = tmp_path / "plugin", tmp_path / "sdk"
    for folder in (plugin, sdk):
        folder.mkdir()
        (folder / "pyproject.toml").write_text("[project]\n")
    wheel = tmp_path / "sdk.whl"
    wheel.write_bytes(b"1")
    keys = [environment_key(plugin, None), environment_key(plugin, sdk), environment_key(plugin, wheel)]
    assert environment_key(plugin, sdk) == keys[1]
    wheel.write_bytes(b"2")
    keys.append(environment_key(plugin, wheel))
    (sdk / "requirements.lock").write_text("x==1")
    keys.append(environment_key(plugin, sdk))
    (plugin / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    keys.append(environment_key(plugin, sdk))
    assert len(set(keys)) == len(keys)


class TestRunLock:
    def test_it_is_held_until_the_last_descriptor_goes(self, tmp_path: Path):
        folder = PluginFolder(tmp_path, "sample")
        assert not folder.is_running()
        lock = folder.take_lock()
        assert lock is not None
        assert folder.is_running()
        assert folder.take_lock() is None
        copy = os.dup(lock)
        os.close(lock)
        assert folder.is_running()
        os.close(copy)
        assert not folder.is_running()

    def test_a_broken_record_is_none(self, tmp_path: Path):
        folder = PluginFolder(tmp_path, "sample")
        folder.prepare(data=False)
        for text in ("", "{", "{}", '{"exit": null, "port": "x"}', "[]"):
            folder.record.write_text(text)
            assert folder.read_record() is None

    def test_processes_are_told_apart_from_later_ones(self):
        assert start_ticks(os.getpid()) == start_ticks(os.getpid())
        assert start_ticks(2**22 + 1) is None


class TestHints:
    pytestmark = pytest.mark.anyio

    async def test_every_listener_gets_every_event(self):
        hints = Hints()
        listeners = [hints.listen(), hints.listen()]
        hints.send(RuntimeEvent("a", "started"))
        hints.close()
        assert [[event async for event in listener] for listener in listeners] == [[RuntimeEvent("a", "started")]] * 2

    async def test_a_slow_listener_holds_nobody_up(self):
        hints = Hints()
        listener = hints.listen()
        for _ in range(1000):
            hints.send(RuntimeEvent("a", "started"))
        hints.close()
        assert len([event async for event in listener]) < 1000

    async def test_listening_to_a_closed_one_ends(self):
        hints = Hints()
        hints.close()
        assert [event async for event in hints.listen()] == []


@pytest.mark.anyio
async def test_settled_work_ends_before_the_cancellation_is_passed_on():
    begun, done = asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await asyncio.sleep(0.05)
        done.append(True)

    task = asyncio.create_task(settled(work()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


class TestFactory:
    def settings(self, **values: object) -> SimpleNamespace:
        return SimpleNamespace(**{"runtime": "process", "instance": "test", "data_dir": Path("/d"), **values})

    def test_the_setting_chooses(self):
        assert isinstance(open_runtime(self.settings()), ProcessRuntime)
        assert isinstance(open_runtime(self.settings(runtime="docker")), DockerRuntime)
        assert make_runtime(RuntimeConfig("process", "test", Path("/d"))).isolation_notice
        assert make_runtime(RuntimeConfig("docker", "test", Path("/d"))).isolation_notice is None

    def test_what_is_set_arrives(self):
        config = RuntimeConfig.from_settings(
            self.settings(
                plugin_network_pool="10.1.0.0/16", build_args='{"A": "1"}', helper_image="helper", sdk_source="/sdk"
            )
        )
        assert str(config.network_pool) == "10.1.0.0/16"
        assert config.build_args == {"A": "1"}
        assert config.helper_image == "helper"
        assert config.sdk_source == Path("/sdk")

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"runtime": "podman"}, "NIMBUS_RUNTIME"),
            ({"plugin_network_pool": "10.0.0.1/8"}, "NIMBUS_PLUGIN_NETWORK_POOL"),
            ({"build_args": "{"}, "NIMBUS_BUILD_ARGS"),
            ({"build_args": "[1]"}, "NIMBUS_BUILD_ARGS"),
        ],
    )
    def test_what_is_wrong_is_named(self, wrong: dict, named: str):
        with pytest.raises(ValueError, match=named):
            RuntimeConfig.from_settings(self.settings(**wrong))
