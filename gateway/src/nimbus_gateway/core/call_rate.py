"""How many calls a plugin makes: a token bucket for each, in this worker's memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass

BURST_SECONDS = 10.0
"""What was not used for so long may be used at once."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class CallRate:
    """Counts calls by name and says when there are too many.

    Args:
        a_minute: how many are fine in the long run.
        clock: seconds, monotonic.
    """

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = a_minute / 60
        self._size = max(self._rate * BURST_SECONDS, 1.0)
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str) -> float:
        """Count one call. 0 when it is fine, else the seconds after which the next one is."""
        moment = self._clock()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._size, moment)
        bucket.tokens = min(self._size, bucket.tokens + (moment - bucket.at) * self._rate)
        bucket.at = moment
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0.0
        return (1 - bucket.tokens) / self._rate
