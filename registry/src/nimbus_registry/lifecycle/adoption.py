"""A version becomes the installed one, and the one before is kept."""

from nimbus_registry.database import utcnow
from nimbus_registry.lifecycle import reasons
from nimbus_registry.store.candidate import Candidate
from nimbus_registry.store.installation import KeptVersion
from nimbus_registry.store.record import PluginRecord


def adopt(record: PluginRecord, candidate: Candidate, *, pin: str | None, snapshot: str | None) -> list[KeptVersion]:
    """Make a candidate the installed version and keep the one before. Returns what is kept no longer."""
    installation, manifest = record.installation, candidate.manifest
    taken = installation.find(manifest.version)
    installation.kept = [one for one in installation.kept if one.manifest.version != manifest.version]
    dropped = [taken] if taken is not None else []
    if record.manifest is not None and record.manifest.version != manifest.version:
        dropped += installation.keep(
            KeptVersion(
                status="kept",
                manifest=record.manifest,
                source=record.source,
                pin=pin,
                snapshot=snapshot,
                since=utcnow(),
                reason=reasons.changed_version(candidate.words, record.version, manifest.version),
            )
        )
    record.manifest, record.source = manifest, candidate.source
    record.name, record.version, record.description = manifest.name, manifest.version, manifest.description
    record.capabilities = list(manifest.capabilities)
    installation.pin, installation.entering = candidate.pin, None
    installation.folder_sha256 = candidate.folder_sha256 or installation.folder_sha256
    return dropped
