"""Arguments by name and type: how `media: Media` or a bare `log` in a handler becomes the real thing.

A parameter is injected when its annotation is one of the SDK's types, or when it has no annotation and one of
the SDK's names. Everything else stays FastAPI's: path, query, body, `Depends`.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from operator import attrgetter
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin

from fastapi import Depends, HTTPException
from fastapi.requests import HTTPConnection
from pydantic import BaseModel

from nimbus_sdk.callers import Caller, User
from nimbus_sdk.client import Core
from nimbus_sdk.client.config import Config
from nimbus_sdk.client.downloads import Downloads
from nimbus_sdk.client.events import Events
from nimbus_sdk.client.kv import Kv
from nimbus_sdk.client.media import Media
from nimbus_sdk.client.plugins import Plugins
from nimbus_sdk.client.schedules import Schedules
from nimbus_sdk.logs import Logger
from nimbus_sdk.settings import Settings

if TYPE_CHECKING:
    from nimbus_sdk.server import PluginServer

SCOPE_SERVER = "nimbus.server"
SCOPE_CALLER = "nimbus.caller"

Handler = TypeVar("Handler", bound=Callable[..., Any])
Provider = Callable[["PluginServer"], Any]


def server_of(connection: HTTPConnection) -> "PluginServer":
    """The running plugin behind a request.

    Raises:
        RuntimeError: the FastAPI app is served by itself.
    """
    server = connection.scope.get(SCOPE_SERVER)
    if server is None:
        raise RuntimeError("serve the Plugin object itself (plugin.run(), or uvicorn module:plugin), not plugin.app")
    return server  # type: ignore[no-any-return]


def caller_from(connection: HTTPConnection) -> Caller | None:
    """The verified caller of a request; None for an anonymous one."""
    return connection.scope.get(SCOPE_CALLER)


def _required_caller(connection: HTTPConnection) -> Caller:
    caller = caller_from(connection)
    if caller is None:
        raise HTTPException(401, "Sign in to use this.")
    return caller


def _required_user(connection: HTTPConnection) -> User:
    caller = _required_caller(connection)
    if not isinstance(caller, User):
        raise HTTPException(403, "This needs a signed-in user.")
    return caller


def _optional_user(connection: HTTPConnection) -> User | None:
    caller = caller_from(connection)
    return caller if isinstance(caller, User) else None


_PARTS: dict[str, tuple[object, Provider]] = {
    "media": (Media, attrgetter("core.media")),
    "kv": (Kv, attrgetter("core.kv")),
    "events": (Events, attrgetter("core.events")),
    "downloads": (Downloads, attrgetter("core.downloads")),
    "schedules": (Schedules, attrgetter("core.schedules")),
    "plugins": (Plugins, attrgetter("core.plugins")),
    "config": (Config, attrgetter("core.config")),
    "log": (Logger, attrgetter("log")),
    "core": (Core, attrgetter("core")),
}
"""What the SDK hands in: the name that a parameter without annotation has, its type, and where it comes from."""


def provider_for(annotation: object, name: str) -> Provider | None:
    """What gives the parameter its value outside a request: in hooks and checks. None: it is not the SDK's."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return _settings(annotation)
    bare = annotation is inspect.Parameter.empty
    for word, (kind, provide) in _PARTS.items():
        if annotation is kind or (bare and name == word):
            return provide
    return None


def _settings(kind: type[Settings]) -> Provider:
    def provide(server: "PluginServer") -> Awaitable[Settings]:
        return server.settings(kind)

    return provide


def _request_provider(annotation: object, name: str) -> Callable[..., Any] | None:
    """The FastAPI dependency for a parameter of a handler, or None."""
    inner, optional = _without_none(annotation)
    if inner is User or (inner is inspect.Parameter.empty and name == "user"):
        return _optional_user if optional else _required_user
    if inner is Caller or (inner is inspect.Parameter.empty and name == "caller"):
        return caller_from if optional else _required_caller
    provider = provider_for(annotation, name)
    if provider is None:
        return None
    if isinstance(annotation, type) and issubclass(annotation, Settings):

        async def settings(connection: HTTPConnection) -> Any:  # noqa: ANN401 - the class the author wrote
            return await server_of(connection).settings(annotation)

        return settings

    def provide(connection: HTTPConnection) -> Any:  # noqa: ANN401 - any of the SDK's types
        return provider(server_of(connection))

    return provide


def _without_none(annotation: object) -> tuple[object, bool]:
    if get_origin(annotation) in (Union, UnionType):
        rest = [arg for arg in get_args(annotation) if arg is not NoneType]
        if len(rest) == 1 and len(rest) < len(get_args(annotation)):
            return rest[0], True
    return annotation, False


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:  # a name that exists for type checkers only
        return inspect.signature(function)


def prepare_handler(function: Handler) -> Handler:
    """Make FastAPI see the SDK's parameters as dependencies. The function itself stays as it is."""
    signature = _signature(function)
    parameters = []
    for parameter in signature.parameters.values():
        provider = None
        if parameter.default is inspect.Parameter.empty or parameter.default is None:
            provider = _request_provider(parameter.annotation, parameter.name)
        if provider is None:
            parameters.append(parameter)
        else:
            parameters.append(
                parameter.replace(annotation=Any, default=Depends(provider), kind=inspect.Parameter.KEYWORD_ONLY)
            )
    parameters.sort(key=lambda parameter: parameter.kind)
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return function


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, Settings)


class Hook:
    """A function of the author that the platform calls: its arguments are found once, when it is declared.

    A parameter `data` whose type is a pydantic model gets the event's data as that model.
    """

    __slots__ = ("_extras", "_function", "_is_async", "_payload", "_providers", "name")

    def __init__(self, function: Callable[..., Any], extras: tuple[str, ...] = ()) -> None:
        self._function = function
        self.name = function.__name__
        self._is_async = inspect.iscoroutinefunction(function)
        self._providers: dict[str, Provider] = {}
        self._extras: list[str] = []
        self._payload: type[BaseModel] | None = None
        for parameter in _signature(function).parameters.values():
            if parameter.name in extras:
                self._extras.append(parameter.name)
                continue
            if parameter.name == "data" and "event" in extras and _is_model(parameter.annotation):
                self._payload = parameter.annotation
                continue
            provider = provider_for(parameter.annotation, parameter.name)
            if provider is not None:
                self._providers[parameter.name] = provider
            elif parameter.default is inspect.Parameter.empty:
                known = ", ".join([*extras, *_PARTS])
                raise TypeError(
                    f"{self.name}() wants {parameter.name!r}, which nobody can give it; it may take {known} "
                    "and a class derived from Settings"
                )

    async def __call__(self, server: "PluginServer", **extras: Any) -> Any:  # noqa: ANN401 - what the author returns
        """Run it; plain functions run in a thread."""
        arguments = {name: extras[name] for name in self._extras}
        for name, provider in self._providers.items():
            value = provider(server)
            arguments[name] = await value if inspect.isawaitable(value) else value
        if self._payload is not None:
            arguments["data"] = self._payload.model_validate(extras["event"].data)
        if self._is_async:
            return await self._function(**arguments)
        return await asyncio.to_thread(self._function, **arguments)
