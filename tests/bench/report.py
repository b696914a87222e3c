"""The page `docs/explanation/performance.md`: written from a result, so that page and numbers never differ."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.competitors import COMPETITORS, TITLES
from tests.bench.figures import FIGURES, Figure
from tests.bench.folded import merge, shares
from tests.bench.machine import Cores, Machine
from tests.bench.profiling import CONNECTIONS, Profile
from tests.bench.samples import Sample, by_round, middle
from tests.bench.svg import bars, flame
from tests.bench.workloads import CONNECTIONS as LOADS

PAGE, CHART, FLAME = "performance.md", "performance.svg", "performance-flame.svg"
LEAST_FRAME = 0.004
PARTS = 14
NOISE = 0.05

_METHOD = """\
- Each round measures everyone once, in an order that shifts from round to round; a ratio stays within its round.
- The gateway is the real one: a process of its own, with everything on that is on by default: guard, API-key
  authentication on SQLite, identity token, request id, metrics, and the access log, which goes to a file. Its
  registry is a stand-in that hands out one snapshot.
- The competitors check the key (last column above), take the prefix off the path, keep connections to the upstream
  open, and write no access log. Otherwise they are as they come; nginx buffers responses, for example.
- The upstream is nginx with static files; for WebSockets a small echo; the realistic plugin is FastAPI on uvicorn
  with validated models.
- The gateway recognises a request, and a plugin's answer, whose head came before byte for byte, and headers that came
  before under another target. wrk sends the same request over and over; for `ratio_nginx_unlike_c32` each request has
  a query of its own.
- The realistic plugin shares its core with the load. Directly, a request never leaves that core; through a proxy on
  another core it crosses four times, and the interrupts of that are part of what `ratio_direct_realistic_c32` shows.
  The gateway lets events gather in front of a plugin that has several requests before it, so that they are fewer.
- A failed request, or an answer that is not 2xx, makes a measurement invalid, and the bench says so.
- Memory is what the gateway holds above what it held after it had served the same kind of body once."""

_VERSION_TITLES = {"nimbus": "Nimbus", "nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy", "caddy": "Caddy"}


@dataclass(frozen=True, slots=True)
class Result:
    """All that the page is written from."""

    measured_at: str
    rounds: int
    seconds: float
    cores: Cores
    machine: Machine
    versions: dict[str, str]
    figures: dict[str, float]
    samples: list[Sample]
    missing: list[str]
    notes: list[str]
    profile: Profile | None


def write(result: Result, folder: Path) -> None:
    """Write page and pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CHART).write_text(_chart(result))
    if result.profile is not None:
        title = f"The gateway at {CONNECTIONS} connections: where its time goes"
        (folder / FLAME).write_text(flame(title, merge(result.profile.stacks, least=LEAST_FRAME)))
    (folder / PAGE).write_text("\n\n".join(_sections(result)) + "\n")


def _sections(result: Result) -> Iterable[str]:
    yield "# Performance"
    yield (
        "What the gateway costs on the way to a plugin, measured beside reverse proxies that others use and beside "
        "the two designs that a Python project would think of first. `make bench` measures it again and writes this "
        "page; nothing here is typed in by hand."
    )
    noise = _noise(result.samples)
    if noise > NOISE:
        yield (
            f"> **Provisional.** Other work used {noise:.0%} of the two cores while this ran (median of the "
            "measurements), so rates and latencies are lower than they would be, and ratios scatter."
        )
    yield "## Figures"
    yield (
        f"Medians over {result.rounds} rounds of {result.seconds:g} s, each ratio taken within one round. A ratio "
        "above 1 means that the gateway is faster."
    )
    yield _table(
        ["figure", "", "measured", "least and most of a round", "asked", "aim", ""],
        [_figure_row(figure, result) for figure in FIGURES if figure.name in result.figures],
    )
    yield from result.notes
    yield f"![Requests a second side by side]({CHART})"
    yield "## Side by side"
    yield (
        "A GET of 1 KiB of JSON with an API key. CPU is the proxy's own for one request: it depends less than "
        "rates do on what else the machine does."
    )
    yield _table(
        ["", *(f"req/s, {load}" for load in LOADS), "p50 µs, 1", "p99 µs, 32", "CPU µs, 1", "CPU µs, 32", "checks"],
        [_side_row(name, result.samples) for name in _order(result.samples)],
    )
    if result.missing:
        yield f"Not installed, and so left out: {', '.join(result.missing)}."
    if result.profile is not None:
        yield "## Where the time goes"
        yield (
            f"Samples of the gateway at {CONNECTIONS} connections. Time in libraries counts for the part of the "
            "gateway that called them; hover over the picture for names."
        )
        yield _table(
            ["part", "share"],
            [[f"`{part}`", f"{share:.1%}"] for part, share in shares(result.profile.stacks)[:PARTS]],
        )
        yield f"![Flame graph]({FLAME})"
    yield from _method(result)


