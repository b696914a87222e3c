"""Which Nimbus the commands talk to, and as whom: `nimbus login`, `logout`, `whoami`."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from nimbus_sdk.cli.asking import ask
from nimbus_sdk.cli.output import NOT_ALLOWED, USAGE, console, fail, show_json, told, uses
from nimbus_sdk.nimbus_client import NimbusClient

DEFAULT_URL = "http://localhost:8080"
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def kept_in() -> Path:
    """The file that keeps the session, readable by its owner alone."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "nimbus" / "session.json"


def _kept() -> dict[str, Any]:
    try:
        found = json.loads(kept_in().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(found: dict[str, Any]) -> None:
    path = kept_in()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(found, file)
    draft.replace(path)


def client() -> NimbusClient:
    """The Nimbus that the commands talk to: `NIMBUS_URL` with `NIMBUS_API_KEY`, else the one of `nimbus login`."""
    kept = _kept()
    url = os.environ.get("NIMBUS_URL") or str(kept.get("url") or DEFAULT_URL)
    key = os.environ.get("NIMBUS_API_KEY") or None
    try:
        made = NimbusClient(url, api_key=key)
    except ValueError as error:
        fail(str(error), USAGE)
    if key is None:
        if kept.get("url") != made.url or not kept.get("cookie"):
            fail(f"You are not signed in to {made.url}. Sign in: nimbus login {made.url}", NOT_ALLOWED)
        made.resume(str(kept["cookie"]), str(kept["value"]))
    uses(made)
    return made


def login(
    url: Annotated[str, typer.Argument(help="Where Nimbus is.")] = DEFAULT_URL,
    *,
    username: Annotated[str | None, typer.Option("--username", "-u", help="Asked for when left out.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Sign in; later commands go on as this person. For scripts set NIMBUS_URL and NIMBUS_API_KEY instead.

    What is missing is asked for at a terminal. Without one, and under --json: --username NAME --password-stdin.
    """
    try:
        made = NimbusClient(url)
    except ValueError as error:
        fail(str(error), USAGE)
    name = username or ask("User name", instead="--username NAME")
    password = _from_stdin() if password_stdin else ask("Password", instead="--password-stdin", hidden=True)
    with made, told():
        user = made.login(name, password)
        session = made.session
    if session is None:
        fail(f"{made.url} answered, but gave no session; is it a Nimbus?")
    _keep({"url": made.url, "cookie": session[0], "value": session[1], "username": user["username"]})
    if as_json:
        show_json({"url": made.url, **user})
        return
    console.print(f"Signed in to {escape(made.url)} as [bold]{escape(str(user['username']))}[/] ({user['role']}).")


def _from_stdin() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        fail("No password came on standard input.", USAGE)
    return password


def logout(*, as_json: AsJson = False) -> None:
    """End the session and forget it."""
    url = _kept().get("url")
    if _kept():
        with client() as nimbus, told():
            nimbus.logout()
        kept_in().unlink(missing_ok=True)
    if as_json:
        show_json({"url": url})
    else:
        console.print("Signed out.")


def whoami(*, as_json: AsJson = False) -> None:
    """Say which Nimbus the commands talk to, and as whom."""
    with client() as nimbus, told():
        user = nimbus.me()
    if as_json:
        show_json({"url": nimbus.url, **user})
    else:
        console.print(f"{escape(str(user.get('username') or user.get('name')))} at {escape(nimbus.url)}")
