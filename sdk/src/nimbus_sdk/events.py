"""What a plugin does when something happens: handlers of events and of schedules, and how an event finds them.

The platform delivers at least once and in order, and repeats a delivery until it is answered with success. A
handler may therefore run twice for one event (`event.id` is the same), and a later event waits for it.
"""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nimbus_sdk.contracts.downloads import DOWNLOAD_CONTROL, DOWNLOAD_REQUESTED
from nimbus_sdk.contracts.events import HEARING, few_segments
from nimbus_sdk.contracts.events import CloudEvent as Event
from nimbus_sdk.contracts.events import event_matches as matches
from nimbus_sdk.contracts.manifest import EventsSection, Schedule
from nimbus_sdk.contracts.schedules import SCHEDULE_FIRED
from nimbus_sdk.injection import Hook

if TYPE_CHECKING:
    from nimbus_sdk.server import PluginServer

REMEMBERED_FAILURES = 256
"""Events that some handlers have done and others have not: what is done is not done again at the next delivery."""

_WITHOUT_SUBSCRIPTION = frozenset({DOWNLOAD_REQUESTED, DOWNLOAD_CONTROL})
"""A download's provider gets these because it is one."""

log = logging.getLogger("nimbus_sdk")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A handler of events whose type fits `pattern`."""

    pattern: str
    hook: Hook


@dataclass(frozen=True, slots=True)
class Job:
    """A handler that runs at the times of a cron line."""

    id: str
    cron: str
    timezone: str
    hook: Hook


class NobodyWants(Exception):  # noqa: N818 - an answer, not a fault
    """No handler of the plugin takes such events, so they need not be sent."""


def check_pattern(pattern: str) -> str:
    """The pattern unchanged, when it is well-formed.

    Raises:
        ValueError: says which segment is wrong, or that there are too many.
    """
    few_segments(pattern)
    for segment in pattern.split("."):
        if not re.fullmatch(r"[A-Za-z0-9_-]+|\*\*?", segment):
            raise ValueError(
                f"segment {segment!r} of {pattern!r} is neither a name nor * (one segment) nor ** (any number)"
            )
    return pattern


def job_id(function: Callable[..., Any]) -> str:
    """The schedule's id for a function: its name with hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", function.__name__.lower()).strip("-")


