"""From samples to figures: medians of same-round ratios."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one target in one round.

    Attributes:
        workload: what was asked for, e.g. ``c32``.
        target: who was measured, e.g. ``nginx``.
        round: the round, from 0.
        rate: requests, round trips or mebibytes a second.
        p50: median latency in microseconds, where it was measured.
        p99: the same for the 99th percentile.
        proxy_busy: share of its core that the proxy used, 0 to 1.
        cpu_us: CPU microseconds of the proxy for one request.
        foreign: share of the two cores that others used meanwhile; more than a little spoils the sample.
    """

    workload: str
    target: str
    round: int
    rate: float
    p50: float | None = None
    p99: float | None = None
    proxy_busy: float | None = None
    cpu_us: float | None = None
    foreign: float = 0.0

    def record(self) -> dict[str, object]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def by_round(samples: Iterable[Sample], workload: str, target: str, field: str = "rate") -> Mapping[int, float]:
    """The values of one target in one workload, by round."""
    found: dict[int, float] = {}
    for sample in samples:
        value = getattr(sample, field)
        if sample.workload == workload and sample.target == target and value is not None:
            found[sample.round] = value
    return found


def ratio(samples: Sequence[Sample], workload: str, target: str, base: str) -> float | None:
    """Median over the rounds of target ÷ base, each from the same round; None when no round has both."""
    above = by_round(samples, workload, target)
    below = by_round(samples, workload, base)
    ratios = [above[number] / below[number] for number in above if below.get(number)]
    return statistics.median(ratios) if ratios else None


def difference(samples: Sequence[Sample], workload: str, target: str, base: str, field: str) -> float | None:
    """Median over the rounds of target minus base, each from the same round."""
    above = by_round(samples, workload, target, field)
    below = by_round(samples, workload, base, field)
    differences = [above[number] - below[number] for number in above if number in below]
    return statistics.median(differences) if differences else None


def middle(samples: Iterable[Sample], workload: str, target: str, field: str = "rate") -> float | None:
    """Median over the rounds of one target's own value."""
    values = list(by_round(samples, workload, target, field).values())
    return statistics.median(values) if values else None


def spread(samples: Sequence[Sample], workload: str, target: str, base: str) -> tuple[float, float] | None:
    """Least and greatest same-round ratio: how sure the median is."""
    above = by_round(samples, workload, target)
    below = by_round(samples, workload, base)
    ratios = [above[number] / below[number] for number in above if below.get(number)]
    return (min(ratios), max(ratios)) if ratios else None
