"""`docs/reference/http-api.md`, from the OpenAPI documents of the gateway's two listeners and its error classes."""

from typing import Any

from nimbus_gateway.core.api import build_core_api
from nimbus_gateway.errors import GatewayError
from nimbus_gateway.public_api import build_public_api
from nimbus_gateway.settings import Settings
from nimbus_gateway.state import GatewayState

from generator.markdown import NOTE, code, table
from generator.schema import Schema, default_words, ref_name, type_words

_INTRO = """# HTTP API

The gateway describes itself: interactive at `/api/docs`, as OpenAPI 3.1 at `/api/openapi.json`, and on the command
line by `nimbus-gateway openapi`.

**Credentials.** A browser signs in with `POST /api/auth/login` and has a session cookie from then on. A program sends
an API key, as `Authorization: Bearer nbk_…` or `X-Api-Key: nbk_…`. A call that changes something with a cookie must
come from a page of this Nimbus (`Sec-Fetch-Site: same-origin`, or an `Origin` that fits), else it is
403 `/problems/csrf`. With curl and a cookie: `-H 'Origin: http://localhost:8080'`.

**API keys** are made by administrators and name their scopes. Nimbus itself asks for `plugins:read`, `media:read`,
`media:write`, `downloads:read`, `downloads:write` and `metrics:read`; a plugin's routes ask for what its manifest
says.
Administration needs a person.

**Lists** answer `{"items": […], "next": …}`; hand `next` back as `cursor`, or `after` where the call names it so,
until it is null. Times are RFC 3339 in UTC.

**Errors** are problem details (RFC 9457) of the type `application/problem+json`: `type`, `title`, `status`, `detail`,
`instance` (the request's id, which is also in the log) and, where fields are wrong, `errors`. See
[Problem types](#problem-types). Besides the answers named with a call, every call may answer 400 (malformed),
413 (body too large), 422 (body or parameters do not fit) and 503 (the database does not answer). A query parameter
that a call does not have is 422 too, and named with those that it has, so that a misspelt filter does not answer with
everything. `/healthz`, `/readyz` and `/metrics` ignore such parameters, and what a plugin's routes make of theirs is
the plugin's.

**Plugins** answer under `/api/plugins/<id>/…`, as their manifests say; see the
[guide](../explanation/plugins.md#calling-a-plugin).
"""

_CORE = """What plugins call, on a listener of its own that only plugins reach (`NIMBUS_CORE_URL`), with
`Authorization: Bearer <plugin token>`. The [SDK](sdk.md) does this for you. What a plugin may do follows from its
manifest's `permissions`; what it lacks is named in a 403 `/problems/permission-missing`. `/core/v1/keys` needs no
token.
"""

_COMMON = {"400", "413", "422", "503"}
_METHODS = ("get", "post", "put", "patch", "delete")


def page() -> str:
    """The page."""
    state = GatewayState(Settings())
    public, core = build_public_api(state).openapi(), build_core_api(state).openapi()
    schemas: dict[str, Schema] = {**public["components"]["schemas"], **core["components"]["schemas"]}
    in_manifest = _below("Manifest", schemas)
    own = sorted(schemas.keys() - in_manifest)
    linked = frozenset(own)
    lines = [NOTE, "", *_INTRO.splitlines(), ""]
    for tag, calls in _by_tag(public).items():
        lines += [f"## Calls: {tag}", "", *_calls(calls, linked), ""]
    lines += ["## Calls: the core", "", *_CORE.splitlines(), ""]
    lines += _calls([call for calls in _by_tag(core).values() for call in calls], linked)
    lines += ["", "## Problem types", "", *_problems(), "", "## Bodies", ""]
    lines += ["`Manifest` and its parts are on a [page of their own](manifest.md).", ""]
    for name in own:
        lines += [f"### {name}", "", *_body(schemas[name], linked), ""]
    return "\n".join(lines).rstrip() + "\n"


Call = tuple[str, str, dict[str, Any]]


def _by_tag(document: dict[str, Any]) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                operation = operations[method]
                found.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return found


def _calls(calls: list[Call], linked: frozenset[str]) -> list[str]:
    rows = []
    for method, path, operation in calls:
        body = _content(operation.get("requestBody", {}), linked)
        rows.append(
            (
                f"`{method} {path}`",
                operation.get("description", ""),
                " ".join(part for part in (body, _parameters(operation)) if part),
                _answers(operation, linked),
            )
        )
    return table(("call", "does", "takes", "answers"), rows)


def _parameters(operation: dict[str, Any]) -> str:
    return ", ".join(
        code(one["name"] if one["in"] == "query" else f"{one['name']} header")
        for one in operation.get("parameters", [])
        if one["in"] in ("query", "header")
    )


def _answers(operation: dict[str, Any], linked: frozenset[str]) -> str:
    parts = []
    for status in sorted(operation["responses"].keys() - _COMMON):
        content = _content(operation["responses"][status], linked) if status < "300" else ""
        parts.append(f"{status} {content}".strip())
    return ", ".join(parts)


def _content(described: dict[str, Any], linked: frozenset[str]) -> str:
    for media_type, content in described.get("content", {}).items():
        schema = content.get("schema", {})
        if ref_name(schema):
            return type_words(schema, linked, "manifest.md")
        if media_type != "application/json":
            return code(media_type)
    return ""


def _below(name: str, schemas: dict[str, Schema]) -> set[str]:
    """A definition with all that it is made of."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found and one in schemas:
            found.add(one)
            waiting += _references(schemas[one])
    return found


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        name = ref_name(value)
        return ([name] if name else []) + [ref for inner in value.values() for ref in _references(inner)]
    return [ref for inner in value for ref in _references(inner)] if isinstance(value, list) else []


def _body(schema: Schema, linked: frozenset[str]) -> list[str]:
    lines = [schema["description"], ""] if schema.get("description") else []
    required = set(schema.get("required", []))
    rows = [
        (
            code(field),
            type_words(value, linked, "manifest.md").replace("manifest.md#manifest", "manifest.md#fields"),
            default_words(value, required=field in required),
            value.get("description", ""),
        )
        for field, value in schema.get("properties", {}).items()
    ]
    return [*lines, *table(("field", "type", "default", "meaning"), rows)]


def _problems() -> list[str]:
    kinds: list[type[GatewayError]] = []
    waiting = list(GatewayError.__subclasses__())
    while waiting:
        kind = waiting.pop()
        kinds.append(kind)
        waiting += kind.__subclasses__()
    rows = sorted({(kind.status, kind.type, kind.title) for kind in kinds})
    return table(("type", "status", "title"), [(code(kind), str(status), title) for status, kind, title in rows])