class Dispatcher:
    """Hands events to the author's handlers.

    A handler runs as a task of its own: when the platform gives up waiting and delivers again, the second
    delivery waits for the run that is under way instead of starting another.
    """

    def __init__(self, server: "PluginServer", subscriptions: Sequence[Subscription], jobs: Sequence[Job]) -> None:
        self._server = server
        self._subscriptions = subscriptions
        self._jobs = {job.id: job for job in jobs}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._done: OrderedDict[str, set[Hook]] = OrderedDict()

    async def deliver(self, event: Event) -> None:
        """Run every handler that takes the event, one after the other.

        Raises:
            NobodyWants: there is none.
            Exception: whatever a handler raised; the event should be delivered again.
        """
        task = self._running.get(event.id)
        if task is None:
            hooks = self._hooks(event)
            task = asyncio.create_task(self._run(event, hooks), name=f"event {event.id}")
            self._running[event.id] = task
            task.add_done_callback(lambda done: self._forget(event.id, done))
        await asyncio.shield(task)

    async def aclose(self) -> None:
        """End what still runs; the platform will deliver it again."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hooks(self, event: Event) -> list[Hook]:
        if event.type == SCHEDULE_FIRED and event.subject is not None:
            job = self._jobs.get(event.subject)
            if job is None:
                raise NobodyWants(f"there is no job {event.subject} in this plugin")
            return [job.hook]
        if not self._subscriptions:
            raise NobodyWants("this plugin handles no events")
        return [item.hook for item in self._subscriptions if matches(item.pattern, event.type)]

    async def _run(self, event: Event, hooks: Sequence[Hook]) -> None:
        done = self._done.pop(event.id, set())
        try:
            for hook in hooks:
                if hook not in done:
                    await hook(self._server, event=event)
                    done.add(hook)
        except BaseException:
            if done:
                self._done[event.id] = done
                if len(self._done) > REMEMBERED_FAILURES:
                    self._done.popitem(last=False)
            raise

    def _forget(self, event_id: str, task: asyncio.Task[None]) -> None:
        self._running.pop(event_id, None)
        if not task.cancelled() and task.exception() is not None:
            log.error(
                "event handler failed",
                exc_info=task.exception(),
                extra={"nimbus_fields": {"event": event_id}},
            )


def not_subscribed(subscriptions: Sequence[Subscription], events: EventsSection) -> list[str]:
    """The patterns of the code that the manifest does not subscribe to. Pure."""
    patterns = dict.fromkeys(item.pattern for item in subscriptions if item.pattern not in _WITHOUT_SUBSCRIPTION)
    return [one for one in patterns if not any(_covers(pattern, one) for pattern in events.subscribe)]


def disagreements(
    subscriptions: Sequence[Subscription], jobs: Sequence[Job], events: EventsSection, schedules: Sequence[Schedule]
) -> list[str]:
    """Where the code's `on` and `every` and the manifest differ, as sentences that say what to change. Pure."""
    lacking = not_subscribed(subscriptions, events)
    found = [
        f'{item.hook.name} handles {item.pattern}, which the manifest does not subscribe to; add "{item.pattern}" '
        "to its events.subscribe"
        for item in subscriptions
        if item.pattern in lacking
    ]
    declared = {schedule.id: schedule for schedule in schedules}
    for job in jobs:
        schedule = declared.get(job.id)
        if schedule is None:
            found.append(f"the job {job.id} is not in the manifest; add {_entry(job)} to its schedules")
        elif (schedule.cron, schedule.timezone) != (job.cron, job.timezone):
            found.append(
                f"the job {job.id} has the times {job.cron!r} ({job.timezone}) in the code and {schedule.cron!r} "
                f"({schedule.timezone}) in the manifest"
            )
    return found


def unhandled(
    subscriptions: Sequence[Subscription], jobs: Sequence[Job], events: EventsSection, schedules: Sequence[Schedule]
) -> list[str]:
    """What the manifest asks for and nothing in the code takes, as sentences. Pure."""
    found = [
        f"{pattern} is in the manifest's events.subscribe, but nothing in the code handles it"
        for pattern in events.subscribe
        if not any(_covers(pattern, item.pattern) or _covers(item.pattern, pattern) for item in subscriptions)
    ]
    known = {job.id for job in jobs}
    return found + [
        f"{schedule.id} is in the manifest's schedules, but nothing in the code runs it"
        for schedule in schedules
        if schedule.id not in known
    ]


def withheld(patterns: Sequence[str], permissions: Sequence[str]) -> list[str]:
    """Patterns whose events Nimbus keeps back because a permission is missing, as sentences. Pure."""
    return [
        f"{pattern} brings nothing of {area}: such events go only to plugins with the permission {needed}; add it"
        for pattern in patterns
        for area, needed in HEARING.items()
        if pattern.startswith(f"io.nimbus.{area}.")
        and needed not in permissions
        and needed.partition(":")[0] + ":*" not in permissions
    ]


def _covers(wide: str, narrow: str) -> bool:
    """Whether every type that fits `narrow` fits `wide`, near enough: a wildcard is taken as one odd name."""
    if wide == narrow:
        return True
    return matches(wide, narrow.replace("**", "x.x.x").replace("*", "x"))


def _entry(job: Job) -> str:
    zone = "" if job.timezone == "UTC" else f', "timezone": "{job.timezone}"'
    return f'{{ "id": "{job.id}", "cron": "{job.cron}"{zone} }}'
