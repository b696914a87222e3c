"""`validate --fix`: the manifest gets what the code has."""

import json
from pathlib import Path

import pytest
from nimbus_sdk.cli.app import app
from nimbus_sdk.cli.fix import fixed
from nimbus_sdk.cli.validate import validate
from typer.testing import CliRunner

FOUND = {"routes": [], "subscribe": [], "schedules": [], "settings": []}


def test_what_is_missing_is_added_and_the_rest_stays() -> None:
    before = {"id": "x", "routes": [{"path": "/a", "methods": ["GET"], "auth": "none"}], "x-mine": 1}
    found = {
        **FOUND,
        "routes": [
            {"path": "/a", "methods": ["GET", "PUT"], "auth": "none"},
            {"path": "/b/{id}", "methods": ["DELETE"], "auth": "session", "role": "admin"},
        ],
        "subscribe": ["io.nimbus.**"],
        "schedules": [{"id": "sweep", "cron": "0 3 * * *", "timezone": "UTC"}],
        "settings": [{"name": "S", "schema": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}}],
    }
    after, changes = fixed(before, found)
    assert after == {
        "id": "x",
        "x-mine": 1,
        "routes": [
            {"path": "/a", "methods": ["GET", "PUT"], "auth": "none"},
            {"path": "/b/{id}", "methods": ["DELETE"], "auth": "session", "role": "admin"},
        ],
        "events": {"subscribe": ["io.nimbus.**"]},
        "schedules": [{"id": "sweep", "cron": "0 3 * * *"}],
        "settings": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    }
    assert len(changes) == 5
    assert fixed(after, {**found, "subscribe": []}) == (after, [])
    assert before["routes"] == [{"path": "/a", "methods": ["GET"], "auth": "none"}]


def test_a_schedule_with_other_times_is_set() -> None:
    job = {"id": "sweep", "cron": "0 4 * * *", "timezone": "Europe/Berlin"}
    after, changes = fixed({"schedules": [{"id": "sweep", "cron": "0 3 * * *"}]}, {**FOUND, "schedules": [job]})
    assert (after["schedules"], len(changes)) == ([job], 1)


def test_methods_with_another_rule_get_a_route_of_their_own() -> None:
    read = {"path": "/a", "methods": ["GET"], "auth": "apikey", "scopes": ["x:read"], "tag": "compat:y"}
    write = {**read, "methods": ["POST"], "scopes": ["x:write"]}
    after, changes = fixed({"routes": [read]}, {**FOUND, "routes": [read, write]})
    assert (after["routes"], len(changes)) == ([read, write], 1)


@pytest.mark.slow
def test_a_plugin_that_grew_is_valid_after_it(tmp_path: Path) -> None:
    runner, folder = CliRunner(), tmp_path / "films"
    assert runner.invoke(app, ["plugin", "new", "films", "--directory", str(folder)]).exit_code == 0
    code = folder / "src" / "films" / "__init__.py"
    code.write_text(
        code.read_text() + '\n\n@plugin.on("io.nimbus.media.*.v1")\nasync def changed(event) -> None: ...\n'
        '\n\n@plugin.get("/again", auth="none")\nasync def again() -> None: ...\n'
    )
    assert not validate(folder).valid
    result = runner.invoke(app, ["plugin", "validate", str(folder), "--fix"])
    assert (result.exit_code, "added GET /again to routes" in result.output) == (0, True), result.output
    assert json.loads((folder / "manifest.json").read_text())["events"]["subscribe"] == ["io.nimbus.media.*.v1"]
