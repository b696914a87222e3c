"""Metrics of requests: counted in plain numbers as they end, handed to prometheus-client once a second.

The labels are plugins and their declared routes, never raw paths, so their number is bounded.
"""

import os
import re
import shutil
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from nimbus_gateway.errors import Cause

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
FLUSH_SECONDS = 1.0

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the durations' histogram, in seconds."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_BREAKER_STATES = {"closed": 0, "half-open": 1, "open": 2}


def prepare_metrics(folder: Path, workers: int) -> None:
    """Choose where counters live; before prometheus-client is imported. Several workers share files in `folder`."""
    if workers > 1:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ[MULTIPROCESS_VARIABLE] = str(folder)


class Tally:
    """What one route has answered since the last flush. Used on the event loop only."""

    __slots__ = ("answers", "buckets", "plugin", "received", "route", "seconds", "sent")

    def __init__(self, plugin: str, route: str) -> None:
        self.plugin = plugin
        self.route = route
        self.reset()

    def reset(self) -> None:
        """Start anew."""
        self.answers: dict[tuple[str, int, Cause], int] = {}
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        self.received = 0
        self.sent = 0

    def count(self, method: str, status: int, cause: Cause, seconds: float, *, received: int, sent: int) -> None:
        """Count one request.

        Args:
            method: in capitals; `WEBSOCKET` for an upgrade.
            status: 0 when the client left before there was one.
            cause: who the answer goes back to.
            seconds: from the request's head to the end of its answer.
            received: bytes of the request's body.
            sent: bytes of the answer's body.
        """
        key = (method if method in _METHODS else "other", status, cause)
        self.answers[key] = self.answers.get(key, 0) + 1
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds
        self.received += received
        self.sent += sent


class RequestMetrics:
    """The tallies of one worker."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._gauges: Callable[[], list[tuple[str, int, str]]] = list
        self._listener: Callable[[Tally], None] | None = None

    def tally(self, plugin: str, route: str) -> Tally:
        """The tally of a declared route; empty strings for what is not a plugin's."""
        found = self._tallies.get((plugin, route))
        if found is None:
            found = self._tallies[plugin, route] = Tally(plugin, route)
        return found

    def watch(self, gauges: Callable[[], list[tuple[str, int, str]]]) -> None:
        """Where to read plugin id, requests under way and breaker state of each plugin."""
        self._gauges = gauges

    def listen(self, listener: Callable[[Tally], None]) -> None:
        """Who else gets each tally that has something, before it starts anew."""
        self._listener = listener

    def flush(self) -> None:
        """Hand what was counted to prometheus-client and the listener."""
        for tally in self._tallies.values():
            if not tally.answers:
                continue
            for (method, status, cause), number in tally.answers.items():
                _answers(tally.plugin, tally.route, method, str(status), cause).inc(number)
            _add_durations(_durations(tally.plugin, tally.route), tally.buckets, tally.seconds)
            received, sent = _sizes(tally.plugin, tally.route)
            received.inc(tally.received)
            sent.inc(tally.sent)
            if self._listener is not None:
                self._listener(tally)
            tally.reset()
        for plugin, active, breaker in self._gauges():
            in_flight, state = _plugin_gauges(plugin)
            in_flight.set(active)
            state.set(_BREAKER_STATES[breaker])


# The module reads PROMETHEUS_MULTIPROC_DIR when it is imported: `prepare_metrics` has run by then.
class _Metrics:
    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 - see above

        self.requests = Counter(
            "nimbus_requests",
            "Requests answered on the public port, and who the answer goes back to.",
            ["plugin", "route", "method", "status", "cause"],
        )
        self.seconds = Histogram(
            "nimbus_request_seconds",
            "Time from a request's head to the end of its answer.",
            ["plugin", "route"],
            buckets=BUCKETS,
        )
        self.received = Counter("nimbus_request_bytes", "Bytes of requests' bodies.", ["plugin", "route"])
        self.sent = Counter("nimbus_response_bytes", "Bytes of answers' bodies.", ["plugin", "route"])
        self.in_flight = Gauge(
            "nimbus_requests_in_flight", "Requests under way.", ["plugin"], multiprocess_mode="livesum"
        )
        self.breaker = Gauge(
            "nimbus_breaker_state",
            "Circuit breaker: 0 closed, 1 half-open, 2 open; the worst of all workers.",
            ["plugin"],
            multiprocess_mode="livemax",
        )


@cache
def _metrics() -> _Metrics:
    return _Metrics()


@cache
def _answers(plugin: str, route: str, method: str, status: str, cause: str) -> Any:  # noqa: ANN401 - no public type
    return _metrics().requests.labels(plugin, route, method, status, cause)


@cache
def _durations(plugin: str, route: str) -> Any:  # noqa: ANN401 - as above
    return _metrics().seconds.labels(plugin, route)


@cache
def _sizes(plugin: str, route: str) -> tuple[Any, Any]:
    return _metrics().received.labels(plugin, route), _metrics().sent.labels(plugin, route)


@cache
def _plugin_gauges(plugin: str) -> tuple[Any, Any]:
    return _metrics().in_flight.labels(plugin), _metrics().breaker.labels(plugin)


def _add_durations(histogram: Any, buckets: list[int], seconds: float) -> None:  # noqa: ANN401 - as above
    """Add many observations at once, which the package has no public call for (a test watches its internals)."""
    for bucket, number in zip(histogram._buckets, buckets, strict=True):  # noqa: SLF001
        if number:
            bucket.inc(number)
    histogram._sum.inc(seconds)  # noqa: SLF001


def forget_dead_workers() -> None:
    """Take the gauges of workers out that are no more; a worker calls it when it starts."""
    folder = os.environ.get(MULTIPROCESS_VARIABLE)
    if folder is None:
        return
    from prometheus_client import multiprocess  # noqa: PLC0415 - after the folder has been chosen

    for file in Path(folder).glob("gauge_live*.db"):
        found = re.search(r"_(\d+)\.db$", file.name)
        if found is not None and not Path(f"/proc/{found[1]}").exists():
            multiprocess.mark_process_dead(int(found[1]))  # type: ignore[no-untyped-call]  # the package's own gap


def render_metrics() -> tuple[bytes, str]:
    """All workers' metrics in Prometheus' text format, and its content type."""
    from prometheus_client import (  # noqa: PLC0415 - after the folder has been chosen
        CONTENT_TYPE_LATEST,
        REGISTRY,
        CollectorRegistry,
        generate_latest,
        multiprocess,
    )

    _metrics()
    if MULTIPROCESS_VARIABLE in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the package's own gap
        return generate_latest(registry), CONTENT_TYPE_LATEST
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
