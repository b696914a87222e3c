"""What another version of a plugin brings, by the changelog that its manifest holds. Pure."""

from nimbus_sdk.contracts.manifest import ChangelogEntry, Manifest

from nimbus_registry.catalog.versions import precedence


def news(manifest: Manifest, installed: str) -> list[ChangelogEntry]:
    """What a person reads before taking this version.

    Of a version newer than `installed`, every entry after that up to itself, newest first: nobody is told what is
    there already. Of one that is as old or older, only what itself changed.
    """
    itself, before = precedence(manifest.version), precedence(installed)
    shown = [
        entry
        for entry in manifest.changelog
        if precedence(entry.version) == itself or before < precedence(entry.version) < itself
    ]
    return sorted(shown, key=lambda entry: precedence(entry.version), reverse=True)
