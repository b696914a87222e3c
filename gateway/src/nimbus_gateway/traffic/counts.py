"""What is counted of requests, and figures made of it. Pure.

Counts add up: over routes, workers and minutes.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, get_args

from nimbus_gateway.errors import Cause
from nimbus_gateway.metrics import BUCKETS, Tally

MINUTE: Final = 60
CAUSES: Final[tuple[Cause, ...]] = get_args(Cause)
_FIRST_ERROR: Final = 400


@dataclass(slots=True)
class Counts:
    """Requests of some plugin in some time.

    Attributes:
        requests: those that ended.
        errors: answers from 400 up, and clients that left, by who they go back to.
        buckets: durations, as many as `BUCKETS` and one for what took longer; without WebSockets.
        received: bytes of requests' bodies.
        sent: bytes of answers' bodies.
    """

    requests: int = 0
    errors: dict[Cause, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    received: int = 0
    sent: int = 0

    def add_tally(self, tally: Tally) -> None:
        """Add what a route has answered."""
        sockets = False
        for (method, status, cause), number in tally.answers.items():
            self.requests += number
            sockets = sockets or method == "WEBSOCKET"
            if status == 0 or status >= _FIRST_ERROR:
                self.errors[cause] += number
        if not sockets:  # a WebSocket lasts as long as its page is open, which says nothing of how quick a plugin is
            self._add_buckets(tally.buckets)
        self.received += tally.received
        self.sent += tally.sent

    def add(self, other: "Counts") -> None:
        """Add others."""
        self.requests += other.requests
        for cause, number in other.errors.items():
            self.errors[cause] += number
        self._add_buckets(other.buckets)
        self.received += other.received
        self.sent += other.sent

    def _add_buckets(self, buckets: Sequence[int]) -> None:
        # A row of a Nimbus with other buckets has as many as it has.
        for index, number in enumerate(buckets[: len(self.buckets)]):
            self.buckets[index] += number

    def latency(self, share: float) -> float | None:
        """Seconds within which that share of the requests was answered; None without one."""
        return quantile(self.buckets, share)


def quantile(buckets: Sequence[int], share: float) -> float | None:
    """A quantile of a histogram with the bounds `BUCKETS`, taking each bucket as evenly filled.

    What lies above the last bound counts as that bound, as in Prometheus' `histogram_quantile`.
    """
    total = sum(buckets)
    if total == 0:
        return None
    wanted = share * total
    below = 0
    for index, number in enumerate(buckets[: len(BUCKETS)]):
        if number and below + number >= wanted:
            floor = BUCKETS[index - 1] if index else 0.0
            return floor + (BUCKETS[index] - floor) * (wanted - below) / number
        below += number
    return BUCKETS[-1]


def slots(begin: int, end: int, step: int) -> range:
    """Beginnings of the slots from the one that holds `begin` to the one that holds `end`, in Unix seconds."""
    return range(begin // step * step, end + 1, step)


def gathered(rows: Iterable[tuple[int, Counts]], found: Sequence[int]) -> Mapping[int, Counts]:
    """Counts by the slot that they fall in; a slot in which nothing happened holds zeros."""
    by_slot = {slot: Counts() for slot in found}
    for at, counts in rows:
        index = bisect_left(found, at + 1) - 1
        if index >= 0:
            by_slot[found[index]].add(counts)
    return by_slot
