"""Where plugins publish events."""

import asyncio
import json

from fastapi import APIRouter, Depends
from nimbus_sdk.contracts.events import EventBatch, EventPublish, EventReceipt, event_matches
from nimbus_sdk.contracts.jsontext import pointer
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import SnapshotPlugin

from nimbus_gateway.core.events.outbox import NewEvent, emit_all
from nimbus_gateway.core.plugin_caller import PluginDep, plugin_with
from nimbus_gateway.errors import ValidationError
from nimbus_gateway.http.dependencies import SessionDep, StateDep
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

router = APIRouter(prefix="/core/v1/events", route_class=StrictRoute, tags=["events"], responses=responses(401, 429))


async def publish_problems(plugin: SnapshotPlugin, batch: EventBatch) -> list[FieldProblem]:
    """Types that the plugin may not publish: others' and those that its manifest does not list."""
    own = f"plugin.{plugin.detail.id}."
    declared = plugin.detail.manifest.events.publish if plugin.detail.manifest else []
    listed: dict[str, bool] = {}
    found = []
    for position, event in enumerate(batch.events):
        path = pointer("events", position, "type")
        if event.type not in listed:
            listed[event.type] = any(event_matches(pattern, event.type) for pattern in declared)
            await asyncio.sleep(0)  # a hundred patterns may take a millisecond; others go on in between
        if not event.type.startswith(own):
            found.append(FieldProblem(path=path, message=f"a type that begins with {own}", value=event.type))
        elif declared and not listed[event.type]:
            wanted = "a type that the manifest lists under events.publish: " + ", ".join(declared)
            found.append(FieldProblem(path=path, message=wanted[:500], value=event.type))
    return found


def size_of(event: EventPublish) -> int:
    """The bytes of an event that count. Pure."""
    data = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
    return len(event.type) + len((event.subject or "").encode()) + len(data.encode())


@router.post(
    "", status_code=202, responses=responses(403, 413), dependencies=[Depends(plugin_with("events:publish"))]
)
async def events_publish(body: EventBatch, plugin: PluginDep, state: StateDep, session: SessionDep) -> EventReceipt:
    """Publish events of the plugin's own, all or none. They are kept before this call answers."""
    problems = await publish_problems(plugin, body)
    if problems:
        raise ValidationError("A plugin publishes events of its own namespace.", errors=problems)
    source = f"/plugins/{plugin.detail.id}"
    events = [
        NewEvent(
            event.type, event.subject, event.data, source=source, id=event.id, time=event.time, size=size_of(event)
        )
        for event in body.events
    ]
    await state.event_quota.take(session, source, len(events), sum(event.size for event in events))
    return EventReceipt(ids=await emit_all(session, events))
