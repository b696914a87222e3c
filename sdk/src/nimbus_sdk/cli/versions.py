"""`nimbus plugins versions`, `upgrade`, `rollback`, `uninstall`: which version of a plugin is installed."""

from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from nimbus_sdk.cli.account import AsJson, client
from nimbus_sdk.cli.asking import make_sure
from nimbus_sdk.cli.operate import (
    MANIFEST_HELP,
    PluginIdArgument,
    Wait,
    app,
    finish,
    image_of,
    read_manifest_file,
)
from nimbus_sdk.cli.output import USAGE, console, errors, fail, show_json, told
from nimbus_sdk.cli.progress import fetching

__all__ = ["app"]


@app.command("versions")
def versions(plugin_id: PluginIdArgument, *, as_json: AsJson = False) -> None:
    """List the versions that are here: the installed one, and those one can go back to."""
    with client() as nimbus, told():
        found = nimbus.versions(plugin_id)
    if as_json:
        show_json([one.wire() for one in found])
        return
    table = Table("Version", "Status", "Since", "Source", box=None, pad_edge=False)
    for one in found:
        status = one.status + (f", lacks {', '.join(one.missing_permissions)}" if one.missing_permissions else "")
        table.add_row(one.version, escape(status), f"{one.since:%Y-%m-%d %H:%M}", escape(one.source))
    console.print(table)


@app.command("upgrade")
def upgrade(
    plugin_id: PluginIdArgument,
    source: Annotated[
        str, typer.Argument(help="An image; with --version a waiting version; with --manifest a file.")
    ],
    *,
    manifest: Annotated[bool, typer.Option("--manifest", help=MANIFEST_HELP)] = False,
    version: Annotated[bool, typer.Option("--version", help="SOURCE is a version that waits for consent.")] = False,
    grant: Annotated[list[str] | None, typer.Option("--grant", help="A further permission to grant.")] = None,
    none: Annotated[bool, typer.Option("--grant-none", help="Take it, and grant nothing further.")] = False,
    downgrade: Annotated[bool, typer.Option("--allow-downgrade", help="Take an older version too.")] = False,
    wait: Wait = 120,
    as_json: AsJson = False,
) -> None:
    """Change to another version. One that does not become ready is taken back by itself; the status is then 1.

    A plugin in the plugins folder needs no such call: Nimbus takes a new version over when the folder changes.
    """
    if version and manifest:
        fail("A source is a version or a manifest, not both.", USAGE)
    if grant and none:
        fail("--grant or --grant-none, not both.", USAGE)
    document = read_manifest_file(source) if manifest else None
    with client() as nimbus, told():
        with fetching(nimbus, f"Upgrading {plugin_id} …", image_of(source, document)):
            found = nimbus.upgrade(
                plugin_id,
                image=None if version or manifest else source,
                manifest=document,
                version=source if version else None,
                grant=[] if none else grant or None,
                allow_downgrade=downgrade,
                wait=wait,
            )
        finish(nimbus, found, wait if found.enabled else 0, up=True, as_json=as_json)


@app.command("rollback")
def rollback(
    plugin_id: PluginIdArgument,
    version: Annotated[
        str | None, typer.Argument(help="A version that is kept; the one before when left out.")
    ] = None,
    *,
    data: Annotated[
        Literal["snapshot", "keep"],
        typer.Option(help="snapshot: its data as that version left them; keep: the data of now."),
    ] = "snapshot",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Wait = 120,
    as_json: AsJson = False,
) -> None:
    """Go back to a version that is kept."""
    if data == "snapshot":
        made = version or "the version before"
        make_sure(f"Replace the data of {plugin_id} by those that {made} left (--data keep keeps them)?", yes=yes)
    with client() as nimbus, told():
        with errors.status(f"Going back with {escape(plugin_id)} …"):
            found = nimbus.rollback(plugin_id, version=version, data=data, wait=wait)
        finish(nimbus, found, wait if found.enabled else 0, up=True, as_json=as_json)


@app.command("uninstall")
def uninstall(
    plugin_id: PluginIdArgument,
    *,
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Also what the plugin keeps; for good.")] = False,
    cascade: Annotated[bool, typer.Option("--cascade", help="Disable the plugins that need it first.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Remove it although other plugins need it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a plugin. Its data are kept unless you say otherwise."""
    make_sure(f"Remove {plugin_id} and all that it keeps?" if delete_data else f"Remove {plugin_id}?", yes=yes)
    with client() as nimbus, told():
        found = nimbus.uninstall(plugin_id, delete_data=delete_data, cascade=cascade, force=force)
    if as_json:
        show_json(found.wire())
    else:
        rest = "" if found.data_deleted else " Its data are kept."
        listed = " Its folder is still there, so it is listed as disabled." if found.still_listed else ""
        console.print(f"{escape(plugin_id)} is removed.{rest}{listed}")
