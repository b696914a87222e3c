"""`nimbus plugin dev`: the plugin in a Nimbus of its own, started anew at each change of its files."""

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.markup import escape
from watchfiles import Change, DefaultFilter, watch

from nimbus_sdk.cli.account import client
from nimbus_sdk.cli.output import NOT_THERE, USAGE, console, fail, one_line, told
from nimbus_sdk.cli.own_nimbus import OwnNimbus, own_nimbus
from nimbus_sdk.cli.validate import validate
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.errors import CoreError, NotFound
from nimbus_sdk.nimbus_client import NimbusClient

ENABLE_SECONDS = 120
_LOOK_MILLISECONDS = 200
_GIVEN_UP = frozenset({"failed", "backoff", "quarantined", "invalid"})
_OF_NO_ACCOUNT = frozenset({"tests", "dist", "build", ".nimbus"})


class PluginFiles(DefaultFilter):
    """Files that a running plugin is made of: no tests, caches, environments or build results."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder.resolve()

    def __call__(self, change: Change, path: str) -> bool:
        """Whether a changed file matters."""
        try:
            parts = Path(path).relative_to(self._folder).parts
        except ValueError:
            return False
        hidden = any(part.startswith(".") or part.endswith(".egg-info") for part in parts)
        return not hidden and parts[:1] != () and parts[0] not in _OF_NO_ACCOUNT and super().__call__(change, path)


def dev(
    path: Annotated[Path, typer.Argument(help="The plugin's folder.")] = Path(),
    *,
    port: Annotated[int | None, typer.Option(help="Where Nimbus listens; 8080 or the next that is free.")] = None,
    running: Annotated[
        bool, typer.Option("--running", help="Use the Nimbus of `nimbus login`, whose plugins folder has the plugin.")
    ] = False,
) -> None:
    """Run the plugin in a Nimbus and start it anew at each change of code, manifest or page. Ctrl-C ends it."""
    folder = path.resolve()
    report = validate(folder, run_code=False)
    manifest = report.manifest
    if manifest is None:
        for problem in report.errors:
            console.print(f"[red]error[/] {escape(problem.path)} {escape(problem.message)}")
        fail(f"{folder} holds no plugin that could run", USAGE)
    if manifest.runtime.process is None and not running:
        fail("dev runs plugins as processes, and the manifest has no runtime.process", USAGE)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack, told():
        changes = _changes(folder)
        own = None if running else stack.enter_context(own_nimbus(folder, manifest.id, port))
        nimbus = own.client if own is not None else stack.enter_context(client())
        _bring_up(nimbus, manifest, folder)
        compat = CompatAccess(own) if own is not None else None
        if compat is not None:
            compat.follow(manifest)
        console.print("Watching for changes; Ctrl-C ends it.")
        stop = threading.Event()
        stack.callback(stop.set)
        threading.Thread(target=_show_log, args=(nimbus, manifest.id, stop), daemon=True).start()
        for names in changes:
            _take_over(nimbus, manifest.id, names)
            changed = validate(folder, run_code=False).manifest if "manifest.json" in names else None
            if compat is not None and changed is not None:
                compat.follow(changed)


def _changes(folder: Path) -> Iterator[list[str]]:
    """The files that change from now on, by their paths in the folder: also while others are taken over."""
    found = watch(
        folder,
        watch_filter=PluginFiles(folder),
        debounce=100,
        step=20,
        rust_timeout=_LOOK_MILLISECONDS,
        yield_on_timeout=True,
    )
    next(found)  # only the first look begins to watch
    return (
        sorted({Path(name).relative_to(folder).as_posix() for _, name in changes}) for changes in found if changes
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Ctrl-C and SIGTERM alike end what is under way, and the Nimbus with it."""
    raise KeyboardInterrupt


def compat_scopes(manifest: Manifest) -> list[str] | None:
    """The scopes that keys need for a plugin's compatibility routes; None when it has no such routes. Pure."""
    tagged = [route for route in manifest.routes if route.tag is not None]
    return sorted({scope for route in tagged for scope in route.scopes}) if tagged else None


