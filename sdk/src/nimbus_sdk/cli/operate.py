"""`nimbus plugins …`: what operators do with the plugins of a running Nimbus."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from nimbus_sdk.cli.account import AsJson, client
from nimbus_sdk.cli.output import USAGE, by_ctrl_c, console, errors, fail, one_line, show_json, told
from nimbus_sdk.cli.progress import fetching
from nimbus_sdk.contracts.inspection import Diagnosis
from nimbus_sdk.contracts.install import PluginPermissions
from nimbus_sdk.contracts.jsontext import MAX_DOCUMENT_BYTES, read_json
from nimbus_sdk.contracts.snapshot import PluginDetail
from nimbus_sdk.errors import CoreError
from nimbus_sdk.nimbus_client import NimbusClient

app = typer.Typer(no_args_is_help=True, help="Plugins of a running Nimbus.")
POLL_SECONDS = 0.4
_SETTLED_UP = frozenset({"ready", "degraded"})
_SETTLED_DOWN = frozenset({"disabled"})
_GIVEN_UP = frozenset({"failed", "backoff", "quarantined", "invalid"})
_COLORS = {"ready": "green", "degraded": "yellow", "disabled": "dim"} | dict.fromkeys(_GIVEN_UP, "red")


def _plugin_ids(incomplete: str) -> list[str]:
    """Ids for the shell's completion; none when Nimbus cannot be asked."""
    try:
        with client() as nimbus:
            return [item.id for item in nimbus.plugins() if item.id.startswith(incomplete)]
    except (CoreError, typer.Exit):
        return []


PluginIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The plugin's id.", autocompletion=_plugin_ids)]
MANIFEST_HELP = "SOURCE is a file with a manifest, or - for standard input; its runtime.image is used."
Wait = Annotated[int, typer.Option("--wait", min=0, help="Seconds to wait until it is done; 0 returns at once.")]


@app.command("list")
def list_plugins(*, as_json: AsJson = False) -> None:
    """List the plugins with their state."""
    with client() as nimbus, told():
        found = nimbus.plugins()
    if as_json:
        show_json([item.wire() for item in found])
        return
    table = Table("Plugin", "Version", "State", "Why", box=None, pad_edge=False)
    for item in found:
        reason = item.reason.message if item.reason else item.progress or ""
        table.add_row(item.id, item.version, _colored(item.state), escape(reason))
    console.print(table if found else "There are no plugins.")


@app.command("show")
def show(plugin_id: PluginIdArgument, *, as_json: AsJson = False) -> None:
    """Show one plugin."""
    with client() as nimbus, told():
        found = nimbus.plugin(plugin_id)
    if as_json:
        show_json(found.wire())
    else:
        _describe(found)


@app.command("enable")
def enable(
    plugin_id: PluginIdArgument,
    *,
    with_dependencies: Annotated[
        bool, typer.Option("--with-dependencies", help="Enable the plugins that it needs too.")
    ] = False,
    wait: Wait = 120,
    as_json: AsJson = False,
) -> None:
    """Enable a plugin and wait until it is ready."""
    with client() as nimbus, told():
        found = nimbus.enable(plugin_id, with_dependencies=with_dependencies)
        finish(nimbus, found, wait, up=True, as_json=as_json)


@app.command("disable")
def disable(
    plugin_id: PluginIdArgument,
    *,
    cascade: Annotated[bool, typer.Option("--cascade", help="Disable the plugins that need it first.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Disable it although other plugins need it.")] = False,
    wait: Wait = 60,
    as_json: AsJson = False,
) -> None:
    """Disable a plugin and wait until it has stopped."""
    with client() as nimbus, told():
        found = nimbus.disable(plugin_id, cascade=cascade, force=force)
        finish(nimbus, found, wait, up=False, as_json=as_json)


@app.command("restart")
def restart(plugin_id: PluginIdArgument, *, wait: Wait = 120, as_json: AsJson = False) -> None:
    """Start a plugin anew, also one in quarantine, and wait until it is ready."""
    with client() as nimbus, told():
        found = nimbus.restart(plugin_id, wait=min(wait, 30))
        finish(nimbus, found, wait, up=True, as_json=as_json)


