"""From where a person says a plugin is to a manifest that can be used and the exact image behind it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from nimbus_sdk.contracts.control import ScanResult
from nimbus_sdk.contracts.install import PluginSource
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.validation import validate_manifest

from nimbus_registry.catalog.versions import mismatch
from nimbus_registry.errors import FetchFailedError, IncompatibleError, InvalidRequestError, ManifestRefusedError
from nimbus_registry.lifecycle import reasons
from nimbus_registry.runtime.base import LayerReport, Runtime, RuntimeFailure
from nimbus_registry.store.installation import FOLDER_SOURCE
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.store.record import PluginRecord

IMAGE_SOURCE = "image:"
MANIFEST_SOURCE = "manifest"


@dataclass(frozen=True, slots=True)
class Acquired:
    """A plugin that could be installed: its manifest, where it came from, and the exact image."""

    manifest: Manifest
    source: str
    pin: str | None


@dataclass(frozen=True, slots=True)
class Acquirer:
    """Gets plugins from images, manifests and folders."""

    runtime: Runtime
    ledger: Ledger
    plugins_dir: Path
    rescan: Callable[[], Awaitable[ScanResult]]
    nimbus_version: str

    async def acquire(self, wanted: PluginSource, report: LayerReport) -> Acquired:
        """Fetch what is wanted, unless it is here, and check it.

        Raises:
            FetchFailedError: the image could not be had.
            ManifestRefusedError: there is no manifest, or it has errors.
            IncompatibleError: it does not fit this Nimbus; the text says which side to change.
            InvalidRequestError: the request cannot be taken.
        """
        if wanted.image is not None:
            return await self._from_image(wanted.image, report, always=wanted.pull == "always")
        if wanted.manifest is not None:
            return await self._from_manifest(wanted, report)
        record = await self.from_folder(wanted.path or "")
        if record.manifest is None:
            raise ManifestRefusedError(f"The manifest in {record.source} has errors.", record.problems)
        return Acquired(record.manifest, record.source, None)

    async def _from_image(self, image: str, report: LayerReport, *, always: bool) -> Acquired:
        try:
            fetched = await self.runtime.fetch(image, report, always=always)
        except RuntimeFailure as failure:
            raise FetchFailedError(reasons.from_runtime(failure)) from failure
        if fetched.manifest is None:
            raise ManifestRefusedError(
                f"The image {image} is no plugin: it has neither the label io.nimbus.manifest nor a manifest.json at "
                "its root or in the folder that its program starts in. `nimbus plugin build` puts them there."
            )
        return Acquired(self._checked(fetched.manifest, f"of the image {image}"), IMAGE_SOURCE + image, fetched.pin)

    async def _from_manifest(self, wanted: PluginSource, report: LayerReport) -> Acquired:
        manifest = self._checked(wanted.manifest or {}, "of the request", below="/manifest")
        image = manifest.runtime.image
        if image is None:
            problem = FieldProblem(
                path="/manifest/runtime/image", message="the image to run: a manifest alone brings no program"
            )
            raise InvalidRequestError(problem)
        try:
            fetched = await self.runtime.fetch(image, report, always=wanted.pull == "always")
        except RuntimeFailure as failure:
            raise FetchFailedError(reasons.from_runtime(failure)) from failure
        return Acquired(manifest, MANIFEST_SOURCE, fetched.pin)

    async def from_folder(self, path: str) -> PluginRecord:
        """The plugin of a folder, after a look at the folders.

        Raises:
            InvalidRequestError: it is not a folder of the plugins folder, or has no manifest.
        """
        root = self.plugins_dir.absolute()
        folder = Path(path) if Path(path).is_absolute() else root / path
        if folder.parent != root:
            problem = FieldProblem(
                path="/path",
                message=f"a folder directly in {root} (NIMBUS_PLUGINS_DIR), or its name",
                value=path[:200],
            )
            raise InvalidRequestError(problem)
        await self.rescan()
        source = FOLDER_SOURCE + folder.name
        record = next((one for one in self.ledger.records.values() if one.source == source), None)
        if record is None or record.source_missing:
            raise InvalidRequestError(
                FieldProblem(path="/path", message=f"a folder with a manifest.json in {root}", value=path[:200])
            )
        return record

    def _checked(self, raw: bytes | dict[str, object], where: str, *, below: str = "") -> Manifest:
        checked = validate_manifest(raw)
        if checked.manifest is None:
            errors = [
                error.model_copy(update={"path": below + error.path})
                for error in (*checked.errors, *checked.warnings)
            ]
            raise ManifestRefusedError(f"The manifest {where} has errors.", errors)
        try:
            found = mismatch(checked.manifest.requires.nimbus, self.nimbus_version)
        except ValueError as error:
            problem = FieldProblem(path=f"{below}/requires/nimbus", message=str(error))
            raise ManifestRefusedError(f"The manifest {where} has errors.", [problem]) from error
        if found is not None:
            name = f"{checked.manifest.name} {checked.manifest.version}"
            raise IncompatibleError(f"{name} does not fit this Nimbus. {found.message}", found.change)
        return checked.manifest
