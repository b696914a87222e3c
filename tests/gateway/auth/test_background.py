"""Jobs beside the requests outlive whatever goes wrong in them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from nimbus_gateway import jobs
from nimbus_gateway.auth import changes
from nimbus_gateway.auth.changes import CredentialChanges

pytestmark = pytest.mark.anyio


class Failing:
    """Fails in a way that nobody foresaw, then works."""

    def __init__(self) -> None:
        self.calls = 0
        self.again = asyncio.Event()

    async def __call__(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("unforeseen")
        self.again.set()


async def goes_on(job: Any, failing: Failing) -> None:
    task = asyncio.create_task(job)
    try:
        await asyncio.wait_for(failing.again.wait(), 3)
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_housekeeping_goes_on_after_an_unforeseen_failure():
    failing = Failing()
    await goes_on(jobs.every(0.001, failing), failing)


async def test_credential_changes_are_followed_on_after_an_unforeseen_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.001)
    failing = Failing()
    database: Any = SimpleNamespace(sqlite=True)
    followed = CredentialChanges(database)
    monkeypatch.setattr(followed, "_poll", failing)
    await goes_on(followed.follow(), failing)