@app.command("install")
def install(
    source: Annotated[
        str, typer.Argument(help="An image; with --path a folder in the plugins folder; with --manifest a file.")
    ],
    *,
    path: Annotated[bool, typer.Option("--path", help="SOURCE is a folder, not an image.")] = False,
    manifest: Annotated[bool, typer.Option("--manifest", help=MANIFEST_HELP)] = False,
    grant: Annotated[
        list[str] | None, typer.Option("--grant", help="A permission to grant; `all` grants what it asks for.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Grant what it asks for without asking.")] = False,
    wait: Wait = 120,
    as_json: AsJson = False,
) -> None:
    """Install a plugin, and decide what it may do. It is disabled until you enable it.

    What is installed already, in the same version, stays as it is. Another version is a case for `upgrade`.
    """
    if path and manifest:
        fail("A source is a folder or a manifest, not both.", USAGE)
    document = read_manifest_file(source) if manifest else None
    image = None if path or manifest else source
    with client() as nimbus, told():
        with fetching(nimbus, f"Fetching {source} …", image_of(source, document)):
            result = nimbus.install(image=image, path=source if path else None, manifest=document, wait=wait)
        if result.plugin is None:
            fail(f"{source} is still being fetched after {wait} s: {result.job.message}")
        asked = result.permissions or nimbus.permissions(result.plugin.id)
        granted = _decide(asked, grant, yes=yes, may_ask=not as_json)
        if granted is not None:
            asked = nimbus.grant(result.plugin.id, granted)
    if as_json:
        show_json({"plugin": result.plugin.wire(), "permissions": asked.wire(), "already": result.already})
        return
    already = " already" if result.already else ""
    console.print(f"[bold]{escape(result.plugin.id)} {result.plugin.version}[/] is installed{already}.")
    if not asked.decided:
        console.print("Nobody has decided yet what it may do; it cannot be enabled before.")
        console.print(f"Decide: nimbus plugins permissions {result.plugin.id} --grant NAME")
    if any(not one.optional and one.problem not in {None, "not-ready"} for one in result.plugin.dependencies):
        console.print("It needs other plugins, which are not there yet:")
    _list_dependencies(result.plugin)
    if not result.plugin.enabled:
        console.print(f"Enable it: nimbus plugins enable {result.plugin.id}")


def read_manifest_file(source: str) -> dict[str, Any]:
    """The JSON object in a file, or on standard input; ends the command when there is none."""
    try:
        raw = sys.stdin.buffer.read(MAX_DOCUMENT_BYTES + 1) if source == "-" else Path(source).read_bytes()
    except OSError as error:
        fail(f"{source} cannot be read: {error.strerror}", USAGE)
    document, problems = read_json(raw)
    if problems or not isinstance(document, dict):
        fail(f"{source} holds no manifest.", found=problems)
    return document


def image_of(source: str, manifest: Mapping[str, Any] | None) -> str:
    """The image that is fetched: the source itself, or the one that a manifest names."""
    runtime = (manifest or {}).get("runtime")
    return str(runtime.get("image")) if isinstance(runtime, dict) else source


def _decide(asked: PluginPermissions, grant: list[str] | None, *, yes: bool, may_ask: bool) -> list[str] | None:
    """What to grant; None when nothing is to be decided now."""
    wanted = [one.name for one in asked.requested]
    if yes or (grant and "all" in grant):
        return wanted
    if grant:
        unknown = sorted(set(grant) - set(wanted))
        if unknown:
            fail(f"It does not ask for {', '.join(unknown)}; it asks for {', '.join(wanted) or 'nothing'}.", USAGE)
        return grant
    if asked.decided or not may_ask:
        return None
    if not wanted:
        return []
    console.print(f"[bold]{escape(asked.plugin_id)}[/] asks for (risk {asked.risk.score} of 10, {asked.risk.level}):")
    for one in asked.requested:
        console.print(f"  [bold]{escape(one.name)}[/] {escape(one.description)}")
    try:
        return wanted if typer.confirm("Grant this?", default=False) else None
    except typer.Abort as error:
        if by_ctrl_c(error):
            raise
        console.print()  # nobody is there to answer: it is installed all the same
        return None


