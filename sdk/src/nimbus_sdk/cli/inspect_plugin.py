"""Run in a process of its own by `nimbus plugin validate`: import a plugin and say what its code declares.

`python -m nimbus_sdk.cli.inspect_plugin <module>` prints one line of JSON after the marker. The plugin is
imported, not started.
"""

import importlib
import json
import shlex
import sys
import traceback
from typing import Any

from fastapi.routing import APIRoute, APIWebSocketRoute, iter_route_contexts
from starlette.routing import Mount, Route

from nimbus_sdk import events
from nimbus_sdk.errors import NimbusError
from nimbus_sdk.plugin import Plugin
from nimbus_sdk.routing import disagreements, unserved
from nimbus_sdk.settings import Settings

MARKER = "nimbus-plugin-report:"


def report(module_name: str) -> dict[str, Any]:
    """What the code declares and where it differs from the manifest; `error` when it cannot be imported."""
    try:
        module = importlib.import_module(module_name)
    except NimbusError as error:
        return {"error": str(error)}
    except ModuleNotFoundError as error:
        if error.name and (error.name == module_name or module_name.startswith(f"{error.name}.")):
            return {"error": f"there is no Python module {module_name}"}
        return {"error": f"{error}; install what the plugin needs: {shlex.quote(sys.executable)} -m pip install -e ."}
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename}:{last.lineno}"
        return {"error": f"importing {module_name} failed: {type(error).__name__}: {error} ({where})"}
    plugins = [value for value in vars(module).values() if isinstance(value, Plugin)]
    if len(plugins) != 1:
        expected = "expected one, such as plugin = Plugin(__name__)"
        return {"error": f"{module_name} holds {len(plugins)} Plugin objects; {expected}"}
    plugin = plugins[0]
    served, mounts = _served(plugin)
    hooks = (plugin.subscriptions, plugin.jobs, plugin.manifest.events, plugin.manifest.schedules)
    return {
        "routes": [
            {
                key: value
                for key, value in {
                    "path": item.path,
                    "methods": list(item.methods),
                    "auth": item.auth or "session",
                    "role": item.role if item.role == "admin" else None,
                    "scopes": list(item.scopes) if item.scopes else None,
                    "tag": item.tag,
                }.items()
                if value is not None
            }
            for item in plugin.declared
        ],
        "disagreements": disagreements(plugin.declared, plugin.manifest.routes) + events.disagreements(*hooks),
        "unserved": unserved(plugin.manifest.routes, served, mounts)
        + events.unhandled(*hooks)
        + events.withheld(plugin.manifest.events.subscribe, plugin.manifest.permissions),
        "subscribe": events.not_subscribed(plugin.subscriptions, plugin.manifest.events),
        "schedules": [{"id": job.id, "cron": job.cron, "timezone": job.timezone} for job in plugin.jobs],
        "settings": [
            {"name": kind.__name__, "schema": kind.json_schema()} for kind in _settings_classes(Settings, module_name)
        ],
    }


def _served(plugin: Plugin) -> tuple[list[tuple[str, list[str]]], list[str]]:
    served: list[tuple[str, list[str]]] = []
    mounts: list[str] = []
    for context in iter_route_contexts(plugin.app.router.routes):
        route = context.original_route
        if isinstance(route, Mount):
            mounts.append(route.path)
        elif isinstance(route, APIWebSocketRoute):
            served.append((context.path or route.path, ["GET"]))
        elif isinstance(route, APIRoute | Route):
            served.append((context.path or route.path, sorted(route.methods or ["*"])))
    return served, mounts


def _settings_classes(base: type[Settings], package: str) -> list[type[Settings]]:
    top = package.partition(".")[0]
    found: list[type[Settings]] = []
    for kind in base.__subclasses__():
        if kind.__module__.partition(".")[0] == top:
            found.append(kind)
        found += _settings_classes(kind, package)
    return found


def main() -> None:
    """Print the report of the module named on the command line."""
    found = report(sys.argv[1])
    sys.stdout.write(f"\n{MARKER}{json.dumps(found)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
