"""Errors of the registry. Each class owns its problem type and status; handlers never build error bodies."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from nimbus_sdk.contracts.dependencies import PluginDependency, PluginDependent
from nimbus_sdk.contracts.install import PluginPermissions
from nimbus_sdk.contracts.jsontext import pointer, shown
from nimbus_sdk.contracts.problem import PROBLEM_MEDIA_TYPE, FieldProblem, Problem
from nimbus_sdk.contracts.snapshot import PluginDetail, Reason
from starlette.exceptions import HTTPException


class RegistryError(Exception):
    """Base of every error that a caller is told about."""

    type: ClassVar[str] = "/problems/internal"
    title: ClassVar[str] = "The registry failed"
    status: ClassVar[int] = HTTPStatus.INTERNAL_SERVER_ERROR
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail

    def problem(self) -> dict[str, Any]:
        """The problem body, with this class's additional members."""
        return Problem(type=self.type, title=self.title, status=self.status, detail=self.detail).wire()


class StartError(RegistryError):
    """The registry cannot start; the message is for the operator."""

    title = "The registry cannot start"


class DatabaseUnavailableError(RegistryError):
    """The database does not answer; nothing was changed."""

    type = "/problems/database-unavailable"
    title = "The database does not answer"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}


class RuntimeUnavailableError(RegistryError):
    """What plugins are run by does not answer; nothing was changed."""

    type = "/problems/runtime-unavailable"
    title = "The engine does not answer"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}


class UnauthenticatedError(RegistryError):
    """The service token is missing or wrong."""

    type = "/problems/unauthenticated"
    title = "The service token is missing or wrong"
    status = HTTPStatus.UNAUTHORIZED
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class PluginNotFoundError(RegistryError):
    """No plugin has this id."""

    type = "/problems/plugin-not-found"
    title = "No such plugin"
    status = HTTPStatus.NOT_FOUND


class PluginDisabledError(RegistryError):
    """The call needs an enabled plugin."""

    type = "/problems/plugin-disabled"
    title = "The plugin is disabled"
    status = HTTPStatus.CONFLICT


class PluginInvalidError(RegistryError):
    """The plugin's manifest has errors, so it cannot run."""

    type = "/problems/plugin-invalid"
    title = "The plugin's manifest has errors"
    status = HTTPStatus.CONFLICT

    def __init__(self, plugin: PluginDetail) -> None:
        super().__init__(plugin.reason.message if plugin.reason else None)
        self.plugin = plugin

    def problem(self) -> dict[str, Any]:
        """The problem with the manifest's errors and the plugin as it is."""
        errors = [error.wire() for error in self.plugin.errors]
        return {**super().problem(), "errors": errors, "plugin": self.plugin.wire()}


class DependenciesUnmetError(RegistryError):
    """Plugins that it needs are missing, do not fit, or are disabled."""

    type = "/problems/dependencies-unmet"
    title = "It needs other plugins"
    status = HTTPStatus.CONFLICT

    def __init__(self, detail: str, dependencies: Sequence[PluginDependency]) -> None:
        super().__init__(detail)
        self.dependencies = list(dependencies)

    def problem(self) -> dict[str, Any]:
        """The problem with what is needed; `canEnable` when enabling those plugins is all that there is to do."""
        can_enable = all(one.problem == "disabled" for one in self.dependencies)
        return {
            **super().problem(),
            "dependencies": [one.wire() for one in self.dependencies],
            "canEnable": can_enable,
        }


class DependencyCycleError(RegistryError):
    """Plugins need each other, so that none of them could be the first to start."""

    type = "/problems/dependency-cycle"
    title = "Plugins need each other"
    status = HTTPStatus.CONFLICT

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(
            f"{' needs '.join(cycle)}, so none of them could be the first to start. "
            "One of their manifests has to call its dependency optional, or go without it."
        )
        self.cycle = list(cycle)

    def problem(self) -> dict[str, Any]:
        """The problem with the chain, which begins and ends with the same plugin."""
        return {**super().problem(), "cycle": self.cycle}


class PluginNeededError(RegistryError):
    """Other enabled plugins need this one as it is."""

    type = "/problems/plugin-needed"
    title = "Other plugins need it"
    status = HTTPStatus.CONFLICT

    def __init__(self, detail: str, dependents: Sequence[PluginDependent]) -> None:
        super().__init__(detail)
        self.dependents = list(dependents)

    def problem(self) -> dict[str, Any]:
        """The problem with who needs it, those first that are to be stopped first."""
        return {**super().problem(), "dependents": [one.wire() for one in self.dependents]}


class PluginFailedError(RegistryError):
    """The plugin did not reach the state that was asked for."""

    type = "/problems/plugin-failed"
    title = "The plugin did not start"
    status = HTTPStatus.CONFLICT

    def __init__(self, plugin: PluginDetail) -> None:
        super().__init__(plugin.reason.message if plugin.reason else None)
        self.plugin = plugin

    def problem(self) -> dict[str, Any]:
        """The problem with the plugin as it is, its reason and last log lines included."""
        return {**super().problem(), "plugin": self.plugin.wire()}


class SwitchedOffError(PluginFailedError):
    """Plugins are off by a switch of the operator; the wish was stored."""

    title = "Plugins are switched off"


class ManifestRefusedError(RegistryError):
    """What was to be installed has no manifest that can be used."""

    type = "/problems/manifest-invalid"
    title = "The manifest has errors"
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, detail: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(detail)
        self.errors = list(errors)

    def problem(self) -> dict[str, Any]:
        """The problem with what is wrong where."""
        return {**super().problem(), "errors": [error.wire() for error in self.errors]}


