"""Which permissions a plugin's code uses, read without running it, against those of its manifest. Pure.

A call counts when its object is known to be one of the SDK's: a parameter, variable or attribute annotated so, or
`plugin.core`. What cannot be known is left out, so what is found is there, and not all that is there is found.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nimbus_sdk.contracts.events import HEARING
from nimbus_sdk.contracts.problem import FieldProblem

AREAS = {
    "Media": "media",
    "Downloads": "downloads",
    "Events": "events",
    "Plugins": "plugins",
    "Core": "core",
}
"""The SDK's classes whose calls need permissions, by the name that a parameter without annotation has."""

CALLS = {
    "media": dict.fromkeys(("page", "iterate", "get", "find", "changes"), "media:read")
    | dict.fromkeys(("create", "update", "delete", "upsert"), "media:write"),
    "downloads": dict.fromkeys(("get", "iterate", "queue", "providers"), "downloads:read")
    | dict.fromkeys(
        ("create", "update", "pause", "resume", "cancel", "retry", "delete", "report"), "downloads:write"
    ),
    "events": dict.fromkeys(("publish", "publish_all"), "events:publish"),
    "plugins": {"call": "plugins:call:*"},
}
"""The permission of each call; `plugins:call:*` is completed by the call's first argument where it is known."""

_ANY_CALL = "plugins:call:*"
_EGRESS = "network:egress"
_NETWORK = frozenset(
    {"httpx", "requests", "aiohttp", "urllib3", "urllib.request", "http.client", "smtplib", "socket", "websockets"}
    | {"ftplib", "imaplib", "poplib", "telnetlib", "paramiko", "aiosmtplib", "httpcore", "niquests"}
)
_KNOWN = frozenset({"nimbus_sdk", "fastapi", "starlette", "pydantic", "pydantic_settings", "typing_extensions"})


@dataclass(frozen=True, slots=True)
class Use:
    """A place in the code that needs a permission. `sure` is False where it can only be guessed."""

    permission: str
    file: str
    line: int
    what: str
    sure: bool = True


def uses(sources: Mapping[str, str]) -> list[Use]:
    """Every use in a plugin's files, given as text by their path; those that are no Python are passed over."""
    trees = _parsed(sources)
    held: dict[str, set[str | None]] = {}
    for tree in trees.values():
        for attribute, area in _attributes(tree, _imported(tree)):
            held.setdefault(attribute, set()).add(area)
    # An attribute is known by its name alone, so it counts only where every class means the same by it.
    fields = {name: area for name, areas in held.items() for area in areas if area and len(areas) == 1}
    found: list[Use] = []
    for name, tree in trees.items():
        reader = _Reader(name, _imported(tree), fields)
        reader.visit(tree)
        found += reader.found
        found += _network(name, tree)
    return found


def _parsed(sources: Mapping[str, str]) -> dict[str, ast.Module]:
    trees = {}
    for name, text in sources.items():
        try:
            trees[name] = ast.parse(text)
        except (SyntaxError, ValueError):  # importing the plugin says what is wrong with it
            continue
    return trees


def other_packages(sources: Mapping[str, str]) -> set[str]:
    """Packages that the code imports and that are not Python's, the SDK's or its own: they may do anything."""
    own = {part.removesuffix(".py") for name in sources for part in name.split("/")}
    found: set[str] = set()
    for tree in _parsed(sources).values():
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=aliases):
                    found |= {alias.name.partition(".")[0] for alias in aliases}
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module.partition(".")[0])
    return found - own - _KNOWN - sys.stdlib_module_names


def compare(
    found: Sequence[Use], declared: Iterable[str], subscribed: Iterable[str], *, others: Iterable[str] = ()
) -> tuple[list[FieldProblem], list[FieldProblem]]:
    """Errors for what is used and not declared, and warnings for what is declared and not used, each with its place.

    Args:
        found: the uses.
        declared: the manifest's permissions.
        subscribed: the manifest's patterns of events, which need permissions too.
        others: packages whose code was not read; with any, nobody can say that the network is not used.
    """
    asked = list(declared)
    errors: list[FieldProblem] = []
    warnings: list[FieldProblem] = []
    for permission, places in _by_permission(use for use in found if not _covered(use.permission, asked)).items():
        first = places[0]
        more = f", and {len(places) - 1} more such places" if len(places) > 1 else ""
        shown = "plugins:call:<the id of each plugin that it calls>" if permission == _ANY_CALL else permission
        (errors if first.sure else warnings).append(
            FieldProblem(
                path=f"{first.file}:{first.line}",
                message=f"{first.what} needs the permission {shown}{more}; add it to permissions in manifest.json"
                + ("" if first.sure else ", unless it reaches nothing but Nimbus"),
            )
        )
    needed = {use.permission for use in found} | {HEARING[area] for area in HEARING if _hears(subscribed, area)}
    needed |= {_EGRESS} if set(others) else set()
    for index, permission in enumerate(asked):
        if not _needs(permission, needed):
            warnings.append(
                FieldProblem(
                    path=f"manifest.json#/permissions/{index}",
                    message="nothing was found in the code that needs it; take it out, so that people are not asked "
                    "to grant it",
                    value=permission,
                )
            )
    return errors, warnings


def _by_permission(found: Iterable[Use]) -> dict[str, list[Use]]:
    grouped: dict[str, list[Use]] = {}
    for use in found:
        grouped.setdefault(use.permission, []).append(use)
    return grouped


