"""What people ask for about versions: upgrade, rollback, and the list of what is here."""

from dataclasses import dataclass

from nimbus_sdk.contracts.control import ChangeResult
from nimbus_sdk.contracts.install import PluginVersion, PluginVersionList, RollbackRequest, UpgradeRequest
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem

from nimbus_registry.catalog import dependencies
from nimbus_registry.catalog.acquire import IMAGE_SOURCE, MANIFEST_SOURCE, Acquirer
from nimbus_registry.catalog.changelog import news
from nimbus_registry.catalog.jobs import Jobs, Progress, wait_for
from nimbus_registry.catalog.permissions import Permissions, check_asked
from nimbus_registry.catalog.versions import precedence
from nimbus_registry.errors import (
    ConsentRequiredError,
    DependenciesUnmetError,
    DependencyCycleError,
    DowngradeError,
    FromFolderError,
    InvalidRequestError,
    PluginInvalidError,
    PluginNeededError,
    UpgradeFailedError,
    VersionNotFoundError,
)
from nimbus_registry.lifecycle.requests import Requests
from nimbus_registry.lifecycle.reservation import check_free
from nimbus_registry.store.candidate import Candidate
from nimbus_registry.store.installation import KeptVersion
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord


@dataclass(frozen=True, slots=True)
class Versions:
    """Takes wishes about versions; the plugin's own task carries them out."""

    ledger: Ledger
    acquirer: Acquirer
    jobs: Jobs
    permissions: Permissions
    requests: Requests

    def listed(self, plugin_id: str) -> PluginVersionList:
        """The versions of a plugin.

        Raises:
            PluginNotFoundError: there is no such plugin.
        """
        record = self.ledger.get(plugin_id)
        others = [self._shown(record, one) for one in record.installation.kept]
        others.sort(key=lambda one: precedence(one.version), reverse=True)
        if record.manifest is None:
            return PluginVersionList(items=others)
        current = PluginVersion(
            version=record.version,
            status="current",
            source=record.source,
            digest=record.installation.pin,
            permissions=list(record.manifest.permissions),
            missing_permissions=record.missing,
            since=record.updated_at if record.installation.decided_at is None else record.installation.decided_at,
            changelog=news(record.manifest, record.version),
        )
        return PluginVersionList(items=[current, *others])

    @staticmethod
    def _shown(record: PluginRecord, one: KeptVersion) -> PluginVersion:
        granted = record.installation.grants or []
        return PluginVersion(
            version=one.manifest.version,
            status=one.status,
            source=one.source,
            digest=one.pin,
            permissions=list(one.manifest.permissions),
            missing_permissions=[name for name in one.manifest.permissions if name not in granted],
            has_snapshot=one.snapshot is not None,
            since=one.since,
            reason=one.reason,
            changelog=news(one.manifest, record.version),
        )

    async def upgrade(self, plugin_id: str, request: UpgradeRequest, *, cause: str, wait: float) -> ChangeResult:
        """Fetch another version and change to it, waiting at most `wait` seconds for each; with `hold` only fetch it.

        Raises:
            PluginNotFoundError, PluginInvalidError: there is nothing to upgrade.
            FromFolderError: it comes from a folder, which is upgraded by changing it.
            VersionNotFoundError: no such version waits.
            DowngradeError: it is older, and that was not asked for.
            DependencyCycleError, DependenciesUnmetError: it is enabled, and the version could not start.
            PluginNeededError: enabled plugins need it in another range.
            ConsentRequiredError: it asks for more than was granted; it is kept and waits.
            UpgradeFailedError: it did not become ready, and the old one serves.
            BusyError: another change of version is under way.
            FetchFailedError, ManifestRefusedError, IncompatibleError, InvalidRequestError: as for an installation.
        """
        record = self._changeable(plugin_id)
        if record.is_discovered and request.version is None:
            raise FromFolderError(
                f"{record.name} comes from {record.source}: Nimbus takes a new version over when the folder changes."
            )
        if request.version is not None:
            waiting = record.installation.find(request.version)
            if waiting is None or waiting.status == "kept":
                raise VersionNotFoundError(f"No version {request.version} of {plugin_id!r} waits; see its versions.")
            found = Candidate(waiting.manifest, waiting.source, waiting.pin)
            self._check(record, found, request, cause)
            return await self._change(record, found, cause, wait)
        done: list[Candidate] = []

        async def work(progress: Progress) -> str:
            got = await self.acquirer.acquire(request, progress)
            found = Candidate(got.manifest, got.source, got.pin)
            if request.hold:
                self._check_kind(record, found.manifest, request)
                self._set_aside(record, found)
                done.append(found)
                return f"{record.name} {found.manifest.version} is fetched and waits for a decision."
            self._check(record, found, request, cause)
            await self._ask(record, found, cause)
            done.append(found)
            return f"{record.name} {found.manifest.version} is fetched."

        source = IMAGE_SOURCE + request.image if request.image is not None else MANIFEST_SOURCE
        await wait_for(self.jobs.begin("upgrade", source, work, plugin_id=plugin_id), wait)
        if not done or request.hold:
            return ChangeResult(
                plugin=self.ledger.detail(record), generation=self.ledger.generation, settled=bool(done)
            )
        return await self._outcome(record, wait)

    async def rollback(self, plugin_id: str, request: RollbackRequest, *, cause: str, wait: float) -> ChangeResult:
        """Go back to a version that is kept.

        Raises:
            VersionNotFoundError: none is kept, or not this one.
            PluginNotFoundError, PluginInvalidError, FromFolderError, UpgradeFailedError, BusyError: as for `upgrade`.
        """
        record = self._changeable(plugin_id)
        kept = [one for one in record.installation.kept if one.status == "kept"]
        chosen = next((one for one in kept if request.version in (None, one.manifest.version)), None)
        if chosen is None:
            there = ", ".join(one.manifest.version for one in kept) or "none"
            raise VersionNotFoundError(f"There is no such version to go back to; kept are: {there}.")
        snapshot = chosen.snapshot if request.data == "snapshot" else None
        found = Candidate(chosen.manifest, chosen.source, chosen.pin, kind="rollback", snapshot=snapshot)
        return await self._change(record, found, cause, wait)

    def _changeable(self, plugin_id: str) -> PluginRecord:
        record = self.ledger.get(plugin_id)
        if record.manifest is None:
            raise PluginInvalidError(self.ledger.detail(record))
        check_free(record)
        return record

    def _set_aside(self, record: PluginRecord, found: Candidate) -> None:
        """List it as one that waits. If it was here before, the copy of its data stays with it."""
        before = record.installation.find(found.manifest.version)
        snapshot = before.snapshot if before else None
        record.installation.keep(found.kept("waiting", None).model_copy(update={"snapshot": snapshot}))
        self.ledger.touch(record)

    @staticmethod
    def _check_kind(record: PluginRecord, manifest: Manifest, request: UpgradeRequest) -> None:
        if manifest.id != record.id:
            raise InvalidRequestError(
                FieldProblem(
                    path="/id", message=f"a version of {record.id}, the plugin to upgrade", value=manifest.id
                )
            )
        if precedence(manifest.version) < precedence(record.version) and not request.allow_downgrade:
            raise DowngradeError(
                f"{manifest.version} is older than {record.version}. Roll back to a version that is kept, or allow "
                "the downgrade; the older version may not understand data that the newer one wrote."
            )

    def _check(self, record: PluginRecord, found: Candidate, request: UpgradeRequest, cause: str) -> None:
        manifest = found.manifest
        self._check_kind(record, manifest, request)
        if record.enabled and not request.force:
            self._check_dependencies(record, manifest)
        granted = record.installation.grants or []
        missing = [name for name in manifest.permissions if name not in granted]
        if missing and request.grant is None:
            self._set_aside(record, found)
            raise ConsentRequiredError(
                f"{record.name} {manifest.version} also asks for {', '.join(missing)}; it waits for a decision.",
                self.permissions.of(record, manifest, found.pin),
            )
        if request.grant is not None:
            check_asked(manifest, request.grant)
            self.permissions.decide(record, [*granted, *request.grant], by=cause)

    def _check_dependencies(self, record: PluginRecord, manifest: Manifest) -> None:
        """A version that could not start, or without which others could not, is not changed to unasked."""
        records = self.ledger.records
        chain = dependencies.cycle(records, manifest)
        if chain:
            raise DependencyCycleError(chain)
        unmet = dependencies.unmet(records, manifest)
        if unmet:
            raise DependenciesUnmetError(
                f"{record.name} {manifest.version} needs other plugins. {dependencies.in_words(unmet)}", unmet
            )
        broken = dependencies.breaks(records, record.id, manifest.version)
        if broken:
            who = ", ".join(f"{one.name} ({one.version})" for one in broken)
            raise PluginNeededError(
                f"{who} needs {record.name} in a range in which {manifest.version} is not. Upgrade what needs it, or "
                "change the version all the same by `force`: it goes on until its next start.",
                broken,
            )

    async def _change(self, record: PluginRecord, found: Candidate, cause: str, wait: float) -> ChangeResult:
        await self._ask(record, found, cause)
        return await self._outcome(record, wait)

    async def _ask(self, record: PluginRecord, found: Candidate, cause: str) -> None:
        check_free(record)
        record.next, record.upgrade_failure = found, None
        try:
            await self.ledger.store(record)
        except BaseException:
            record.next = None
            raise
        self.requests.ask(record, cause)

    async def _outcome(self, record: PluginRecord, wait: float) -> ChangeResult:
        result = await self.requests.outcome(record, wait)
        if record.next is None and record.upgrade_failure is not None:
            raise UpgradeFailedError(self.ledger.detail(record), record.upgrade_failure)
        return result
