"""Which plugins need which: pure decisions over all plugins, for people who change one and for the plugins' tasks."""

from collections.abc import Iterator, Mapping, Sequence

from nimbus_sdk.contracts.dependencies import DependencyProblem, PluginDependency, PluginDependent
from nimbus_sdk.contracts.manifest import Dependency, Manifest
from nimbus_sdk.contracts.snapshot import SERVING_STATES

from nimbus_registry.catalog.versions import satisfies
from nimbus_registry.lifecycle.states import PREPARING
from nimbus_registry.store.record import PluginRecord

Records = Mapping[str, PluginRecord]
AVAILABLE = SERVING_STATES | {"idle"}
"""A plugin that sleeps is there for who needs it: the first call wakes it."""


def needs(records: Records, manifest: Manifest | None) -> list[PluginDependency]:
    """What a plugin needs, and how that stands now."""
    return [_need(records.get(one.id), one) for one in (manifest.dependencies if manifest else [])]


def unmet(records: Records, manifest: Manifest) -> list[PluginDependency]:
    """Those that it cannot do without and that are not there, not in its range, or not enabled."""
    return [one for one in needs(records, manifest) if not one.optional and one.problem not in {None, "not-ready"}]


def dependents(records: Records) -> dict[str, list[PluginDependent]]:
    """Who needs each plugin, by its id."""
    found: dict[str, list[PluginDependent]] = {}
    for record in sorted(records.values(), key=lambda one: one.id):
        for one in record.manifest.dependencies if record.manifest else []:
            found.setdefault(one.id, []).append(
                PluginDependent(
                    id=record.id,
                    name=record.name,
                    version=one.version,
                    optional=one.optional,
                    enabled=record.enabled,
                    state=record.state,
                )
            )
    return found


def needed_by(records: Records, plugin_id: str) -> list[PluginDependent]:
    """The enabled plugins that cannot do without this one, and theirs, in the order in which they are stopped."""
    index = dependents(records)
    order: list[PluginDependent] = []
    seen = {plugin_id}

    def visit(one_id: str) -> None:
        for one in index.get(one_id, []):
            if one.enabled and not one.optional and one.id not in seen:
                seen.add(one.id)
                visit(one.id)
                order.append(one)

    visit(plugin_id)
    return order


def start_order(records: Records, record: PluginRecord) -> list[PluginRecord]:
    """All that a plugin cannot do without, directly or through another, in the order in which they are started."""
    order: dict[str, PluginRecord] = {}

    def visit(one: PluginRecord, path: frozenset[str]) -> None:
        for wanted in _required(one.manifest):
            other = records.get(wanted.id)
            if other is not None and other.id not in path and other.id not in order:
                visit(other, path | {other.id})
                order[other.id] = other

    visit(record, frozenset({record.id}))
    return list(order.values())


def cycle(records: Records, manifest: Manifest) -> list[str]:
    """A chain of plugins from this one back to it, none of which could be the first to start; empty without one."""
    chain = _back_to(records, manifest.id, manifest, [manifest.id], set())
    return chain or []


def waits_for(records: Records, record: PluginRecord) -> list[PluginDependency]:
    """What a plugin's start has to wait for.

    What it needs must be there and serve. What it merely likes is waited for only while it is on the way, and not
    when that one waits itself: so nobody waits for ever for something that is optional.
    """
    waiting = []
    for one in needs(records, record.manifest):
        if one.problem is None:
            continue
        other = records.get(one.id)
        on_the_way = other is not None and other.enabled and other.state in PREPARING and not other.waiting
        if not one.optional or (one.problem == "not-ready" and on_the_way):
            waiting.append(one)
    return waiting


def breaks(records: Records, plugin_id: str, version: str) -> list[PluginDependent]:
    """The enabled plugins that need this one in a range in which a version is not."""
    return [
        one
        for one in dependents(records).get(plugin_id, [])
        if one.enabled and not one.optional and not _fits(version, one.version)
    ]


def in_words(found: Sequence[PluginDependency]) -> str:
    """What is missing, as sentences that say what to do."""
    return " ".join(one.message for one in found if one.message)


def _fits(version: str, wanted: str) -> bool:
    """Like `satisfies`; a range that nobody can read, of a manifest that was stored unchecked, takes nothing."""
    try:
        return satisfies(version, wanted)
    except ValueError:
        return False


def _required(manifest: Manifest | None) -> Iterator[Dependency]:
    return (one for one in (manifest.dependencies if manifest else []) if not one.optional)


def _back_to(records: Records, home: str, manifest: Manifest, path: list[str], seen: set[str]) -> list[str] | None:
    for one in _required(manifest):
        if one.id == home:
            return [*path, home]
        other = records.get(one.id)
        if one.id in seen or other is None or other.manifest is None:
            continue
        seen.add(one.id)
        found = _back_to(records, home, other.manifest, [*path, one.id], seen)
        if found is not None:
            return found
    return None


def _need(other: PluginRecord | None, one: Dependency) -> PluginDependency:
    problem, message = _problem(other, one)
    return PluginDependency(
        id=one.id,
        version=one.version,
        optional=one.optional,
        name=other.name if other else None,
        installed_version=other.version or None if other else None,
        enabled=other.enabled if other else False,
        state=other.state if other else None,
        problem=problem,
        message=message,
    )


def _problem(other: PluginRecord | None, one: Dependency) -> tuple[DependencyProblem | None, str | None]:
    wanted = "" if one.version.strip() in {"", "*"} else f" {one.version}"
    if other is None:
        return "missing", f"{one.id}{wanted} is not installed: install it."
    if other.manifest is None:
        return "invalid", f"The manifest of {other.id} has errors: mend it."
    if not _fits(other.version, one.version):
        message = f"{other.id}{wanted} is needed, and {other.version} is installed: install a version in that range."
        return "version", message
    if not other.enabled:
        return "disabled", f"{other.id} is disabled: enable it."
    if other.state not in AVAILABLE:
        return "not-ready", f"{other.id} is {other.state}."
    return None, None
