"""The figures of the bench: their names, what is asked of them, and which measurement they come from."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result.

    Attributes:
        least: the value that it must reach; None asks nothing.
        aim: the value that is worked towards.
        upper: the value must not be above `least`, instead of not below.
        strict: `least` itself is not enough.
    """

    name: str
    title: str
    workload: str
    least: float | None = None
    aim: float | None = None
    upper: bool = False
    strict: bool = False
    unit: str = ""

    def met(self, value: float) -> bool:
        """Whether the value reaches what is asked."""
        if self.least is None:
            return True
        if self.strict and value == self.least:
            return False
        return value <= self.least if self.upper else value >= self.least

    def wanted(self) -> str:
        """What is asked, in words."""
        if self.least is None:
            return ""
        sign = "≤" if self.upper else ">" if self.strict else "≥"
        return f"{sign} {self.least:g}{self.unit}"

    def aimed(self) -> str:
        """What is worked towards, in words."""
        return "" if self.aim is None else f"{'≤' if self.upper else '≥'} {self.aim:g}{self.unit}"


FIGURES = (
    Figure("ratio_nginx_c1", "÷ nginx, 1 connection", "small", 0.55, 0.70),
    Figure("ratio_nginx_c32", "÷ nginx, 32 connections", "small", 0.36, 0.45),
    Figure("ratio_nginx_c128", "÷ nginx, 128 connections", "small", 0.36, 0.45),
    Figure("ratio_aiohttp_c32", "÷ aiohttp ingress, 32 connections", "small", 4, 5),
    Figure("ratio_caddy_c32", "÷ Caddy, 32 connections", "small", 1, 1.5, strict=True),
    Figure("ratio_envoy_c32", "÷ Envoy, 32 connections", "small", 1, 1.5, strict=True),
    Figure("ratio_haproxy_c32", "÷ HAProxy, 32 connections", "small"),
    Figure("ratio_fastapi_c32", "÷ FastAPI route + httpx, 32 connections", "small"),
    Figure("added_p50_us_c1", "added p50 over direct, 1 connection", "small", 100, 70, upper=True, unit=" µs"),
    Figure("added_p50_us_c1_nginx", "the same of nginx", "small", unit=" µs"),
    Figure("added_p50_us_c1_haproxy", "the same of HAProxy", "small", unit=" µs"),
    Figure("ratio_nginx_unlike_c32", "÷ nginx, 32 connections, no two requests alike", "unlike", 0.36, 0.45),
    Figure("ratio_1mib_nginx", "1 MiB by 8, ÷ nginx", "large", 1, 1.5),
    Figure("ratio_download_nginx", "100 MiB download, ÷ nginx", "large", 1, 1.5),
    Figure("rss_growth_stalled_mib", "memory growth, 10 stalled readers", "memory", 30, 10, upper=True, unit=" MiB"),
    Figure("rss_growth_upload_mib", "memory growth, slow upload", "memory", 30, 10, upper=True, unit=" MiB"),
    Figure("ratio_ws_nginx", "WebSocket, 128 B by 32, ÷ nginx", "websocket", 0.8, 1),
    Figure("ratio_direct_realistic_c32", "a FastAPI plugin behind it, ÷ direct", "realistic", 0.90, 0.97),
    Figure("ratio_direct_realistic_c32_nginx", "the same of nginx", "realistic"),
    Figure("ratio_table_1000x20", "1 000 plugins by 20 routes, ÷ 1 by 1", "table", 0.95, 1),
    Figure("ratio_nginx_bridge_c32", "through the engine's bridge, ÷ nginx there", "bridge"),
)


def workloads_of(names: set[str]) -> set[str]:
    """Measurements that give the named figures; the name of a measurement stands for itself.

    Raises:
        ValueError: a name is neither.
    """
    by_figure = {figure.name: figure.workload for figure in FIGURES}
    known = set(by_figure.values()) | {"profile"}
    unknown = names - by_figure.keys() - known
    if unknown:
        raise ValueError(
            f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(sorted(known | by_figure.keys()))}"
        )
    return {by_figure.get(name, name) for name in names}


def misses(values: Mapping[str, float]) -> list[Figure]:
    """Measured figures that do not reach what is asked of them."""
    return [figure for figure in FIGURES if figure.name in values and not figure.met(values[figure.name])]
