"""The one validator of plugin manifests: every error at once, each with its place, value and expectation.

The registry uses it when it discovers a plugin, the SDK's command line uses it in strict mode.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError

from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.events import MOST_SEGMENTS
from nimbus_sdk.contracts.expectations import close_match, field_problem
from nimbus_sdk.contracts.jsontext import pointer, read_json, shown, text_problems
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.routes import Taken, check_route_path, conflicts_with
from nimbus_sdk.contracts.settings_schema import schema_problems
from nimbus_sdk.contracts.units import LEAST_CPUS, LEAST_MEMORY, MOST_SILENCE, MOST_START, parse_duration, parse_size

MANIFEST_VERSIONS = (1,)
MAX_PROBLEMS = 100
"""More problems than this are not listed: the first ones tell the author enough."""

PERMISSIONS = (
    "media:read",
    "media:write",
    "downloads:*",
    "downloads:read",
    "downloads:write",
    "events:publish",
    "plugins:read",
    "users:read",
    "network:egress",
)
_CALL_PERMISSION = re.compile(r"^plugins:call:[a-z][a-z0-9-]{1,39}$")
_NUMBER = "[0-9]{1,9}"
_SPECIFIER = re.compile(
    rf"^\s*(~=|===?|!=|<=|>=|<|>)\s*v?{_NUMBER}(\.{_NUMBER}){{0,9}}"
    rf"((a|b|rc){_NUMBER})?(\.post{_NUMBER})?(\.dev{_NUMBER})?(\.\*)?\s*$"
)
_MOST_SPECIFIERS = 20
_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Controls, of terminals and of writing direction: a plugin's name must not pass for something else."""
_LINES = str.maketrans("", "", "\n\t")


