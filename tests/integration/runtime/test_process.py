"""What only processes have: keepers, adoption after kill -9, environments made by uv."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from nimbus_registry.runtime.base import RuntimeEvent, RuntimeFailure
from nimbus_registry.runtime.process import ProcessRuntime
from nimbus_registry.runtime.run_state import PluginFolder, RunRecord

from tests.integration.runtime.harness import (
    SECRETS,
    SERVER,
    ProcessHarness,
    alive,
    eventually,
    exited,
    observed,
    processes_of,
    reported,
    running,
    silent,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def harness(process_harness: ProcessHarness) -> ProcessHarness:
    return process_harness


def record_of(harness: ProcessHarness, plugin_id: str = "sample") -> RunRecord:
    record = PluginFolder(harness.data_dir, plugin_id).read_record()
    assert record is not None
    return record


async def test_a_killed_plugin_is_seen_at_once(runtime: ProcessRuntime, harness: ProcessHarness):
    await runtime.ensure(harness.spec(), SECRETS, silent)
    hints = runtime.watch()
    os.kill(record_of(harness).child.pid, signal.SIGKILL)
    killed = time.monotonic()
    assert await asyncio.wait_for(anext(hints), 5) == RuntimeEvent("sample", "exited")
    assert time.monotonic() - killed < 1
    status = (await exited(runtime)).exit
    assert status is not None
    assert status.signal == 9


async def test_a_killed_keeper_takes_its_plugin_with_it(runtime: ProcessRuntime, harness: ProcessHarness):
    await runtime.ensure(harness.spec(behaviour="family"), SECRETS, silent)
    observation = await running(runtime)
    await eventually(lambda: harness.fetch(observation.upstream))
    record = record_of(harness)
    os.kill(record.keeper.pid, signal.SIGKILL)
    status = (await exited(runtime)).exit
    assert status is not None
    assert (status.code, status.signal) == (None, None)

    async def nothing_left():
        return not [pid for pid in processes_of(harness.data_dir) if alive(pid)]

    await eventually(nothing_left)
    await runtime.ensure(harness.spec(behaviour="family"), SECRETS, silent)
    assert (await running(runtime)).run_id != observation.run_id


async def test_a_plugin_outlives_a_killed_registry(runtime: ProcessRuntime, harness: ProcessHarness):
    code = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.integration.runtime.harness import ProcessHarness, SECRETS, silent
async def main():
    harness = ProcessHarness(Path({str(harness.data_dir)!r}))
    runtime = harness.runtime()
    await runtime.open()
    await runtime.ensure(harness.spec(), SECRETS, silent)
    print("started", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    registry = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            while b"started" not in await registry.stdout.readline():
                assert registry.returncode is None
    finally:
        registry.kill()
        await registry.communicate()
    second = harness.runtime()
    await second.open()
    try:
        observation = await running(second)
        assert await eventually(lambda: harness.fetch(observation.upstream)) == b"hello"
        assert alive(record_of(harness).child.pid)
        await second.ensure(harness.spec(), SECRETS, silent)
        assert (await running(second)).run_id == observation.run_id
        await second.stop("sample", 5)
        status = (await exited(second)).exit
        assert status is not None
        assert status.code == 0
    finally:
        await second.remove("sample")
        await second.close()


async def test_a_start_that_is_cancelled_leaves_no_process(runtime: ProcessRuntime, harness: ProcessHarness):
    for delay in (0.0, 0.01, 0.03, 0.06):
        starting = asyncio.create_task(runtime.ensure(harness.spec(), SECRETS, silent))
        await asyncio.sleep(delay)
        starting.cancel()
        await asyncio.wait({starting}, timeout=10)
        await runtime.remove("sample")
        assert await harness.residue("sample") == []
        assert await runtime.observe() == []


async def test_two_registries_do_not_start_one_plugin_twice(runtime: ProcessRuntime, harness: ProcessHarness):
    second = harness.runtime()
    await second.open()
    try:
        await runtime.ensure(harness.spec(), SECRETS, silent)
        with pytest.raises(RuntimeFailure) as caught:
            await second.ensure(harness.spec(), SECRETS, silent)
        assert caught.value.code == "run-locked"
        assert (await running(runtime)).phase == "running"
    finally:
        await second.close()


async def test_a_flood_is_bounded(runtime: ProcessRuntime, harness: ProcessHarness):
    await runtime.ensure(harness.spec(behaviour="flood:500"), SECRETS, silent)

    async def flooded():
        return "flooded" in [line.text async for line in runtime.logs("sample", tail=3, follow=False)]

    await eventually(flooded)
    folder = PluginFolder(harness.data_dir, "sample")
    assert sum(path.stat().st_size for path in folder.root.glob("output.log*")) < 5 * 1024**2
    observation = await running(runtime)
    assert await eventually(lambda: harness.fetch(observation.upstream)) == b"hello"


async def test_folders_are_private_and_tmp_begins_empty(runtime: ProcessRuntime, harness: ProcessHarness):
    folder = PluginFolder(harness.data_dir, "sample")
    folder.prepare(data=True)
    (folder.temporary / "old").touch()
    await runtime.ensure(harness.spec(data=True), SECRETS, silent)
    assert list(folder.temporary.iterdir()) == []
    for path in (folder.root, folder.data, folder.home, folder.temporary):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"command": ("no-such-program",)}, "program-missing", "no-such-program"),
        ({"command": ("./server.py",)}, "program-missing", "./server.py"),
        ({"command": None}, "no-process", "container"),
        ({"source_dir": Path("/nonexistent/plugin")}, "source-missing", "/nonexistent/plugin"),
    ],
)
async def test_what_cannot_start_says_why(
    runtime: ProcessRuntime, harness: ProcessHarness, changes: dict, code: str, word: str
):
    with pytest.raises(RuntimeFailure) as caught:
        await runtime.ensure(harness.spec(**changes), SECRETS, silent)
    assert (caught.value.hop, caught.value.code) == ("start", code)
    assert word in caught.value.message
    assert caught.value.hint
    assert await observed(runtime) is None


async def test_a_file_that_is_no_program_says_so(runtime: ProcessRuntime, harness: ProcessHarness, tmp_path: Path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "broken").write_bytes(b"\x00\x01")
    (source / "broken").chmod(0o755)
    with pytest.raises(RuntimeFailure) as caught:
        await runtime.ensure(harness.spec(command=("./broken",), source_dir=source), SECRETS, silent)
    assert caught.value.code == "start-failed"
    assert "broken" in caught.value.message


class TestEnvironments:
    """Plugins with a project file get a Python environment of their own."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = tmp_path / "source"
        (folder / "src" / "made_for_tests").mkdir(parents=True)
        (folder / "src" / "made_for_tests" / "__init__.py").write_text("")
        (folder / "src" / "made_for_tests" / "__main__.py").write_text((SERVER / "server.py").read_text())
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
            '[project]\nname = "made-for-tests"\nversion = "1.0.0"\ndependencies = []\n'
            '[tool.hatch.build.targets.wheel]\npackages = ["src/made_for_tests"]\n'
        )
        return folder

    async def test_made_once_and_then_used_again(
        self, runtime: ProcessRuntime, harness: ProcessHarness, source: Path
    ):
        spec = harness.spec(command=("python", "-m", "made_for_tests"), source_dir=source)
        stages: list[tuple[str, str]] = []
        await runtime.ensure(spec, SECRETS, reported(stages))
        observation = await running(runtime)
        assert await eventually(lambda: harness.fetch(observation.upstream)) == b"hello"
        assert stages[0][0] == "building"
        assert any("made-for-tests" in line for stage, line in stages if stage == "building")
        assert stages[-1] == ("starting", "")
        kept = [line async for line in runtime.logs("sample", tail=100, follow=False)]
        assert kept[0].stream == "build"
        await runtime.remove("sample")

        again: list[tuple[str, str]] = []
        started = time.monotonic()
        await runtime.ensure(spec, SECRETS, reported(again))
        assert time.monotonic() - started < 1
        assert [stage for stage, _ in again] == ["starting"]

        # What runs has what it needs, though its folder has changed since: that concerns the next start.
        project = source / "pyproject.toml"
        project.write_text(project.read_text().replace("1.0.0", "1.0.1"))
        assert (await runtime.prepared(spec)).ready
        await runtime.remove("sample")
        assert not (await runtime.prepared(spec)).ready

    async def test_a_failing_set_up_shows_its_last_lines(
        self, runtime: ProcessRuntime, harness: ProcessHarness, source: Path
    ):
        (source / "pyproject.toml").write_text("[project]\nname = 3\n")
        with pytest.raises(RuntimeFailure) as caught:
            await runtime.ensure(harness.spec(source_dir=source), SECRETS, silent)
        assert (caught.value.hop, caught.value.code) == ("image", "environment-failed")
        assert caught.value.log_tail
        assert "pyproject.toml" in (caught.value.hint or "")
        assert await observed(runtime) is None

    async def test_a_set_up_is_given_up_at_once(self, runtime: ProcessRuntime, harness: ProcessHarness, source: Path):
        (source / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "slow"\nbackend-path = ["."]\n'
            '[project]\nname = "slow"\nversion = "1"\n'
        )
        marker = source / "begun"
        (source / "slow.py").write_text(
            f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()\ntime.sleep(300)\n"
        )
        ensuring = asyncio.create_task(runtime.ensure(harness.spec(source_dir=source), SECRETS, silent))

        async def begun():
            return marker.exists()

        await eventually(begun)
        started = time.monotonic()
        ensuring.cancel()
        await asyncio.wait({ensuring}, timeout=10)
        assert ensuring.cancelled()
        assert time.monotonic() - started < 2
        await runtime.remove("sample")
        assert await runtime.observe() == []
