"""What plugins use, in Prometheus' text format: asked of the registry at each scrape, kept by nobody here."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, get_args

import structlog
from nimbus_sdk.contracts.inspection import PluginMetrics
from nimbus_sdk.contracts.snapshot import PluginState

from nimbus_gateway.errors import GatewayError
from nimbus_gateway.state import GatewayState

if TYPE_CHECKING:
    from prometheus_client import Metric

log = structlog.get_logger(__name__)

_Value = Callable[[PluginMetrics], float | None]

_COUNTERS: Final[tuple[tuple[str, str, _Value], ...]] = (
    ("nimbus_plugin_restarts", "Starts anew since the registry's start.", lambda m: m.restarts),
    ("nimbus_plugin_cpu_seconds", "Processor time of the present run.", lambda m: m.cpu_seconds),
    ("nimbus_plugin_network_received_bytes", "Received in the present run.", lambda m: m.network_received),
    ("nimbus_plugin_network_sent_bytes", "Sent in the present run.", lambda m: m.network_sent),
)
_GAUGES: Final[tuple[tuple[str, str, _Value], ...]] = (
    ("nimbus_plugin_memory_bytes", "Memory in use.", lambda m: m.current.memory if m.current else None),
    ("nimbus_plugin_memory_limit_bytes", "Memory that it may use.", lambda m: m.memory_limit),
    ("nimbus_plugin_cpu_limit_cores", "Cores that it may use.", lambda m: m.cpu_limit),
    ("nimbus_plugin_data_bytes", "Data that it keeps.", lambda m: m.data.used_bytes if m.data else None),
    ("nimbus_plugin_data_limit_bytes", "Data that it may keep.", lambda m: m.data.limit_bytes if m.data else None),
    ("nimbus_plugin_failures", "Failures of the last ten minutes.", lambda m: m.failures),
)


def families(plugins: Sequence[PluginMetrics]) -> "Iterator[Metric]":
    """Metric families; a figure that is not known has no line. Pure."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415 - see observability

    for name, text, value in _COUNTERS:
        yield _filled(CounterMetricFamily(name, text, labels=["plugin"]), plugins, value)
    for name, text, value in _GAUGES:
        yield _filled(GaugeMetricFamily(name, text, labels=["plugin"]), plugins, value)
    states = GaugeMetricFamily("nimbus_plugin_state", "1 for the state that it is in.", labels=["plugin", "state"])
    for plugin in plugins:
        for state in get_args(PluginState):
            states.add_metric([plugin.plugin_id, state], 1.0 if plugin.state == state else 0.0)
    yield states


def _filled(family: "Metric", plugins: Iterable[PluginMetrics], value: _Value) -> "Metric":
    for plugin in plugins:
        found = value(plugin)
        if found is not None:
            family.add_metric([plugin.plugin_id], float(found))  # type: ignore[attr-defined]  # both kinds have it
    return family


async def render_plugin_metrics(state: GatewayState) -> bytes:
    """The text; empty while the registry does not answer, so that the gateway's own figures are had all the same."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - see observability

    try:
        plugins = await state.registry.all_metrics()
    except GatewayError as error:
        log.info("a scrape goes without the plugins' figures", reason=str(error))
        return b""

    class Collector:
        def collect(self) -> "Iterator[Metric]":
            return families(plugins)

    registry = CollectorRegistry()
    registry.register(Collector())
    return generate_latest(registry)
