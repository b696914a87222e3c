"""`nimbus plugins backup` and `restore`: one plugin as one file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from nimbus_sdk.cli.account import AsJson, client
from nimbus_sdk.cli.asking import make_sure
from nimbus_sdk.cli.operate import PluginIdArgument
from nimbus_sdk.cli.output import USAGE, console, errors, fail, show_json, told
from nimbus_sdk.cli.versions import app
from nimbus_sdk.contracts.backup import RestoreResult
from nimbus_sdk.nimbus_connection import Progress as Report

__all__ = ["app", "new_file", "shown"]


@app.command("backup")
def backup(
    plugin_id: PluginIdArgument,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; a name with the time when left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file when it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Back up a plugin's settings, keys and data into one file. Secret settings are left out."""
    target = output or Path(f"{plugin_id}-{datetime.now(UTC):%Y%m%d-%H%M%S}.nimbus-backup.tar")
    with (
        new_file(target, force=force) as file,
        client() as nimbus,
        told(),
        shown("Copying …", "Downloading") as report,
    ):
        size = nimbus.backup(plugin_id, file, progress=report)
    if as_json:
        show_json({"file": str(target), "bytes": size})
    else:
        console.print(f"[bold]{escape(plugin_id)}[/] is in {escape(str(target))} ({size} bytes).")


@contextmanager
def new_file(target: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A file that only its owner reads, which gets its name when it is whole."""
    if target.exists() and not force:
        fail(f"{target} is there already; choose another name, or --force.", USAGE)
    partial = target.with_name(f".{target.name}.part")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        fail(f"{target} cannot be written: {error.strerror or error}")
    finally:
        partial.unlink(missing_ok=True)


@app.command("restore")
def restore(
    plugin_id: PluginIdArgument,
    file: Annotated[Path, typer.Argument(help="The backup.", exists=True, dir_okay=False, readable=True)],
    *,
    any_version: Annotated[
        bool, typer.Option("--any-version", help="Also into another version than the one the backup is of.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Replace a plugin's settings, keys and data by those of a backup; it is installed when it is not there."""
    make_sure(f"Replace settings, keys and data of {plugin_id} by those of {file}?", yes=yes)
    with file.open("rb") as content, client() as nimbus, told(), shown("Uploading …", "Uploading") as report:
        result = nimbus.restore(plugin_id, content, any_version=any_version, progress=report)
    if as_json:
        show_json(result.wire())
    else:
        _describe(result)


@contextmanager
def shown(first: str, then: str) -> Iterator[Report]:
    """A bar on standard error; what cannot be measured shows that it goes on."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_interactive) as bar:
        task = bar.add_task(first, total=None)

        def report(done: int, whole: int) -> None:
            ended = then == "Uploading" and done == whole
            bar.update(task, description="Checking and restoring …" if ended else then, completed=done, total=whole)

        yield report


def _describe(result: RestoreResult) -> None:
    made = f"{result.created_at:%Y-%m-%d %H:%M} UTC"
    console.print(f"[bold]{escape(result.plugin.id)}[/] is as it was on {made}, version {result.version}:")
    console.print(
        f"  {result.settings} settings, {result.keys} keys, {result.files} files ({result.data_bytes} bytes)"
    )
    if result.secrets_missing:
        console.print(f"  Enter again, they are in no backup: {escape(', '.join(result.secrets_missing))}")
    if result.left_out.count:
        console.print(f"  {result.left_out.count} links or special files were not in the backup:")
        for name in result.left_out.names[:10]:
            console.print(f"    {escape(name)}")
    if result.installed:
        console.print(f"  It was installed, and is {result.plugin.state}: nimbus plugins enable {result.plugin.id}")
