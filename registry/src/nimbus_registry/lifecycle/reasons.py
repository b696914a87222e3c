"""Why a plugin is where it is: sentences with the hop that failed, a hint, and the last lines it printed."""

import re
import signal
from collections.abc import Iterable, Sequence

from nimbus_sdk.contracts.control import ProbeResult, UiFetchResult
from nimbus_sdk.contracts.dependencies import PluginDependency
from nimbus_sdk.contracts.plugin_api import CONTRACT_VERSION, Health
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import Hop, Reason

from nimbus_registry.runtime.base import ExitStatus, RuntimeFailure
from nimbus_registry.store.record import PluginRecord

TAIL_LINES = 20
_LINE_LENGTH = 400
_FROM_OUTSIDE = {signal.SIGTERM, signal.SIGINT, signal.SIGKILL}
_MORE_MEMORY = "Raise runtime.resources.memory in its manifest, or NIMBUS_MAX_MEMORY when that caps it."
_CONTROLS = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]"  # what terminals obey
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
    r"|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # what turns the text around it about
)


def clean(text: str, length: int = _LINE_LENGTH) -> str:
    """Text that every store keeps and every screen shows as it is: no controls, no lone surrogates, bounded."""
    return _CONTROLS.sub("", text)[:length]


def tail(lines: Iterable[str]) -> list[str]:
    """The last lines, cleaned."""
    return [clean(line) for line in list(lines)[-TAIL_LINES:]]


def from_runtime(failure: RuntimeFailure) -> Reason:
    """What a runtime reports."""
    return Reason(
        code=failure.code,
        hop=failure.hop,
        message=clean(failure.message, 2000),
        hint=clean(failure.hint, 1000) if failure.hint else None,
        log_tail=tail(failure.log_tail),
    )


def ended(status: ExitStatus | None, *, after_ready: bool, port: int) -> Reason:
    """The plugin's process ended by itself."""
    when = "while it was running" if after_ready else "before it answered"
    if status is None:
        message = f"The plugin was gone {when}: its container or process was removed from outside."
        return Reason(code="vanished", hop="exit", message=message, hint="Nimbus starts it again by itself.")
    if status.out_of_memory and (status.signal == signal.SIGKILL or status.code is None):
        return Reason(
            code="out-of-memory",
            hop="exit",
            message=f"The plugin used more memory than its limit and was killed {when}.",
            hint=_MORE_MEMORY,
        )
    if status.signal is not None:
        how = f"was ended by signal {_signal_name(status.signal)}"
    elif status.code is not None:
        how = f"ended with exit code {status.code}"
    else:
        how = "ended"
    hint = "Its last lines often say why."
    if status.signal in _FROM_OUTSIDE:
        hint = "Such a signal comes from outside, as with docker stop; disable the plugin to have it stay stopped."
        if status.signal == signal.SIGKILL:
            hint += " The host kills so as well when it runs out of memory."
    if not after_ready and status.code == 0:
        hint = f"A plugin stays running and serves HTTP on port {port} (NIMBUS_PLUGIN_PORT)."
    if status.out_of_memory:
        # Not it, but a process that it had begun: the engine counts that as well, and it may be long ago.
        how += ", after a process of its own had been killed for lack of memory,"
        hint = f"{hint} {_MORE_MEMORY}"
    return Reason(code="exited", hop="exit", message=f"The plugin {how} {when}.", hint=hint)


def not_prepared(seconds: float) -> Reason:
    """What it is run from was not made or fetched in time."""
    return Reason(
        code="prepare-timeout",
        hop="image",
        message=f"What the plugin is run from was not there after {seconds:g} s.",
        hint="Look at what was built or pulled last in its log, and at the connection to the image's registry.",
    )


def not_healthy(result: ProbeResult | None, seconds: float, port: int, *, setting: str) -> Reason:
    """It never became healthy in the time that a key of its manifest or a setting of the operator's gives it."""
    within = f"within {seconds:g} s ({setting})"
    if result is None:
        return Reason(
            code="start-timeout", hop="start", message=f"The plugin did not start {within}.", hint="See its log."
        )
    hop: Hop = result.hop or "http"
    if hop in {"connect", "dns"}:
        message = f"Nothing accepted connections on the plugin's port {port} {within}: {result.detail or 'refused'}."
        hint = "Let it listen on NIMBUS_PLUGIN_PORT and on every address (0.0.0.0) inside its container."
        return Reason(code="port-closed", hop=hop, message=clean(message, 1000), hint=hint)
    answered = f"answered {result.status}" if result.status else (result.detail or "gave no answer")
    message = f"The plugin's health check GET /_nimbus/health {answered} and was not healthy {within}."
    if result.status and result.detail:
        message += f" {result.detail}"
    hint = "It answers 200 with a status of ok or degraded as soon as it can serve."
    return Reason(code="health-failed", hop=hop, message=clean(message, 1000), hint=hint)


