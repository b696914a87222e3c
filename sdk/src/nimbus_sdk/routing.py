"""The manifest's routes as the plugin itself enforces them, and how they compare with the code's. Pure.

The gateway checks every request before it forwards it. The plugin checks again, because it trusts the signed
token and never the network: in the process runtime any local program can reach its port.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nimbus_sdk.contracts.manifest import Auth, Role, Route
from nimbus_sdk.contracts.routes import specificity

_KNOWN_PATHS = 512
"""Requests whose route is remembered."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A route as the code declares it. None means: whatever the manifest says."""

    path: str
    methods: tuple[str, ...]
    auth: Auth | None = None
    role: Role | None = None
    scopes: tuple[str, ...] | None = None
    where: str = field(default="", compare=False)
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """What the manifest says about a request: its route, or the methods that the path would take."""

    route: Route | None
    allowed: frozenset[str] = frozenset()


class RouteTable:
    """The manifest's routes, most specific first."""

    def __init__(self, routes: Iterable[Route]) -> None:
        ordered = sorted(routes, key=lambda route: specificity(route.path))
        self._routes = [(_pattern(route.path), route) for route in ordered]
        self._known: dict[tuple[str, str], Match] = {}

    def match(self, method: str, path: str) -> Match:
        """The route that takes `method` on `path`; HEAD is taken by routes that take GET."""
        known = self._known.get((method, path))
        if known is None:
            if len(self._known) >= _KNOWN_PATHS:
                self._known.clear()
            known = self._known[method, path] = self._find(method, path)
        return known

    def _find(self, method: str, path: str) -> Match:
        allowed: set[str] = set()
        for pattern, route in self._routes:
            if pattern.fullmatch(path):
                if takes(route.methods, method):
                    return Match(route)
                allowed.update(route.methods)
        return Match(None, frozenset(allowed))

    def covering(self, method: str, path: str) -> Route | None:
        """The route that requests for the code's pattern `path` come in by."""
        sample = re.sub(r"\{[^/{}]+\}", "-parameter-", path)
        return self.match(method, sample).route


def takes(methods: Iterable[str], method: str) -> bool:
    """Whether a list of methods admits one."""
    return "*" in methods or method in methods or (method == "HEAD" and "GET" in methods)


def _pattern(path: str) -> re.Pattern[str]:
    def part(segment: str) -> str:
        if segment.startswith("{"):
            return ".+" if segment.endswith(":path}") else "[^/]+"
        return re.escape(segment)

    return re.compile("/".join(part(segment) for segment in path.split("/")), re.DOTALL)


def disagreements(declared: Sequence[Declared], routes: Sequence[Route]) -> list[str]:
    """Where the code's decorators and the manifest differ, as sentences that say what to change."""
    table = RouteTable(routes)
    found: list[str] = []
    for item in declared:
        for method in item.methods:
            name = f"{method} {item.path}" + (f" ({item.where})" if item.where else "")
            route = table.covering(method, item.path)
            if route is None:
                found.append(f"{name} is not in the manifest; add {suggested(item, method)} to its routes")
                continue
            if item.auth is not None and item.auth != route.auth:
                found.append(f"{name} has auth={item.auth!r} in the code and {route.auth!r} in the manifest")
            if item.role is not None and item.role != route.role:
                found.append(f"{name} has role={item.role!r} in the code and {route.role!r} in the manifest")
            if item.tag is not None and item.tag != route.tag:
                found.append(f"{name} has tag={item.tag!r} in the code and {route.tag!r} in the manifest")
            if item.scopes is not None and sorted(item.scopes) != sorted(route.scopes):
                found.append(
                    f"{name} has scopes={sorted(item.scopes)} in the code and {sorted(route.scopes)} in the manifest"
                )
    return found


def unserved(
    routes: Sequence[Route], served: Sequence[tuple[str, Iterable[str]]], prefixes: Iterable[str]
) -> list[str]:
    """Routes of the manifest that no route of the app answers, as sentences.

    Args:
        routes: the manifest's.
        served: pattern and methods of each of the app's routes.
        prefixes: where other apps are mounted; whatever lies below is taken as served.
    """
    mounts = [prefix.rstrip("/") for prefix in prefixes]
    found: list[str] = []
    for route in routes:
        below = any(route.path == mount or route.path.startswith(f"{mount}/") for mount in mounts)
        if below:
            continue
        pattern = _pattern(re.sub(r"\{[^/{}]+\}", "{any:path}", route.path))
        methods = [method for path, taken in served if _meets(pattern, path) for method in taken]
        missing = [method for method in route.methods if not _served(method, methods)]
        if missing:
            found.append(f"{', '.join(missing)} {route.path} is in the manifest, but nothing in the code answers it")
    return found


def _served(method: str, methods: Sequence[str]) -> bool:
    return bool(methods) if method == "*" else takes(methods, method)


def _meets(pattern: re.Pattern[str], path: str) -> bool:
    """Whether a code pattern and a manifest pattern can take the same path, near enough for advice."""
    if pattern.fullmatch(path):
        return True
    sample = re.sub(r"\\(.)", r"\1", pattern.pattern).replace(".+", "-parameter-")
    return _pattern(re.sub(r"\{[^/{}:]+\}", "{any}", path)).fullmatch(sample) is not None


def suggested(item: Declared, method: str) -> str:
    """The manifest entry for a route of the code, as JSON."""
    import json  # noqa: PLC0415 - only for the text of an error

    entry: dict[str, object] = {"path": item.path, "methods": [method], "auth": item.auth or "session"}
    if item.role == "admin":
        entry["role"] = item.role
    if item.scopes:
        entry["scopes"] = list(item.scopes)
    if item.tag:
        entry["tag"] = item.tag
    return json.dumps(entry)
