"""`docs/reference/manifest.md`, from the published JSON Schema."""

import json
from pathlib import Path

from generator.markdown import NOTE, code, table
from generator.schema import Schema, default_words, type_words

_INTRO = """# Manifest

`manifest.json` at the root of a plugin says what Nimbus must know before the plugin runs. The same as JSON Schema is
in `manifest.schema.json` beside this page and comes out of `nimbus schema manifest`; name it in `"$schema"` and an
editor completes and checks while you type.

An unknown key is an error in `nimbus plugin validate`, with a suggestion for a misspelt one, and a warning when
Nimbus discovers the plugin, so that a newer manifest works on an older Nimbus. Every error is reported at once.

Sizes are written as `512k`, `256m`, `2g`; durations as `500ms`, `30s`, `5m`, `1h`.
"""

_ORDER = (
    "Requires",
    "Runtime",
    "ProcessRuntime",
    "Resources",
    "Timeouts",
    "Route",
    "UserInterface",
    "NavItem",
    "Page",
    "Slot",
    "EventsSection",
    "Schedule",
    "Dependency",
    "ChangelogEntry",
)

_NOTES = {
    "Manifest.id": "2 to 40 lower-case letters, digits and hyphens, a letter first. It is part of every address.",
    "Manifest.version": "SemVer. The image's tag and `pyproject.toml` should say the same.",
    "Manifest.icon": "Name of a Lucide icon.",
    "Manifest.capabilities": "Shown as badges: `api`, `ui` and others.",
    "Manifest.permissions": "What the plugin may ask of the core: `media:read`, `users:read`, `network:egress`, …; "
    "[Calling the core](../explanation/plugins.md#calling-the-core) and [Events](../explanation/plugins.md#events) "
    "name them.",
    "Manifest.routes": "What may be called. The most specific pattern wins.",
    "Resources.memory": "Memory limit; swap is not added to it.",
    "Resources.cpus": "Cores.",
    "Resources.pids": "Processes and threads.",
    "Route.path": "Literal segments, `{name}` for one segment, `{name:path}` as the last one for the rest.",
    "Route.methods": "`*` is any method. A WebSocket route takes `GET`.",
    "Route.auth": "`none`: anyone; `session`: people who are signed in; `apikey`: these, or an API key.",
    "Route.role": "`admin`: only administrators who are signed in, no API key.",
    "Route.tag": "`compat:<product>`: also at the root of a compatibility port, where cookies do not count.",
    "UserInterface.bundle": "The ES module. Every file in its folder and below belongs to the UI.",
    "UserInterface.isolation": "`iframe`: in a sandboxed frame. `module`: in the dashboard itself, once the operator "
    "trusts it.",
    "NavItem.path": "Within the plugin's pages.",
    "NavItem.icon": "Name of a Lucide icon.",
    "NavItem.order": "Lower comes first.",
    "NavItem.role": "`admin` hides it from others.",
    "Page.path": "`:name` takes one segment and arrives in `params`.",
    "Page.export": "Which export of the bundle is the page.",
}


def page(schema_file: Path) -> str:
    """The page.

    Raises:
        ValueError: a note is about a field that is not there, or a definition has no place on the page.
    """
    schema: Schema = json.loads(schema_file.read_text(encoding="utf-8"))
    definitions: dict[str, Schema] = {"Manifest": schema, **schema["$defs"]}
    known = {f"{name}.{field}" for name, one in definitions.items() for field in one.get("properties", {})}
    wrong = sorted(_NOTES.keys() - known) + sorted(set(_ORDER) ^ schema["$defs"].keys())
    if wrong:
        raise ValueError(f"docs/generator/manifest.py and the schema differ: {', '.join(wrong)}")
    linked = frozenset(_ORDER)
    lines = [NOTE, "", *_INTRO.splitlines(), "", "## Fields", "", *_table("Manifest", schema, linked), ""]
    for name in _ORDER:
        one = definitions[name]
        lines += [f"## {name}", "", one.get("description", ""), "", *_table(name, one, linked), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(name: str, schema: Schema, linked: frozenset[str]) -> list[str]:
    required = set(schema.get("required", []))
    rows = []
    for field, value in schema.get("properties", {}).items():
        words = " ".join(part for part in (value.get("description", ""), _NOTES.get(f"{name}.{field}", "")) if part)
        rows.append((code(field), type_words(value, linked), default_words(value, required=field in required), words))
    return table(("field", "type", "default", "meaning"), rows)
