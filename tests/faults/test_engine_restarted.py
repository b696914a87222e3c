"""The Docker engine is killed and started again, an engine of the test's own: plugins are back, or never went."""

import asyncio
import gc
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import docker
import pytest
from nimbus_registry.api.context import Context
from nimbus_registry.gateway_client import GatewayUnreachableError

from tests.faults.docker_site import StandInGateway, docker_registry, start_stand_in, write_manifest
from tests.faults.figures import Figures
from tests.faults.own_engine import own_engine

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.engine,
    pytest.mark.slow,
    # The Docker SDK leaves its socket to the garbage collector when nobody listens.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RECOVERED_SECONDS = 30.0
ANSWER_SECONDS = 2.0
"""Of one call of the plugin, its process included."""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Such sockets are collected here and not in another file's test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def serves(context: Context, gateway: StandInGateway) -> bool:
    upstream = context.ledger.get("sample").upstream
    if context.ledger.get("sample").state != "ready" or upstream is None:
        return False
    try:
        return await gateway.fetch(upstream, "/") == "hello"
    except (OSError, GatewayUnreachableError):
        return False


async def until_serves(context: Context, gateway: StandInGateway, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await serves(context, gateway):
        assert time.monotonic() < deadline, context.ledger.get("sample").reason
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("live_restore", [True, False], ids=["live-restore", "containers end with it"])
async def test_plugins_outlive_it_or_are_back(
    tmp_path: Path, docker_host: str, sample_image: str, figures: Figures, live_restore: bool
) -> None:
    # The path of a Unix socket is short.
    folder = Path("/var/tmp") / f"nimbus-engine-{tmp_path.parent.name[-4:]}-{int(live_restore)}"
    with own_engine(folder, sample_image, docker_host, live_restore=live_restore) as engine:
        client = docker.DockerClient(base_url=engine.host, timeout=60)
        stand_in = start_stand_in(client, sample_image, "faults")
        gateway = StandInGateway(client, stand_in.id)
        write_manifest(tmp_path / "plugins", "sample", sample_image)
        async with docker_registry(tmp_path, engine.host, "faults", gateway) as context:
            await context.requests.enable("sample", cause="test", wait=60)
            await until_serves(context, gateway, 30)
            before = client.containers.list(filters={"label": "io.nimbus.plugin=sample"})[0].id
            upstream = context.ledger.get("sample").upstream
            assert upstream is not None

            await asyncio.to_thread(engine.stop, signal.SIGKILL if live_restore else signal.SIGTERM)
            if live_restore:
                answered = []
                for _ in range(10):
                    asked = time.monotonic()
                    assert await gateway.fetch(upstream, "/", seconds=20) == "hello", "nobody notices"
                    answered.append(time.monotonic() - asked)
                    assert context.ledger.get("sample").state == "ready"
                assert median(answered) < ANSWER_SECONDS, answered
            await asyncio.to_thread(engine.start)
            back = time.monotonic()
            await until_serves(context, gateway, 2 * RECOVERED_SECONDS)
            took = time.monotonic() - back
            figures.add(f"engine restarted, {'live-restore' if live_restore else 'containers ended'}", took)
            assert took < RECOVERED_SECONDS
            running = client.containers.list(filters={"label": "io.nimbus.plugin=sample"})
            assert len(running) == 1
            assert (running[0].id == before) is live_restore
            await context.requests.disable("sample", cause="test", wait=20)
            assert client.containers.list(all=True, filters={"label": "io.nimbus.plugin=sample"}) == []
        client.close()
