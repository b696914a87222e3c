"""One run of the bench: its options, what it has started, and what it has measured so far."""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.errors import BenchError
from tests.bench.machine import Cores, busy_seconds, cpu_seconds, family
from tests.bench.processes import Process, Processes
from tests.bench.samples import Sample
from tests.bench.targets import Target
from tests.bench.upstreams import Upstreams
from tests.bench.wrk import run_wrk

NOISE = 0.05
"""A larger share of the two cores used by others is worth a warning."""


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how often to measure, and where."""

    rounds: int
    seconds: float
    cores: Cores
    against: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What wrk asks for: the measurement's name, a plugin's path, and how many connections ask at once.

    Attributes:
        unlike: no two requests are the same.
    """

    workload: str
    plugin: str
    path: str
    connections: int
    unlike: bool = False


@dataclass
class Cost:
    """What a measurement cost; filled in when it is over."""

    wall: float = 0.0
    proxy: float = 0.0
    foreign: float = 0.0


@dataclass
class Session:
    """Shared by all workloads of a run."""

    options: Options
    folder: Path
    processes: Processes
    upstreams: Upstreams
    nimbus: Target
    competitors: dict[str, Target]
    missing: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    onlookers: list[Process] = field(default_factory=list)

    @property
    def nginx(self) -> Target:
        return self.competitors["nginx"]

    def say(self, text: str) -> None:
        """Progress, for whoever waits."""
        sys.stderr.write(f"bench: {text}\n")
        sys.stderr.flush()

    @contextmanager
    def cost_of(self, target: Target) -> Iterator[Cost]:
        """Measure wall time, the target's CPU time, and how much others ran meanwhile."""
        cost = Cost()
        cores = self.options.cores
        ours, proxy, busy, began = self._own_cpu(), _cpu(target), busy_seconds(cores), time.monotonic()
        yield cost
        cost.wall = time.monotonic() - began
        cost.proxy = _cpu(target) - proxy
        foreign = busy_seconds(cores) - busy - (self._own_cpu() - ours)
        cost.foreign = max(0.0, foreign / (2 * cost.wall))

    def _own_cpu(self) -> float:
        """CPU time of all that takes part: what is below the bench, finished or not, and containers of the run."""
        done = resource.getrusage(resource.RUSAGE_CHILDREN)
        onlookers = sum(process.cpu() for process in self.onlookers)
        return cpu_seconds(family(os.getpid())) + onlookers + done.ru_utime + done.ru_stime

    def http(self, call: Call, number: int, target: Target) -> Sample:
        """One run of wrk against one target, kept as a sample."""
        with self.cost_of(target) as cost:
            load = run_wrk(
                target.url(call.plugin, call.path),
                connections=call.connections,
                seconds=self.options.seconds,
                core=self.options.cores.load,
                headers=target.headers(),
                unlike=call.unlike,
            )
        proxied = target.running is not None
        return self.keep(
            Sample(
                workload=call.workload,
                target=target.name,
                round=number,
                rate=load.rate,
                p50=load.p50,
                p99=load.p99,
                proxy_busy=cost.proxy / cost.wall if proxied else None,
                cpu_us=cost.proxy * 1e6 / load.requests if proxied else None,
                foreign=cost.foreign,
            )
        )

    def keep(self, sample: Sample) -> Sample:
        """Record a sample and show it."""
        self.samples.append(sample)
        details = f"{sample.rate:11.1f}/s"
        if sample.p50 is not None:
            details += f"  p50 {sample.p50:7.0f} us"
        if sample.cpu_us is not None:
            details += f"  {sample.cpu_us:7.1f} us CPU each, core {100 * (sample.proxy_busy or 0):3.0f}% busy"
        if sample.foreign > NOISE:
            details += f"  (others used {100 * sample.foreign:.0f}% of the cores)"
        self.say(f"{sample.workload:10} round {sample.round + 1}  {sample.target:8} {details}")
        return sample

    def interleave(self, targets: Sequence[Target], measure: Callable[[int, Target], object]) -> None:
        """Each target once a round; each round begins with another, so that none always comes first.

        Raises:
            BenchError: the gateway, nginx or the upstream failed. Another's failure only costs its sample.
        """
        for number in range(self.options.rounds):
            shift = number % len(targets)
            for target in [*targets[shift:], *targets[:shift]]:
                try:
                    measure(number, target)
                except BenchError as error:
                    if target.name not in self.competitors or target.name == "nginx":
                        raise
                    self.say(f"{target.name} failed and has no sample: {error}")
                    self.notes.append(f"A measurement of {target.name} failed and is left out.")


def _cpu(target: Target) -> float:
    return target.running.cpu() if target.running is not None else 0.0
