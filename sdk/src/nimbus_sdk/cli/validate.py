"""`nimbus plugin validate`: everything that can be known about a plugin's folder before Nimbus runs it."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nimbus_sdk.cli import permissions
from nimbus_sdk.cli.bundles import check_bundle
from nimbus_sdk.cli.fix import write_fixed
from nimbus_sdk.cli.image_labels import compare_labels, labels, read_image
from nimbus_sdk.cli.inspect_plugin import MARKER
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.validation import validate_manifest
from nimbus_sdk.errors import ManifestError
from nimbus_sdk.ui import collect

IMPORT_TIMEOUT = 60.0
_MOST_SCRIPT_BYTES = 5 * 1024 * 1024
_MOST_SOURCES = 2000


@dataclass(slots=True)
class Report:
    """What was found. A plugin with errors is not valid; warnings are worth a look."""

    folder: Path
    manifest: Manifest | None = None
    errors: list[FieldProblem] = field(default_factory=list)
    warnings: list[FieldProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    routes: list[dict[str, Any]] | None = None

    @property
    def valid(self) -> bool:
        """Whether nothing keeps the plugin from running."""
        return not self.errors

    def wire(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "valid": self.valid,
            "id": self.manifest.id if self.manifest else None,
            "version": self.manifest.version if self.manifest else None,
            "errors": [problem.wire() for problem in self.errors],
            "warnings": [problem.wire() for problem in self.warnings],
            "notes": self.notes,
            "routes": self.routes,
        }


def validate(folder: Path, *, run_code: bool = True, fix: bool = False, built: bool = False) -> Report:
    """Check a plugin's folder.

    Args:
        folder: where `manifest.json` is.
        run_code: import the plugin, in a process of its own, to compare its routes with the manifest.
        fix: first write into the manifest what the code has and the manifest lacks.
        built: look at the labels of the image too, when there is one on an engine here.
    """
    report = Report(folder)
    path = folder / "manifest.json"
    if fix:
        _fix(report)
    if not path.is_file():
        report.errors.append(FieldProblem(path="manifest.json", message=f"there is none in {folder}"))
        return report
    found = validate_manifest(path.read_bytes(), strict=True)
    report.manifest = found.manifest
    report.errors += [_in_manifest(problem) for problem in found.errors]
    report.warnings += [_in_manifest(problem) for problem in found.warnings]
    if found.manifest is None:
        return report
    _check_dockerfile(report, found.manifest)
    if built:
        _check_built(report, found.manifest)
    _check_version(report, found.manifest)
    _check_ui(report, found.manifest)
    _check_permissions(report, found.manifest)
    if run_code:
        _check_code(report, found.manifest)
    return report


def _fix(report: Report) -> None:
    path = report.folder / "manifest.json"
    manifest = validate_manifest(path.read_bytes()).manifest if path.is_file() else None
    module = module_of(manifest) if manifest else None
    if module is not None:
        found = inspect_module(report.folder, module)
        if "error" not in found:
            report.notes += [f"manifest.json: {change}" for change in write_fixed(report.folder, found)]


def _in_manifest(problem: FieldProblem) -> FieldProblem:
    return problem.model_copy(update={"path": f"manifest.json{'#' if problem.path else ''}{problem.path}"})


def _check_dockerfile(report: Report, manifest: Manifest) -> None:
    dockerfile = report.folder / "Dockerfile"
    if manifest.runtime.image is None:
        return
    if not dockerfile.is_file():
        report.warnings.append(
            FieldProblem(
                path="Dockerfile", message="there is none, so the image must be pulled", value=manifest.runtime.image
            )
        )
        return
    text = dockerfile.read_text(encoding="utf-8", errors="replace")
    if re.search(r"^\s*RUN\s+--mount", text, re.MULTILINE | re.IGNORECASE):
        report.errors.append(
            FieldProblem(path="Dockerfile", message="uses RUN --mount, which the builder of Nimbus does not know")
        )
    users = re.findall(r"^\s*USER\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)
    if users and users[-1].partition(":")[0] in {"root", "0"}:
        report.warnings.append(
            FieldProblem(
                path="Dockerfile", message="ends as root; Nimbus runs plugins as 10001:10001", value=users[-1]
            )
        )


def _check_built(report: Report, manifest: Manifest) -> None:
    """The labels of the built image: they travel with it, and tell a Nimbus what it would run."""
    name = manifest.runtime.image
    if name is None:
        return
    image = read_image(name)
    if image.labels is None:
        report.notes.append(f"the image {name} was not looked at: {image.why}")
        return
    text = (report.folder / "manifest.json").read_text(encoding="utf-8")
    errors, warnings = compare_labels(name, image.labels, labels(text, manifest))
    report.errors += errors
    report.warnings += warnings


def _check_version(report: Report, manifest: Manifest) -> None:
    tag = (manifest.runtime.image or "").rpartition(":")[2]
    if manifest.runtime.image and re.match(r"^\d+\.\d+", tag) and tag != manifest.version:
        report.warnings.append(
            FieldProblem(
                path="manifest.json#/runtime/image",
                message=f"the tag is not the plugin's version {manifest.version}",
                value=manifest.runtime.image,
            )
        )
    pyproject = report.folder / "pyproject.toml"
    if pyproject.is_file():
        try:
            version = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("project", {}).get("version")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            report.errors.append(FieldProblem(path="pyproject.toml", message=f"cannot be read: {error}"))
            return
        if version is not None and version != manifest.version:
            report.warnings.append(
                FieldProblem(
                    path="pyproject.toml",
                    message=f"the version is not the manifest's {manifest.version}",
                    value=version,
                )
            )


def _check_ui(report: Report, manifest: Manifest) -> None:
    if manifest.ui is None:
        return
    try:
        bundle = collect(report.folder, manifest.ui.bundle)
    except ManifestError as error:
        report.errors.append(FieldProblem(path=manifest.ui.bundle, message=str(error)))
        return
    scripts = {
        name: path.read_text(encoding="utf-8", errors="replace")
        for name, path in bundle.files.items()
        if path.suffix in {".js", ".mjs"} and path.stat().st_size <= _MOST_SCRIPT_BYTES
    }
    report.errors += check_bundle(manifest.ui.bundle, scripts, frozenset(bundle.files))


def _check_permissions(report: Report, manifest: Manifest) -> None:
    """The permissions that the code uses against those that the manifest asks for, both ways."""
    found = sources(report.folder, module_of(manifest))
    if not found:
        return
    errors, warnings = permissions.compare(
        permissions.uses(found),
        manifest.permissions,
        manifest.events.subscribe,
        others=permissions.other_packages(found),
    )
    report.errors += errors
    report.warnings += warnings


def sources(folder: Path, module: str | None) -> dict[str, str]:
    """The text of a plugin's Python files by their path: below `src`, else of the package that is started."""
    top = folder / "src"
    if not top.is_dir():
        if module is None:
            return {}
        top = folder / module.partition(".")[0]
    files = sorted(top.rglob("*.py")) if top.is_dir() else [top.with_suffix(".py")]
    return {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8", errors="replace")
        for file in files[:_MOST_SOURCES]
        if file.is_file() and file.stat().st_size <= _MOST_SCRIPT_BYTES
    }


