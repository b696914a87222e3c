"""The labels of a plugin's image: what they must be, and whether those of a built one still are."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nimbus_sdk.contracts.jsontext import pointer
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem

MANIFEST_LABEL = "io.nimbus.manifest"
SBOM_LABEL = "io.nimbus.sbom"
SBOM_PATH = "/app/sbom.cdx.json"
INSPECT_SECONDS = 20
_MOST_SHOWN = 3


def labels(manifest_text: str, manifest: Manifest) -> dict[str, str]:
    """Labels of a plugin's image: the manifest itself, and the annotations of the OCI image specification. Pure."""
    found = {
        MANIFEST_LABEL: json.dumps(json.loads(manifest_text), ensure_ascii=False, separators=(",", ":")),
        SBOM_LABEL: SBOM_PATH,
        "org.opencontainers.image.title": manifest.name,
        "org.opencontainers.image.description": manifest.description,
        "org.opencontainers.image.version": manifest.version,
        "org.opencontainers.image.authors": manifest.author,
        "org.opencontainers.image.licenses": manifest.license or "",
        "org.opencontainers.image.url": manifest.homepage or "",
    }
    return {key: value for key, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """The labels of an image that is here; or None, and why they could not be read."""

    labels: Mapping[str, str] | None
    why: str = ""


def read_image(name: str) -> BuiltImage:
    """Ask the engine, when there is one, for an image's labels. Never fails."""
    program = shutil.which("docker")
    if program is None:
        return BuiltImage(None, "the command docker is not installed here")
    try:
        done = subprocess.run(  # noqa: S603 - Docker's own command with arguments in a list
            [program, "image", "inspect", "--format", "{{json .Config.Labels}}", "--", name],
            capture_output=True,
            text=True,
            timeout=INSPECT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return BuiltImage(None, f"the engine did not answer within {INSPECT_SECONDS} s")
    if done.returncode != 0:
        absent = "no such" in done.stderr.lower()
        return BuiltImage(
            None, "it is not built; nimbus plugin build does it" if absent else "no engine answers here"
        )
    return BuiltImage(json.loads(done.stdout) or {})


def compare_labels(
    name: str, found: Mapping[str, str], wanted: Mapping[str, str]
) -> tuple[list[FieldProblem], list[FieldProblem]]:
    """Errors and warnings about an image's labels. Pure.

    Args:
        name: the image.
        found: its labels.
        wanted: what `labels` gives for the manifest of now.
    """
    again = "build the image again: nimbus plugin build"
    text = found.get(MANIFEST_LABEL)
    if text is None:
        missing = "is missing, so the image was not built by nimbus plugin build and lists nothing of what is in it"
        return [], [FieldProblem(path=f"{name}#{MANIFEST_LABEL}", message=f"{missing}; {again}")]
    try:
        document = json.loads(text)
    except ValueError:
        return [FieldProblem(path=f"{name}#{MANIFEST_LABEL}", message=f"is no JSON; {again}", value=text[:80])], []
    changed = differences(document, json.loads(wanted[MANIFEST_LABEL]))
    errors = [
        FieldProblem(path=f"{name}#{MANIFEST_LABEL}{where}", message=f"is not what manifest.json has; {again}")
        for where in changed[:_MOST_SHOWN]
    ]
    warnings = [
        FieldProblem(
            path=f"{name}#{key}", message=f"should be {json.dumps(wanted[key])}; {again}", value=found.get(key)
        )
        for key in wanted
        if key != MANIFEST_LABEL and found.get(key) != wanted[key]
    ]
    return errors, [] if errors else warnings


def differences(one: Any, other: Any, at: tuple[str | int, ...] = ()) -> list[str]:  # noqa: ANN401 - any JSON
    """JSON pointers to where two documents differ, the highest place at which they do. Pure."""
    if isinstance(one, dict) and isinstance(other, dict):
        nested = [
            differences(one[key], other[key], (*at, key)) if key in one and key in other else [pointer(*at, key)]
            for key in (*one, *(key for key in other if key not in one))
        ]
        return [where for found in nested for where in found]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [where for index, (a, b) in pairs for where in differences(a, b, (*at, index))]
    return [] if one == other and type(one) is type(other) else [pointer(*at)]
