"""When a schedule's time comes. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from croniter.croniter import CroniterError

LATE = timedelta(seconds=90)
"""A time that passed longer ago was missed."""


def schedule_problem(cron: str, timezone: str) -> str | None:
    """What is wrong with a cron line or its time zone, in words; None when it is fine."""
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"{timezone!r} is no time zone; write a name such as Europe/Vienna."
    if len(cron.split()) != 5:  # noqa: PLR2004 - minute, hour, day, month, weekday
        return f"{cron!r} is no cron line: write minute, hour, day, month and weekday, such as 0 3 * * *."
    try:
        next_time(cron, timezone, datetime(2024, 1, 1, tzinfo=UTC))
    except (CroniterError, ValueError) as error:
        return f"{cron!r} is no cron line that ever comes: {error}"[:300]
    return None


def next_time(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after a moment, in UTC.

    Raises:
        CroniterError, ValueError: the line or the zone is not valid.
    """
    found: datetime = croniter(cron, after.astimezone(ZoneInfo(timezone))).get_next(datetime)
    return found.astimezone(UTC)
