"""How many requests a plugin gets at a time."""

import asyncio

import pytest
from nimbus_gateway.errors import PluginUnavailableError
from nimbus_gateway.proxy.gates import Gate

pytestmark = pytest.mark.anyio


class TestGate:
    async def test_a_full_line_is_refused_with_a_time_to_come_back(self):
        gate = Gate(limit=1, queued=0, seconds=5)
        await gate.enter()
        with pytest.raises(PluginUnavailableError) as caught:
            await gate.enter()
        assert caught.value.headers["retry-after"] == "1"

    async def test_the_line_moves_in_order(self):
        gate = Gate(limit=1, queued=5, seconds=5)
        await gate.enter()
        order = []

        async def visit(number):
            await gate.enter()
            order.append(number)
            gate.leave()

        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(visit(number))
            await asyncio.sleep(0)
            gate.leave()
        assert order == [0, 1, 2]
        assert gate.active == 0

    async def test_waiting_has_an_end(self):
        gate = Gate(limit=1, queued=5, seconds=0.05)
        await gate.enter()
        with pytest.raises(PluginUnavailableError):
            await gate.enter()
        gate.leave()
        assert gate.active == 0

    async def test_whoever_gives_up_leaves_no_hole(self):
        gate = Gate(limit=1, queued=5, seconds=5)
        await gate.enter()
        waiting = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        gate.leave()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert gate.active == 0
        await gate.enter()
        assert gate.active == 1