class IncompatibleError(RegistryError):
    """The plugin and this Nimbus do not fit; `change` is the side that is too old."""

    type = "/problems/plugin-incompatible"
    title = "The plugin does not fit this Nimbus"
    status = HTTPStatus.CONFLICT

    def __init__(self, detail: str, change: str) -> None:
        super().__init__(detail)
        self.change = change

    def problem(self) -> dict[str, Any]:
        """The problem with the side that should change: `nimbus` or `plugin`."""
        return {**super().problem(), "change": self.change}


class PluginExistsError(RegistryError):
    """A plugin with this id is there already, in another version or from another source."""

    type = "/problems/plugin-exists"
    title = "The plugin is there already"
    status = HTTPStatus.CONFLICT

    def __init__(self, plugin_id: str, version: str, source: str) -> None:
        super().__init__(
            f"{plugin_id!r} is there already: version {version} from {source}. Upgrade it, or uninstall it first."
        )


class UnexpectedPluginError(RegistryError):
    """What was fetched is another plugin, or another version, than was expected."""

    type = "/problems/unexpected-plugin"
    title = "It is not what was expected"
    status = HTTPStatus.CONFLICT


class FetchFailedError(RegistryError):
    """The image or folder could not be had."""

    type = "/problems/install-failed"
    title = "The plugin could not be fetched"
    status = HTTPStatus.CONFLICT

    def __init__(self, reason: Reason) -> None:
        super().__init__(" ".join(filter(None, [reason.message, reason.hint])))
        self.reason = reason

    def problem(self) -> dict[str, Any]:
        """The problem with the reason: the hop, a hint, the last lines."""
        return {**super().problem(), "reason": self.reason.wire()}


class ConsentRequiredError(RegistryError):
    """Somebody has to decide about permissions first."""

    type = "/problems/consent-required"
    title = "Its permissions have to be decided first"
    status = HTTPStatus.CONFLICT

    def __init__(self, detail: str, permissions: PluginPermissions) -> None:
        super().__init__(detail)
        self.permissions = permissions

    def problem(self) -> dict[str, Any]:
        """The problem with what is asked for, and the names that nobody granted yet."""
        missing = [entry.name for entry in self.permissions.requested if not entry.granted]
        return {**super().problem(), "missing": missing, "permissions": self.permissions.wire()}


class UpgradeFailedError(RegistryError):
    """A new version did not become ready, and the old one serves."""

    type = "/problems/upgrade-failed"
    title = "The new version did not become ready"
    status = HTTPStatus.CONFLICT

    def __init__(self, plugin: PluginDetail, reason: Reason) -> None:
        super().__init__(reason.message)
        self.plugin = plugin
        self.reason = reason

    def problem(self) -> dict[str, Any]:
        """The problem with the plugin as it is, and why the new version failed."""
        return {**super().problem(), "plugin": self.plugin.wire(), "reason": self.reason.wire()}


class VersionNotFoundError(RegistryError):
    """That version of the plugin is not kept."""

    type = "/problems/version-not-found"
    title = "No such version"
    status = HTTPStatus.NOT_FOUND


class DowngradeError(RegistryError):
    """The version is older than the installed one."""

    type = "/problems/downgrade"
    title = "The version is older"
    status = HTTPStatus.CONFLICT


class FromFolderError(RegistryError):
    """The plugin follows a folder."""

    type = "/problems/plugin-from-folder"
    title = "The plugin comes from a folder"
    status = HTTPStatus.CONFLICT


class InvalidRequestError(RegistryError):
    """A field of the request cannot be taken as it is."""

    type = "/problems/validation"
    title = "The request is not valid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, *errors: FieldProblem) -> None:
        super().__init__()
        self.errors = errors

    def problem(self) -> dict[str, Any]:
        """The problem with what was expected where."""
        return {**super().problem(), "errors": [error.wire() for error in self.errors]}


class TooLargeError(RegistryError):
    """What was sent is more than may be kept; `detail` says how much that is. Nothing was changed."""

    type = "/problems/quota-exceeded"
    title = "Quota exceeded"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class BusyError(RegistryError):
    """Too much is under way already."""

    type = "/problems/busy"
    title = "Too much is under way"
    status = HTTPStatus.TOO_MANY_REQUESTS
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "10"}


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem body."""

    @app.exception_handler(RegistryError)
    async def known(_: Request, error: RegistryError) -> JSONResponse:
        return _response(error.problem(), error.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = [
            FieldProblem(
                path=pointer(*item["loc"][1:]),
                message=str(item["msg"]).removeprefix("Value error, "),
                value=shown(item.get("input")),
            )
            for item in error.errors()
        ]
        problem = Problem(
            type="/problems/validation", title="The request is not valid", status=422, errors=fields
        ).wire()
        return _response(problem, HTTPStatus.UNPROCESSABLE_ENTITY, {})

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: HTTPException) -> JSONResponse:
        kinds = {404: "/problems/not-found", 405: "/problems/method-not-allowed"}
        problem = Problem(
            type=kinds.get(error.status_code, "about:blank"), title=str(error.detail), status=error.status_code
        ).wire()
        return _response(problem, error.status_code, error.headers or {})


def _response(problem: dict[str, Any], status: int, headers: Mapping[str, str]) -> JSONResponse:
    return JSONResponse(problem, status_code=status, headers=dict(headers), media_type=PROBLEM_MEDIA_TYPE)
