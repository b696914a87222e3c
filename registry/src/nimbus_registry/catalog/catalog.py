"""Keeping the list of plugins in step with the folders."""

import asyncio
import hashlib
import json
from pathlib import Path

import structlog
from nimbus_sdk.contracts.control import ScanResult
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import SERVING_STATES, PluginState

from nimbus_registry.catalog.discovery import Found, scan
from nimbus_registry.catalog.resolve import Listed, resolve
from nimbus_registry.database import utcnow
from nimbus_registry.lifecycle import reasons
from nimbus_registry.lifecycle.reservation import is_free
from nimbus_registry.lifecycle.states import RESTING
from nimbus_registry.store.candidate import Candidate
from nimbus_registry.store.installation import FOLDER_SOURCE
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)

_CAUSE = "discovery"


class Catalog:
    """Finds plugins and upserts them. Nothing but a person changes `enabled`."""

    def __init__(self, folder: Path, ledger: Ledger, *, nimbus_version: str) -> None:
        self.folder = folder
        self._ledger = ledger
        self._version = nimbus_version
        self._scanning = asyncio.Lock()

    def source_dir(self, record: PluginRecord) -> Path | None:
        """The folder that a plugin came from, when it is there."""
        if not record.is_discovered:
            return None
        folder = self.folder / record.source.removeprefix(FOLDER_SOURCE)
        return folder.absolute() if folder.is_dir() else None

    async def scan(self) -> ScanResult:
        """Read the folders and take over what changed; one scan at a time."""
        async with self._scanning:
            try:
                found = await asyncio.to_thread(scan, self.folder, self._version)
            except OSError as error:
                # Unreadable is not empty: an unmounted disk must not take every plugin off the list.
                log.exception("the plugins folder cannot be read", folder=str(self.folder), error=str(error))
                return ScanResult(unchanged=sorted(self._ledger.records))
            return self._take_over(found)

    def _take_over(self, found: list[Found]) -> ScanResult:
        installed = {one.id: one.source for one in self._ledger.records.values() if not one.is_discovered}
        records = {one.id: one for one in self._ledger.records.values() if one.is_discovered}
        listed = resolve(found, {record.source: record.id for record in records.values()}, installed)
        result = ScanResult(invalid=sorted(one.id for one in listed.values() if one.manifest is None))
        for plugin_id in sorted(listed):
            one, record = listed[plugin_id], records.get(plugin_id)
            if record is None:
                self._ledger.added(self._new(one), _CAUSE)
                result.added.append(plugin_id)
            elif self._updated(record, one):
                result.updated.append(plugin_id)
            else:
                result.unchanged.append(plugin_id)
        for record in [record for record in records.values() if record.id not in listed]:
            if not record.enabled and record.state in RESTING and not record.busy:
                self._ledger.removed(record)
                result.removed.append(record.id)
            elif self._lost(record):
                result.updated.append(record.id)
            else:
                result.unchanged.append(record.id)
        if result.added or result.updated or result.removed:
            log.info("plugins discovered", **result.model_dump(exclude={"unchanged"}))
        return result

    def _new(self, one: Listed) -> PluginRecord:
        now = utcnow()
        record = PluginRecord(
            id=one.id, name=one.name, version="", source=one.source, created_at=now, updated_at=now, since=now
        )
        _describe(record, one)
        if record.manifest is None:
            record.state = "invalid"
            record.reason = reasons.invalid_manifest(record.source, len(record.problems), still_runs=False)
        return record

    def _updated(self, record: PluginRecord, one: Listed) -> bool:
        """Take over what changed of a known plugin. Returns whether anything did."""
        if one.manifest is not None and _is_another_version(record, one.manifest):
            return self._offer(record, one, one.manifest)
        problems = list(one.problems)
        same = (
            record.source == one.source
            and record.problems == problems
            and not record.source_missing
            and (one.manifest == record.manifest or (one.manifest is None and record.enabled))
        )
        if same:
            return self._seen(record, one.manifest)
        record.source_missing = False
        if one.manifest is None and record.enabled and record.manifest is not None and not _must_stop(problems):
            # A slip in an editor must not take a running plugin down: it runs on by its last good manifest.
            record.source, record.problems = one.source, problems
        else:
            _describe(record, one)
        self._show(record)
        return True

    def _offer(self, record: PluginRecord, one: Listed, manifest: Manifest) -> bool:
        """The folder of a plugin that is in use holds another version: the plugin's own task changes to it.

        It was taken over, or tried in vain, when the folder held it before: then that is a person's to change. A
        version that asks for more than the one that is installed waits for a person too.
        """
        installation, sha256 = record.installation, fingerprint(manifest)
        changed = record.source != one.source or record.problems != [] or record.source_missing
        record.source, record.problems, record.source_missing = one.source, [], False
        if installation.folder_sha256 != sha256 and is_free(record):
            found = Candidate(manifest, one.source, None, folder_sha256=sha256)
            if newly_asked(record, manifest):
                installation.keep(found.kept("waiting", None))
                installation.folder_sha256 = sha256
            else:
                record.next, record.upgrade_failure = found, None
                record.cause = record.cause or _CAUSE
            changed = True
        if changed:
            self._show(record)
        return changed

    def _seen(self, record: PluginRecord, manifest: Manifest | None) -> bool:
        """The folder holds what is installed; nothing changes but that another version is news again."""
        if manifest is not None and record.installation.folder_sha256 is not None:
            sha256 = fingerprint(manifest)
            if record.installation.folder_sha256 != sha256:
                record.installation.folder_sha256 = sha256
                self._ledger.touch(record)
        return False

    def _lost(self, record: PluginRecord) -> bool:
        if record.source_missing:
            return False
        record.source_missing = True
        self._show(record)
        return True

    def _show(self, record: PluginRecord) -> None:
        """Bring state and reason in line with what is known of the source; the plugin's task does the rest."""
        about = reasons.about_source(record)
        if record.state in RESTING:
            state: PluginState = "disabled" if record.manifest is not None else "invalid"
            if state == record.state:
                record.reason = about
            else:
                self._ledger.move(record, state, _CAUSE, about)
        elif record.state in SERVING_STATES:
            record.reason = about
        self._ledger.touch(record)


def _describe(record: PluginRecord, one: Listed) -> None:
    manifest = one.manifest
    record.source, record.name, record.problems = one.source, one.name, list(one.problems)
    record.manifest = manifest
    if manifest is not None:
        record.version, record.description = manifest.version, manifest.description
        record.capabilities = list(manifest.capabilities)
        record.installation.folder_sha256 = fingerprint(manifest)


def _is_another_version(record: PluginRecord, manifest: Manifest) -> bool:
    """Whether a folder holds another version than the one that is installed, of a plugin that was in use."""
    installed, used = record.manifest, record.installation.grants is not None
    return used and installed is not None and manifest.version != installed.version


def newly_asked(record: PluginRecord, manifest: Manifest) -> list[str]:
    """The permissions that a version asks for, and the installed one neither has nor asks for."""
    known = {*(record.installation.grants or []), *(record.manifest.permissions if record.manifest else [])}
    return [name for name in manifest.permissions if name not in known]


def fingerprint(manifest: Manifest) -> str:
    """The same for the same manifest, whatever its file looks like."""
    return hashlib.sha256(json.dumps(manifest.wire(), sort_keys=True).encode()).hexdigest()


def _must_stop(problems: list[FieldProblem]) -> bool:
    """Whether a plugin must not run on: this Nimbus is outside the range that it needs."""
    return any(problem.path == "/requires/nimbus" for problem in problems)