class ValidationReport(WireModel):
    """What came of a validation. `manifest` is set exactly when there are no errors."""

    manifest: Manifest | None = None
    errors: list[FieldProblem] = Field(default_factory=list)
    warnings: list[FieldProblem] = Field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when the manifest may be used."""
        return self.manifest is not None


def validate_manifest(raw: bytes | str | Mapping[str, Any], *, strict: bool = False) -> ValidationReport:
    """Validate a manifest given as JSON text or as a parsed object. Never raises on bad input.

    Args:
        raw: JSON text (UTF-8, at most 256 KiB) or the object it stands for.
        strict: an unknown key is an error. Otherwise it is a warning, because a newer plugin may use additions
            that this Nimbus does not know.
    """
    if isinstance(raw, bytes | str):
        document, problems = read_json(raw)
        if document is None and problems:
            return ValidationReport(errors=problems)
    else:
        document = dict(raw)
        problems = list(text_problems(document))
    if not isinstance(document, dict):
        return ValidationReport(errors=[FieldProblem(path="", message="an object in { }", value=shown(document))])
    unsupported = _unsupported_version(document)
    if unsupported is not None:
        return ValidationReport(errors=[unsupported])

    errors = [*problems, *_cross_field_errors(document)]
    manifest: Manifest | None = None
    try:
        manifest = Manifest.model_validate(document, strict=True, by_alias=True, by_name=False)
    except ValidationError as failure:
        # The two model-level rules are checked above on the raw document, where they also show beside other errors.
        errors += [
            field_problem(error, _DESCRIPTIONS)
            for error in failure.errors(include_url=False)
            if not (error["type"] == "value_error" and error["loc"] in {(), ("runtime",)})
        ]
    unknown = list(_unknown_keys(Manifest, document, ()))
    warnings = [*([] if strict else unknown), *_advice(document)]
    if strict:
        errors += unknown
    return ValidationReport(
        manifest=manifest if not errors else None,
        errors=errors[:MAX_PROBLEMS],
        warnings=warnings[:MAX_PROBLEMS],
    )


def _unsupported_version(document: Mapping[str, Any]) -> FieldProblem | None:
    version = document.get("manifestVersion")
    if isinstance(version, int) and not isinstance(version, bool) and version not in MANIFEST_VERSIONS:
        return FieldProblem(
            path="/manifestVersion",
            message=f"manifest version {MANIFEST_VERSIONS[-1]}; this Nimbus reads no other, a newer one may",
            value=shown(version),
        )
    return None


def _cross_field_errors(document: Mapping[str, Any]) -> Iterator[FieldProblem]:
    runtime = document.get("runtime")
    if isinstance(runtime, dict) and runtime.get("image") is None and runtime.get("process") is None:
        yield FieldProblem(path="/runtime", message="runtime.image, runtime.process or both", value=shown(runtime))
    yield from _route_errors(document.get("routes"))
    settings = document.get("settings")
    if isinstance(settings, dict):
        if settings.get("type", "object") != "object":
            yield FieldProblem(
                path="/settings/type", message='"object": settings are named values', value=shown(settings["type"])
            )
        if not isinstance(settings.get("properties", {}), dict):
            yield FieldProblem(
                path="/settings/properties",
                message="an object that describes each setting",
                value=shown(settings["properties"]),
            )
        yield from schema_problems(settings, "settings")
    yield from _event_errors(document.get("events"))
    requires = document.get("requires")
    if isinstance(requires, dict):
        yield from _range_errors(requires.get("nimbus"), "/requires/nimbus")
    yield from _limit_errors(runtime)
    yield from _timeout_errors(runtime, document.get("routes"))
    yield from _shown_errors(document)
    yield from _dependency_errors(document.get("dependencies"), document.get("id"))


def _event_errors(events: object) -> Iterator[FieldProblem]:
    """Patterns that are too long. Not in the model: it also reads what was installed before."""
    for key in ("subscribe", "publish"):
        patterns = events.get(key) if isinstance(events, dict) else None
        for position, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
            if isinstance(pattern, str) and pattern.count(".") >= MOST_SEGMENTS:
                yield FieldProblem(
                    path=pointer("events", key, position),
                    message=f"at most {MOST_SEGMENTS} segments",
                    value=shown(pattern),
                )


def _limit_errors(runtime: object) -> Iterator[FieldProblem]:
    """Limits that an engine would take for none. Not in the model: it also reads what was installed before."""
    resources = runtime.get("resources") if isinstance(runtime, dict) else None
    if not isinstance(resources, dict):
        return
    memory, cpus = resources.get("memory"), resources.get("cpus")
    with suppress(ValueError):
        if isinstance(memory, str) and parse_size(memory) < LEAST_MEMORY:
            yield FieldProblem(path="/runtime/resources/memory", message="at least 6m", value=shown(memory))
    if isinstance(cpus, int | float) and not isinstance(cpus, bool) and 0 < cpus < LEAST_CPUS:
        yield FieldProblem(path="/runtime/resources/cpus", message=f"at least {LEAST_CPUS}", value=cpus)


def _timeout_errors(runtime: object, routes: object) -> Iterator[FieldProblem]:
    """Times in which nobody would be told that something hangs. Not in the model, as above."""
    timeouts = runtime.get("timeouts") if isinstance(runtime, dict) else None
    written: list[tuple[tuple[str | int, ...], object, str]] = [
        (("runtime", "timeouts", key), timeouts.get(key), most)
        for key, most in (("start", MOST_START), ("response", MOST_SILENCE), ("idle", MOST_SILENCE))
        if isinstance(timeouts, dict)
    ]
    for position, route in enumerate(routes if isinstance(routes, list) else ()):
        if isinstance(route, dict):
            written.append((("routes", position, "timeout"), route.get("timeout"), MOST_SILENCE))
    for path, text, most in written:
        with suppress(ValueError):
            if isinstance(text, str) and parse_duration(text) > parse_duration(most):
                unlimited = "" if most == MOST_START else ", or 0 for no limit"
                yield FieldProblem(path=pointer(*path), message=f"at most {most}{unlimited}", value=shown(text))


def _shown_errors(document: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Characters that would turn about, hide or colour what people read beside them."""
    texts: list[tuple[tuple[str | int, ...], object]] = [
        ((key,), document.get(key)) for key in ("name", "description", "author", "license", "homepage")
    ]
    ui = document.get("ui")
    for section, key in (("navItems", "label"), ("navItems", "group"), ("pages", "title")):
        entries = ui.get(section) if isinstance(ui, dict) else None
        for position, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                texts.append((("ui", section, position, key), entry.get(key)))
    for path, text in texts:
        kept = text.translate(_LINES) if isinstance(text, str) and path == ("description",) else text
        if isinstance(kept, str) and _UNSHOWABLE.search(kept):
            message = "text without control characters, also those of writing direction"
            yield FieldProblem(
                path=pointer(*path), message=message, value=_UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", kept)[:80]
            )


def _dependency_errors(dependencies: object, own: object) -> Iterator[FieldProblem]:
    """Ranges that cannot be read, itself, and one twice."""
    seen: set[str] = set()
    for position, one in enumerate(dependencies if isinstance(dependencies, list) else ()):
        if not isinstance(one, dict):
            continue
        if one.get("version", "*") != "*":
            yield from _range_errors(one["version"], pointer("dependencies", position, "version"))
        other = one.get("id")
        if not isinstance(other, str):
            continue
        if other == own or other in seen:
            message = "another plugin, not itself" if other == own else "each plugin once"
            yield FieldProblem(path=pointer("dependencies", position, "id"), message=message, value=shown(other))
        seen.add(other)


