"""Finding and reading a plugin's own `manifest.json`."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.errors import ManifestError

FILE_NAME = "manifest.json"
_LEVELS = 3


def find_manifest(module: str) -> Path:
    """The manifest of the plugin that `module` belongs to.

    Looked for in `NIMBUS_MANIFEST` (the file itself), beside the module's file and up to three folders above it
    (a source tree, an editable install), then in the working directory (an image: `/app`).

    Raises:
        ManifestError: there is none; the message lists where it was looked for.
    """
    named = os.environ.get("NIMBUS_MANIFEST")
    if named:
        if not Path(named).is_file():
            raise ManifestError(f"NIMBUS_MANIFEST names {named}, which is not a file")
        return Path(named)
    tried: list[str] = []
    for folder in _folders(module):
        candidate = folder / FILE_NAME
        if candidate.is_file():
            return candidate
        tried.append(str(folder))
    raise ManifestError(f"no {FILE_NAME} found in {', '.join(tried)}; name the file in NIMBUS_MANIFEST")


def _folders(module: str) -> Iterator[Path]:
    origin = getattr(sys.modules.get(module), "__file__", None)
    if origin:
        start = Path(origin).resolve().parent
        yield from (start, *start.parents[:_LEVELS])
    yield Path.cwd()


def read_manifest(path: Path) -> Manifest:
    """The manifest in `path`.

    Raises:
        ManifestError: it cannot be read or is not valid; the message lists every error.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    with contextlib.suppress(ValidationError):
        return Manifest.model_validate_json(raw)
    from nimbus_sdk.contracts.validation import validate_manifest  # noqa: PLC0415 - only for what is wrong

    report = validate_manifest(raw)
    if report.manifest is None:
        raise ManifestError("\n".join([f"{path} is not valid:", *(f"  {line(error)}" for error in report.errors)]))
    return report.manifest


def line(error: FieldProblem) -> str:
    """One error as one line for a terminal."""
    suggestion = f" (did you mean {error.suggestion!r}?)" if error.suggestion else ""
    return f"{error.path or '/'}: {error.message}{suggestion}"