def handshake(health: Health | None) -> Reason:
    """It speaks no contract version that this Nimbus speaks."""
    speaks = ", ".join(str(version) for version in health.contract) if health and health.contract else "none"
    return Reason(
        code="contract-unsupported",
        hop="handshake",
        message=f"This Nimbus speaks plugin contract {CONTRACT_VERSION}; the plugin speaks {speaks}.",
        hint="Update Nimbus or the plugin's SDK, whichever is older.",
    )


def ui_refused(result: UiFetchResult) -> Reason:
    """Its UI files could not be taken."""
    errors = "; ".join(f"{error.path}: {error.message}" for error in result.errors)
    message = f"The plugin's UI files were refused: {result.detail or errors or 'no reason given'}"
    if result.detail and errors:
        message += f" ({errors})"
    return Reason(
        code="ui-refused",
        hop="init",
        message=clean(message, 2000),
        hint="Rebuild the bundle; it must be listed by GET /_nimbus/ui with its SHA-256.",
    )


def init_failed(status: int | None, detail: str | None, event: str = "enabled") -> Reason:
    """Its hook for a lifecycle event failed."""
    answered = f"answered {status}" if status else (detail or "gave no answer")
    message = f"The plugin's hook for the event {event} failed: POST /_nimbus/lifecycle {answered}."
    said = (detail or "").removeprefix(f"POST /_nimbus/lifecycle answered {status}").strip(": ")
    if status and said:
        message += f" {said}"
    return Reason(
        code="init-failed",
        hop="init",
        message=clean(message, 1000),
        hint="204 means done, 404 means that it is not interested.",
    )


def left_alone(reason: Reason) -> Reason:
    """It failed so often that it is not started again before a person says so."""
    told = "It failed five times in ten minutes and is left alone; restart it when that is mended."
    return reason.model_copy(update={"hint": " ".join(filter(None, [reason.hint, told]))})


def unhealthy(result: ProbeResult, misses: int, *, given_up: bool) -> Reason:
    """A running plugin fails its health check."""
    how = result.detail or (f"it answered {result.status}" if result.status else "it gave no answer")
    message = f"The plugin's health check failed{f' {misses} times in a row' if misses > 1 else ''}: {how}"
    message += "; it is started again." if given_up else "."
    return Reason(
        code="unhealthy",
        hop=result.hop or "http",
        message=clean(message, 1000),
        hint=None if given_up else "It is started again after three failures in a row.",
    )


def degraded(health: Health) -> Reason:
    """It serves and says that something is wrong."""
    wrong = [f"{check.name}: {check.detail or check.status}" for check in health.checks if check.status != "ok"]
    message = "The plugin serves, but says that it is degraded"
    return Reason(code="degraded", message=clean(message + (": " + "; ".join(wrong) if wrong else "") + ".", 1000))


def stop_failed(failure: RuntimeFailure) -> Reason:
    """It could not be stopped; this is tried again."""
    reason = from_runtime(failure)
    return reason.model_copy(update={"hop": "stop", "message": f"The plugin could not be stopped: {reason.message}"})


def internal(error: BaseException) -> Reason:
    """A mistake in the registry itself."""
    return Reason(
        code="internal",
        hop="start",
        message=f"The registry failed: {type(error).__name__}: {clean(str(error))}",
        hint="This is a mistake in Nimbus; its log has the details.",
    )


def changed_version(what: str, before: str, after: str) -> Reason:
    """Another version of it serves now."""
    code = "rolled-back" if what.startswith("rollback") else "upgraded"
    return Reason(
        code=code, message=f"{what[:1].upper()}{what[1:]} is done; it ran {before} before, and runs {after}."
    )


def rolled_back(reason: Reason, version: str, stays: str) -> Reason:
    """A new version did not become ready, and the old one serves."""
    return reason.model_copy(
        update={"message": clean(f"Version {version} did not become ready, so {stays} stays. {reason.message}", 2000)}
    )


def needs_configuration(fields: Sequence[FieldProblem]) -> Reason:
    """Settings that it needs are missing, or do not fit what its manifest says."""
    missing = [_setting(one) for one in fields if "required" in one.message]
    unfit = [_setting(one) for one in fields if "required" not in one.message]
    parts = [
        f"{_names(missing)} {'is' if len(missing) == 1 else 'are'} missing" if missing else "",
        f"{_names(unfit)} {'does' if len(unfit) == 1 else 'do'} not fit its schema" if unfit else "",
    ]
    return Reason(
        code="needs-configuration",
        hop="config",
        message=clean(f"Its settings need attention: {' and '.join(filter(None, parts))}.", 1000),
        hint="Fill in its settings; it goes on by itself as soon as they fit.",
        fields=list(fields),
    )


