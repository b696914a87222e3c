"""Reading the engine's answers: pure functions from its JSON to the values of the protocol."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from nimbus_sdk.contracts.snapshot import Upstream

from nimbus_registry.runtime.base import ExitStatus, Observation, RuntimeEvent, Stats
from nimbus_registry.runtime.spec import (
    LABEL_PLUGIN,
    LABEL_PORT,
    LABEL_ROLE,
    LABEL_SLOT,
    LABEL_SPEC_HASH,
    ROLE_GATEWAY,
    ROLE_PLUGIN,
    Names,
)

_SIGNAL_BASE: Final = 128
_LAST_SIGNAL: Final = 64

_KINDS: Final[Mapping[str, Literal["started", "exited", "removed"]]] = {
    "start": "started",
    "die": "exited",
    "destroy": "removed",
}


def observation(instance: str, facts: Mapping[str, Any], gateways: list[set[str]]) -> Observation:
    """A container as the protocol shows it.

    Args:
        instance: whose container.
        facts: the engine's inspection.
        gateways: for each running gateway container, the networks it is on.
    """
    plugin_id = label(facts, LABEL_PLUGIN)
    state = facts["State"]
    running = bool(state["Running"])
    networks = facts["NetworkSettings"]["Networks"] or {}
    own = networks.get(Names(instance, plugin_id).network) or {}
    address, port = own.get("IPAddress"), label(facts, LABEL_PORT)
    return Observation(
        plugin_id=plugin_id,
        phase="running" if running else "exited",
        spec_hash=label(facts, LABEL_SPEC_HASH),
        run_id=f"{facts['Id'][:12]}@{state['StartedAt']}",
        upstream=Upstream(host=address, port=int(port)) if running and address and port.isdigit() else None,
        linked=bool(own) and all(own.get("NetworkID") in joined for joined in gateways),
        exit=None if running else exit_status(state),
        started_at=_time(state["StartedAt"]),
        slot=slot_of(facts["Config"].get("Labels")),
        image=facts.get("Image"),
        egress=Names(instance, plugin_id).egress_network in networks,
    )


def exit_status(state: Mapping[str, Any]) -> ExitStatus:
    """How a container ended. Init passes a signal on as 128 plus its number, as shells do."""
    code = int(state["ExitCode"])
    number = code - _SIGNAL_BASE
    return ExitStatus(
        code=code,
        signal=number if 0 < number <= _LAST_SIGNAL else None,
        out_of_memory=bool(state.get("OOMKilled")),
    )


def container_stats(facts: Mapping[str, Any]) -> Stats | None:
    """The engine's figures; the file cache does not count as memory, as in `docker stats`. None when not running."""
    memory = facts.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    networks = (facts.get("networks") or {}).values()
    return Stats(
        cpu_seconds=facts["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        memory=max(0, memory["usage"] - cache),
        network_received=sum(network["rx_bytes"] for network in networks),
        network_sent=sum(network["tx_bytes"] for network in networks),
    )


def hint_of(event: Mapping[str, Any]) -> RuntimeEvent | None:
    """The hint behind an event of the engine, or None."""
    attributes = (event.get("Actor") or {}).get("Attributes") or {}
    kind = _KINDS.get(str(event.get("Action")))
    role = attributes.get(LABEL_ROLE)
    if kind is None or role not in {ROLE_PLUGIN, ROLE_GATEWAY}:
        return None
    if role == ROLE_GATEWAY:
        return RuntimeEvent("", "gateway-changed")
    return RuntimeEvent(str(attributes.get(LABEL_PLUGIN, "")), kind)


def container_of(event: Mapping[str, Any]) -> str:
    """The id of the container that an event is about, empty when it is about none."""
    return str((event.get("Actor") or {}).get("ID", ""))


def label(facts: Mapping[str, Any], key: str) -> str:
    """A label of an inspected container, empty when it has none."""
    return str((facts["Config"].get("Labels") or {}).get(key, ""))


def slot_of(labels: Mapping[str, str] | None) -> int:
    """The slot that a container runs in; one that was made before there were slots is in the first."""
    text = (labels or {}).get(LABEL_SLOT, "")
    return int(text) if text.isdigit() else 0


def _time(text: str) -> datetime | None:
    """A time of the engine: nanoseconds are cut, its zero value is None."""
    if text.startswith("0001-"):
        return None
    return datetime.fromisoformat(f"{text[:19]}+00:00").astimezone(UTC)
