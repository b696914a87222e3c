"""How slow a client may be: average rates for bodies and answers, and less patience when it is crowded.

A limit on silence alone is met by one byte now and then; an average is not.
"""

import math

MIN_RATE = 500
"""Bytes a second that a client must send of a body, or take of an answer, on average."""
BODY_GRACE_SECONDS = 10.0
"""Before the rate of a body counts."""
STALLED_SECONDS = 120.0
"""How long a client may take less of an answer than `MIN_RATE` while there is room for everybody."""
CROWDED_STALLED_SECONDS = 5.0
CROWDED_IDLE_SECONDS = 5.0
"""How long a connection may wait for its next request when it is crowded."""
CROWDED = 512
"""Connections of one worker from which on it is crowded."""
STAYS_CROWDED_SECONDS = 30.0
"""For how long it counts as crowded after the last time that it was: else the last few of a crowd would stay."""


class BodyPace:
    """A body on its way in. Times are seconds of one monotonic clock."""

    __slots__ = ("_bytes", "_started")

    def __init__(self) -> None:
        self._started = 0.0
        self._bytes = 0

    def start(self, now: float) -> None:
        """A body begins."""
        self._started = now
        self._bytes = 0

    def add(self, size: int) -> None:
        """Bytes have come."""
        self._bytes += size

    def rest(self, seconds: float) -> None:
        """The client was not listened to: that time is not its own."""
        self._started += seconds

    @property
    def deadline(self) -> float:
        """When it is too slow if nothing more has come by then."""
        return self._started + BODY_GRACE_SECONDS + self._bytes / MIN_RATE


class AnswerPace:
    """An answer on its way out."""

    __slots__ = ("_delivered", "_since")

    def __init__(self) -> None:
        self._since = math.inf
        self._delivered = 0

    def too_slow(self, now: float, delivered: int, *, waiting: bool, crowded: bool) -> bool:
        """Whether the client has taken too little for too long.

        Args:
            now: monotonic seconds.
            delivered: bytes of all answers that the client's system has acknowledged.
            waiting: there are bytes that it has not.
            crowded: there is less patience then.
        """
        if not waiting:
            self._since = math.inf
            return False
        if self._since == math.inf:
            self._since, self._delivered = now, delivered
            return False
        elapsed = now - self._since
        if elapsed < (CROWDED_STALLED_SECONDS if crowded else STALLED_SECONDS):
            return False
        slow = delivered - self._delivered < MIN_RATE * elapsed
        self._since, self._delivered = now, delivered
        return slow
