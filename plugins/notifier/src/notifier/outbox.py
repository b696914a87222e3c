"""Notifications that wait, were sent, or were given up: kept in the plugin's store, sent by one task each.

An event is done for Nimbus once its notifications are in the outbox, so a receiver that is down holds up neither
other receivers nor the events behind it.
"""

import asyncio
import hashlib
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
from nimbus_sdk import Event, Kv, Logger, NotReady, PreconditionFailed
from pydantic import BaseModel, Field

from notifier.senders import Notification, NotSent, send
from notifier.targets import NotifierSettings, Target, document_of
from notifier.templates import texts

PREFIX = "outbox/"
ATTEMPTS = 8
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 900.0
MOST_WAITING = 1000
AT_ONCE = 8
DAY = 86_400.0


class Entry(BaseModel):
    """One notification to one target."""

    key: str
    target: str
    state: Literal["waiting", "sent", "failed"] = "waiting"
    title: str
    text: str
    event: dict[str, Any]
    created: datetime
    attempts: int = 0
    next_attempt: datetime
    error: str | None = None
    sent: datetime | None = None


class EntryList(BaseModel):
    """Notifications, newest first."""

    items: list[Entry] = Field(default_factory=list)


def key_of(event: Event, target: str) -> str:
    """The key of the entry for an event and a target: the same when the event is delivered again."""
    digest = hashlib.sha256(f"{event.source}\n{event.id}".encode()).hexdigest()[:32]
    return f"{PREFIX}{digest}/{target}"


def pause(attempts: int, asked: float | None, spread: float) -> float:
    """Seconds before the next attempt: what the receiver asked for, else 5, 15, 45 … up to 15 minutes. Pure.

    Args:
        attempts: how many there were.
        asked: the receiver's `Retry-After`.
        spread: a random factor around 1.
    """
    if asked is not None:
        return asked
    return min(FIRST_PAUSE * 3.0 ** (attempts - 1), LONGEST_PAUSE) * spread


class Outbox:
    """Everything that is to be sent. `run` sends it; `add` only keeps it."""

    def __init__(self) -> None:
        self._waiting: dict[str, Entry] = {}
        self._begin()

    def _begin(self) -> None:
        """Nothing is under way; what the store has is found by `run`. The parts belong to one event loop."""
        self._waiting.clear()
        self._under_way: set[str] = set()
        self._wake = asyncio.Event()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def add(self, event: Event, targets: Sequence[Target], kv: Kv) -> int:
        """Keep a notification for each target that wants the event; how many are new.

        Raises:
            NotReady: too many wait already; Nimbus delivers the event again later.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise NotReady(f"{MOST_WAITING} notifications wait to be sent")
        added = 0
        for target in targets:
            if not target.wants(event):
                continue
            document = document_of(event)
            title, text = texts(document, target.title, target.message)
            now = datetime.now(UTC)
            entry = Entry(
                key=key_of(event, target.name),
                target=target.name,
                title=title,
                text=text,
                event=document,
                created=now,
                next_attempt=now,
            )
            try:
                await kv.put(entry.key, entry.model_dump(mode="json"), new=True, ttl=30 * DAY)
            except PreconditionFailed:
                continue  # delivered again: it is known
            self._accept(entry)
            added += 1
        return added

    async def again(self, key: str, kv: Kv) -> Entry:
        """Send one that was given up anew.

        Raises:
            NotFound: there is none.
        """
        entry = Entry.model_validate((await kv.read(key)).value)
        if entry.state == "failed":
            fresh = {"state": "waiting", "attempts": 0, "next_attempt": datetime.now(UTC), "error": None}
            entry = entry.model_copy(update=fresh)
            await kv.put(key, entry.model_dump(mode="json"), ttl=30 * DAY)
            self._accept(entry)
        return entry

    async def entries(self, kv: Kv, limit: int) -> EntryList:
        """What is kept, newest first."""
        found = [Entry.model_validate(item.value) async for item in kv.iterate(PREFIX)]
        found.sort(key=lambda entry: entry.created, reverse=True)
        return EntryList(items=found[:limit])

    async def run(self, kv: Kv, settings: Callable[[], Awaitable[NotifierSettings]], log: Logger) -> None:
        """Send what waits, also from before the last start, until cancelled."""
        self._begin()
        async for item in kv.iterate(PREFIX):
            entry = Entry.model_validate(item.value)
            if entry.state == "waiting":
                self._accept(entry)
        async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as http, asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                for key in self._waiting.keys() - self._under_way:
                    self._under_way.add(key)
                    tasks.create_task(self._deliver(key, kv, settings, http, log), name=key)
                await self._wake.wait()

    def _accept(self, entry: Entry) -> None:
        self._waiting[entry.key] = entry
        self._wake.set()

    async def _deliver(
        self,
        key: str,
        kv: Kv,
        settings: Callable[[], Awaitable[NotifierSettings]],
        http: httpx.AsyncClient,
        log: Logger,
    ) -> None:
        """Attempt until it is sent or given up."""
        try:
            while True:
                entry = self._waiting[key]
                await asyncio.sleep(max(0.0, (entry.next_attempt - datetime.now(UTC)).total_seconds()))
                async with self._turns[entry.target], self._at_once:
                    current = await settings()
                    entry = await self._attempt(entry, current, http)
                self._waiting[key] = entry
                days = current.history_days if entry.state == "sent" else 30
                await kv.put(key, entry.model_dump(mode="json"), ttl=days * DAY)
                if entry.state != "waiting":
                    report = log.info if entry.state == "sent" else log.error
                    report(f"notification {entry.state}", target=entry.target, title=entry.title, error=entry.error)
                    return
        finally:
            self._waiting.pop(key, None)
            self._under_way.discard(key)

    async def _attempt(self, entry: Entry, settings: NotifierSettings, http: httpx.AsyncClient) -> Entry:
        target = next((one for one in settings.targets if one.name == entry.target), None)
        now = datetime.now(UTC)
        attempts = entry.attempts + 1
        if target is None:
            return entry.model_copy(update={"state": "failed", "error": "there is no such target any more"})
        notification = Notification(entry.key.removeprefix(PREFIX), entry.title, entry.text, entry.event)
        try:
            await send(target, settings.secrets.get(target.name, ""), notification, http)
        except NotSent as error:
            given_up = error.final or attempts >= ATTEMPTS
            wait = pause(attempts, error.retry_after, random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            changes = {
                "state": "failed" if given_up else "waiting",
                "attempts": attempts,
                "error": str(error),
                "next_attempt": now + timedelta(seconds=wait),
            }
            return entry.model_copy(update=changes)
        return entry.model_copy(update={"state": "sent", "attempts": attempts, "error": None, "sent": now})
