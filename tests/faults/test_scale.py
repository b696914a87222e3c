"""Many plugins on one engine: each costs as much as the one before, and a pass over all that are steady is quick."""

import asyncio
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import docker
import psutil
import pytest
from nimbus_sdk.contracts.control import ProbeResult
from nimbus_sdk.contracts.plugin_api import Health
from nimbus_sdk.contracts.snapshot import Upstream

from tests.faults.docker_site import HEALTH, BridgedGateway, docker_registry, start_stand_in
from tests.faults.figures import Figures
from tests.integration.runtime.docker_harness import build
from tests.support.engine import ROOT, build_image, remove_images

pytestmark = [pytest.mark.anyio, pytest.mark.engine, pytest.mark.slow]

STEPS = [1, 10, 25, 50] if os.environ.get("FAULT_RUNS") else [1, 5, 10]
PASS_SECONDS = 0.2
PASS_PROCESSOR_SECONDS = 0.025
WATCHED_SECONDS = 10.0


class Gateway(BridgedGateway):
    """Takes a plugin for healthy when its own answer says so."""

    async def probe(self, plugin_id: str, upstream: Upstream, *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        try:
            answer = await self.fetch(upstream, HEALTH, seconds=timeout)
        except OSError as error:
            return ProbeResult(ok=False, hop="connect", detail=str(error))
        return ProbeResult(ok=True, status=200, health=Health.model_validate_json(answer))


@pytest.fixture
def plugins(
    tmp_path: Path, docker_host: str, engine: docker.DockerClient, plugin_base_image: str
) -> Iterator[list[str]]:
    """As many plugins as there are to be: the image of `hello`, each with an id of its own in the manifest in it.

    The page is left out: fetching it is the gateway's affair, and a stand-in takes its place here.
    """
    folder, name = ROOT / "plugins" / "hello", f"nimbus-test/scale-{uuid.uuid4().hex[:8]}"
    hello = build_image(
        docker_host,
        tag=f"{name}:hello",
        context=folder,
        dockerfile=folder / "Dockerfile",
        BASE_IMAGE=plugin_base_image,
    )
    found = []
    try:
        for number in range(STEPS[-1]):
            manifest = json.loads((folder / "manifest.json").read_text())
            del manifest["ui"]
            plugin_id, image = f"hello-{number}", f"{name}:hello-{number}"
            manifest |= {"id": plugin_id, "capabilities": ["api"]}
            manifest["runtime"] |= {"image": image, "timeouts": {"start": "120s"}}
            place = tmp_path / "plugins" / plugin_id / "manifest.json"
            place.parent.mkdir(parents=True)
            place.write_text(json.dumps(manifest))
            build(engine, image, f"FROM {hello}\nCOPY manifest.json /app/\n", {"manifest.json": place})
            found.append(plugin_id)
        yield found
    finally:
        remove_images(engine, f"{name}:")


async def test_each_plugin_costs_the_same(  # noqa: PLR0917 - fixtures
    tmp_path: Path,
    docker_host: str,
    engine: docker.DockerClient,
    plugins: list[str],
    instance: str,
    sample_image: str,
    figures: Figures,
) -> None:
    stand_in = await asyncio.to_thread(start_stand_in, engine, sample_image, instance)
    await asyncio.to_thread(stand_in.reload)
    address = stand_in.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    gateway = Gateway(engine, stand_in.id, address)
    started = 0
    each: list[float] = []
    try:
        async with docker_registry(tmp_path, docker_host, instance, gateway) as context:
            for count in STEPS:
                began = time.monotonic()
                for plugin_id in plugins[started:count]:
                    await context.requests.enable(plugin_id, cause="test", wait=0)
                ready = await context.ledger.pulse.until(
                    lambda count=count: (
                        sum(record.state == "ready" for record in context.ledger.records.values()) == count
                    ),
                    300,
                )
                assert ready, {
                    record.id: record.state for record in context.ledger.records.values() if record.enabled
                }
                each.append((time.monotonic() - began) / (count - started))
                figures.add(f"scale: start of each plugin, up to {count}", each[-1])
                started = count
                passes, processor = [], []
                for _ in range(9):
                    began, used_before = time.monotonic(), time.process_time()
                    await context.reconciler.look_at_all()
                    passes.append(time.monotonic() - began)
                    processor.append(time.process_time() - used_before)
                figures.add(f"scale: a pass over {count} steady plugins", median(passes))
                figures.add(f"scale: processor time of a pass over {count} steady plugins", median(processor))
            used, began = psutil.Process().cpu_times(), time.monotonic()
            await asyncio.sleep(WATCHED_SECONDS)
            now = psutil.Process().cpu_times()
            share = (now.user + now.system - used.user - used.system) / (time.monotonic() - began)
            figures.add(f"scale: cores used with {count} steady plugins", share)
            assert min(passes) < PASS_SECONDS
            assert min(processor) < PASS_PROCESSOR_SECONDS, "what does not change is not asked for again"
            # Side by side they start quicker than one alone; what must not be is that each costs more than before.
            assert each[-1] < 3 * max(each[:-1])
            for plugin_id in plugins[:started]:
                await context.requests.disable(plugin_id, cause="test", wait=0)
            assert await context.ledger.pulse.until(
                lambda: all(record.state == "disabled" for record in context.ledger.records.values()), 120
            )
    finally:
        await gateway.close()