def _method(result: Result) -> Iterable[str]:
    machine, cores = result.machine, result.cores
    yield "## How it is measured"
    yield (
        f"On {result.measured_at}: {machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB, "
        f"{machine.system}, Linux {machine.kernel}, Python {machine.python}. The proxy has core {cores.proxy} to "
        f"itself, load and upstream share core {cores.load}; everything runs with one worker."
    )
    yield _table(
        ["program", "version"],
        [[_VERSION_TITLES.get(name, name), version] for name, version in result.versions.items()],
    )
    yield _METHOD


def number(value: float) -> str:
    """Three significant digits, and never an exponent."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _noise(samples: Sequence[Sample]) -> float:
    return statistics.median([sample.foreign for sample in samples]) if samples else 0.0


_PAIRS = {
    "ratio_1mib_nginx": ("1mib", "nimbus", "nginx"),
    "ratio_download_nginx": ("download", "nimbus", "nginx"),
    "ratio_nginx_unlike_c32": ("unlike", "nimbus", "nginx"),
    "ratio_ws_nginx": ("websocket", "nimbus", "nginx"),
    "ratio_direct_realistic_c32": ("realistic", "nimbus", "direct"),
    "ratio_direct_realistic_c32_nginx": ("realistic", "nginx", "direct"),
    "ratio_table_1000x20": ("table", "table-1000x20", "table-1x1"),
    "ratio_nginx_bridge_c32": ("bridge", "nimbus", "nginx"),
}


def _range(figure: Figure, samples: Sequence[Sample]) -> str:
    """Least and greatest value of a round."""
    if figure.name.startswith("added_p50_us_c1"):
        name = figure.name.removeprefix("added_p50_us_c1").strip("_") or "nimbus"
        above, below = by_round(samples, "c1", name, "p50"), by_round(samples, "c1", "direct", "p50")
        values = [above[number] - below[number] for number in above if number in below]
    else:
        pair = _PAIRS.get(figure.name)
        if pair is None and figure.workload == "small":
            _, name, workload = figure.name.split("_")
            pair = (workload, "nimbus", name)
        if pair is None:
            return ""
        above, below = by_round(samples, pair[0], pair[1]), by_round(samples, pair[0], pair[2])
        values = [above[number] / below[number] for number in above if below.get(number)]
    return f"{number(min(values))} to {number(max(values))}" if values else ""


def _figure_row(figure: Figure, result: Result) -> list[str]:
    value = result.figures[figure.name]
    verdict = "" if figure.least is None else "met" if figure.met(value) else "**not met**"
    measured = f"{number(value)}{figure.unit}"
    return [
        f"`{figure.name}`",
        figure.title,
        measured,
        _range(figure, result.samples),
        figure.wanted(),
        figure.aimed(),
        verdict,
    ]


def _order(samples: Sequence[Sample]) -> list[str]:
    """Everyone who took part, the fastest at 32 connections first."""
    names = {sample.target for sample in samples if sample.workload == "c32"}
    return sorted(names, key=lambda name: -(middle(samples, "c32", name) or 0.0))


def _side_row(name: str, samples: Sequence[Sample]) -> list[str]:
    def shown(workload: str, field: str, digits: int = 0) -> str:
        value = middle(samples, workload, name, field)
        return "" if value is None else f"{value:,.{digits}f}".replace(",", " ")

    checks = {one.name: one.checks for one in COMPETITORS} | {"nimbus": "everything that is on by default"}
    title = TITLES.get(name, name)
    return [
        f"**{title}**" if name == "nimbus" else title,
        *(shown(f"c{load}", "rate") for load in LOADS),
        shown("c1", "p50"),
        shown("c32", "p99"),
        shown("c1", "cpu_us"),
        shown("c32", "cpu_us"),
        checks.get(name, ""),
    ]


def _chart(result: Result) -> str:
    groups = []
    for load in LOADS:
        entries = [(name, middle(result.samples, f"c{load}", name)) for name in _order(result.samples)]
        shown = [(TITLES.get(name, name), value) for name, value in entries if value is not None and name != "direct"]
        shown.sort(key=lambda one: -one[1])
        thousands = [(name, value / 1000) for name, value in shown]
        groups.append((f"{load} connection{'' if load == 1 else 's'}", thousands))
    return bars("Thousand requests a second: 1 KiB with an API key, one core", groups, highlight=TITLES["nimbus"])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
