"""`nimbus plugin build` and `publish`: the plugin's image, with its manifest and the list of what is in it."""

import json
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from nimbus_sdk import __version__
from nimbus_sdk.cli.account import AsJson
from nimbus_sdk.cli.image_labels import MANIFEST_LABEL, SBOM_PATH, labels
from nimbus_sdk.cli.output import FAILED, UNREACHABLE, USAGE, console, fail, show_json
from nimbus_sdk.cli.validate import validate
from nimbus_sdk.contracts.manifest import Manifest

BUILD_SECONDS = 1800
_LIST_PACKAGES = (
    "import importlib.metadata as m, json, platform; print(json.dumps({'python': platform.python_version(), "
    "'packages': sorted((d.metadata['Name'], d.version, d.metadata.get('License-Expression') or "
    "d.metadata.get('License') or '') for d in m.distributions())}))"
)


def sbom(manifest: Manifest, listed: dict[str, Any], *, serial: str, at: datetime) -> dict[str, Any]:
    """The bill of materials of an image as CycloneDX 1.5: the plugin, Python and every Python package. Pure."""
    components = [
        {"type": "application", "bom-ref": f"pkg:generic/python@{listed['python']}", "name": "python"}
        | {"version": listed["python"], "purl": f"pkg:generic/python@{listed['python']}"}
    ]
    for name, version, license_text in listed["packages"]:
        purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
        }
        if license_text and len(license_text) <= 100:  # noqa: PLR2004 - some packages put the whole text there
            component["licenses"] = [{"license": {"name": license_text}}]
        components.append(component)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "tools": {"components": [{"type": "application", "name": "nimbus-plugin-sdk", "version": __version__}]},
            "component": {
                "type": "container",
                "bom-ref": f"pkg:oci/{manifest.id}@{manifest.version}",
                "name": manifest.id,
                "version": manifest.version,
            },
        },
        "components": components,
    }


def build(
    path: Annotated[Path, typer.Argument(help="The plugin's folder.")] = Path(),
    *,
    tag: Annotated[str | None, typer.Option("--tag", "-t", help="Name; the manifest's when left out.")] = None,
    base_image: Annotated[str | None, typer.Option(help="Value of the Dockerfile's BASE_IMAGE.")] = None,
    as_json: AsJson = False,
) -> None:
    """Build the image: labelled with the manifest, with a bill of materials in it and beside it in `dist/`."""
    folder = path.resolve()
    report = validate(folder)
    if not report.valid or report.manifest is None:
        fail(f"{folder} holds no valid plugin:", found=report.errors)
    manifest = report.manifest
    name = tag or manifest.runtime.image
    if name is None:
        fail("the manifest has no runtime.image; name the image with --tag", USAGE)
    if not (folder / "Dockerfile").is_file():
        fail(f"there is no Dockerfile in {folder}; nimbus plugin new shows how one looks", USAGE)
    found = labels((folder / "manifest.json").read_text(encoding="utf-8"), manifest)
    options = [f"--label={key}={value}" for key, value in found.items()]
    if base_image:
        options.append(f"--build-arg=BASE_IMAGE={base_image}")
    draft = f"{manifest.id}-draft:{uuid.uuid4().hex[:12]}"
    if not as_json:
        console.print(f"Building {escape(name)} …")
    try:
        docker("build", "--tag", draft, *options, str(folder), seconds=BUILD_SECONDS, shown=not as_json)
        target = _with_sbom(folder, manifest, draft, name)
    finally:
        docker("image", "rm", "--force", draft, check=False)
    image_id = docker("image", "inspect", "--format", "{{.Id}}", name).strip()
    if as_json:
        show_json({"image": name, "id": image_id, "sbom": str(target)})
    else:
        console.print(f"[green]{escape(name)}[/] {image_id[:19]}, its contents in {escape(str(target))}")


def _with_sbom(folder: Path, manifest: Manifest, draft: str, name: str) -> Path:
    """List what is in the built image, write the list beside it, and build it in."""
    listing = docker(
        "run",
        "--rm",
        "--network=none",
        "--read-only",
        "--entrypoint=python",
        draft,
        "-c",
        _LIST_PACKAGES,
        check=False,
    )
    try:
        listed = json.loads(listing)
    except ValueError:
        fail("the image's packages cannot be listed: it runs no `python`; build it with docker build", FAILED)
    document = sbom(manifest, listed, serial=str(uuid.uuid4()), at=datetime.now(UTC))
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    target = folder / "dist" / f"{manifest.id}-{manifest.version}.cdx.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
    with tempfile.TemporaryDirectory() as context:
        (Path(context) / "sbom.cdx.json").write_text(text, encoding="utf-8")
        (Path(context) / "Dockerfile").write_text(f"FROM {draft}\nCOPY sbom.cdx.json {SBOM_PATH}\n", encoding="utf-8")
        docker("build", "--tag", name, context, seconds=BUILD_SECONDS)
    return target


def publish(
    path: Annotated[Path, typer.Argument(help="The plugin's folder.")] = Path(),
    *,
    tag: Annotated[str | None, typer.Option("--tag", "-t", help="Name; the manifest's when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Push the image that `build` made, when it is the one of this manifest. Sign in first: docker login."""
    folder = path.resolve()
    report = validate(folder, run_code=False)
    if report.manifest is None:
        fail(f"{folder} holds no valid plugin: nimbus plugin validate {path}")
    name = tag or report.manifest.runtime.image
    if name is None:
        fail("the manifest has no runtime.image; name the image with --tag", USAGE)
    text = docker("image", "inspect", "--format", "{{json .Config.Labels}}", name, check=False)
    try:
        labelled = (json.loads(text) or {}).get(MANIFEST_LABEL)
    except ValueError:
        fail(f"there is no image {name}; build it: nimbus plugin build {path}")
    wanted = labels((folder / "manifest.json").read_text(encoding="utf-8"), report.manifest)[MANIFEST_LABEL]
    if labelled != wanted:
        fail(f"{name} was built from another manifest, or not by nimbus plugin build; build it again")
    if "/" not in name:
        fail(
            f"{name} names no registry. Put the name that others will install it by, such as "
            "registry.example/you/plugin:1.0.0, into the manifest's runtime.image, and build again"
        )
    docker("push", name, seconds=BUILD_SECONDS, shown=not as_json)
    digests = docker("image", "inspect", "--format", "{{json .RepoDigests}}", name).strip()
    found = {"image": name, "digests": json.loads(digests)}
    if as_json:
        show_json(found)
    else:
        console.print(f"[green]{escape(name)}[/] is published: {', '.join(found['digests'])}")


def docker(*arguments: str, seconds: float = 120, check: bool = True, shown: bool = False) -> str:
    """Run Docker's command and return what it printed; with `shown` its output goes to standard error as it comes."""
    program = shutil.which("docker")
    if program is None:
        fail("the command docker is not installed here", UNREACHABLE)
    command: Sequence[str] = [program, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - Docker's own command with arguments in a list
            command,
            stdout=2 if shown else subprocess.PIPE,
            stderr=None if shown else subprocess.PIPE,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        fail(f"docker {arguments[0]} took more than {seconds:.0f} s", UNREACHABLE)
    if check and done.returncode != 0:
        said = (done.stderr or "").strip()[-1500:]
        away = "Cannot connect to the Docker daemon" in said or "permission denied" in said
        fail(f"docker {arguments[0]} failed{': ' + said if said else ''}", UNREACHABLE if away else FAILED)
    return done.stdout or ""
