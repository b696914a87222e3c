"""Under `--json` every command that fails says why as one problem (RFC 9457) on standard error."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from nimbus_sdk.cli import asking
from nimbus_sdk.cli.app import app
from nimbus_sdk.contracts.problem import Problem
from typer.testing import CliRunner

pytestmark = pytest.mark.slow

runner = CliRunner()
TALKS_TO_PEOPLE = {"plugin dev", "plugin test", "schema manifest"}
"""What runs until it is stopped, shows another program's words, or prints nothing but JSON."""


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


EVERY = dict(commands(typer.main.get_command(app)))


@pytest.fixture(autouse=True)
def nobody_is_signed_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("NIMBUS_URL", "NIMBUS_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def failed(*arguments: str, exit_code: int) -> Problem:
    """The problem that a command ends with."""
    found = runner.invoke(app, [*arguments, "--json"])
    assert found.exit_code == exit_code, found.output
    [line] = found.stderr.splitlines()
    assert {"type", "title", "status", "detail"} <= json.loads(line).keys()
    return Problem.model_validate_json(line)


def test_every_command_has_it() -> None:
    without = {name for name, command in EVERY.items() if not any(one.name == "as_json" for one in command.params)}
    assert without == TALKS_TO_PEOPLE


@pytest.mark.parametrize("name", sorted(EVERY))
def test_a_call_that_makes_no_sense(name: str) -> None:
    assert failed(*name.split(), "--no-such-option", exit_code=2).type == "/problems/usage"


@pytest.mark.parametrize(
    "arguments",
    [
        "plugins list",
        "plugins enable films",
        "plugins install films:1",
        "whoami",
        "backup list",
        "backup delete b1 -y",
    ],
)
def test_who_is_not_signed_in(arguments: str) -> None:
    problem = failed(*arguments.split(), exit_code=3)
    assert (problem.type, problem.status) == ("/problems/unauthenticated", 401)
    assert "nimbus login" in (problem.detail or "")


def test_a_nimbus_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nothing else gets the port
        monkeypatch.setenv("NIMBUS_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("NIMBUS_API_KEY", "nbk_x")
        problem = failed("plugins", "list", exit_code=5)
    assert (problem.type, problem.status) == ("/problems/unreachable", 503)


def test_a_plugin_that_is_not_valid(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    made = runner.invoke(app, ["plugin", "new", "films", "--directory", str(folder), "--json"])
    assert made.exit_code == 0, made.output
    assert str(folder / "manifest.json") in json.loads(made.stdout)["files"]
    assert failed("plugin", "new", "films", "--directory", str(folder), exit_code=2).type == "/problems/usage"
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "version": "one"}))
    for command in ("validate", "build"):
        problem = failed("plugin", command, str(folder), exit_code=1)
        assert [one.path for one in problem.errors or []] == ["manifest.json#/version"], command


def test_words_are_for_people() -> None:
    found = runner.invoke(app, ["plugins", "list"])
    assert (found.exit_code, found.stdout) == (3, "")
    assert found.stderr.startswith("You are not signed in")


def test_nobody_is_asked(tmp_path: Path) -> None:
    assert "--yes" in (failed("plugins", "uninstall", "films", exit_code=2).detail or "")
    file = tmp_path / "b.tar"
    file.write_bytes(b"no backup")
    for command in (
        ["plugins", "restore", "films", str(file)],
        ["plugins", "rollback", "films"],
        ["backup", "delete", "b1"],
    ):
        assert "--yes" in (failed(*command, exit_code=2).detail or ""), command
    for arguments, option in (
        (["login"], "--username NAME"),
        (["login", "--username", "ada"], "--password-stdin"),
        (["backup", "create"], "--passphrase-file FILE"),
        (["backup", "restore", str(file)], "--confirm NAME"),
        (["backup", "restore", str(file), "--confirm", "home"], "--passphrase-file FILE"),
    ):
        assert option in (failed(*arguments, exit_code=2).detail or ""), arguments


def test_without_a_terminal_nobody_is_asked_for_names_and_passwords() -> None:
    for arguments, option in ((["login"], "--username NAME"), (["login", "-u", "ada"], "--password-stdin")):
        found = runner.invoke(app, arguments, input="ada\nsecret\n")
        assert (found.exit_code, found.stdout) == (2, ""), found.output
        assert option in found.stderr
    empty = runner.invoke(app, ["login", "-u", "ada", "--password-stdin"], input="")
    assert (empty.exit_code, "No password" in empty.stderr) == (2, True)


def test_people_at_a_terminal_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    found = runner.invoke(app, ["login", "http://127.0.0.1:9"], input="ada\nsecret\n")
    assert (found.exit_code, "secret" in found.output) == (5, False), found.output
    assert "User name: ada" in found.stdout
    assert "Password:" in found.stdout


def test_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(b"no backup")
    assert failed("backup", "verify", str(tmp_path / "b.tar"), exit_code=1).type == "/problems/command-failed"
