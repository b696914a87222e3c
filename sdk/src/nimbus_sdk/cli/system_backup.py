"""`nimbus backup`: everything that a Nimbus keeps, as one file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from nimbus_sdk.cli.account import AsJson, client
from nimbus_sdk.cli.asking import ask, make_sure
from nimbus_sdk.cli.backups import new_file, shown
from nimbus_sdk.cli.output import USAGE, console, errors, fail, show_json, told
from nimbus_sdk.contracts.archive import ArchiveError
from nimbus_sdk.contracts.system_backup import BackupProgress, SystemBackup, SystemRestore, check_file
from nimbus_sdk.system_backups import Shown, SystemBackups

app = typer.Typer(no_args_is_help=True, help="Back up and restore everything as one file.")

VARIABLE = "NIMBUS_BACKUP_PASSPHRASE"
SHORTEST = 12

FileArgument = Annotated[Path, typer.Argument(help="The backup.", exists=True, dir_okay=False, readable=True)]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help=f"Read the passphrase from the first line of a file; else {VARIABLE} is taken, or it is asked for.",
        exists=True,
        dir_okay=False,
    ),
]


def _passphrase(file: Path | None, *, twice: bool) -> str:
    if file is not None:
        lines = file.read_text(encoding="utf-8").splitlines()
        found = lines[0] if lines else ""
    else:
        given = f"--passphrase-file FILE, or the variable {VARIABLE}"
        found = os.environ.get(VARIABLE) or ask("Passphrase", instead=given, hidden=True, twice=twice)
    if len(found) < SHORTEST:
        fail(f"A passphrase has at least {SHORTEST} characters.", USAGE)
    return found


@app.command("create")
def create(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; a name with the time when left out.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the backup on the Nimbus too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Back up accounts, settings, library, plugins and their data. The passphrase seals the secrets in the file.

    Ends with 1 when the data of a plugin could not be had; the file has everything else.
    """
    target = output or Path(f"nimbus-{datetime.now(UTC):%Y%m%d-%H%M%S}.nimbus-system.tar")
    if target.exists() and not force:
        fail(f"{target} is there already; choose another name, or --force.", USAGE)
    passphrase = _passphrase(passphrase_file, twice=True)
    with client() as nimbus, told():
        backups = SystemBackups(nimbus)
        with _steps() as report:
            made = backups.make(passphrase, shown=report)
        if made.state != "ready":
            fail(made.error or "The backup was not made.")
        with new_file(target, force=force) as file, shown("Downloading", "Downloading") as progress:
            size = backups.download(made.id, file, progress=progress)
        if not keep:
            backups.delete(made.id)
    missing = [plugin.id for plugin in made.plugins if plugin.problem]
    if as_json:
        show_json({"file": str(target), "bytes": size, "backup": made.wire()})
    else:
        console.print(f"{'Not everything' if missing else 'Everything'} is in {escape(str(target))} ({size} bytes).")
        _describe(made)
    if missing:
        fail(f"The data of {', '.join(missing)} are not in it.", shown=True)


@app.command("list")
def listed(*, as_json: AsJson = False) -> None:
    """Show the backups that are kept on the Nimbus, and how the last restore went."""
    with client() as nimbus, told():
        found = SystemBackups(nimbus).list()
    if as_json:
        show_json(found.wire())
        return
    for backup in found.items:
        console.print(f"{backup.id}  {backup.created_at:%Y-%m-%d %H:%M} UTC  {backup.state}  {backup.size} bytes")
    if not found.items:
        console.print("No backup is kept on this Nimbus.")
    if found.restore is not None:
        console.print(f"Last restore, {found.restore.started_at:%Y-%m-%d %H:%M} UTC: {found.restore.state}")


@app.command("delete")
def delete(
    backup_id: Annotated[str, typer.Argument(metavar="ID", help="As in the list.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a backup that is kept on the Nimbus."""
    make_sure(f"Delete the backup {backup_id}?", yes=yes)
    with client() as nimbus, told():
        SystemBackups(nimbus).delete(backup_id)
    if as_json:
        show_json({"id": backup_id})
    else:
        console.print("Deleted.")


@app.command("verify")
def verify(file: FileArgument, *, as_json: AsJson = False) -> None:
    """Compare all checksums of a file, without a Nimbus. Restoring looks at the contents too."""
    try:
        with file.open("rb") as content:
            head = check_file(content).head
    except ArchiveError as error:
        fail(f"{file} is damaged or no backup of everything: {error}")
    if as_json:
        show_json(head.wire())
        return
    made = f"{head.created_at:%Y-%m-%d %H:%M} UTC"
    console.print(f"{escape(str(file))} is whole: {escape(head.instance)} on {made}, Nimbus {escape(head.nimbus)}.")
    for plugin in head.plugins:
        console.print(f"  {escape(plugin.id)} {escape(plugin.version)}{' with data' if plugin.data else ''}")


@app.command("restore")
def restore(
    file: FileArgument,
    *,
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="Name of the instance that is replaced; asked for when left out.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    keep_current: Annotated[
        bool, typer.Option(help="First make a backup of what is there now, on the Nimbus, under this passphrase.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Replace everything by a backup. All sessions end; plugins are installed, given their data, and enabled."""
    name = confirm or ask("Name of the instance (everything in it is replaced)", instead="--confirm NAME")
    passphrase = _passphrase(passphrase_file, twice=False)
    with client() as nimbus, told():
        backups = SystemBackups(nimbus)
        with file.open("rb") as content, shown("Uploading …", "Uploading") as progress:
            uploaded = backups.upload(content, progress=progress)
        with _steps() as report:
            result = backups.restore(uploaded.id, passphrase, confirm=name, keep_current=keep_current, shown=report)
    if as_json:
        show_json(result.wire())
    else:
        _told(result)
    partly = [one.id for one in result.plugins if one.outcome in {"failed", "partly"}]
    if result.state != "done" or partly:
        fail(result.error or f"Not restored as a whole: {', '.join(partly)}.", shown=True)


@contextmanager
def _steps() -> Iterator[Shown]:
    """A bar on standard error with what is done right now."""
    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_interactive) as bar:
        task = bar.add_task("Beginning …", total=None)

        def report(progress: BackupProgress) -> None:
            bar.update(task, description=escape(progress.step), completed=progress.done, total=progress.total or None)

        yield report


def _describe(made: SystemBackup) -> None:
    console.print(f"  {sum(made.rows.values())} rows of the core, {len(made.plugins)} plugins")
    for plugin in made.plugins:
        if plugin.problem:
            console.print(f"  [yellow]{escape(plugin.id)}: its data are not in it: {escape(plugin.problem)}[/]")
    for remark in made.remarks:
        console.print(f"  [yellow]{escape(remark)}[/]")


def _told(result: SystemRestore) -> None:
    if result.state != "done":
        nothing = "" if result.changed else " Nothing was replaced."
        errors.print(f"[red]{escape(result.error or 'It was not restored.')}{nothing}[/]")
    else:
        console.print(f"Everything is as it was on {result.backup_created_at:%Y-%m-%d %H:%M} UTC.")
    for one in result.plugins:
        colour = "green" if one.outcome == "restored" else "yellow"
        console.print(f"  [{colour}]{escape(one.id)}[/] {escape(one.message)}")
    if result.kept_as is not None:
        console.print(f"  What was there before is the backup {result.kept_as}.")
    if result.changed:
        console.print("Every session has ended. Sign in again: nimbus login")
