"""The doctor: which hop between a request and a plugin's answer fails first. Pure; `examination` collects facts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from nimbus_sdk.contracts.control import ProbeResult
from nimbus_sdk.contracts.inspection import CheckStatus, Diagnosis, DoctorCheck, DoctorHop
from nimbus_sdk.contracts.plugin_api import CONTRACT_VERSION
from nimbus_sdk.contracts.snapshot import SERVING_STATES, Hop, PluginState, Reason

from nimbus_registry.lifecycle import reasons
from nimbus_registry.lifecycle.states import BROKEN, PREPARING
from nimbus_registry.runtime.base import CoreReach, Observation, Prepared

HOPS: Final[tuple[DoctorHop, ...]] = get_args(DoctorHop)

_HOP_OF_REASON: Final[dict[Hop, DoctorHop]] = {
    "manifest": "manifest",
    "image": "image",
    "start": "container",
    "exit": "container",
    "stop": "container",
    "engine": "container",
    "dns": "dns",
    "connect": "tcp",
    "http": "health",
    "handshake": "contract",
    "init": "init",
    "config": "init",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found. None means that it was not looked at, and `unknown` says why.

    Attributes:
        wanted: it is enabled and plugins are switched on.
        port: that it is to listen on.
        problems: how many errors its manifest has.
        has_manifest: there is a good one to run by.
        image: what it is run from.
        run: its container or process.
        current: the run is by the present manifest and settings.
        probe: the gateway's health check.
        gateway_error: why the gateway could not be asked for it.
        reach: the core, called from the plugin's place.
        token_known: the run's token is the one that the core takes.
        asked: permissions of the manifest.
        granted: permissions that a person granted.
        unknown: hops that could not be looked at, with the reason.
    """

    plugin_id: str
    state: PluginState
    reason: Reason | None
    wanted: bool
    port: int
    problems: int = 0
    has_manifest: bool = True
    image: Prepared | None = None
    run: Observation | None = None
    current: bool = True
    probe: ProbeResult | None = None
    gateway_error: str | None = None
    reach: CoreReach | None = None
    token_known: bool = False
    asked: Sequence[str] = ()
    granted: Sequence[str] = ()
    unknown: dict[DoctorHop, str] | None = None


def diagnose(facts: Facts, *, at: datetime, log_tail: Sequence[str] = ()) -> Diagnosis:
    """Walk the hops in order and name the first that fails."""
    checks = [_LOOK[hop](facts) for hop in HOPS]
    failed = next((check for check in checks if check.status == "failed"), None)
    if failed is not None:
        after = HOPS.index(failed.hop) + 1
        checks[after:] = [_after_failure(check, failed.hop) for check in checks[after:]]
    return Diagnosis(
        plugin_id=facts.plugin_id,
        state=facts.state,
        at=at,
        healthy=failed is None,
        summary=_summary(facts, failed, checks),
        first_failed=failed.hop if failed else None,
        checks=checks,
        log_tail=reasons.tail(log_tail) or list(facts.reason.log_tail if facts.reason else []),
    )


def _summary(facts: Facts, failed: DoctorCheck | None, checks: Sequence[DoctorCheck]) -> str:
    if failed is not None:
        return f"The first hop that fails is {failed.hop}: {failed.message}"
    if facts.state == "idle":
        return "It sleeps until somebody asks for it, and nothing was found that would keep it from starting."
    if not facts.wanted:
        return "It is switched off, and nothing was found that would keep it from starting."
    warnings = [check for check in checks if check.status == "warning"]
    if warnings:
        serves = "It serves" if facts.state in SERVING_STATES else "It does not serve yet"
        return f"{serves}. One thing to look at, {warnings[0].hop}: {warnings[0].message}"
    skipped = [check.hop for check in checks if check.status == "skipped"]
    if skipped:
        return f"Nothing is wrong as far as could be seen; not looked at: {', '.join(skipped)}."
    return "Every hop works."


def _after_failure(check: DoctorCheck, hop: DoctorHop) -> DoctorCheck:
    """What lies behind a broken hop only says again that it is broken, unless it was seen to work."""
    if check.status in {"passed", "warning"}:
        return check
    return DoctorCheck(hop=check.hop, status="skipped", message=f"Not looked at: {hop} comes first.")


