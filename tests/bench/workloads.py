"""The measurements: each takes samples in a session and sets the figures that follow from them."""

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.bench.bridge import bridge
from tests.bench.errors import BenchError
from tests.bench.gateway import gateway_plugins, run_gateway
from tests.bench.registry import key_route, serving_plugin
from tests.bench.samples import Sample, difference, ratio
from tests.bench.session import Call, Session
from tests.bench.targets import Target, check
from tests.bench.transfers import Upload, download, stall
from tests.bench.upstreams import LARGE, MEDIUM, MIB, SMALL, UPLOAD_RATE
from tests.bench.websocket import round_trips

CONNECTIONS = (1, 32, 128)
WS_CONNECTIONS = 32
STALLED = 10
STALL_SECONDS = 3.0
UPLOAD_MIB, UPLOAD_SECONDS = 100, 120.0
TABLE_PLUGINS, TABLE_ROUTES = 1000, 20


def _set(session: Session, name: str, value: float | None) -> None:
    if value is not None:
        session.figures[name] = value


def small(session: Session) -> None:
    """1 KiB with an API key at 1, 32 and 128 connections, through everything."""
    targets = [session.nimbus, *session.competitors.values()]
    direct = session.upstreams.direct("bench")
    for target in targets:
        check(target, "bench", SMALL, session.upstreams.small)
    for connections in CONNECTIONS:
        workload = f"c{connections}"
        session.interleave([direct, *targets], partial(session.http, Call(workload, "bench", SMALL, connections)))
        for name in session.competitors:
            _set(session, f"ratio_{name}_{workload}", ratio(session.samples, workload, "nimbus", name))
    _set(session, "added_p50_us_c1", difference(session.samples, "c1", "nimbus", "direct", "p50"))
    if "haproxy" in session.competitors:
        _set(session, "added_p50_us_c1_haproxy", difference(session.samples, "c1", "haproxy", "direct", "p50"))
    _set(session, "added_p50_us_c1_nginx", difference(session.samples, "c1", "nginx", "direct", "p50"))


def unlike(session: Session) -> None:
    """The same at 32 connections with a query that is new each time: no two requests are the same bytes."""
    pair = [session.nginx, session.nimbus]
    session.interleave(pair, partial(session.http, Call("unlike", "bench", SMALL, 32, unlike=True)))
    _set(session, "ratio_nginx_unlike_c32", ratio(session.samples, "unlike", "nimbus", "nginx"))


def large(session: Session) -> None:
    """1 MiB by eight connections, and one download of 100 MiB."""
    pair = [session.nginx, session.nimbus]
    for target in pair:
        check(target, "bench", MEDIUM)
    session.interleave(pair, partial(session.http, Call("1mib", "bench", MEDIUM, 8)))
    _set(session, "ratio_1mib_nginx", ratio(session.samples, "1mib", "nimbus", "nginx"))

    def one(number: int, target: Target) -> None:
        times: list[float] = []
        with session.cost_of(target) as cost:
            until = time.monotonic() + session.options.seconds
            while not times or time.monotonic() < until:
                times.append(download(target, "bench", LARGE, 100 * MIB))
        rate = 100 / statistics.median(times)
        busy = cost.proxy / cost.wall
        session.keep(Sample("download", target.name, number, rate, proxy_busy=busy, foreign=cost.foreign))

    session.interleave(pair, one)
    _set(session, "ratio_download_nginx", ratio(session.samples, "download", "nimbus", "nginx"))


def _growth(target: Target, before: int, over: Callable[[], bool], *, deadline: float) -> float:
    """The most that resident memory is above `before` until `over`, in MiB."""
    running = target.running
    assert running is not None
    most = before
    until = time.monotonic() + deadline
    while not over():
        if time.monotonic() > until:
            raise BenchError(f"{target.name}: not over after {deadline:.0f} s")
        running.check()
        most = max(most, running.rss())
        time.sleep(0.02)
    return (max(most, running.rss()) - before) / MIB


def _warm(session: Session, target: Target) -> None:
    """Let the gateway allocate what it allocates once, whoever reads."""
    session.http(Call("warm", "bench", SMALL, STALLED), 0, target)
    download(target, "bench", LARGE, 100 * MIB)


def _start_upload(target: Target, mebibytes: int) -> Upload:
    upload = Upload(target, "uploads", "/upload", mebibytes * MIB)
    upload.start()
    return upload


def _check_upload(upload: Upload, mebibytes: int) -> None:
    """Wait for its end. Raises: BenchError: the plugin did not get all of it."""
    upload.join(UPLOAD_SECONDS)
    if upload.failure is not None or upload.answer != str(mebibytes * MIB).encode():
        raise BenchError(f"the upload failed: {upload.failure or upload.answer!r}")


