"""`nimbus plugin validate --fix`: write into the manifest what the code has and the manifest lacks."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nimbus_sdk.contracts.manifest import Route
from nimbus_sdk.routing import RouteTable


def fixed(document: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The manifest with what the code declares, and what was changed, in words. Nothing is taken away. Pure.

    Args:
        document: the manifest.
        found: what `inspect_plugin` reported.
    """
    after = json.loads(json.dumps(document))
    changes = [
        *_add_routes(after, found["routes"]),
        *_add_hooks(after, found["subscribe"], found["schedules"]),
        *_set_settings(after, found["settings"]),
    ]
    return after, changes


def write_fixed(folder: Path, found: Mapping[str, Any]) -> list[str]:
    """Fix `manifest.json` in the folder; what was changed, in words. The file stays as it is when nothing was."""
    path = folder / "manifest.json"
    after, changes = fixed(json.loads(path.read_text(encoding="utf-8")), found)
    if changes:
        path.write_text(json.dumps(after, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return changes


def _add_routes(document: dict[str, Any], declared: list[dict[str, Any]]) -> list[str]:
    changes = []
    for route in declared:
        known = RouteTable([Route.model_validate(one) for one in document.get("routes", [])])
        missing = [method for method in route["methods"] if known.covering(method, route["path"]) is None]
        if missing:
            rule = {key: value for key, value in route.items() if key != "methods"}
            same = next(
                (
                    one
                    for one in document.get("routes", [])
                    if {key: value for key, value in one.items() if key != "methods"} == rule
                ),
                None,
            )
            if same is not None:
                same["methods"] = [*same.get("methods", ["GET"]), *missing]
            else:
                document.setdefault("routes", []).append({**route, "methods": missing})
            changes.append(f"added {', '.join(missing)} {route['path']} to routes")
    return changes


def _add_hooks(document: dict[str, Any], patterns: list[str], jobs: list[dict[str, str]]) -> list[str]:
    changes = []
    for pattern in patterns:
        document.setdefault("events", {}).setdefault("subscribe", []).append(pattern)
        changes.append(f"added {pattern} to events.subscribe")
    for job in jobs:
        schedules = document.setdefault("schedules", [])
        same = next((one for one in schedules if one.get("id") == job["id"]), None)
        before = {"timezone": "UTC", **same} if same else None
        if before != job:
            entry = {key: value for key, value in job.items() if (key, value) != ("timezone", "UTC")}
            if same is None:
                schedules.append(entry)
            else:
                schedules[schedules.index(same)] = entry
            changes.append(f"set the schedule {job['id']} to {job['cron']} ({job['timezone']})")
    return changes


def _set_settings(document: dict[str, Any], kinds: list[dict[str, Any]]) -> list[str]:
    """One class describes all settings; with more of them, each describes its own names."""
    if not kinds:
        return []
    before = document.get("settings")
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    required: list[str] = []
    for kind in kinds:
        schema["properties"] |= kind["schema"].get("properties", {})
        required += [name for name in kind["schema"].get("required", []) if name not in required]
    if required:
        schema["required"] = required
    if before == schema:
        return []
    document["settings"] = schema
    return ["wrote settings from " + " and ".join(kind["name"] for kind in kinds)]
