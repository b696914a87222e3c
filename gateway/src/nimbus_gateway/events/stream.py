"""The dashboard's event stream: changes of plugins, and whether the registry can be reached."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated

import structlog
from fastapi import APIRouter, Header
from nimbus_sdk.contracts.snapshot import Snapshot

from nimbus_gateway.auth.principal import Credentials, Principal
from nimbus_gateway.errors import DatabaseUnavailableError
from nimbus_gateway.events.sse import PING, EventStream, frame
from nimbus_gateway.http.dependencies import CredentialsDep, StateDep, UserDep
from nimbus_gateway.http.problems import responses
from nimbus_gateway.plugins.views import summary
from nimbus_gateway.state import GatewayState
from nimbus_gateway.system import system_view

PING_SECONDS = 15.0
QUEUE_SIZE = 64
FOR_EVERYBODY = ("io.nimbus.media.", "io.nimbus.download.", "io.nimbus.plugin.")
"""Beginnings of the types that people see who do not administer Nimbus."""

log = structlog.get_logger(__name__)
router = APIRouter(tags=["events"], responses=responses(401, 403))


def changed_events(old: Snapshot, new: Snapshot, *, admin: bool = False) -> list[bytes]:
    """What a client that knows `old` must hear to know `new`. Pure.

    Administrators also hear of plugins that are being fetched.

    The last event carries the generation as its id, so that a stream cut in the middle is not taken for complete.
    """
    before = {plugin.detail.id: summary(plugin.detail) for plugin in old.plugins}
    events: list[tuple[str, object]] = []
    for plugin in new.plugins:
        after = summary(plugin.detail)
        if before.pop(after.id, None) != after:
            events.append(("plugin", after.wire()))
    events += [("plugin-removed", {"id": plugin_id}) for plugin_id in before]
    if admin:
        known = {job.id: job for job in old.installs}
        events += [("install", job.wire()) for job in new.installs if known.pop(job.id, None) != job]
        events += [("install-ended", {"id": job_id}) for job_id in known]
    frames = [frame(name, data) for name, data in events[:-1]]
    if events:
        name, data = events[-1]
        return [*frames, frame(name, data, str(new.generation))]
    return [frame(None, event_id=str(new.generation))]


async def _snapshots(
    state: GatewayState, queue: asyncio.Queue[bytes | None], seen: int | None, *, admin: bool
) -> None:
    async with state.snapshots.subscribe() as changes:
        generation = state.snapshots.current.generation
        if seen != generation:
            await queue.put(frame("reset", {"generation": generation}, str(generation)))
        async for old, new in changes:
            for event in changed_events(old.snapshot, new.snapshot, admin=admin):
                await queue.put(event)


async def _reachability(state: GatewayState, queue: asyncio.Queue[bytes | None], principal: Principal) -> None:
    async for _ in state.registry.reachability():
        await queue.put(frame("system", (await system_view(state, principal)).wire()))


async def _core_events(state: GatewayState, queue: asyncio.Queue[bytes | None], principal: Principal) -> None:
    with state.event_tail.listen() as events:
        while True:
            event = await events.get()
            if event is None:  # some were missed
                await queue.put(frame("reset", {"generation": state.snapshots.current.generation}))
            elif principal.role == "admin" or event.type.startswith(FOR_EVERYBODY):
                await queue.put(frame("event", event.wire()))


async def _access(
    state: GatewayState, queue: asyncio.Queue[bytes | None], principal: Principal, credentials: Credentials
) -> None:
    with state.accounts.authenticator.watch(principal) as changed:
        while True:
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await changed.wait()
            except TimeoutError:
                await queue.put(PING)
            changed.clear()
            if not await _still(state, principal, credentials):
                await queue.put(None)
                return


async def _still(state: GatewayState, principal: Principal, credentials: Credentials) -> bool:
    try:
        return await state.authenticator.authenticate(credentials) == principal
    except DatabaseUnavailableError:
        return True  # nobody can have been signed out meanwhile


async def plugin_events(
    state: GatewayState, principal: Principal, credentials: Credentials, seen: int | None
) -> AsyncGenerator[bytes]:
    """The stream for one client that has seen the given generation.

    Every source waits for room in the queue; the snapshots' one then gets several changes as one.
    """
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_SIZE)
    yield PING  # opens the stream in the browser at once
    feeds = [
        asyncio.create_task(
            _snapshots(state, queue, seen, admin=principal.role == "admin"), name="stream: snapshots"
        ),
        asyncio.create_task(_reachability(state, queue, principal), name="stream: reachability"),
        asyncio.create_task(_core_events(state, queue, principal), name="stream: events"),
        asyncio.create_task(_access(state, queue, principal, credentials), name="stream: access"),
    ]
    for feed in feeds:
        feed.add_done_callback(lambda done: _report(done, queue))
    try:
        while (event := await queue.get()) is not None:
            yield event
    finally:
        for feed in feeds:
            feed.cancel()
        await asyncio.gather(*feeds, return_exceptions=True)


def _report(feed: asyncio.Task[None], queue: asyncio.Queue[bytes | None]) -> None:
    """A source that broke ends the stream: the client comes back and reads everything again."""
    if feed.cancelled() or (error := feed.exception()) is None:
        return
    log.error("a source of the event stream broke", source=feed.get_name(), exc_info=error)
    while queue.full():
        queue.get_nowait()
    queue.put_nowait(None)


@router.get(
    "/api/events/stream",
    response_class=EventStream,
    responses={200: {"description": "Server-sent events", "content": {"text/event-stream": {}}}},
)
async def events_stream(
    principal: UserDep,
    credentials: CredentialsDep,
    state: StateDep,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> EventStream:
    """Live changes: `plugin`, `plugin-removed`, `system`, `event`; `reset` says that lists must be read again.

    `event` carries a CloudEvent: of media, downloads and plugins for everybody, any other for administrators.
    Administrators also get `install` and `install-ended`, about plugins that are being fetched.
    """
    seen = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else None
    return EventStream(plugin_events(state, principal, credentials, seen), state.stopping)
