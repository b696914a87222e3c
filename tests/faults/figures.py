"""What the fault tests measured: told at the end of the run, as the table of `docs/explanation/reliability.md`."""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median


def fault_runs(usual: int) -> int:
    """How often a fault is made: `FAULT_RUNS` by hand, few in CI."""
    return int(os.environ.get("FAULT_RUNS") or usual)


@dataclass
class Figures:
    """Seconds by fault."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, fault: str, seconds: float) -> None:
        """Note one run."""
        self.seconds[fault].append(seconds)

    def p95(self, fault: str) -> float:
        """The value that 95% of the runs did not exceed."""
        ordered = sorted(self.seconds[fault])
        return ordered[max(0, -(-95 * len(ordered) // 100) - 1)]

    def table(self) -> list[str]:
        """Rows in Markdown."""
        rows = ["| fault | runs | median | p95 | longest |", "|---|---|---|---|---|"]
        for fault in sorted(self.seconds):
            runs = self.seconds[fault]
            found = " | ".join(_shown(seconds) for seconds in (median(runs), self.p95(fault), max(runs)))
            rows.append(f"| {fault} | {len(runs)} | {found} |")
        return rows


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds:.3f} s"


FIGURES = Figures()
