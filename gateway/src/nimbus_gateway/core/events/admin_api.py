"""Events for administrators: what was told, who is behind, what was given up, and telling it again."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from nimbus_sdk.contracts.events import (
    DeadLetterPage,
    EventRecordPage,
    ReplayRequest,
    ReplayResult,
    SubscriptionList,
)
from nimbus_sdk.contracts.snapshot import SERVING_STATES
from pydantic import AwareDatetime

from nimbus_gateway.core.events.status import EventFilter, EventStatus
from nimbus_gateway.http.dependencies import AdminDep, AuditDep, LimitDep, ReadSessionDep, SessionDep, StateDep
from nimbus_gateway.http.parameters import PlainText
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

LARGEST_ID = 2**63 - 1

router = APIRouter(
    prefix="/api/admin/events",
    route_class=StrictRoute,
    tags=["event administration"],
    responses=responses(401, 403),
)

RowCursor = Annotated[int | None, Query(ge=1, le=LARGEST_ID, description="`next` of the page before.")]
LetterId = Annotated[int, Path(ge=1, le=LARGEST_ID)]


@router.get("")
async def events_list(
    *,
    _: AdminDep,
    session: ReadSessionDep,
    cursor: RowCursor = None,
    limit: LimitDep = 50,
    event_type: Annotated[
        PlainText | None, Query(alias="type", description="Only types that begin so, e.g. `io.nimbus.media.`.")
    ] = None,
    source: Annotated[
        PlainText | None, Query(description="Only from there: `/nimbus`, or `/plugins/<id>` for what a plugin sent.")
    ] = None,
    text: Annotated[
        PlainText | None,
        Query(description="Only with this in the type, the subject or the data; A to Z in either case."),
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="Only what happened then or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Only what happened before.")] = None,
) -> EventRecordPage:
    """What was told in the last 7 days, newest first; with several filters, what fits all of them."""
    wanted = EventFilter(type_prefix=event_type, source=source, text=text, since=since, until=until)
    found = await EventStatus(session).events(wanted, before=cursor, limit=limit + 1)
    more = str(found[limit - 1][0]) if len(found) > limit else None
    return EventRecordPage(items=[record for _, record in found[:limit]], next=more)


@router.get("/subscriptions")
async def events_subscriptions(_: AdminDep, state: StateDep, session: ReadSessionDep) -> SubscriptionList:
    """Who gets events, and how far behind it is."""
    plugins = state.snapshots.current.plugins
    serving = frozenset(name for name, plugin in plugins.items() if plugin.detail.state in SERVING_STATES)
    names = {name: plugin.detail.name for name, plugin in plugins.items()}
    return SubscriptionList(items=await EventStatus(session).subscriptions(names, serving))


@router.post("/subscriptions/{subscriber}/replay", status_code=202, responses=responses(404, 409))
async def events_replay(
    subscriber: PlainText, body: ReplayRequest, admin: AdminDep, session: SessionDep, audit: AuditDep
) -> ReplayResult:
    """Deliver kept events again: one, a range of time, or all."""
    queued = await EventStatus(session).replay(subscriber, body)
    audit.write(session, "events.replay", admin, subscriber, queued=queued, wanted=body.wire())
    return ReplayResult(queued=queued)


@router.post("/subscriptions/{subscriber}/retry", status_code=202)
async def events_retry_all(
    subscriber: PlainText, admin: AdminDep, session: SessionDep, audit: AuditDep
) -> ReplayResult:
    """Deliver all dead letters of a subscriber again."""
    queued = await EventStatus(session).retry(subscriber=subscriber)
    audit.write(session, "events.retry", admin, subscriber, queued=queued)
    return ReplayResult(queued=queued)


@router.get("/dead-letters")
async def events_dead_letters(
    _: AdminDep,
    session: ReadSessionDep,
    cursor: RowCursor = None,
    limit: LimitDep = 50,
    subscriber: Annotated[PlainText | None, Query(description="Only those of this subscriber.")] = None,
) -> DeadLetterPage:
    """Deliveries that were given up after 8 attempts, newest first; kept for 30 days."""
    found = await EventStatus(session).dead_letters(before=cursor, limit=limit + 1, subscriber=subscriber)
    return DeadLetterPage(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)


@router.post("/dead-letters/{letter}/retry", status_code=202, responses=responses(404))
async def events_retry(letter: LetterId, admin: AdminDep, session: SessionDep, audit: AuditDep) -> ReplayResult:
    """Deliver one dead letter again."""
    queued = await EventStatus(session).retry(letter=letter)
    audit.write(session, "events.retry", admin, f"dead-letter:{letter}")
    return ReplayResult(queued=queued)


@router.delete("/dead-letters/{letter}", status_code=204, responses=responses(404))
async def events_discard(letter: LetterId, admin: AdminDep, session: SessionDep, audit: AuditDep) -> None:
    """Forget one dead letter."""
    await EventStatus(session).discard(letter)
    audit.write(session, "events.discard", admin, f"dead-letter:{letter}")
