"""Which found folder is which plugin: a pure decision, the same for the same folders."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from nimbus_sdk.contracts.base import PLUGIN_ID_PATTERN
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem

from nimbus_registry.catalog.discovery import Found, derived_id
from nimbus_registry.lifecycle.reasons import clean


@dataclass(frozen=True, slots=True)
class Listed:
    """A plugin as it is to be listed. `manifest` is None when it is invalid."""

    id: str
    source: str
    name: str
    manifest: Manifest | None
    problems: tuple[FieldProblem, ...] = ()


def resolve(
    found: Sequence[Found], known_sources: Mapping[str, str], installed: Mapping[str, str] | None = None
) -> dict[str, Listed]:
    """Give every folder an id of its own.

    A valid manifest has the id that it names; of several that name one, the folder that had it before, else the
    first by name: a copy put beside a running plugin does not take its place. What is
    left is listed as invalid: under the id that its folder had before, the id that it names, or one made of the
    folder's name, whichever is free.

    Args:
        found: the folders, in any order.
        known_sources: the id that each known source has.
        installed: the source of each plugin that does not come from a folder; its id is taken.
    """
    listed: dict[str, Listed] = {}
    others = installed or {}
    holders: dict[str, str] = {}
    rest: list[tuple[Found, tuple[FieldProblem, ...]]] = []
    for one in sorted(found, key=lambda entry: (not _has_its_id(entry, known_sources), entry.folder)):
        manifest = one.report.manifest
        if manifest is None:
            # A misspelt key is no error by itself, but here it often is the reason of one.
            problems = (*one.report.errors, *one.report.warnings)
            # A key is quoted as it was written, and no store keeps every character.
            rest.append((one, tuple(entry.model_copy(update={"path": clean(entry.path)}) for entry in problems)))
        elif manifest.id in listed or manifest.id in others:
            holder = f"the folder {holders[manifest.id]!r}" if manifest.id in holders else others[manifest.id]
            problem = FieldProblem(
                path="/id",
                message=f"an id of its own: {holder} has this one already",
                value=manifest.id,
            )
            rest.append((one, (problem,)))
        else:
            listed[manifest.id] = Listed(manifest.id, one.source, manifest.name, manifest)
            holders[manifest.id] = one.folder
    for one, problems in rest:
        plugin_id = _free_id(one, known_sources, {*listed, *others})
        listed[plugin_id] = Listed(plugin_id, one.source, one.title or one.folder[:120], None, problems)
    return listed


def _has_its_id(one: Found, known_sources: Mapping[str, str]) -> bool:
    manifest = one.report.manifest
    return manifest is not None and known_sources.get(one.source) == manifest.id


def _free_id(one: Found, known_sources: Mapping[str, str], taken: Collection[str]) -> str:
    base = derived_id(one.folder)
    for candidate in (known_sources.get(one.source), one.claims, base):
        if candidate and candidate not in taken and re.match(PLUGIN_ID_PATTERN, candidate):
            return candidate
    number = 2
    while f"{base[:36]}-{number}" in taken:
        number += 1
    return f"{base[:36]}-{number}"
