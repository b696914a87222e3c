"""The command line: new plugins work, and `validate` finds what is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_sdk.cli import run_tests
from nimbus_sdk.cli.app import app
from nimbus_sdk.cli.bundles import SHARED_MODULES, check_bundle, imports_of
from nimbus_sdk.cli.image_labels import MANIFEST_LABEL, compare_labels, differences, labels
from nimbus_sdk.cli.validate import compare_settings, validate
from nimbus_sdk.nimbus_client import NimbusClient
from typer.testing import CliRunner

pytestmark = pytest.mark.slow

runner = CliRunner()
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A new plugin with a page."""
    folder = tmp_path / "my-films"
    result = runner.invoke(app, ["plugin", "new", "my-films", "--template", "ui", "--directory", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


def change(folder: Path, how: Change) -> None:
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    how(document)
    path.write_text(json.dumps(document))


class TestNew:
    @pytest.mark.parametrize("template", ["minimal", "ui", "consumer", "compat"])
    def test_it_is_valid_and_passes_its_own_tests(self, tmp_path: Path, template: str) -> None:
        folder = tmp_path / "films"
        result = runner.invoke(
            app, ["plugin", "new", "films", "--template", template, "--name", "Films", "--directory", str(folder)]
        )
        assert result.exit_code == 0, result.output
        assert "nimbus plugin dev" in result.output
        report = validate(folder)
        assert (report.errors, report.warnings, report.notes) == ([], [], [])
        assert not [
            path
            for path in folder.rglob("*")
            if "__" in path.name.replace("__init__", "").replace("__main__", "").replace("__pycache__", "")
        ]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.parametrize(
        "plugin_id", ["Films", "f", "1films", "films!", "films-", "a" * 41, "nimbus-sdk", "json"]
    )
    def test_bad_ids_are_refused(self, tmp_path: Path, plugin_id: str) -> None:
        result = runner.invoke(app, ["plugin", "new", plugin_id, "--directory", str(tmp_path / "x")])
        assert result.exit_code == 2
        assert not (tmp_path / "x").exists()

    def test_nothing_is_overwritten(self, plugin: Path) -> None:
        before = (plugin / "manifest.json").read_text()
        assert runner.invoke(app, ["plugin", "new", "other", "--directory", str(plugin)]).exit_code == 2
        assert (plugin / "manifest.json").read_text() == before


class TestValidate:
    def test_json_is_for_machines(self, plugin: Path) -> None:
        result = runner.invoke(app, ["plugin", "validate", str(plugin), "--json"])
        assert result.exit_code == 0
        report = json.loads(result.stdout)
        assert (report["valid"], report["id"], report["errors"]) == (True, "my-films", [])
        assert [route["path"] for route in report["routes"]] == ["/hello", "/me"]

    def test_routes_are_printed_for_the_manifest(self, plugin: Path) -> None:
        change(plugin, lambda document: document.pop("routes"))
        result = runner.invoke(app, ["plugin", "validate", str(plugin), "--routes"])
        routes = json.loads(result.stdout)
        assert result.exit_code == 1
        change(plugin, lambda document: document.update(routes=routes))
        assert runner.invoke(app, ["plugin", "validate", str(plugin)]).exit_code == 0

    @pytest.mark.parametrize(
        ("how", "path", "words"),
        [
            (lambda d: d.update(verison="1"), "manifest.json#/verison", "version"),
            (lambda d: d.update(id="Bad"), "manifest.json#/id", ""),
            (lambda d: d["routes"].append({"path": "/new"}), "", "nothing in the code answers"),
            (lambda d: d["routes"].pop(0), "my_films", "GET /hello"),
            (lambda d: d["routes"][0].update(auth="session"), "my_films", "auth='none'"),
            (lambda d: d["settings"]["properties"].pop("greeting"), "manifest.json#/settings", "greeting"),
            (lambda d: d["ui"].update(bundle="web/other.js"), "web/other.js", "build it first"),
            (lambda d: d.update(version="0.2.0"), "pyproject.toml", "0.2.0"),
            (lambda d: d["permissions"].append("media:write"), "manifest.json#/permissions/0", "take it out"),
            (
                lambda d: d["routes"].append({"path": "/old", "methods": ["GET"], "tag": "compat:old"}),
                "manifest.json#/routes/2/auth",
                "apikey or none",
            ),
            (
                lambda d: d["runtime"]["process"].update(command=["python", "-m", "nowhere"]),
                "nowhere",
                "no Python module",
            ),
        ],
    )
    def test_what_is_wrong_is_said_in_words(self, plugin: Path, how: Change, path: str, words: str) -> None:
        change(plugin, how)
        shown = runner.invoke(app, ["plugin", "validate", str(plugin), "--json"])
        report = json.loads(shown.stdout)
        found = [p for p in report["errors"] + report["warnings"] if p["path"].startswith(path)]
        assert any(words in f"{p['message']} {p.get('suggestion')}" for p in found), report
        assert shown.exit_code == (1 if report["errors"] else 0)

    def test_every_error_at_once(self, plugin: Path) -> None:
        change(plugin, lambda document: document.update(id="Bad", version="one", extra=1))
        result = runner.invoke(app, ["plugin", "validate", str(plugin)])
        assert result.exit_code == 1
        for part in ("#/id", "#/version", "#/extra"):
            assert part in result.output

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("import nowhere_at_all", "pip install"),
            ("raise ValueError('boom')", "ValueError: boom"),
            ("x = 1", "0 Plugin objects"),
            ("import sys; sys.exit(3)", "status 3"),
            ("def broken(:", "SyntaxError"),
        ],
    )
    def test_code_that_cannot_be_imported(self, plugin: Path, code: str, words: str) -> None:
        (plugin / "src" / "my_films" / "__init__.py").write_text(code)
        report = validate(plugin)
        assert any(words in problem.message for problem in report.errors), report.errors
        assert validate(plugin, run_code=False).valid

    def test_what_the_code_uses_must_be_asked_for(self, plugin: Path) -> None:
        code = plugin / "src" / "my_films" / "__init__.py"
        code.write_text(
            code.read_text()
            + "\n\nfrom nimbus_sdk import Media\n\n\n@plugin.check\nasync def ask(media: Media) -> None:\n"
            '    await media.create("movie", "Metropolis")\n'
        )
        line = len(code.read_text().splitlines())
        shown = runner.invoke(app, ["plugin", "validate", str(plugin), "--json", "--no-image"])
        error = json.loads(shown.stdout)["errors"][0]
        assert (shown.exit_code, error["path"]) == (1, f"src/my_films/__init__.py:{line}")
        assert error["message"].startswith("media.create() needs the permission media:write; add it")
        change(plugin, lambda document: document.update(permissions=["media:write"]))
        assert validate(plugin).errors == validate(plugin).warnings == []

    def test_the_dockerfile(self, plugin: Path) -> None:
        (plugin / "Dockerfile").write_text("FROM x\nRUN --mount=type=cache,target=/x true\nUSER root\n")
        report = validate(plugin)
        assert "--mount" in report.errors[0].message
        assert "root" in report.warnings[0].message
        (plugin / "Dockerfile").unlink()
        assert validate(plugin).warnings[0].path == "Dockerfile"

    def test_a_plugin_in_another_language_is_not_imported(self, plugin: Path) -> None:
        change(plugin, lambda d: d["runtime"].pop("process"))
        report = validate(plugin)
        assert report.valid
        assert "not looked at" in report.notes[0]

    def test_no_manifest_and_no_folder(self, tmp_path: Path) -> None:
        assert runner.invoke(app, ["plugin", "validate", str(tmp_path)]).exit_code == 1
        assert runner.invoke(app, ["plugin", "validate", str(tmp_path / "none")]).exit_code == 2

    def test_first_party_plugins_are_valid(self) -> None:
        folders = sorted(path.parent for path in Path("plugins").glob("*/manifest.json"))
        assert folders
        for folder in folders:
            report = validate(folder)
            assert (report.errors, report.warnings) == ([], []), folder


