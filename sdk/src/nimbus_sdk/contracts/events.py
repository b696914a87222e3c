"""Events: CloudEvents 1.0, published at `/core/v1/events` and delivered to `POST /_nimbus/events`.

A type is made of segments with dots between. Core's types are `io.nimbus.<domain>.<what>.v1`, a plugin's are
`plugin.<id>.<what>`. In a pattern `*` stands for one segment and `**` for any number of them, none included. Neither
has more than 16 segments.
"""

import functools
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from nimbus_sdk.contracts.base import WireModel

CLOUD_EVENT_MEDIA_TYPE = "application/cloudevents+json"
HEADER_DELIVERY_ATTEMPT = "X-Nimbus-Delivery-Attempt"
MOST_ATTEMPTS = 8
"""After so many failed deliveries an event is put aside as a dead letter."""

MOST_SEGMENTS = 16
"""Segments of a type or a pattern: one that has more is refused, and matches nothing where it was kept before."""

HEARING = {
    "media": "media:read",
    "download": "downloads:read",
    "plugin": "plugins:read",
    "user": "users:read",
}
"""The permission to hear of the core's events, by their domain: the segment after `io.nimbus.`."""


def few_segments(dotted: str) -> str:
    """The type or pattern unchanged.

    Raises:
        ValueError: it has too many segments.
    """
    if dotted.count(".") >= MOST_SEGMENTS:
        raise ValueError(f"at most {MOST_SEGMENTS} segments with dots between")
    return dotted


EventType = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$", max_length=200),
    AfterValidator(few_segments),
    Field(examples=["io.nimbus.media.created.v1"]),
]
EventPattern = Annotated[
    str,
    StringConstraints(pattern=r"^(\*|\*\*|[A-Za-z0-9_-]+)(\.(\*|\*\*|[A-Za-z0-9_-]+))*$", max_length=200),
    Field(examples=["io.nimbus.media.*.v1", "plugin.indexer.**"]),
]
"""As a manifest that was installed before may have it."""
NewEventPattern = Annotated[EventPattern, AfterValidator(few_segments)]


class CloudEvent(WireModel):
    """An event as it is delivered: CloudEvents 1.0 in JSON. A repeated delivery has the same `id` and `source`."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str = Field(description="`/nimbus` or `/plugins/<id>`.")
    type: str
    subject: str | None = Field(default=None, description="What it is about, such as the id of a media item.")
    time: datetime
    datacontenttype: Literal["application/json"] = "application/json"
    data: Any = None


class EventPublish(WireModel):
    """One event to publish; its type begins with `plugin.<own id>.`, its own namespace."""

    type: EventType = Field(description="At most 16 segments.")
    subject: Annotated[str, StringConstraints(max_length=200)] | None = None
    data: Any = None
    id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,100}$")] | None = Field(
        default=None,
        description="Unique among the plugin's events. Sent again, it is published once: a safe retry.",
    )
    time: datetime | None = Field(default=None, description="When it happened; now, when left out.")


class EventBatch(WireModel):
    """Body of `POST /core/v1/events`, answered 202. All are published, or none."""

    events: list[EventPublish] = Field(min_length=1, max_length=500)


class EventReceipt(WireModel):
    """Answer of `POST /core/v1/events`: the ids, in the order of the batch."""

    ids: list[str]


@functools.lru_cache(maxsize=4096)
def event_matches(pattern: str, event_type: str) -> bool:
    """Whether a subscription pattern takes an event type; never, if one of them has too many segments. Pure.

    Only the last `**` that was passed is ever stretched, so no pattern takes more steps than its length times that of
    the type. As a regular expression, forty of them would keep the process busy for ever.
    """
    wanted, segments = pattern.split("."), event_type.split(".")
    if len(wanted) > MOST_SEGMENTS or len(segments) > MOST_SEGMENTS:
        return False
    at = here = stretched_to = 0
    stretched = -1
    while here < len(segments):
        if at < len(wanted) and wanted[at] == "**":
            stretched, stretched_to = at, here
            at += 1
        elif at < len(wanted) and wanted[at] in {"*", segments[here]}:
            at, here = at + 1, here + 1
        elif stretched >= 0:
            stretched_to += 1
            at, here = stretched + 1, stretched_to
        else:
            return False
    return all(rest == "**" for rest in wanted[at:])


class DeadLetter(WireModel):
    """A delivery that was given up."""

    id: str
    subscriber: str
    event: CloudEvent
    attempts: int
    error: str
    failed_at: datetime


class DeadLetterPage(WireModel):
    """Dead letters, newest first."""

    items: list[DeadLetter]
    next: str | None = None


class Subscription(WireModel):
    """Who gets events, and how far behind it is."""

    subscriber: str = Field(description="`plugin:<id>` or `webhook:<id>`.")
    kind: Literal["plugin", "webhook"]
    name: str
    patterns: list[str]
    status: Literal["active", "waiting", "retrying", "unsubscribed"] = Field(
        description="`waiting`: it does not run now, its events are kept for 7 days; `retrying`: deliveries fail."
    )
    lag: int = Field(description="Events that wait to be delivered.")
    lag_seconds: float = Field(description="Age of the oldest of them.")
    dead_letters: int
    delivered: int = Field(description="Deliveries that succeeded since the subscription exists.")
    last_delivered_at: datetime | None = None
    next_attempt_at: datetime | None = None
    last_error: str | None = None


class SubscriptionList(WireModel):
    """All subscriptions, by subscriber."""

    items: list[Subscription]


class ReplayRequest(WireModel):
    """Which kept events to deliver again: one, those of a range of time, or, without either, all.

    Only events that fit the subscriber's patterns are delivered. Events are kept for 7 days.
    """

    event_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class ReplayResult(WireModel):
    """How many deliveries were queued."""

    queued: int


class EventRecord(CloudEvent):
    """A kept event, with how its deliveries stand."""

    waiting: int = Field(description="Subscribers that it has not reached yet.")
    dead: int = Field(description="Subscribers that it was given up for.")


class EventRecordPage(WireModel):
    """Kept events, newest first."""

    items: list[EventRecord]
    next: str | None = None