def settings_unjudged(why: str) -> Reason:
    """Its settings cannot be checked: the schema in its manifest is at fault, which no person here can mend."""
    return Reason(
        code="settings-unjudged",
        hop="config",
        message=clean(f"Its settings could not be checked. {why}", 1000),
        hint="It goes on with the settings that it has. Its author has to mend the schema in its manifest.",
    )


def _setting(problem: FieldProblem) -> str:
    return problem.path.removeprefix("/") or "the whole"


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def settings_not_kept(detail: str) -> Reason:
    """The settings of the version that is left could not be kept, so it is not left."""
    return Reason(
        code="settings-not-kept",
        hop="config",
        message=clean(f"Its settings could not be kept with the version that they belong to: {detail}", 1000),
        hint="See that the gateway and its database answer, then try again.",
    )


def copied(kind: str) -> Reason:
    """Its data were copied for a backup, or replaced by those of one."""
    if kind == "backup":
        return Reason(code="backed-up", message="Its data were copied for a backup; it was stopped meanwhile.")
    return Reason(code="restored", message="A backup was restored; it was stopped meanwhile.")


def not_copied(reason: Reason, kind: str) -> Reason:
    """A backup or restore came to nothing, and the plugin has the data that it had."""
    return reason.model_copy(
        update={"message": clean(f"The {kind} failed, and its data are what they were. {reason.message}", 2000)}
    )


def switched_off(*, safe_mode: bool) -> Reason:
    """It is enabled, but plugins are off by a switch."""
    if safe_mode:
        message = "Nimbus runs in safe mode: no plugin runs. It starts when Nimbus runs without NIMBUS_SAFE_MODE."
        return Reason(code="safe-mode", message=message)
    message = "Plugins are switched off (NIMBUS_ENABLE_PLUGINS=false). It starts when they are switched on."
    return Reason(code="plugins-disabled", message=message)


def source_missing(source: str) -> Reason:
    """Its folder is gone; nothing but a person changes `enabled`."""
    return Reason(
        code="source-missing",
        hop="manifest",
        message=f"Its manifest is gone ({source}); it runs on as it was found last.",
        hint="Put the folder back, or disable the plugin.",
    )


def version_waits(source: str, version: str) -> Reason:
    """Its folder holds a version that asks for more than was granted."""
    return Reason(
        code="version-waits",
        hop="manifest",
        message=f"Version {version} in {source} asks for more than the plugin may do, and waits for a decision.",
        hint="Decide about it among the plugin's versions; until then the installed one runs.",
    )


def invalid_manifest(source: str, errors: int, *, still_runs: bool) -> Reason:
    """Its manifest has errors."""
    count = f"{errors} error{'s' if errors != 1 else ''}"
    message = f"manifest.json of {source} has {count}"
    message += "; it runs on by its last good one." if still_runs else "."
    return Reason(
        code="manifest-invalid", hop="manifest", message=message, hint="nimbus plugin validate shows them too."
    )


def data_full(used: int, most: int) -> Reason:
    """Its data are larger than the operator allows."""
    return Reason(
        code="data-full",
        hop="config",
        message=f"The plugin keeps {_mib(used)} of data and may keep {_mib(most)}, so it was stopped; its data stay.",
        hint="Raise NIMBUS_MAX_DATA, or remove what it does not need, then restart the plugin.",
    )


def data_nearly_full(used: int, most: int) -> Reason:
    """Its data come near to what the operator allows."""
    return Reason(
        code="data-nearly-full",
        hop="config",
        message=f"The plugin keeps {_mib(used)} of data and may keep {_mib(most)}; beyond that it is stopped.",
        hint="Let it clean up, or raise NIMBUS_MAX_DATA.",
    )


def _mib(size: int) -> str:
    return f"{size / 1024**2:.0f} MiB"


def awaits(found: Sequence[PluginDependency]) -> Reason:
    """Its start waits for plugins that it needs."""
    names = ", ".join(one.id for one in found)
    what = " ".join(one.message for one in found if one.message)
    return Reason(
        code="awaits-dependencies",
        hop="start",
        message=clean(f"It waits for {names}, which it needs. {what}", 1000),
        hint="It starts by itself as soon as they serve.",
    )


def about_source(record: PluginRecord) -> Reason | None:
    """What is wrong with where a plugin came from, while it runs all the same."""
    if record.source_missing:
        return source_missing(record.source)
    if record.problems:
        return invalid_manifest(record.source, len(record.problems), still_runs=record.manifest is not None)
    if record.is_discovered:
        waiting = next((one for one in record.installation.kept if one.status == "waiting"), None)
        return version_waits(record.source, waiting.manifest.version) if waiting is not None else None
    return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
