"""Ctrl-C ends a command with the status that shells know, and under `--json` with a problem."""

import contextlib
import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from nimbus_sdk.cli import operate
from nimbus_sdk.cli.output import by_ctrl_c
from nimbus_sdk.contracts.install import PluginPermissions

pytestmark = pytest.mark.slow

NIMBUS = str(Path(sys.executable).with_name("nimbus"))


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A Nimbus that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def environment(home: Path, port: int = 9) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("NIMBUS_")} | {
        "NIMBUS_URL": f"http://127.0.0.1:{port}",
        "NIMBUS_API_KEY": "nbk_x",
        "XDG_CONFIG_HOME": str(home),
    }


def sleeps_in(pid: int, *calls: str) -> None:
    """Return once a process sleeps in one of these calls of the kernel: it waits for what it has asked.

    Python sees a signal that comes between its last look and the call that waits only when that call has ended,
    as for any program without `pselect`; people press Ctrl-C again then.
    """
    until = time.monotonic() + 60
    while not Path(f"/proc/{pid}/wchan").read_text().startswith(calls):
        assert time.monotonic() < until, "the command does not wait for its answer"
        time.sleep(0.001)


@contextlib.contextmanager
def running(server: socket.socket, home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that sleeps until the answer to its first request comes."""
    process = subprocess.Popen(
        [NIMBUS, *arguments],
        env=environment(home, server.getsockname()[1]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(60)
            assert connection.recv(1)
            sleeps_in(process.pid, "poll", "do_sys_poll", "do_poll")
            yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    "command",
    ["plugins list", "plugins enable films", "plugins logs films --follow", "plugins doctor films", "whoami"],
)
def test_under_json(silent: socket.socket, tmp_path: Path, command: str) -> None:
    with running(silent, tmp_path, *command.split(), "--json") as process:
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, ""), wrong
    [line] = wrong.splitlines()
    problem = json.loads(line)
    assert (problem["type"], problem["status"]) == ("/problems/interrupted", 499)
    assert "Ctrl-C" in problem["detail"]


def test_people_read_nothing_they_do_not_know(silent: socket.socket, tmp_path: Path) -> None:
    with running(silent, tmp_path, "plugins", "logs", "films", "--follow") as process:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


@pytest.mark.parametrize(
    "command", ["plugins restart films", "plugins uninstall films --yes", "plugins backup films"]
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_what_goes_on_is_told(silent: socket.socket, tmp_path: Path, command: str, more: list[str]) -> None:
    output = ["-o", str(tmp_path / "films.tar")] if "backup" in command else []
    with running(silent, tmp_path, *command.split(), *output, *more) as process:
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, ""), wrong
    [line] = wrong.splitlines()
    told = json.loads(line)["detail"] if more else line
    assert "may be under way still" in told
    assert "nimbus plugins list" in told


@pytest.mark.parametrize(
    ("command", "question"),
    [
        (["plugins", "uninstall", "films"], "Remove films?"),
        (["plugins", "rollback", "films"], "Replace the data of films"),
        (["backup", "delete", "b1"], "Delete the backup b1?"),
        (["backup", "create"], "Passphrase"),
    ],
)
@pytest.mark.parametrize("ctrl_c", [True, False])
def test_a_question_tells_ctrl_c_from_the_end_of_input(
    tmp_path: Path, command: list[str], question: str, *, ctrl_c: bool
) -> None:
    """Nothing was asked of Nimbus then, and nothing is said to go on."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [NIMBUS, *command],
        env=environment(tmp_path),
        cwd=tmp_path,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        os.close(theirs)
        assert process.stdout is not None
        said = b""
        while question.encode() not in said:
            read = os.read(process.stdout.fileno(), 4096)
            assert read, said
            said += read
        if ctrl_c:
            sleeps_in(process.pid, "wait_woken", "n_tty_read")  # reads the terminal
            process.send_signal(signal.SIGINT)
        else:
            os.close(ours)  # the terminal is gone
            ours = -1
        wrong = process.communicate(timeout=60)[1].decode()
    finally:
        process.kill()
        process.wait(60)
        if ours != -1:
            os.close(ours)
    assert process.returncode == (130 if ctrl_c else 1), wrong
    assert ("It was ended by Ctrl-C." in wrong, "under way" in wrong) == (ctrl_c, False), wrong


class Interrupted:
    """A terminal at which somebody presses Ctrl-C."""

    def readline(self) -> str:
        raise KeyboardInterrupt


def test_what_is_installed_is_so_without_an_answer_but_ctrl_c_ends_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = PluginPermissions.model_validate(
        {
            "pluginId": "films",
            "version": "1.0.0",
            "requested": [{"name": "media:read", "description": "Read media.", "points": 1, "granted": False}],
            "decided": False,
            "risk": {"score": 1, "level": "low", "factors": []},
        }
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert operate._decide(asked, None, yes=False, may_ask=True) is None
    monkeypatch.setattr(sys, "stdin", Interrupted())
    with pytest.raises(typer.Abort) as found:
        operate._decide(asked, None, yes=False, may_ask=True)
    assert by_ctrl_c(found.value)