class TestImageLabels:
    @pytest.fixture
    def wanted(self, plugin: Path) -> dict[str, str]:
        manifest = validate(plugin, run_code=False).manifest
        assert manifest is not None
        return labels((plugin / "manifest.json").read_text(), manifest)

    def test_those_of_the_manifest_are_right(self, wanted: dict[str, str]) -> None:
        assert compare_labels("x:1", wanted, wanted) == ([], [])

    def test_another_manifest_is_an_error_that_says_where(self, wanted: dict[str, str]) -> None:
        built = json.loads(wanted[MANIFEST_LABEL])
        built["routes"][0]["auth"] = "session"
        built["extra"] = 1
        errors, warnings = compare_labels("x:1", {**wanted, MANIFEST_LABEL: json.dumps(built)}, wanted)
        assert {error.path for error in errors} == {
            f"x:1#{MANIFEST_LABEL}/routes/0/auth",
            f"x:1#{MANIFEST_LABEL}/extra",
        }
        assert all("nimbus plugin build" in error.message for error in errors)
        assert warnings == []

    def test_other_labels_and_none_are_warnings(self, wanted: dict[str, str]) -> None:
        assert [one.path for one in compare_labels("x:1", {}, wanted)[1]] == [f"x:1#{MANIFEST_LABEL}"]
        version = "org.opencontainers.image.version"
        assert [one.path for one in compare_labels("x:1", {**wanted, version: "9"}, wanted)[1]] == [f"x:1#{version}"]
        assert compare_labels("x:1", {MANIFEST_LABEL: "{"}, wanted)[0][0].value == "{"

    @pytest.mark.parametrize(
        ("one", "other", "found"),
        [
            ({"a": 1}, {"a": 1}, []),
            ({"a": 1}, {"a": True}, ["/a"]),
            ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ["/a/1/b"]),
            ({"a": [1]}, {"a": [1, 2]}, ["/a"]),
            ({"x": 1}, {"y": 1}, ["/x", "/y"]),
        ],
    )
    def test_differences(self, one: object, other: object, found: list[str]) -> None:
        assert differences(one, other) == found

    def test_no_engine_is_a_note(self, plugin: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        report = validate(plugin, run_code=False, built=True)
        assert report.valid
        assert "not looked at: the command docker is not installed" in report.notes[0]


class TestBundles:
    @pytest.mark.parametrize(
        ("source", "names"),
        [
            ('import { a } from "react";', ["react"]),
            ('import React, * as x from "react"', ["react"]),
            ('import{a as b}from"react";import"./style.js"', ["react", "./style.js"]),
            ('const x = await import("./chunk.js")', ["./chunk.js"]),
            ('export * as y from "lodash"\nexport { z } from "./z.js"', ["lodash", "./z.js"]),
            ('// import x from "nowhere"\n/* import y from "nowhere" */', []),
            ("const important = 'x'; obj.import('y')", []),
            ("import(name)", []),
        ],
    )
    def test_imports_are_found(self, source: str, names: list[str]) -> None:
        assert imports_of(source) == names

    @given(st.text(max_size=300))
    def test_any_text_can_be_read(self, source: str) -> None:
        assert isinstance(imports_of(source), list)

    def test_shared_modules_and_own_files_are_fine(self) -> None:
        source = "".join(f'import "{name}";' for name in SHARED_MODULES) + 'import "./a.js"; export default 1'
        assert check_bundle("web/main.js", {"web/main.js": source}, frozenset({"web/main.js", "web/a.js"})) == []

    @pytest.mark.parametrize(
        ("source", "words"),
        [
            ('export default 1; import "reactt"', "'react'"),
            ('export default 1; import "./gone.js"', "not part of the bundle"),
            ('export default 1; import "https://cdn.example/x.js"', "another place"),
            ('export default 1; import "//cdn.example/x.js"', "another place"),
            ('export default 1; import "../../manifest.js"', "not part of the bundle"),
            ("window.x = 1", "exports nothing"),
            (
                "export default 1; React.__CLIENT_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE = {}",
                "its own React",
            ),
        ],
    )
    def test_the_rest_is_not(self, source: str, words: str) -> None:
        [found] = check_bundle("web/main.js", {"web/main.js": source}, frozenset({"web/main.js"}))
        assert words in f"{found.message} {found.suggestion!r}"


def test_settings_are_compared() -> None:
    code = {"properties": {"a": {"type": "string", "default": "x"}, "b": {"type": "string", "x-secret": True}}}
    manifest = {"properties": {"a": {"type": "string", "default": "y"}, "b": {"type": "string"}}}
    found = compare_settings("S", code, manifest)
    assert [problem.path.rpartition("properties/")[2] for problem in found] == ["a/default", "b/x-secret"]


def test_version_and_help() -> None:
    assert runner.invoke(app, ["--version"]).output.startswith("nimbus ")
    assert "validate" in runner.invoke(app, ["plugin", "--help"]).output


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1:8080", "http://nimbus.local"])
def test_a_kept_session_is_sent_to_every_kind_of_host(url: str) -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, json={})

    with NimbusClient(url, transport=httpx.MockTransport(answer)) as nimbus:
        nimbus.resume("nimbus_session", "kept")
        nimbus.me()
    assert seen == ["nimbus_session=kept"]


def test_an_environment_without_pytest_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    assert runner.invoke(app, ["plugin", "new", "films", "--directory", str(folder)]).exit_code == 0
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ncase "$2" in *find_spec*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    found = runner.invoke(app, ["plugin", "test", str(folder)])
    assert (found.exit_code, f"{python} -m pip install -e '.[test]'" in found.stderr) == (1, True), found.output


def test_without_an_environment_of_its_own_the_one_of_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "films"
    assert runner.invoke(app, ["plugin", "new", "films", "--directory", str(folder)]).exit_code == 0
    monkeypatch.setattr(run_tests, "_LOOK", "raise SystemExit(1)")
    found = runner.invoke(app, ["plugin", "test", str(folder)])
    assert (found.exit_code, f"{sys.executable} -m pip install -e '.[test]'" in found.stderr) == (1, True), (
        found.output
    )
