"""Autobahn's WebSocket cases, driven by kosoku: none does worse through the gateway than on the plugin alone."""

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

import pytest
from websockets.asyncio.server import serve

from tests.support.gateway import manifest, running_gateway, snapshot_plugin

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROUTES = [{"path": "/open", "methods": ["GET"], "auth": "none"}]
SLOW_CASES = () if os.environ.get("FAULT_ALL_CASES") else ("9.*", "12.*", "13.*")
"""Large messages and thousands of compressed ones: minutes of work, run by hand with FAULT_ALL_CASES=1."""
LEAST_CASES = 240
RANKS = {"OK": 0, "INFORMATIONAL": 0, "UNIMPLEMENTED": 0, "NON-STRICT": 1, "FAILED": 2}
AGAIN = 3
"""A case can be lost to chance, on either side, e.g. when a close crosses an echo: a worse one is repeated."""


async def echo(socket):
    async for message in socket:
        await socket.send(message)


async def run_cases(folder: Path, address: str, *choice: str) -> dict[str, int]:
    """Rank of each case's outcome (0 is best) by its id."""
    program = Path(sys.executable).with_name("kosoku")
    options = ["-m", "fuzzingclient", "-p", "4", "-o", str(folder), *choice, address]
    process = await asyncio.create_subprocess_exec(
        program, *options, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(600):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    index = folder / "index.json"
    assert index.exists(), said.decode()
    [cases] = json.loads(index.read_text()).values()
    return {
        case: max(RANKS[outcome["behavior"]], RANKS.get(outcome["behaviorClose"], RANKS["FAILED"]))
        for case, outcome in cases.items()
    }


async def test_no_case_is_worse_through_the_gateway(tmp_path):
    quiet = logging.getLogger("tests.websocket_cases")
    quiet.disabled = True  # each broken frame would be a traceback
    async with serve(echo, "127.0.0.1", 0, max_size=None, max_queue=None, logger=quiet) as server:
        address = server.sockets[0].getsockname()
        async with running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway:
            direct_address = f"ws://127.0.0.1:{address[1]}/open"
            gateway_address = f"ws://127.0.0.1:{gateway.port}/api/plugins/demo/open"
            choice = [part for case in SLOW_CASES for part in ("-x", case)]
            direct = await run_cases(tmp_path / "direct", direct_address, *choice)
            through = await run_cases(tmp_path / "through", gateway_address, *choice)
            assert direct.keys() == through.keys()
            assert len(direct) >= LEAST_CASES
            worse = {case for case, rank in through.items() if rank > direct[case]}
            for turn in range(AGAIN):
                if not worse:
                    break
                again = [part for case in sorted(worse) for part in ("-i", case)]
                direct = await run_cases(tmp_path / f"direct{turn}", direct_address, *again)
                through = await run_cases(tmp_path / f"through{turn}", gateway_address, *again)
                worse = {case for case in worse if through[case] > direct[case]}
            assert worse == set()