@app.command("permissions")
def permissions(
    plugin_id: PluginIdArgument,
    *,
    grant: Annotated[
        list[str] | None,
        typer.Option("--grant", help="All that it may do from now on, one each; `all` is what it asks for."),
    ] = None,
    none: Annotated[bool, typer.Option("--grant-none", help="It may do nothing that needs a permission.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a plugin asks for and may do, with its risk; or decide it."""
    if grant and none:
        fail("--grant or --grant-none, not both.", USAGE)
    with client() as nimbus, told():
        found = nimbus.permissions(plugin_id)
        decided = [] if none else _decide(found, grant, yes=False, may_ask=False)
        if decided is not None:
            found = nimbus.grant(plugin_id, decided)
    if as_json:
        show_json(found.wire())
        return
    console.print(
        f"[bold]{escape(found.plugin_id)}[/] {found.version}, risk {found.risk.score} of 10 ({found.risk.level})"
    )
    for one in found.requested:
        mark = "[green]granted[/]" if one.granted else "[yellow]not granted[/]"
        console.print(f"  {mark} [bold]{escape(one.name)}[/] {escape(one.description)}")
    if not found.requested:
        console.print("  It asks for nothing.")
    elif not found.decided:
        console.print(f"Nobody has decided yet: nimbus plugins permissions {plugin_id} --grant NAME")


@app.command("logs")
def logs(
    plugin_id: PluginIdArgument,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    tail: Annotated[int, typer.Option("--tail", "-n", min=1, max=1000, help="Lines to begin with.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in each line.")] = False,
) -> None:
    """Print a plugin's log."""
    with client() as nimbus, told():
        for line in nimbus.logs(plugin_id, tail=tail, follow=follow):
            if as_json:
                typer.echo(json.dumps(line.wire()))
            else:
                console.print(f"[dim]{(line.at or '')[:19]:<19}[/] {escape(one_line(line.text))}")


@app.command("doctor")
def doctor(plugin_id: PluginIdArgument, *, as_json: AsJson = False) -> None:
    """Look for what keeps a plugin from working, hop by hop. Exit status 1 when something does."""
    with client() as nimbus, told(), errors.status("Looking …"):
        found = nimbus.doctor(plugin_id)
    if as_json:
        show_json(found.wire())
    else:
        _show_diagnosis(found)
    if not found.healthy:
        fail(found.summary, shown=True)


def _show_diagnosis(found: Diagnosis) -> None:
    marks = {"passed": "[green]passed[/]", "failed": "[red]failed[/]", "warning": "[yellow]warning[/]"}
    for check in found.checks:
        line = f"{marks.get(check.status, f'[dim]{check.status}[/]')} [bold]{check.hop}[/] {escape(check.message)}"
        console.print(line)
        if check.hint:
            console.print(f"   {escape(check.hint)}")
    console.print(f"\n{'[green]' if found.healthy else '[red]'}{escape(found.summary)}[/]")
    if not found.healthy:
        for line in found.log_tail:
            console.print(f"  [dim]{escape(line)}[/]")


def finish(nimbus: NimbusClient, found: PluginDetail, wait: int, *, up: bool, as_json: bool) -> None:
    """Follow a change until it is done, say what came of it, and end with status 1 when it failed."""
    wanted = _SETTLED_UP if up else _SETTLED_DOWN
    deadline = time.monotonic() + wait
    with errors.status(f"{found.id}: {found.state}") as line:
        while found.state not in wanted and not (up and found.state in _GIVEN_UP) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            found = nimbus.plugin(found.id)
            line.update(f"{found.id}: {found.state}{f', {escape(found.progress)}' if found.progress else ''}")
    if as_json:
        show_json(found.wire())
    else:
        _describe(found)
    if wait and found.state not in wanted:
        reason = found.reason.message if found.reason else f"It was still under way after {wait} s."
        fail(f"{found.id} is {found.state}: {reason}", found=found.errors, shown=True)


def _describe(found: PluginDetail) -> None:
    console.print(f"[bold]{escape(found.id)}[/] {found.version} {_colored(found.state)}")
    if found.reason:
        console.print(f"  {escape(found.reason.message)}")
        if found.reason.hint:
            console.print(f"  {escape(found.reason.hint)}")
        for line in found.reason.log_tail[-10:]:
            console.print(f"  [dim]{escape(line)}[/]")
    for problem in found.errors:
        console.print(f"  [red]{escape(problem.path)}[/] {escape(problem.message)}")
    _list_dependencies(found)
    if found.dependents:
        console.print(f"  needed by {escape(', '.join(one.id for one in found.dependents))}")


def _list_dependencies(found: PluginDetail) -> None:
    for one in found.dependencies:
        needs = "can use" if one.optional else "needs"
        console.print(f"  {needs} {escape(one.id)} {escape(one.version)}: {escape(one.message or 'there')}")


def _colored(state: str) -> str:
    return f"[{_COLORS.get(state, 'cyan')}]{state}[/]"
