"""A core in memory that keeps the contract's rules: permissions, validation, versions, cursors."""

import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import unquote

import httpx
from pydantic import ValidationError

from nimbus_sdk.contracts.core_api import ConfigDocument, ConfigValue, LogBatch, LogEntry, Self_
from nimbus_sdk.contracts.identity import KeySet
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import PROBLEM_MEDIA_TYPE, FieldProblem
from nimbus_sdk.testing.config import FakeConfig
from nimbus_sdk.testing.downloads import FakeDownloads
from nimbus_sdk.testing.events import FakeEvents
from nimbus_sdk.testing.kv import FakeKv
from nimbus_sdk.testing.media import FakeMedia
from nimbus_sdk.testing.plugins import FakePlugins
from nimbus_sdk.testing.refusals import Refused, invalid
from nimbus_sdk.testing.schedules import FakeSchedules

__all__ = ["FakeConfig", "FakeCore", "FakeEvents", "FakeKv", "FakeMedia"]

INSTANCE = "test"
TOKEN = "test-token"  # noqa: S105 - opens nothing but the fake


class FakeCore:
    """What a plugin calls while it is tested. Look into it and fill it before and after the plugin runs.

    Attributes:
        permissions: what the plugin may do; the manifest's permissions, change them to test a refusal.
        config: the plugin's settings: a mapping that checks values against the manifest's schema.
        kv: the plugin's key-value store: a mapping.
        events: what the plugin published.
        downloads: shared downloads: `add` some, look at `items`, `add_provider`.
        schedules: the manifest's schedules.
        plugins: other plugins: `add` what answers.
        media: the media library: `add` items, look at `items`.
        logs: the lines that the plugin sent.
        calls: method and path of each call, in order.
    """

    def __init__(self, manifest: Manifest, keys: KeySet) -> None:
        self.permissions = set(manifest.permissions)
        self.config = FakeConfig(manifest.settings)
        self.kv = FakeKv()
        self.events = FakeEvents(manifest)
        self.media = FakeMedia()
        self.downloads = FakeDownloads(manifest)
        self.schedules = FakeSchedules(manifest)
        self.plugins = FakePlugins()
        self.logs: list[LogEntry] = []
        self.calls: list[tuple[str, str]] = []
        self._manifest = manifest
        self._keys = keys
        self._down: httpx.Response | type[httpx.TransportError] | None = None

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """While it lasts, no connection to the core can be made."""
        self._down = httpx.ConnectError
        try:
            yield
        finally:
            self._down = None

    @contextmanager
    def answering(self, status: int, *, retry_after: int | None = None) -> Iterator[None]:
        """While it lasts, the core answers everything with this error."""
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        self._down = httpx.Response(
            status, headers=headers, json={"type": "/problems/x", "title": "x", "status": status}
        )
        try:
            yield
        finally:
            self._down = None

    def transport(self) -> httpx.MockTransport:
        """For an httpx client: requests end here instead of on a network."""
        return httpx.MockTransport(self.handle)

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request as the core would."""
        path = request.url.path.removeprefix("/core/v1")
        self.calls.append((request.method, path))
        if isinstance(self._down, httpx.Response):
            return httpx.Response(self._down.status_code, headers=self._down.headers, content=self._down.content)
        if self._down is not None:
            raise self._down("the fake core is unreachable", request=request)
        try:
            return self._dispatch(request, path)
        except Refused as refused:
            body = {
                "type": f"/problems/{refused.kind}",
                "title": refused.kind,
                "status": refused.status,
                "detail": refused.detail,
                **refused.extra,
            }
            return httpx.Response(
                refused.status, headers={"content-type": PROBLEM_MEDIA_TYPE}, content=json.dumps(body).encode()
            )

    def _dispatch(self, request: httpx.Request, path: str) -> httpx.Response:
        area, _, rest = path.strip("/").partition("/")
        if (request.method, area) == ("GET", "keys"):
            return httpx.Response(200, json=self._keys.wire())
        if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {TOKEN}"):
            raise Refused(401, "unauthenticated", "The plugin's token is not valid.")
        answer = getattr(self, f"_{area.replace('-', '_')}_area", None)
        if answer is None:
            raise Refused(404, "not-found", f"The core has no {request.method} {request.url.path}.")
        return cast("httpx.Response", answer(request, rest))

    def _self_area(self, _request: httpx.Request, _rest: str) -> httpx.Response:
        return httpx.Response(200, json=self._self().wire())

    def _config_area(self, request: httpx.Request, rest: str) -> httpx.Response:
        return self._config(request, rest)

    def _kv_area(self, request: httpx.Request, rest: str) -> httpx.Response:
        return self.kv.answer(request, unquote(rest))

    def _kv_usage_area(self, _request: httpx.Request, _rest: str) -> httpx.Response:
        return httpx.Response(200, json=self.kv.usage().wire())

    def _media_area(self, request: httpx.Request, rest: str) -> httpx.Response:
        self._permit("media:read" if request.method == "GET" else "media:write")
        return self.media.answer(request, rest, f"plugin:{self._manifest.id}")

    def _downloads_area(self, request: httpx.Request, rest: str) -> httpx.Response:
        self._permit("downloads:read" if request.method == "GET" else "downloads:write")
        return self.downloads.answer(request, rest, f"plugin:{self._manifest.id}")

    def _events_area(self, request: httpx.Request, _rest: str) -> httpx.Response:
        self._permit("events:publish")
        return self.events.answer(request)

    def _schedules_area(self, request: httpx.Request, rest: str) -> httpx.Response:
        return self.schedules.answer(request, rest)

    def _plugins_area(self, request: httpx.Request, rest: str) -> httpx.Response:
        if not rest:
            return self.plugins.found(request.url.params.get("capability"), self.permissions)
        plugin_id, _, route = rest.partition("/call/")
        self._permit(f"plugins:call:{plugin_id}")
        return self.plugins.call(request, plugin_id, route)

    def _logs_area(self, request: httpx.Request, _rest: str) -> httpx.Response:
        try:
            batch = LogBatch.model_validate_json(request.content)
        except ValidationError as error:
            raise invalid(error) from error
        self.logs += batch.entries
        return httpx.Response(202)

    def _self(self) -> Self_:
        return Self_(
            id=self._manifest.id,
            version=self._manifest.version,
            permissions=sorted(self.permissions),
            instance=INSTANCE,
        )

    def _permit(self, permission: str) -> None:
        area = permission.partition(":")[0]
        if permission not in self.permissions and f"{area}:*" not in self.permissions:
            raise Refused(
                403, "permission-missing", f"The plugin lacks the permission {permission}.", missing=permission
            )

    def _config(self, request: httpx.Request, key: str) -> httpx.Response:
        config = self.config
        match request.method:
            case "GET" if not key:
                return httpx.Response(200, json=ConfigDocument(values=config.effective()).wire())
            case "GET":
                values = config.effective()
                if key not in values:
                    raise Refused(404, "not-found", f"The setting {key} is not set and has no default.")
                return _value(values, key, config.etag(key))
            case "PUT" if key:
                config.guard(key, request.headers.get("if-match"))
                try:
                    value = ConfigValue.model_validate_json(request.content).value
                except ValidationError as error:
                    raise invalid(error) from error
                errors = config.errors(key, value)
                if errors:
                    raise Refused(422, "validation", "The value does not fit the settings.", errors=_wire(errors))
                config[key] = value
                return _value(config.effective(), key, config.etag(key))
            case "DELETE" if key:
                if key not in config:
                    raise Refused(404, "not-found", f"The setting {key} is not set.")
                del config[key]
                return httpx.Response(204)
        raise Refused(405, "method-not-allowed", f"{request.method} is not for this path.")


def _value(values: Mapping[str, Any], key: str, etag: str) -> httpx.Response:
    return httpx.Response(200, headers={"etag": etag}, json={"value": values[key]})


def _wire(errors: list[FieldProblem]) -> list[dict[str, object]]:
    return [error.wire() for error in errors]