def _manifest(facts: Facts) -> DoctorCheck:
    if not facts.has_manifest:
        hint = "Its page lists every error; nimbus plugin validate shows them too."
        message = facts.reason.message if facts.reason else f"The manifest has {facts.problems} errors."
        return DoctorCheck(hop="manifest", status="failed", message=message, hint=hint)
    if facts.problems:
        return DoctorCheck(
            hop="manifest",
            status="warning",
            message=f"The manifest's file has {facts.problems} errors; it runs on by the last good one.",
            hint="nimbus plugin validate shows them.",
        )
    return DoctorCheck(hop="manifest", status="passed", message="The manifest is valid.")


def _image(facts: Facts) -> DoctorCheck:
    blamed = _blamed(facts, "image")
    if facts.image is None:
        return blamed or _skipped(facts, "image", "It was not looked at.")
    if facts.image.ready:
        return DoctorCheck(hop="image", status="passed", message=facts.image.message)
    if blamed is not None:
        return blamed
    if facts.state in PREPARING:
        return DoctorCheck(hop="image", status="warning", message=f"{facts.image.message} It is being made now.")
    if not facts.wanted:
        message = f"{facts.image.message} It is made or fetched when the plugin is enabled."
        return DoctorCheck(hop="image", status="warning", message=message)
    return DoctorCheck(hop="image", status="failed", message=facts.image.message, hint=facts.image.hint)


def _container(facts: Facts) -> DoctorCheck:  # noqa: PLR0911 - one return a case
    blamed = _blamed(facts, "container")
    run = facts.run
    if (lost := (facts.unknown or {}).get("container")) is not None:
        hint = "Look at the engine and at the registry's log."
        return DoctorCheck(hop="container", status="failed", message=lost, hint=hint)
    if not facts.wanted and (run is None or run.phase == "exited"):
        return _off(facts, "container")
    if run is not None and run.phase == "running":
        if not facts.current:
            message = "It runs by an older manifest or other limits; it is replaced by itself."
            return DoctorCheck(hop="container", status="warning", message=message)
        since = f" since {run.started_at:%Y-%m-%d %H:%M:%S} UTC" if run.started_at else ""
        return DoctorCheck(hop="container", status="passed", message=f"It has been running{since}.")
    if blamed is not None:
        return blamed
    if _behind(facts, "container"):
        return DoctorCheck(hop="container", status="passed", message="It ran at the last attempt.")
    ended = reasons.ended(run.exit if run else None, after_ready=facts.state not in PREPARING, port=facts.port)
    if facts.state in PREPARING:
        return DoctorCheck(
            hop="container", status="warning", message="It has not been started yet; a start is under way."
        )
    return DoctorCheck(hop="container", status="failed", message=ended.message, hint=ended.hint)


def _dns(facts: Facts) -> DoctorCheck:
    run = facts.run
    early = _early(facts, "dns")
    if early is not None:
        return early
    if run is None or run.upstream is None:
        return DoctorCheck(
            hop="dns",
            status="failed",
            message="The running plugin has no address on its network.",
            hint="Restart it. If that does not help, look whether somebody disconnected it from its network.",
        )
    if facts.probe is not None and facts.probe.hop == "dns":
        message = f"The gateway finds no address for {run.upstream.host}: {facts.probe.detail or 'unknown name'}."
        return DoctorCheck(
            hop="dns", status="failed", message=message, hint="Look at the resolver of the gateway's machine."
        )
    if not run.linked:
        return DoctorCheck(
            hop="dns",
            status="failed",
            message="The gateway is not on the plugin's network, so it has no way there.",
            hint="Nimbus connects it within ten seconds by itself; if this stays, look at the registry's log.",
        )
    return DoctorCheck(
        hop="dns", status="passed", message=f"It is at {run.upstream.host}, on a network that the gateway shares."
    )


