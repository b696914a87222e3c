"""`nimbus plugin new`: a folder with a plugin that works."""

import json
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from nimbus_sdk import __version__
from nimbus_sdk.contracts.base import PLUGIN_ID_PATTERN

Template = Literal["minimal", "ui", "consumer", "compat"]
_SUFFIX = ".tmpl"
_RENAMED = {"dockerignore": ".dockerignore", "gitignore": ".gitignore"}
_TAKEN_PACKAGES = frozenset({"nimbus_sdk", "test", "tests", "src", "web"})


def check_id(plugin_id: str) -> str:
    """The id unchanged.

    Raises:
        ValueError: it is no plugin id, or no Python package could have its name.
    """
    if not re.fullmatch(PLUGIN_ID_PATTERN, plugin_id) or plugin_id.endswith("-"):
        raise ValueError(
            f"{plugin_id!r} is no plugin id: 2 to 40 lower-case letters, digits and hyphens, beginning with a letter"
        )
    if package_of(plugin_id) in _TAKEN_PACKAGES | sys.stdlib_module_names:
        raise ValueError(f"{plugin_id!r} is taken by a Python package; choose another id")
    return plugin_id


def package_of(plugin_id: str) -> str:
    """Name of the Python package."""
    return plugin_id.replace("-", "_")


def manifest(plugin_id: str, name: str, template: Template) -> dict[str, Any]:
    """The manifest of a new plugin."""
    document: dict[str, Any] = {
        "manifestVersion": 1,
        "id": plugin_id,
        "name": name,
        "version": "0.1.0",
        "description": f"{name}: say here what it does.",
        "author": "",
        "requires": {"nimbus": f">={__version__},<2"},
        "capabilities": ["api", "ui"] if template == "ui" else ["api"],
        "runtime": {
            "image": image_of(plugin_id),
            "process": {"command": ["python", "-m", package_of(plugin_id)]},
            "port": 8000,
        },
        "permissions": [],
        "routes": [
            {"path": "/hello", "methods": ["GET"], "auth": "none"},
            {"path": "/me", "methods": ["GET"], "auth": "session"},
        ],
        "settings": {
            "type": "object",
            "properties": {
                "greeting": {
                    "type": "string",
                    "description": "How people are greeted.",
                    "default": "Hello",
                    "minLength": 1,
                    "maxLength": 80,
                }
            },
        },
    }
    if template == "ui":
        document["ui"] = {
            "bundle": "web/main.js",
            "isolation": "module",
            "navItems": [{"label": name, "path": "/", "icon": "puzzle"}],
            "pages": [{"path": "/", "title": name, "export": "default"}],
        }
    if template == "consumer":
        del document["settings"]
        document |= {
            "capabilities": ["api", "events"],
            "permissions": ["media:read"],
            "routes": [{"path": "/count", "methods": ["GET"], "auth": "session"}],
            "events": {"subscribe": ["io.nimbus.media.created.v1"]},
            "schedules": [{"id": "nightly", "cron": "0 3 * * *"}],
        }
    if template == "compat":
        del document["settings"]
        document |= {
            "capabilities": ["api", f"compat:{plugin_id}"],
            "permissions": ["media:read", "media:write"],
            "routes": list(_compat_routes(plugin_id)),
        }
    return document


def _compat_routes(plugin_id: str) -> Iterator[dict[str, Any]]:
    """The routes of the template `compat`, each at the root of a compatibility port too."""
    tag = f"compat:{plugin_id}"
    yield {"path": "/ping", "methods": ["GET"], "auth": "none", "tag": tag}
    for path, method, scope in (
        ("/api/v1/titles", "GET", "read"),
        ("/api/v1/titles/{title_id}", "GET", "read"),
        ("/api/v1/titles", "POST", "write"),
    ):
        yield {"path": path, "methods": [method], "auth": "apikey", "scopes": [f"{plugin_id}:{scope}"], "tag": tag}


def image_of(plugin_id: str) -> str:
    """Name of the image."""
    return f"nimbus-plugin-{plugin_id}:0.1.0"


def contents(plugin_id: str, name: str, template: Template) -> dict[str, str]:
    """Every file of a new plugin, by its path in the folder."""
    words = {
        "__ID__": plugin_id,
        "__NAME__": name,
        "__PACKAGE__": package_of(plugin_id),
        "__IMAGE__": image_of(plugin_id),
        "__COPY_WEB__": "COPY web ./web\n" if template == "ui" else "",
        "__UI_ROW__": ", its page" if template == "ui" else "",
    }
    found = {"manifest.json": json.dumps(manifest(plugin_id, name, template), indent=2) + "\n"}
    sources = ["base"] if template == "minimal" else ["base", template]
    for source in sources:
        for path, entry in _walk(files("nimbus_sdk.cli").joinpath("templates", source), ""):
            text = entry.read_text(encoding="utf-8")
            for placeholder, value in words.items():
                text = text.replace(placeholder, value)
            target = path.removesuffix(_SUFFIX).replace("__PACKAGE__", package_of(plugin_id))
            found[_RENAMED.get(target, target)] = text
    return found


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _walk(entry, f"{path}/")
        elif path.endswith(_SUFFIX):
            yield path, entry


def write(target: Path, wanted: dict[str, str]) -> list[Path]:
    """Write the files into `target`, which must not exist or be empty.

    Raises:
        FileExistsError: there is something in it already.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists and is not empty")
    written = []
    for name, text in wanted.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
