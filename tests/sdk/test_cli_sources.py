"""Where a plugin or a new version of one comes from on the command line, and what it may do."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result
from nimbus_sdk import NimbusClient
from nimbus_sdk.cli import operate, versions
from nimbus_sdk.cli.app import app
from nimbus_sdk.client.answers import AnsweredProblem
from nimbus_sdk.contracts.install import InstallResult, PermissionInfo, PluginPermissions, Risk
from nimbus_sdk.contracts.jobs import InstallJob
from nimbus_sdk.contracts.problem import Problem
from nimbus_sdk.contracts.snapshot import PluginDetail
from typer.testing import CliRunner

NOW = datetime(2026, 11, 27, tzinfo=UTC)
MANIFEST = {
    "manifestVersion": 1,
    "id": "films",
    "name": "Films",
    "version": "1.0.0",
    "runtime": {"image": "a/films:1"},
}
Run = Callable[..., Result]


class Nimbus:
    """Answers as a Nimbus does, and keeps what it was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self.granted: list[str] = []
        self.decided = False
        self.refusal: Problem | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.sent.append((request.method, request.url.path, body))
        if self.refusal is not None:
            return httpx.Response(self.refusal.status, json=self.refusal.wire())
        if request.url.path.endswith("/permissions"):
            if request.method == "PUT":
                self.granted, self.decided = body["grant"], True
            return httpx.Response(200, json=self.permissions().wire())
        if request.url.path.endswith("/upgrade"):
            return httpx.Response(200, json={"plugin": self.plugin().wire(), "generation": 1})
        job = InstallJob(id="j", kind="install", source="x", state="done", message="x", started_at=NOW)
        made = InstallResult(job=job, plugin=self.plugin(), permissions=self.permissions())
        return httpx.Response(201, json=made.wire())

    def permissions(self) -> PluginPermissions:
        asked = [("media:read", "It reads the library."), ("network:egress", "It reaches the internet.")]
        return PluginPermissions(
            plugin_id="films",
            version="1.0.0",
            requested=[
                PermissionInfo(name=name, description=text, granted=name in self.granted, points=1)
                for name, text in asked
            ],
            decided=self.decided,
            risk=Risk(score=3, level="medium", factors=[]),
        )

    def plugin(self) -> PluginDetail:
        return PluginDetail(
            id="films", name="Films", version="1.0.0", enabled=False, state="disabled", since=NOW, source="x",
            created_at=NOW, updated_at=NOW, trusted=False,
        )  # fmt: skip


@pytest.fixture
def nimbus() -> Nimbus:
    return Nimbus()


@pytest.fixture
def run(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> Run:
    def client() -> NimbusClient:
        return NimbusClient("http://nimbus", api_key="nbk_x", transport=httpx.MockTransport(nimbus.answer))

    monkeypatch.setattr(operate, "client", client)
    monkeypatch.setattr(versions, "client", client)

    def call(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, ["plugins", *arguments], input=given)

    return call


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (["install", "a/films:1"], {"image": "a/films:1"}),
        (["install", "films", "--path"], {"path": "films"}),
        (["install", "-", "--manifest"], {"manifest": MANIFEST}),
    ],
)
def test_a_plugin_comes_from_an_image_a_folder_or_a_manifest(
    run: Run, nimbus: Nimbus, arguments: list[str], sent: dict[str, Any]
) -> None:
    done = run(*arguments, "--grant", "media:read", given=json.dumps(MANIFEST))
    assert done.exit_code == 0, done.output
    assert nimbus.sent == [
        ("POST", "/api/admin/plugins", sent),
        ("PUT", "/api/admin/plugins/films/permissions", {"grant": ["media:read"]}),
    ]


def test_a_version_comes_from_a_manifest_in_a_file(run: Run, nimbus: Nimbus, tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(MANIFEST))
    assert run("upgrade", "films", str(file), "--manifest", "--wait", "0").exit_code == 0
    assert nimbus.sent == [
        ("POST", "/api/admin/plugins/films/upgrade", {"manifest": MANIFEST, "allowDowngrade": False})
    ]


def test_a_version_that_asks_for_more_is_taken_without_it(run: Run, nimbus: Nimbus) -> None:
    assert run("upgrade", "films", "2.0.0", "--version", "--grant-none", "--wait", "0").exit_code == 0
    assert nimbus.sent[0][2] == {"version": "2.0.0", "grant": [], "allowDowngrade": False}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["install", "nowhere.json", "--manifest"], "nowhere.json cannot be read"),
        (["install", "-", "--manifest"], "holds no manifest"),
        (["install", "films", "--path", "--manifest"], "not both"),
        (["upgrade", "films", "1.0.0", "--version", "--manifest"], "not both"),
        (["upgrade", "films", "1.0.0", "--version", "--grant", "a:b", "--grant-none"], "not both"),
        (["permissions", "films", "--grant", "a:b", "--grant-none"], "not both"),
    ],
)
def test_a_source_that_is_none_sends_nothing(run: Run, nimbus: Nimbus, arguments: list[str], words: str) -> None:
    done = run(*arguments, given="[]")
    assert (done.exit_code > 0, nimbus.sent) == (True, [])
    assert words in done.output


def test_what_it_may_do_is_shown_and_decided_later(run: Run, nimbus: Nimbus) -> None:
    shown = run("permissions", "films").output
    assert "risk 3 of 10 (medium)" in shown
    assert "not granted media:read It reads the library." in shown
    assert "Nobody has decided yet" in shown
    assert "\n  granted media:read" in run("permissions", "films", "--grant", "media:read").output
    assert nimbus.granted == ["media:read"]
    assert run("permissions", "films", "--grant", "all").exit_code == 0
    assert nimbus.granted == ["media:read", "network:egress"]
    assert run("permissions", "films", "--grant-none").exit_code == 0
    assert nimbus.granted == []
    refused = run("permissions", "films", "--grant", "media:write")
    assert (refused.exit_code, nimbus.granted) == (2, [])
    assert "It does not ask for media:write" in refused.output


def test_an_installation_without_an_answer_is_one_all_the_same(run: Run, nimbus: Nimbus) -> None:
    done = run("install", "a/films:1", given="")
    assert (done.exit_code, nimbus.decided) == (0, False)
    assert "films 1.0.0 is installed." in done.output
    assert "nimbus plugins permissions films --grant NAME" in done.output


def test_a_version_that_failed_says_what_it_printed_last(run: Run, nimbus: Nimbus) -> None:
    reason = {
        "code": "exited",
        "hop": "exit",
        "message": "x",
        "hint": "Look there.",
        "logTail": ["one", "\x1b[2Jtwo"],
    }
    nimbus.refusal = AnsweredProblem.model_validate(
        {"type": "/problems/upgrade-failed", "title": "x", "status": 409, "detail": "It ended.", "reason": reason}
    )
    told = run("upgrade", "films", "a/films:2")
    assert (told.exit_code, told.stderr) == (1, "It ended.\n  Look there.\n  | one\n  | \\x1b[2Jtwo\n")
    as_json = json.loads(run("upgrade", "films", "a/films:2", "--json").stderr)
    assert (as_json["detail"], as_json["reason"]) == ("It ended.", reason)


def test_who_enables_too_early_is_told_the_command(run: Run, nimbus: Nimbus) -> None:
    nimbus.refusal = Problem(type="/problems/consent-required", title="Decide first", status=409, detail="It asks.")
    told = run("enable", "films").output
    assert "nimbus plugins permissions ID --grant NAME" in told
