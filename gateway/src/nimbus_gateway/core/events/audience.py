"""Who may get which events: an allow-list of what the core tells of, by permission. Pure."""

from collections.abc import Collection, Iterable, Sequence

from nimbus_sdk.contracts.downloads import DOWNLOAD_CONTROL, DOWNLOAD_REQUESTED
from nimbus_sdk.contracts.events import HEARING, event_matches
from nimbus_sdk.contracts.schedules import SCHEDULE_FIRED

from nimbus_gateway.core.permissions import granted

_CORE = "io.nimbus."
_SCHEDULES = "io.nimbus.schedule."
NEEDED = {f"io.nimbus.{domain}.": permission for domain, permission in HEARING.items()}
"""What the core tells of, and the permission to hear it. What is in no line goes to no plugin, except that a plugin
hears of its own schedules."""
ADDRESSED = frozenset({SCHEDULE_FIRED, DOWNLOAD_REQUESTED, DOWNLOAD_CONTROL})
"""Types that only ever go to the one plugin which they are meant for, whatever others subscribe to."""
PLUGIN = "plugin:"
SCHEDULE = "schedule:"


def is_addressed(event_type: str, to: Sequence[str] | None) -> bool:
    """Whether an event is meant for whom it is queued, not for everybody who subscribes to its type.

    Of events that were queued before Nimbus noted whom they are for, the type says it.
    """
    return to is not None or event_type in ADDRESSED


def plugin_of(subscriber: str) -> str | None:
    """The plugin behind a subscriber; None for a webhook."""
    for kind in (PLUGIN, SCHEDULE):
        if subscriber.startswith(kind):
            return subscriber.removeprefix(kind).partition(":")[0]
    return None


def is_schedule(subscriber: str) -> bool:
    """Whether a subscriber is one schedule of a plugin."""
    return subscriber.startswith(SCHEDULE)


def withheld(grants: Iterable[str]) -> tuple[str, ...]:
    """Beginnings of the types that a plugin with these grants may not see."""
    held = tuple(grants)
    return tuple(begin for begin, needed in NEEDED.items() if not granted(needed, held))


def may_see(plugin_id: str, kept_back: Collection[str], event_type: str, subject: str | None) -> bool:
    """Whether a plugin may see an event that is addressed to nobody in particular."""
    if not event_type.startswith(_CORE):
        return True  # another plugin's: it published it for others
    if event_type.startswith(_SCHEDULES):
        return subject == plugin_id
    area = next((begin for begin in NEEDED if event_type.startswith(begin)), None)
    return area is not None and area not in kept_back


def wants(
    name: str, patterns: Sequence[str], kept_back: Collection[str], event_type: str, subject: str | None
) -> bool:
    """Whether a subscriber gets an event that is addressed to nobody in particular.

    Args:
        name: the subscriber's.
        patterns: what it asked for.
        kept_back: see `withheld`.
        event_type: the event's.
        subject: the event's.
    """
    if event_type in ADDRESSED:
        return False
    plugin_id = plugin_of(name)
    if plugin_id is not None and not may_see(plugin_id, kept_back, event_type, subject):
        return False
    return any(event_matches(pattern, event_type) for pattern in patterns)