@dataclass(slots=True)
class CompatAccess:
    """The way in for apps of another product: a port that is mapped to the plugin, and a key with its scopes."""

    own: OwnNimbus
    _given: list[str] | None = field(default=None, init=False)

    def follow(self, manifest: Manifest) -> None:
        """Map the port, and make a key when the routes ask for other scopes than the last one has."""
        wanted = compat_scopes(manifest)
        if wanted is None or wanted == self._given:
            return
        nimbus, port = self.own.client, self.own.compat_port
        try:
            nimbus.request("PUT", f"/api/admin/compat-ports/{port}", json={"pluginId": manifest.id})
            name = f"nimbus plugin dev {manifest.id}"
            for key in nimbus.request("GET", "/api/admin/api-keys", params={"limit": "100"}).json()["items"]:
                if key["name"] == name:
                    nimbus.request("DELETE", f"/api/admin/api-keys/{key['id']}")
            made = nimbus.request("POST", "/api/admin/api-keys", json={"name": name, "scopes": wanted}).json()
        except CoreError as error:
            console.print(f"[red]no compatibility port: {escape(str(error))}[/]")
            return
        self._given = wanted
        console.print(f"Compat: [bold]http://localhost:{port}/[/]   X-Api-Key: {made['key']}")


def _bring_up(nimbus: NimbusClient, manifest: Manifest, folder: Path) -> None:
    """Grant what the author's own plugin asks for, enable it, and say where it is."""
    nimbus.scan()
    try:
        asked = nimbus.permissions(manifest.id)
    except NotFound:
        fail(
            f"{nimbus.url} has no plugin {manifest.id}. Link the folder into its plugins folder:\n"
            f"  ln -s {folder} PLUGINS_FOLDER/{manifest.id}",
            NOT_THERE,
        )
    if any(not one.granted for one in asked.requested) or not asked.decided:
        nimbus.grant(manifest.id, [one.name for one in asked.requested])
    console.print(f"Enabling {manifest.id} (the first time, its packages are installed) …")
    nimbus.enable(manifest.id)
    _report(nimbus, manifest.id, time.monotonic())
    console.print(f"Routes: {nimbus.url}/api/plugins/{manifest.id}/…")
    if manifest.ui is not None:
        console.print(f"Page:   {nimbus.url}/plugins/{manifest.id}")


def _take_over(nimbus: NimbusClient, plugin_id: str, names: list[str]) -> None:
    """Start the plugin anew with what changed. What is wrong is said; the next change is another chance."""
    began = time.monotonic()
    console.print(f"[cyan]changed[/] {escape(', '.join(names[:5]))}{' …' if len(names) > 5 else ''}")  # noqa: PLR2004
    try:
        if "manifest.json" in names:
            nimbus.scan()
        nimbus.restart(plugin_id)
        _report(nimbus, plugin_id, began)
    except CoreError as error:
        console.print(f"[red]{escape(str(error))}[/]")


def _report(nimbus: NimbusClient, plugin_id: str, began: float) -> None:
    """Wait until the plugin serves or failed, and say which, with its reason."""
    deadline = time.monotonic() + ENABLE_SECONDS
    while time.monotonic() < deadline:
        found = nimbus.plugin(plugin_id)
        if found.state in {"ready", "degraded"}:
            console.print(f"[green]live[/] {plugin_id} {found.version} after {time.monotonic() - began:.1f} s")
            return
        if found.state in _GIVEN_UP:
            console.print(f"[red]{found.state}[/] {escape(found.reason.message if found.reason else '')}")
            for problem in found.errors:
                console.print(f"  [red]{escape(problem.path)}[/] {escape(problem.message)}")
            return
        time.sleep(0.05)
    console.print(f"[yellow]{plugin_id} is not ready after {ENABLE_SECONDS} s; it may come yet[/]")


def _show_log(nimbus: NimbusClient, plugin_id: str, stop: threading.Event) -> None:
    """Print what the plugin prints and logs, until the end."""
    while not stop.is_set():
        with contextlib.suppress(CoreError):
            for line in nimbus.logs(plugin_id, tail=1, follow=True):
                if stop.is_set():
                    return
                console.print(f"[dim]│[/] {escape(one_line(_readable(line.text)))}")
        stop.wait(0.5)


def _readable(text: str) -> str:
    """A structured line as words; anything else as it is. Pure."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if not isinstance(found, dict) or "message" not in found:
        return text
    rest = " ".join(
        f"{key}={value}" for key, value in found.items() if key not in {"at", "level", "message", "logger"}
    )
    return f"{str(found.get('level', '')).upper():<7} {found['message']} {rest}".rstrip()
