"""The command `nimbus`. What the exit statuses mean is in `output`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from nimbus_sdk import __version__
from nimbus_sdk.cli import account, backups, dev, image, run_tests, system_backup
from nimbus_sdk.cli import new as scaffold
from nimbus_sdk.cli.account import AsJson
from nimbus_sdk.cli.output import USAGE, Commands, console, fail, show_json
from nimbus_sdk.cli.schema import manifest_schema
from nimbus_sdk.cli.validate import Report, validate
from nimbus_sdk.contracts.problem import FieldProblem

app = typer.Typer(
    name="nimbus", cls=Commands, no_args_is_help=True, help="Write plugins for Nimbus, and run a Nimbus."
)
plugin_app = typer.Typer(no_args_is_help=True, help="Write a plugin: new, validate, dev, test, build, publish.")
schema_app = typer.Typer(no_args_is_help=True, help="Schemas of the contracts.")
app.add_typer(plugin_app, name="plugin")
app.add_typer(schema_app, name="schema")
app.add_typer(backups.app, name="plugins")  # the same as operate.app, with the commands of all three
app.add_typer(system_backup.app, name="backup")
app.command()(account.login)
app.command()(account.logout)
app.command()(account.whoami)
plugin_app.command("dev")(dev.dev)
plugin_app.command("test")(run_tests.run)
plugin_app.command("build")(image.build)
plugin_app.command("publish")(image.publish)


class TemplateName(StrEnum):
    """What a new plugin starts with."""

    minimal = "minimal"
    ui = "ui"
    consumer = "consumer"
    compat = "compat"


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's own way
    if wanted:
        console.print(f"nimbus {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Write plugins for Nimbus, and run a Nimbus."""


@plugin_app.command("new")
def new(
    plugin_id: Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits and hyphens.")],
    *,
    template: Annotated[
        TemplateName,
        typer.Option(help="`ui` adds a page, `consumer` handles events, `compat` answers another product's API."),
    ] = TemplateName.minimal,
    name: Annotated[str | None, typer.Option(help="Name for people; made of the id when left out.")] = None,
    directory: Annotated[Path | None, typer.Option(help="Folder to write; ./ID when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a folder with a plugin that works: manifest, code, tests, Dockerfile."""
    try:
        scaffold.check_id(plugin_id)
        target = directory or Path(plugin_id)
        wanted = scaffold.contents(plugin_id, name or plugin_id.replace("-", " ").capitalize(), template.value)
        written = scaffold.write(target, wanted)
    except (ValueError, FileExistsError) as error:
        fail(str(error), USAGE)
    if as_json:
        show_json({"folder": str(target), "files": [str(path) for path in written]})
        return
    for path in written:
        console.print(f"  [green]+[/] {escape(str(path))}")
    console.print(f"\nNext:\n  cd {escape(str(target))}\n  nimbus plugin dev\n  nimbus plugin test")


@plugin_app.command("validate")
def check(
    path: Annotated[Path, typer.Argument(help="The plugin's folder, or its manifest.json.")] = Path(),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    code: Annotated[bool, typer.Option(help="Import the plugin to compare its routes with the manifest.")] = True,
    image: Annotated[
        bool, typer.Option(help="Compare the labels of the built image, where an engine has one, with the manifest.")
    ] = True,
    fix: Annotated[
        bool, typer.Option("--fix", help="First write into manifest.json what the code has and the manifest lacks.")
    ] = False,
    routes: Annotated[
        bool, typer.Option("--routes", help="Print the manifest's routes as the code has them.")
    ] = False,
) -> None:
    """Check a plugin: manifest, Dockerfile, built image, UI bundle, and the code's routes and permissions."""
    folder = path.parent if path.name == "manifest.json" else path
    if not folder.is_dir():
        fail(f"{folder} is not a folder", USAGE)
    report = validate(folder, run_code=code or routes or fix, fix=fix, built=image)
    if as_json:
        console.print_json(json.dumps(report.wire()))
    elif routes and report.routes is not None:
        console.print_json(json.dumps(report.routes))
    else:
        _show(report)
    if not report.valid:
        fail(f"{folder} holds no valid plugin", found=report.errors, shown=True)


def _show(report: Report) -> None:
    for problem in report.errors:
        _line("[red]error[/]", problem)
    for problem in report.warnings:
        _line("[yellow]warning[/]", problem)
    for note in report.notes:
        console.print(f"[dim]note[/] {escape(note)}")
    name = f"{report.manifest.id} {report.manifest.version}" if report.manifest else str(report.folder)
    if report.valid:
        console.print(f"[green]{escape(name)} is valid[/]")
    else:
        count = len(report.errors)
        console.print(f"[red]{escape(name)} is not valid: {count} error{'s' if count != 1 else ''}[/]")


def _line(label: str, problem: FieldProblem) -> None:
    found = "" if problem.value is None else f"; found {json.dumps(problem.value, default=str)}"
    meant = "" if problem.suggestion is None else f"; did you mean {problem.suggestion}?"
    console.print(f"{label} [bold]{escape(problem.path or '/')}[/] {escape(problem.message + found + meant)}")


@schema_app.command("manifest")
def schema() -> None:
    """Print the JSON Schema of manifest.json, for editors and other tools."""
    typer.echo(manifest_schema(), nl=False)