def _fresh(session: Session, name: str) -> contextlib.AbstractContextManager[Target]:
    """A gateway that has not served yet: memory that another measurement left to it would hide growth."""
    plugins = gateway_plugins(session.upstreams)
    return run_gateway(session.processes, session.folder, plugins, core=session.options.cores.proxy, name=name)


def memory(session: Session) -> None:
    """Resident memory while ten clients stall on 100 MiB each, and while 100 MiB go up to a slow reader."""
    with _fresh(session, "stalled") as target, contextlib.ExitStack() as held:
        assert target.running is not None
        _warm(session, target)
        before = target.running.rss()
        for _ in range(STALLED):
            held.enter_context(stall(target, "bench", LARGE))
        until = time.monotonic() + max(STALL_SECONDS, session.options.seconds)
        grown = _growth(target, before, lambda: time.monotonic() > until, deadline=60)
    session.figures["rss_growth_stalled_mib"] = round(grown, 2)
    session.say(f"{STALLED} stalled readers: {grown:.1f} MiB")

    with _fresh(session, "upload") as target:
        assert target.running is not None
        _check_upload(_start_upload(target, 1), 1)
        before = target.running.rss()
        began = time.monotonic()
        upload = _start_upload(target, UPLOAD_MIB)
        grown = _growth(target, before, lambda: not upload.is_alive(), deadline=UPLOAD_SECONDS)
        took = time.monotonic() - began
        _check_upload(upload, UPLOAD_MIB)
        if took < UPLOAD_MIB / UPLOAD_RATE / 2:
            raise BenchError(f"the upload was over after {took:.1f} s: its reader was not slow")
    session.figures["rss_growth_upload_mib"] = round(grown, 2)
    session.say(f"slow upload in {took:.1f} s: {grown:.1f} MiB")


def websocket(session: Session) -> None:
    """Round trips of 128 bytes on 32 connections, one message at a time on each."""

    def one(number: int, target: Target) -> None:
        with session.cost_of(target) as cost:
            count, seconds = round_trips(
                target, "echo", "/ws", connections=WS_CONNECTIONS, seconds=session.options.seconds
            )
        proxied = target.running is not None
        session.keep(
            Sample(
                "websocket",
                target.name,
                number,
                count / seconds,
                proxy_busy=cost.proxy / cost.wall if proxied else None,
                cpu_us=cost.proxy * 1e6 / count if proxied else None,
                foreign=cost.foreign,
            )
        )

    session.interleave([session.upstreams.direct("echo"), session.nginx, session.nimbus], one)
    _set(session, "ratio_ws_nginx", ratio(session.samples, "websocket", "nimbus", "nginx"))


def realistic(session: Session) -> None:
    """A FastAPI plugin behind the gateway, and behind nginx, against the same plugin without either."""
    proxies = [session.nimbus, session.nginx]
    for target in proxies:
        check(target, "items", "/items")
    session.interleave(
        [session.upstreams.direct("items"), *proxies],
        partial(session.http, Call("realistic", "items", "/items", 32)),
    )
    _set(session, "ratio_direct_realistic_c32", ratio(session.samples, "realistic", "nimbus", "direct"))
    _set(session, "ratio_direct_realistic_c32_nginx", ratio(session.samples, "realistic", "nginx", "direct"))


def table(session: Session) -> None:
    """1 000 plugins with 20 routes each in the table against one with one."""
    port = session.upstreams.ports["bench"]
    routes = [key_route(SMALL), *(key_route(f"/things/{number}/{{id}}") for number in range(TABLE_ROUTES - 1))]
    many = [serving_plugin(f"plugin-{number}", routes, port) for number in range(TABLE_PLUGINS - 1)]
    many.insert(TABLE_PLUGINS // 2, serving_plugin("bench", routes, port))
    single = [serving_plugin("bench", [key_route(SMALL)], port)]
    core = session.options.cores.proxy
    with (
        run_gateway(session.processes, session.folder, single, core=core, name="table-1x1") as one,
        run_gateway(session.processes, session.folder, many, core=core, name="table-1000x20") as large_one,
    ):
        pair = [one, large_one]
        for target in pair:
            check(target, "bench", SMALL, session.upstreams.small)
        session.interleave(pair, partial(session.http, Call("table", "bench", SMALL, 32)))
    _set(session, "ratio_table_1000x20", ratio(session.samples, "table", "table-1000x20", "table-1x1"))


@dataclass(frozen=True, slots=True)
class Workload:
    """A measurement by name."""

    name: str
    run: Callable[[Session], None]


WORKLOADS = (
    Workload("small", small),
    Workload("unlike", unlike),
    Workload("large", large),
    Workload("memory", memory),
    Workload("websocket", websocket),
    Workload("realistic", realistic),
    Workload("table", table),
    Workload("bridge", bridge),
)