def module_of(manifest: Manifest) -> str | None:
    """The Python module that the plugin starts, when it is started as `python -m module`."""
    command = manifest.runtime.process.command if manifest.runtime.process else []
    if len(command) >= 3 and re.match(r"^python[\d.]*$", Path(command[0]).name) and command[1] == "-m":  # noqa: PLR2004
        return command[2]
    return None


def _check_code(report: Report, manifest: Manifest) -> None:
    module = module_of(manifest)
    if module is None:
        report.notes.append("the code was not looked at: runtime.process.command is not `python -m <module>`")
        return
    found = inspect_module(report.folder, module)
    if "error" in found:
        report.errors.append(FieldProblem(path=module, message=found["error"]))
        return
    report.routes = found["routes"]
    report.errors += [FieldProblem(path=module, message=text) for text in found["disagreements"]]
    report.warnings += [FieldProblem(path=module, message=text) for text in found["unserved"]]
    for kind in found["settings"]:
        report.warnings += compare_settings(kind["name"], kind["schema"], manifest.settings or {})


def inspect_module(folder: Path, module: str) -> dict[str, Any]:
    """Import a plugin in a process of its own and return what `inspect_plugin` says about it."""
    own = folder / ".venv" / "bin" / "python"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NIMBUS_")}
    environment |= {
        "NIMBUS_MANIFEST": str((folder / "manifest.json").resolve()),
        "PYTHONPATH": os.pathsep.join([str((folder / "src").resolve()), str(folder.resolve())]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        done = subprocess.run(  # noqa: S603 - the author's own plugin, on the author's own machine
            [str(own) if own.is_file() else sys.executable, "-m", "nimbus_sdk.cli.inspect_plugin", module],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=IMPORT_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"importing {module} took more than {IMPORT_TIMEOUT:.0f} s"}
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(MARKER):
            return dict(json.loads(line.removeprefix(MARKER)))
    return {"error": f"importing {module} ended with status {done.returncode}: {done.stderr.strip()[-500:]}"}


def compare_settings(name: str, code: dict[str, Any], manifest: dict[str, Any]) -> list[FieldProblem]:
    """Where a `Settings` class and the manifest's `settings` differ in names, types, defaults or secrecy."""
    ours, theirs = code.get("properties", {}), manifest.get("properties", {})
    found = [
        FieldProblem(
            path="manifest.json#/settings",
            message=f"{name}.{key} is not there; add it",
            suggestion=json.dumps({key: ours[key]}),
        )
        for key in ours
        if key not in theirs
    ]
    found += [
        FieldProblem(
            path=f"manifest.json#/settings/properties/{key}/{word}",
            message=f"{name} has {json.dumps(ours[key].get(word))}",
            value=theirs[key].get(word),
        )
        for key in sorted(ours.keys() & theirs.keys())
        for word in ("type", "default", "x-secret")
        if ours[key].get(word) != theirs[key].get(word)
    ]
    return found
