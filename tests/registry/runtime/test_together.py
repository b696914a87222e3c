"""Steps of a start that run side by side."""

import asyncio

import pytest
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.docker_engine import together

pytestmark = pytest.mark.anyio


async def _answer(value: int) -> int:
    return value


async def test_results_come_in_order() -> None:
    assert await together(_answer(1), _answer(2)) == [1, 2]


async def test_first_failure_is_raised_as_it_is_and_ends_the_others() -> None:
    ended = asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def failing() -> None:
        await asyncio.sleep(0)
        raise RuntimeFailure("image", "image-missing", "no such image")

    with pytest.raises(RuntimeFailure, match="no such image"):
        await together(slow(), failing())
    assert ended.is_set()