def _tcp(facts: Facts) -> DoctorCheck:
    early = _early(facts, "tcp")
    if early is not None:
        return early
    if facts.gateway_error is not None:
        message = f"The gateway, which everybody reaches the plugin through, cannot be asked: {facts.gateway_error}."
        return DoctorCheck(hop="tcp", status="failed", message=message, hint="Look at the gateway's log.")
    probe = facts.probe
    if probe is None:
        return _skipped(facts, "tcp", "The gateway was not asked.")
    if (elsewhere := _elsewhere(facts, "tcp")) is not None:
        return elsewhere
    if probe.hop == "connect":
        return DoctorCheck(
            hop="tcp",
            status="failed",
            message=f"Nothing accepts connections on port {facts.port}: {reasons.clean(probe.detail or 'refused')}.",
            hint="Let it listen on NIMBUS_PLUGIN_PORT, and on every address (0.0.0.0) inside its container.",
        )
    return DoctorCheck(hop="tcp", status="passed", message=f"It accepts connections on port {facts.port}.")


def _health(facts: Facts) -> DoctorCheck:
    early = _early(facts, "health")
    if early is not None:
        return early
    probe = facts.probe
    if probe is None:
        return _skipped(facts, "health", "The gateway was not asked.")
    if (elsewhere := _elsewhere(facts, "health")) is not None:
        return elsewhere
    if not probe.ok and probe.hop != "handshake":
        answered = reasons.clean(probe.detail or "GET /_nimbus/health gave no answer")
        hint = "It answers 200 with a status of ok or degraded as soon as it can serve; see its last lines."
        return DoctorCheck(hop="health", status="failed", message=f"Its health check fails: {answered}.", hint=hint)
    if probe.health is not None and probe.health.status == "degraded":
        return DoctorCheck(
            hop="health",
            status="warning",
            message=reasons.degraded(probe.health).message,
            hint="The plugin itself says so; its settings and its log say more.",
        )
    return DoctorCheck(hop="health", status="passed", message="GET /_nimbus/health answers.")


def _contract(facts: Facts) -> DoctorCheck:
    early = _early(facts, "contract")
    if early is not None:
        return early
    probe = facts.probe
    if probe is None:
        return _skipped(facts, "contract", "The gateway was not asked.")
    if (elsewhere := _elsewhere(facts, "contract")) is not None:
        return elsewhere
    if probe.health is None:
        message = "Its health answer is not of the contract's form"
        message += f": {reasons.clean(probe.detail)}." if probe.detail else "."
        hint = "Use the SDK, or answer the JSON of the contract: docs/explanation/plugins.md."
        return DoctorCheck(hop="contract", status="failed", message=message, hint=hint)
    if CONTRACT_VERSION not in probe.health.contract:
        refused = reasons.handshake(probe.health)
        return DoctorCheck(hop="contract", status="failed", message=refused.message, hint=refused.hint)
    return DoctorCheck(hop="contract", status="passed", message=f"It speaks plugin contract {CONTRACT_VERSION}.")


def _init(facts: Facts) -> DoctorCheck:
    early = _early(facts, "init")
    if early is not None:
        return early
    if facts.state in {"ready", "degraded"}:
        return DoctorCheck(
            hop="init", status="passed", message="It took the event enabled, and its pages were fetched."
        )
    return DoctorCheck(hop="init", status="warning", message=f"Its start is under way: {facts.state}.")


def _callback(facts: Facts) -> DoctorCheck:
    early = _early(facts, "callback")
    if early is not None:
        return early
    reach = facts.reach
    if reach is None or reach.hop == "untried":
        return _skipped(facts, "callback", reach.detail if reach and reach.detail else "It was not tried.")
    if not reach.ok:
        why = reasons.clean(reach.detail or "no answer")
        return DoctorCheck(
            hop="callback",
            status="failed",
            message=f"From the plugin's place, {reach.url} is not reached: {why}.",
            hint=_CALLBACK_HINTS.get(reach.hop, _CALLBACK_HINTS["http"]),
        )
    if not facts.token_known:
        return DoctorCheck(
            hop="callback",
            status="failed",
            message="The token of this run is not the one that the core takes.",
            hint="Restart the plugin: it gets a new token at every start.",
        )
    return DoctorCheck(hop="callback", status="passed", message=f"From the plugin's place, {reach.url} answers.")


