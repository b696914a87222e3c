"""`nimbus plugin test`: the plugin's own tests, after what can be known without running them."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from nimbus_sdk.cli.output import FAILED, USAGE, console, fail
from nimbus_sdk.cli.validate import validate

_NO_TESTS = 5  # pytest's own status
_LOOK = "import importlib.util; raise SystemExit(importlib.util.find_spec('pytest') is None)"


def run(
    path: Annotated[Path, typer.Argument(help="The plugin's folder.")] = Path(),
    arguments: Annotated[list[str] | None, typer.Argument(help="Further arguments, for pytest.")] = None,
) -> None:
    """Check the plugin and run its tests; they need no Nimbus. `nimbus plugin test . -- -k name` passes on `-k`."""
    folder = path.resolve()
    if not (folder / "manifest.json").is_file():
        fail(f"there is no manifest.json in {folder}", USAGE)
    report = validate(folder)
    for problem in report.errors:
        console.print(f"[red]error[/] [bold]{escape(problem.path)}[/] {escape(problem.message)}")
    if not report.valid:
        raise typer.Exit(FAILED)
    own = folder / ".venv" / "bin" / "python"
    python = str(own) if own.is_file() else sys.executable
    if subprocess.run([python, "-c", _LOOK], check=False).returncode:  # noqa: S603 - the plugin's own interpreter
        fail(f"{python} has no pytest; in the plugin's folder: {shlex.quote(python)} -m pip install -e '.[test]'")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder / "src"), os.environ.get("PYTHONPATH")]))
    }
    done = subprocess.run(  # noqa: S603 - the author's own tests
        [python, "-m", "pytest", *(arguments or [])], cwd=folder, env=environment, check=False
    )
    if done.returncode == _NO_TESTS:
        fail(f"there are no tests in {folder / 'tests'}; nimbus plugin new shows how they look")
    raise typer.Exit(FAILED if done.returncode else 0)
