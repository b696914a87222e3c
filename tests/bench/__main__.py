"""`python -m tests.bench`: measure the gateway beside its competitors. `make bench` sets up what this needs."""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.competitors import COMPETITORS, ROOT, start_competitor
from tests.bench.errors import BenchError
from tests.bench.figures import FIGURES, misses, workloads_of
from tests.bench.folded import shares
from tests.bench.gateway import gateway_plugins, run_gateway
from tests.bench.machine import describe_machine, pick_cores, versions
from tests.bench.processes import Processes
from tests.bench.profiling import Profile, profile
from tests.bench.report import Result, write
from tests.bench.session import Options, Session
from tests.bench.targets import Target
from tests.bench.upstreams import start_upstreams
from tests.bench.workloads import WORKLOADS

JSON_FILE = ROOT / "build" / "bench.json"
DOCUMENTS = ROOT / "docs" / "explanation"
ALL_WORKLOADS = (*(one.name for one in WORKLOADS), "profile")
ROUNDS, SECONDS = 5, 3.0
QUICK_ROUNDS, QUICK_SECONDS = 2, 1.0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description="Measure the gateway's data plane.")
    parser.add_argument("--rounds", type=int, default=None, help=f"interleaved rounds (default {ROUNDS})")
    parser.add_argument("--seconds", type=float, default=None, help=f"length of a measurement (default {SECONDS:g})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds of {QUICK_SECONDS:g} s")
    parser.add_argument("--only", default="", help="names of figures or measurements, with commas between")
    parser.add_argument("--against", default="", help="names of competitors, with commas between; nginx always runs")
    parser.add_argument("--proxy-core", type=int, default=None)
    parser.add_argument("--load-core", type=int, default=None)
    parser.add_argument(
        "--document", action="store_true", help="write docs/explanation/performance.md; a whole run always does"
    )
    parser.add_argument("--gate", action="store_true", help="exit with 1 when a figure misses what is asked of it")
    chosen = parser.parse_args(arguments)
    chosen.only = _names(chosen.only)
    chosen.against = _names(chosen.against)
    try:
        chosen.workloads = workloads_of(chosen.only) if chosen.only else {*ALL_WORKLOADS}
    except ValueError as error:
        parser.error(str(error))
    strangers = chosen.against - {one.name for one in COMPETITORS}
    if strangers:
        parser.error(f"no such competitor: {', '.join(sorted(strangers))}")
    whole = not (chosen.quick or chosen.only or chosen.against)
    chosen.document = chosen.document or (whole and (chosen.rounds or ROUNDS) >= ROUNDS)
    return chosen


def _names(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


def start_competitors(
    options: Options, workloads: set[str], processes: Processes, folder: Path, ports: dict[str, int]
) -> tuple[dict[str, Target], list[str]]:
    """Start those that are wanted and there; titles of those that are not are the second value.

    Raises:
        BenchError: nginx is not there, and without it there is nothing to compare with.
    """
    started: dict[str, Target] = {}
    missing: list[str] = []
    for one in COMPETITORS:
        is_base = one.name == "nginx"
        wanted = "small" in workloads and (options.against is None or one.name in options.against)
        if not (is_base or wanted):
            continue
        try:
            started[one.name] = start_competitor(one, processes, folder, ports, core=options.cores.proxy)
        except BenchError as error:
            if is_base:
                raise
            sys.stderr.write(f"bench: left out: {error}\n")
            missing.append(one.title)
    return started, missing


@contextlib.contextmanager
def open_session(options: Options, workloads: set[str]) -> Iterator[Session]:
    """Start upstreams, competitors and the gateway; stop all of them at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="nimbus-bench-") as name,
        Processes(Path(name)) as processes,
    ):
        folder = Path(name)
        upstreams = start_upstreams(processes, folder, core=options.cores.load)
        competitors, missing = start_competitors(options, workloads, processes, folder, upstreams.ports)
        with run_gateway(processes, folder, gateway_plugins(upstreams), core=options.cores.proxy) as nimbus:
            session = Session(options, folder, processes, upstreams, nimbus, competitors, missing)
            yield session


def result_of(session: Session, began: float, profiled: Profile | None) -> Result:
    """Everything that was measured."""
    options = session.options
    return Result(
        measured_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        rounds=options.rounds,
        seconds=options.seconds,
        cores=options.cores,
        machine=describe_machine(),
        versions=versions(),
        figures={one.name: session.figures[one.name] for one in FIGURES if one.name in session.figures},
        samples=session.samples,
        missing=session.missing,
        notes=session.notes,
        profile=profiled,
    )


def keep(result: Result) -> None:
    """Write `build/bench.json`."""
    document = {
        "measuredAt": result.measured_at,
        "rounds": result.rounds,
        "seconds": result.seconds,
        "machine": result.machine.record(),
        "versions": result.versions,
        "figures": result.figures,
        "missing": result.missing,
        "notes": result.notes,
        "profile": dict(shares(result.profile.stacks)) if result.profile else {},
        "samples": [sample.record() for sample in result.samples],
    }
    JSON_FILE.parent.mkdir(exist_ok=True)
    JSON_FILE.write_text(json.dumps(document, indent=1) + "\n")


def measure(options: Options, wanted: set[str], began: float) -> tuple[Result, list[str]]:
    """Run the wanted measurements; the names of those that failed are the second value."""
    failed: list[str] = []
    with open_session(options, wanted) as session:
        for workload in WORKLOADS:
            if workload.name not in wanted:
                continue
            session.say(f"measuring {workload.name}")
            try:
                workload.run(session)
            except BenchError as error:
                session.say(f"{workload.name} failed: {error}")
                failed.append(workload.name)
        profiled = None
        if "profile" in wanted:
            session.say("sampling where the time goes")
            try:
                profiled = profile(session)
            except BenchError as error:
                session.say(f"the profile failed: {error}")
                failed.append("profile")
        return result_of(session, began, profiled), failed


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    for ending in (signal.SIGINT, signal.SIGTERM):
        # An ordinary exit, so that everything that was started is stopped.
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    try:
        options = Options(
            rounds=chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS),
            seconds=chosen.seconds or (QUICK_SECONDS if chosen.quick else SECONDS),
            cores=pick_cores(chosen.proxy_core, chosen.load_core),
            against=frozenset(chosen.against) if chosen.against else None,
        )
        # The bench itself, which only waits meanwhile, stays off the proxy's core.
        os.sched_setaffinity(0, {options.cores.load})
        result, failed = measure(options, chosen.workloads, time.time())
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 2
    keep(result)
    for name, value in result.figures.items():
        sys.stdout.write(f"{name} {value:.4g}\n")
    missed = misses(result.figures)
    for figure in missed:
        sys.stderr.write(f"bench: {figure.name} is {result.figures[figure.name]:.3g}, asked is {figure.wanted()}\n")
    if failed:
        sys.stderr.write(f"bench: failed: {', '.join(failed)}\n")
        return 2
    if chosen.document:
        write(result, DOCUMENTS)
    return 1 if missed and chosen.gate else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
