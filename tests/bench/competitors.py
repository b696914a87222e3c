"""Who the gateway is compared with: how each is started, and what it checks of a request."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import configs
from tests.bench.errors import BenchError
from tests.bench.machine import bench_python_with, envoy_binary, program
from tests.bench.processes import Processes, free_ports
from tests.bench.targets import Target

KEY = "nbk_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
"""Of the same form and length as a real one."""

SERVERS = Path(__file__).with_name("servers")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a competitor needs to know to be started."""

    folder: Path
    port: int
    upstreams: Mapping[str, int]

    @property
    def upstream(self) -> int:
        return self.upstreams["bench"]

    def write(self, name: str, text: str) -> str:
        """Write a configuration and return its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)


@dataclass(frozen=True, slots=True)
class Competitor:
    """A reverse proxy that others use or would write.

    Attributes:
        checks: what it checks of a request, for the report.
        needs: finds its program; None means that it is missing.
        command: the command that starts it.
    """

    name: str
    title: str
    checks: str
    needs: Callable[[], str | None]
    command: Callable[[str, Plan], list[str]]


def _nginx(binary: str, plan: Plan) -> list[str]:
    addresses = {plugin: f"127.0.0.1:{port}" for plugin, port in plan.upstreams.items()}
    text = configs.nginx_proxy(str(plan.folder), f"127.0.0.1:{plan.port}", addresses, KEY)
    return [binary, "-p", str(plan.folder), "-c", plan.write("nginx-proxy.conf", text)]


def _haproxy(binary: str, plan: Plan) -> list[str]:
    return [binary, "-db", "-f", plan.write("haproxy.cfg", configs.haproxy(plan.port, plan.upstream, KEY))]


def _caddy(binary: str, plan: Plan) -> list[str]:
    text = configs.caddy(plan.port, plan.upstream, KEY)
    return [binary, "run", "--adapter", "caddyfile", "--config", plan.write("Caddyfile", text)]


def _envoy(binary: str, plan: Plan) -> list[str]:
    config = plan.write("envoy.yaml", configs.envoy(plan.port, plan.upstream, KEY))
    return [binary, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]


def _aiohttp(python: str, plan: Plan) -> list[str]:
    script = str(SERVERS / "aiohttp_ingress.py")
    return [python, script, str(plan.port), str(plan.upstream), KEY, configs.PREFIX]


def _fastapi(python: str, plan: Plan) -> list[str]:
    module = "tests.bench.servers.fastapi_route"
    return [python, "-m", module, str(plan.port), str(plan.upstream), KEY, configs.PREFIX]


def _python_with_aiohttp() -> str | None:
    return bench_python_with("aiohttp")


COMPETITORS = (
    Competitor("nginx", "nginx", "the key by a map; no log", lambda: program("nginx"), _nginx),
    Competitor("haproxy", "HAProxy", "the key by an ACL; no log", lambda: program("haproxy"), _haproxy),
    Competitor("envoy", "Envoy", "the key by a route match; no log", envoy_binary, _envoy),
    Competitor("caddy", "Caddy", "the key by a header matcher; no log", lambda: program("caddy"), _caddy),
    Competitor("aiohttp", "aiohttp ingress", "the key's SHA-256 in a dict; no log", _python_with_aiohttp, _aiohttp),
    Competitor(
        "fastapi", "FastAPI route + httpx", "the key's SHA-256 in a dict; no log", lambda: sys.executable, _fastapi
    ),
)

TITLES = {one.name: one.title for one in COMPETITORS} | {"nimbus": "Nimbus gateway", "direct": "no proxy"}


def start_competitor(
    competitor: Competitor, processes: Processes, folder: Path, upstreams: Mapping[str, int], *, core: int
) -> Target:
    """Start one and wait until it listens.

    Raises:
        BenchError: its program is missing, or it does not start.
    """
    binary = competitor.needs()
    if binary is None:
        raise BenchError(f"{competitor.title} is missing; get it with: deploy/dev/bench.sh setup")
    (port,) = free_ports(1)
    plan = Plan(folder=folder, port=port, upstreams=upstreams)
    running = processes.start(
        competitor.name,
        competitor.command(binary, plan),
        core=core,
        cwd=ROOT,
        environment={"GOMAXPROCS": "1", "HOME": str(folder)},
    )
    running.wait_for_port(port)
    return Target(name=competitor.name, port=port, key=KEY, running=running)