def _route_errors(routes: object) -> Iterator[FieldProblem]:
    """Routes that take the same requests, found among those that are well-formed."""
    seen: Taken = {}
    for position, route in enumerate(routes if isinstance(routes, list) else ()):
        if not isinstance(route, dict):
            continue
        path, methods = route.get("path"), route.get("methods", ["GET"])
        if not isinstance(path, str) or not isinstance(methods, list) or not all(isinstance(m, str) for m in methods):
            continue
        try:
            check_route_path(path)
        except ValueError:
            continue
        distinct = list(dict.fromkeys(methods))
        for conflict in conflicts_with(seen, path, distinct):
            yield FieldProblem(
                path=pointer("routes", position), message=f"each request has one route, but {conflict}", value=path
            )
        if len(methods) != len(distinct):
            yield FieldProblem(
                path=pointer("routes", position, "methods"), message="each method once", value=shown(methods)
            )


def _range_errors(value: object, path: str) -> Iterator[FieldProblem]:
    if not isinstance(value, str):
        return
    parts = value.split(",")
    if len(parts) > _MOST_SPECIFIERS or not all(_SPECIFIER.match(part) for part in parts):
        yield FieldProblem(path=path, message="a version range such as >=1.0,<2", value=shown(value))


def _advice(document: Mapping[str, Any]) -> Iterator[FieldProblem]:
    permissions = document.get("permissions")
    for position, name in enumerate(permissions if isinstance(permissions, list) else ()):
        if isinstance(name, str) and name not in PERMISSIONS and not _CALL_PERMISSION.match(name):
            yield FieldProblem(
                path=pointer("permissions", position),
                message="a permission this Nimbus knows; it grants nothing here",
                value=shown(name),
                suggestion=close_match(name, PERMISSIONS),
            )
    capabilities = document.get("capabilities")
    if isinstance(capabilities, list):
        if "ui" in capabilities and document.get("ui") is None:
            yield FieldProblem(path="/ui", message='the capability "ui" comes with a ui section')
        if document.get("ui") is not None and "ui" not in capabilities:
            yield FieldProblem(path="/capabilities", message='a plugin with a ui section lists the capability "ui"')
    routes = document.get("routes")
    for position, route in enumerate(routes if isinstance(routes, list) else ()):
        if (
            isinstance(route, dict)
            and isinstance(route.get("tag"), str)
            and route.get("auth", "session") == "session"
        ):
            yield FieldProblem(
                path=pointer("routes", position, "auth"),
                message="apikey or none: sessions count for nothing at a compatibility port, so nobody could ever "
                "call this route there",
                value="session",
            )


def _unknown_keys(model: type[BaseModel], value: object, path: tuple[str | int, ...]) -> Iterator[FieldProblem]:
    """Keys that the model does not have, at any depth; `$schema` and `x-…` are free for tools and people."""
    if not isinstance(value, dict):
        return
    fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    for key, member in value.items():
        if key not in fields:
            if key == "$schema" or str(key).startswith("x-"):
                continue
            yield FieldProblem(
                path=pointer(*path, key),
                message="a key that a manifest has; this one is unknown",
                value=shown(member),
                suggestion=close_match(str(key), fields),
            )
            continue
        for inner, in_list in _models_in(fields[key]):
            if not in_list:
                yield from _unknown_keys(inner, member, (*path, key))
            elif isinstance(member, list):
                for position, entry in enumerate(member):
                    yield from _unknown_keys(inner, entry, (*path, key, position))


def _models_in(annotation: Any) -> Iterator[tuple[type[BaseModel], bool]]:  # noqa: ANN401 - a type expression
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, False
    elif origin is Annotated:
        yield from _models_in(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for member in get_args(annotation):
            yield from _models_in(member)
    elif origin is list:
        for model, _ in _models_in(get_args(annotation)[0]):
            yield model, True


def _descriptions(model: type[BaseModel]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        for inner, _ in _models_in(field.annotation):
            found.update(_descriptions(inner))
        if field.description:
            found.setdefault(field.alias or name, field.description.rstrip("."))
    return found


_DESCRIPTIONS = {
    **_descriptions(Manifest),
    "manifestVersion": "write 1",
    "id": "the plugin's id, such as subtitles",
    "name": "the name that people see",
    "version": "the plugin's version, such as 1.2.0",
    "runtime": "how the plugin is run, with image, process or both",
}
