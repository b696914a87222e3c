"""Requests to a plugin at a constant rate, beside whatever is done to it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx


@dataclass
class Load:
    """Requests at a constant rate, and what came of each."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


@asynccontextmanager
async def load(url: str, *, rate: float) -> AsyncIterator[Load]:
    """Ask for a plugin's version so many times a second while the block runs; each that was begun is waited for."""
    result = Load()
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=50)
    stop = asyncio.Event()

    async def ask(client: httpx.AsyncClient) -> None:
        began = time.monotonic()
        try:
            answer = await client.get(url)
        except httpx.HTTPError as error:
            result.failures.append(repr(error))
            return
        result.slowest = max(result.slowest, time.monotonic() - began)
        if answer.status_code == httpx.codes.OK:
            result.answers[answer.json()["version"]] += 1
        else:
            result.failures.append(f"{answer.status_code} {answer.text[:300]}")

    async def drive(client: httpx.AsyncClient, group: asyncio.TaskGroup) -> None:
        due = time.monotonic()
        while not stop.is_set():
            group.create_task(ask(client), name="request")
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client, asyncio.TaskGroup() as group:
        group.create_task(drive(client, group), name="load")
        try:
            async with asyncio.timeout(20):
                while not result.answers:
                    assert not result.failures
                    await asyncio.sleep(0.01)
            yield result
        finally:
            stop.set()
