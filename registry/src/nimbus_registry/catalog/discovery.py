"""Reading the plugins folder: every folder with a `manifest.json`, whatever is in it."""

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from nimbus_sdk.contracts.jsontext import MAX_DOCUMENT_BYTES, read_json
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.validation import ValidationReport, validate_manifest

from nimbus_registry.catalog.versions import incompatibility
from nimbus_registry.store.installation import FOLDER_SOURCE

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Found:
    """A folder with a manifest, valid or not.

    Attributes:
        folder: its name, printable.
        claims: the id that the manifest names, also when other things in it are wrong; None when it names none.
        title: the name that it gives itself, if it can be read.
    """

    folder: str
    report: ValidationReport
    claims: str | None = None
    title: str | None = None

    @property
    def source(self) -> str:
        """How the plugin's source is written."""
        return FOLDER_SOURCE + self.folder


def scan(folder: Path, nimbus_version: str) -> list[Found]:
    """Every plugin folder, by name. A folder that cannot be read is found with its error.

    Raises:
        OSError: the plugins folder itself cannot be read; a folder that is not there is empty.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return []
    return [
        _read(name, folder / name / MANIFEST, nimbus_version)
        for name in names
        if not name.startswith(".") and _is_there(folder / name / MANIFEST)
    ]


def _is_there(path: Path) -> bool:
    """Whether there is such an entry, readable or not: a folder that is locked away is not a removed one."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _read(name: str, path: Path, nimbus_version: str) -> Found:
    shown = name.encode("utf-8", "replace").decode("utf-8")
    try:
        raw = _content(path)
    except OSError as error:
        problem = FieldProblem(path="", message=f"a readable file; {error.strerror or error}")
        return Found(shown, ValidationReport(errors=[problem]))
    report = validate_manifest(raw)
    document, _ = read_json(raw)
    members = document if isinstance(document, dict) else {}
    claims, title = members.get("id"), members.get("name")
    if report.manifest is not None:
        incompatible = incompatibility(report.manifest.requires.nimbus, nimbus_version)
        if incompatible is not None:
            report = ValidationReport(errors=[incompatible], warnings=report.warnings)
    return Found(
        folder=shown,
        report=report,
        claims=claims if isinstance(claims, str) else None,
        title=title.strip()[:120] if isinstance(title, str) and title.strip().isprintable() else None,
    )


def _content(path: Path) -> bytes:
    """The file's bytes, one more than allowed at most: the validator then says that it is too large."""
    # A pipe or a device would block or never end.
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("it is not a regular file")
    with path.open("rb") as file:
        return file.read(MAX_DOCUMENT_BYTES + 1)


def derived_id(folder: str) -> str:
    """A plugin id made of a folder's name, for a plugin that has none of its own."""
    slug = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    slug = re.sub(r"^[^a-z]+", "", slug)
    return (slug if len(slug) > 1 else f"plugin-{slug}".rstrip("-"))[:40].rstrip("-")