def _covered(needed: str, declared: Sequence[str]) -> bool:
    if needed == _ANY_CALL:
        return any(permission.startswith("plugins:call:") for permission in declared)
    return needed in declared or f"{needed.partition(':')[0]}:*" in declared


def _needs(declared: str, needed: set[str]) -> bool:
    area, _, verb = declared.partition(":")
    if verb == "*":
        return any(permission.startswith(f"{area}:") for permission in needed)
    return declared in needed or (declared.startswith("plugins:call:") and _ANY_CALL in needed)


def _hears(patterns: Iterable[str], area: str) -> bool:
    """Whether a pattern can bring the core's events of an area."""
    for pattern in patterns:
        for part, expected in zip(pattern.split("."), ("io", "nimbus", area), strict=False):
            if part == "**":
                return True
            if part not in {"*", expected}:
                break
        else:
            return True
    return False


def _imported(tree: ast.Module) -> dict[str, str]:
    """What the SDK's classes are called in a module: `{"Library": "media"}` after `import Media as Library`."""
    return {
        alias.asname or alias.name: AREAS[alias.name]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "nimbus_sdk"
        for alias in node.names
        if alias.name in AREAS
    }


def _annotation(node: ast.expr | None, imported: Mapping[str, str]) -> str | None:
    """The area that an annotation names: `Media`, `Media | None`, `"Media"`, `nimbus_sdk.Media`."""
    found: str | None = None
    match node:
        case ast.Name(id=name):
            found = imported.get(name)
        case ast.Constant(value=str(text)):
            try:
                found = _annotation(ast.parse(text, mode="eval").body, imported)
            except SyntaxError:
                found = None
        case ast.Attribute(value=ast.Name(id="nimbus_sdk"), attr=name):
            found = AREAS.get(name)
        case ast.BinOp(left=left, right=right):
            found = _annotation(left, imported) or _annotation(right, imported)
        case ast.Subscript(value=ast.Name(id="Optional" | "Annotated"), slice=inner):
            found = _annotation(inner.elts[0] if isinstance(inner, ast.Tuple) else inner, imported)
    return found


def _attributes(tree: ast.Module, imported: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Attributes of the module's classes with the area that each holds, or None, as annotations tell it."""
    for scope in ast.walk(tree):
        if isinstance(scope, ast.ClassDef):
            for member in scope.body:
                if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
                    yield member.target.id, _annotation(member.annotation, imported)
        elif isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            known = _parameters(scope, imported)
            for node in ast.walk(scope):
                match node:
                    case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                        yield name, known.get(value.id) if isinstance(value, ast.Name) else None
                    case ast.AnnAssign(
                        target=ast.Attribute(value=ast.Name(id="self"), attr=name), annotation=annotation
                    ):
                        yield name, _annotation(annotation, imported)


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef, imported: Mapping[str, str]) -> dict[str, str]:
    names = set(AREAS.values())
    found = {}
    for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
        area = _annotation(argument.annotation, imported)
        if argument.annotation is None and function.decorator_list and argument.arg in names:
            area = argument.arg  # handed in by its name
        if area is not None:
            found[argument.arg] = area
    return found


def _network(name: str, tree: ast.Module) -> Iterator[Use]:
    """Imports of modules that talk to other machines."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                modules = [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(module), level=0, names=aliases):
                modules = [module, *(f"{module}.{alias.name}" for alias in aliases)]
            case _:
                continue
        for module in modules:
            if module in _NETWORK or module.partition(".")[0] in _NETWORK:
                yield Use(_EGRESS, name, node.lineno, f"{module}, which reaches other machines,", sure=False)
                break


class _Reader(ast.NodeVisitor):
    """Walks a module and notes each use of a call that needs a permission."""

    def __init__(self, file: str, imported: Mapping[str, str], fields: Mapping[str, str]) -> None:
        self.found: list[Use] = []
        self._file = file
        self._imported = imported
        self._fields = fields
        self._scopes: list[dict[str, str | None]] = [{}]
        self._arguments: dict[ast.expr, ast.expr | None] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        hidden: dict[str, str | None] = dict.fromkeys(argument.arg for argument in every)
        hidden.update(_parameters(node, self._imported))
        self._scopes.append(hidden)
        self.generic_visit(node)
        self._scopes.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._scopes[-1][target.id] = self._area(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        if isinstance(node.target, ast.Name):
            self._scopes[-1][node.target.id] = _annotation(node.annotation, self._imported)

    def visit_Call(self, node: ast.Call) -> None:
        first = next((word.value for word in node.keywords if word.arg == "plugin_id"), None)
        self._arguments[node.func] = node.args[0] if node.args else first
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        area = self._area(node.value)
        permission = CALLS.get(area, {}).get(node.attr) if area else None
        if permission is None:
            return
        if permission == _ANY_CALL:
            match self._arguments.get(node):
                case ast.Constant(value=str(plugin_id)):
                    permission = f"plugins:call:{plugin_id}"
        self.found.append(Use(permission, self._file, node.lineno, f"{area}.{node.attr}()"))

    def _area(self, node: ast.expr) -> str | None:
        """The area of an expression: `media`, `core.media`, `plugin.core.media`, `self.media`."""
        match node:
            case ast.Name(id=name):
                return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)
            case ast.Attribute(value=ast.Name(id="plugin"), attr="core"):
                return "core"
            case ast.Attribute(value=value, attr=name):
                if self._area(value) == "core":
                    return name if name in CALLS else None
                return self._fields.get(name)
        return None