_CALLBACK_HINTS: Final = {
    "dns": "The gateway's containers carry the name nimbus-core on every plugin network; recreate the gateway, or set"
    " NIMBUS_CORE_URL to a name that plugins can look up.",
    "connect": "Is the gateway running, and does NIMBUS_CORE_URL name its port for plugins (8081)?",
    "http": "Look at the gateway's log; NIMBUS_CORE_URL must be its listener for plugins.",
}


def _permissions(facts: Facts) -> DoctorCheck:
    if not facts.has_manifest:
        return _skipped(facts, "permissions", "There is no valid manifest.")
    missing = [permission for permission in facts.asked if permission not in facts.granted]
    if missing:
        return DoctorCheck(
            hop="permissions",
            status="warning",
            message=f"Its manifest asks for what was not granted: {', '.join(missing)}.",
            hint="Grant it on the plugin's page, or take it out of the manifest.",
        )
    if facts.run is not None and facts.run.egress is False and "network:egress" in facts.granted:
        return DoctorCheck(
            hop="permissions",
            status="failed",
            message="It may use the internet (network:egress), but its container has no way out.",
            hint="Restart the plugin.",
        )
    what = f"granted: {', '.join(facts.granted)}" if facts.granted else "it asks for none"
    return DoctorCheck(hop="permissions", status="passed", message=f"All permissions are there ({what}).")


_LOOK: Final[dict[DoctorHop, Callable[[Facts], DoctorCheck]]] = {
    "manifest": _manifest,
    "image": _image,
    "container": _container,
    "dns": _dns,
    "tcp": _tcp,
    "health": _health,
    "contract": _contract,
    "init": _init,
    "callback": _callback,
    "permissions": _permissions,
}


def _early(facts: Facts, hop: DoctorHop) -> DoctorCheck | None:
    """What is known of a hop that needs a running plugin, when it does not run."""
    if facts.run is not None and facts.run.phase == "running":
        return _skipped(facts, hop, "") if hop in (facts.unknown or {}) else None
    if not facts.wanted:
        return _off(facts, hop)
    blamed = _blamed(facts, hop)
    if blamed is not None:
        return blamed
    if _behind(facts, hop):
        return DoctorCheck(hop=hop, status="passed", message="It worked at the last attempt.")
    return _skipped(facts, hop, "The plugin does not run now.")


def _elsewhere(facts: Facts, hop: DoctorHop) -> DoctorCheck | None:
    """A gateway without a way to the plugin heard from whoever else has the plugin's address, or from nobody."""
    if facts.run is not None and not facts.run.linked:
        return _skipped(facts, hop, "The gateway has no way to the plugin; what it heard there says nothing.")
    return None


def _blamed(facts: Facts, hop: DoctorHop) -> DoctorCheck | None:
    """The failure of the last attempt, when it was at this hop and nothing newer is known."""
    reason = facts.reason
    if facts.state not in BROKEN or reason is None or reason.hop is None or _HOP_OF_REASON[reason.hop] != hop:
        return None
    return DoctorCheck(hop=hop, status="failed", message=reason.message, hint=reason.hint)


def _behind(facts: Facts, hop: DoctorHop) -> bool:
    """Whether the last attempt failed at a later hop, so that this one worked."""
    reason = facts.reason
    if facts.state not in BROKEN or reason is None or reason.hop is None:
        return False
    return HOPS.index(hop) < HOPS.index(_HOP_OF_REASON[reason.hop])


def _off(facts: Facts, hop: DoctorHop) -> DoctorCheck:
    if facts.state == "idle":
        return DoctorCheck(hop=hop, status="skipped", message="It sleeps; the next request starts it.")
    why = facts.reason.message if facts.reason else "It is disabled; enable it to have it run."
    return DoctorCheck(hop=hop, status="skipped", message=why)


def _skipped(facts: Facts, hop: DoctorHop, message: str) -> DoctorCheck:
    status: CheckStatus = "skipped"
    return DoctorCheck(hop=hop, status=status, message=(facts.unknown or {}).get(hop, message))
