"""Installing a plugin: fetched, checked, listed as disabled, with its permissions for a person to decide about."""

from dataclasses import dataclass

import structlog
from nimbus_sdk.contracts.install import InstallRequest, InstallResult
from nimbus_sdk.contracts.problem import FieldProblem

from nimbus_registry.catalog import dependencies
from nimbus_registry.catalog.acquire import IMAGE_SOURCE, MANIFEST_SOURCE, Acquired, Acquirer
from nimbus_registry.catalog.jobs import Jobs, Progress, wait_for
from nimbus_registry.catalog.permissions import Permissions, check_asked
from nimbus_registry.database import utcnow
from nimbus_registry.errors import DependencyCycleError, InvalidRequestError, PluginExistsError, UnexpectedPluginError
from nimbus_registry.lifecycle.reconcile import Reconciler
from nimbus_registry.store.installation import FOLDER_SOURCE, Installation
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Installer:
    """Installs plugins. Fetching is a job; what it finds is stored before the job is done."""

    ledger: Ledger
    acquirer: Acquirer
    jobs: Jobs
    permissions: Permissions
    reconciler: Reconciler

    async def install(self, request: InstallRequest, *, cause: str, wait: float) -> InstallResult:
        """Install, and wait for it at most `wait` seconds; the job goes on without the caller.

        What is installed already, from the same source and with the same contents, stays as it is, and so do its
        permissions unless the request grants some.

        Raises:
            FetchFailedError, ManifestRefusedError, IncompatibleError, InvalidRequestError: as `Acquirer.acquire`.
            UnexpectedPluginError: it is another plugin or version than the request expects.
            PluginExistsError: its id is taken by something else, or by another version.
            DependencyCycleError: it and plugins that are here need each other.
            BusyError: too many installations are under way.
            DatabaseUnavailableError: it could not be stored.
        """
        installed: list[tuple[PluginRecord, bool]] = []

        async def work(progress: Progress) -> str:
            record, already = await self._install(request, cause, progress)
            installed.append((record, already))
            job.concerns(record.id)
            if already:
                return f"{record.name} {record.version} is installed already."
            missing = dependencies.unmet(self.ledger.records, found) if (found := record.manifest) else []
            words = f" Before it is enabled: {dependencies.in_words(missing)}" if missing else ""
            return f"{record.name} {record.version} is installed.{words}"

        job = self.jobs.begin("install", source_of(request), work)
        await wait_for(job, wait)
        if not installed:
            return InstallResult(job=job.shown, generation=self.ledger.generation)
        record, already = installed[0]
        return InstallResult(
            job=job.shown,
            already=already,
            plugin=self.ledger.detail(record),
            permissions=self.permissions.of(record),
            generation=self.ledger.generation,
        )

    async def _install(self, request: InstallRequest, cause: str, progress: Progress) -> tuple[PluginRecord, bool]:
        """What is installed now, and whether it was before."""
        found = await self.acquirer.acquire(request, progress)
        _check_expected(found, request)
        record = self.ledger.records.get(found.manifest.id)
        if record is not None and _is(record, found):
            if record.installation.grants is not None:
                if request.grant is not None:
                    await self.permissions.update(record.id, request.grant, by=cause)
                    self.reconciler.notice(record.id)
                return record, True
        elif record is not None:
            raise PluginExistsError(record.id, record.version, record.source)
        else:
            record = _record(found)
        chain = dependencies.cycle(self.ledger.records, found.manifest)
        if chain:
            raise DependencyCycleError(chain)
        if request.grant is not None:
            check_asked(found.manifest, request.grant)
            self.permissions.decide(record, request.grant, by=cause)
        if record.id not in self.ledger.records:
            self.ledger.added(record, cause)
        await self.ledger.store(record)
        self.reconciler.refresh()
        log.info("plugin installed", plugin=record.id, version=record.version, source=record.source, pin=found.pin)
        return record, False


def _is(record: PluginRecord, found: Acquired) -> bool:
    """Whether what was fetched is what is installed. A folder that changed is taken over by itself, not here."""
    if found.source.startswith(FOLDER_SOURCE):
        return record.source == found.source
    same_kind = record.source.partition(":")[0] == found.source.partition(":")[0]
    digest = (record.installation.pin or "").rpartition("@")[2]
    return same_kind and (found.pin or "").rpartition("@")[2] == digest and record.manifest == found.manifest


def _check_expected(found: Acquired, request: InstallRequest) -> None:
    there = found.manifest
    if request.expect_id in {None, there.id} and request.expect_version in {None, there.version}:
        return
    expected = " ".join(filter(None, [request.expect_id, request.expect_version]))
    raise UnexpectedPluginError(
        f"{found.source} is {there.id} {there.version} now, and {expected} was expected. Nothing was installed."
    )


def _record(found: Acquired) -> PluginRecord:
    now, manifest = utcnow(), found.manifest
    return PluginRecord(
        id=manifest.id,
        name=manifest.name,
        version=manifest.version,
        description=manifest.description,
        capabilities=list(manifest.capabilities),
        manifest=manifest,
        source=found.source,
        installation=Installation(pin=found.pin),
        created_at=now,
        updated_at=now,
        since=now,
    )


def source_of(request: InstallRequest) -> str:
    """How the source of a request is written, before it is known what is in it.

    Raises:
        InvalidRequestError: it names none.
    """
    if request.image is not None:
        return IMAGE_SOURCE + request.image
    if request.path is not None:
        return FOLDER_SOURCE + request.path
    if request.manifest is not None:
        return MANIFEST_SOURCE
    raise InvalidRequestError(FieldProblem(path="", message="one of image, path and manifest"))
