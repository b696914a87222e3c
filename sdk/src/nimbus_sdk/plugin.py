"""`Plugin`: the object that an author writes a plugin with."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from nimbus_sdk import problems
from nimbus_sdk.client import Core
from nimbus_sdk.contracts.manifest import Auth, Manifest, Role
from nimbus_sdk.environment import Environment
from nimbus_sdk.errors import ManifestError, RoutesDisagree
from nimbus_sdk.events import Job, Subscription, check_pattern, job_id
from nimbus_sdk.events import disagreements as hook_disagreements
from nimbus_sdk.injection import Hook, prepare_handler
from nimbus_sdk.logs import Logger, logger
from nimbus_sdk.manifests import find_manifest, read_manifest
from nimbus_sdk.routing import Declared, disagreements
from nimbus_sdk.server import PluginServer
from nimbus_sdk.starting import models_built_when_used, without_collection, without_command_line, without_pydantic_v1

Function = TypeVar("Function", bound=Callable[..., Any])


class Plugin:
    """A plugin: routes, hooks and the manifest they belong to.

    Args:
        name: pass `__name__`; the manifest is looked for beside and above that module, then in the working
            directory. `NIMBUS_MANIFEST` names it outright.
        manifest: path of the manifest, when it is somewhere else.

    Attributes:
        app: an ordinary FastAPI app: routers, middleware, exception handlers and lifespan work as always.
        manifest: the manifest as read.
        root: the folder of the manifest.

    Raises:
        ManifestError: there is no manifest, or it is not valid; the message lists every error.

    A handler's parameters are found by type: `media: Media`, `kv: Kv`, `events: Events`, `downloads: Downloads`,
    `schedules: Schedules`, `plugins: Plugins`, `config: Config`, `core: Core`, `log: Logger`, `user: User` (401
    without one), `user: User | None`, `caller: Caller`, and classes derived from `Settings`. Without annotation their
    names in lower case do.
    """

    def __init__(self, name: str, *, manifest: str | Path | None = None) -> None:
        path = Path(manifest) if manifest is not None else find_manifest(name)
        self.name = name
        self.manifest: Manifest = read_manifest(path)
        self.root = path.resolve().parent
        self.app = FastAPI(
            title=self.manifest.name,
            version=self.manifest.version,
            description=self.manifest.description,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        problems.install(self.app)
        self.checks: list[Hook] = []
        self.lifecycle_hooks: dict[str, list[Hook]] = {}
        self.declared: list[Declared] = []
        self.subscriptions: list[Subscription] = []
        self.jobs: list[Job] = []
        self.background_tasks: list[Hook] = []
        self._server: PluginServer | None = None

    # -- routes ----------------------------------------------------------------------------------------------

    def get(self, path: str, **options: Any) -> Callable[[Function], Function]:  # noqa: ANN401 - see `route`
        """Answer GET requests. See `route` for the options."""
        return self.route(path, methods=["GET"], **options)

    def post(self, path: str, **options: Any) -> Callable[[Function], Function]:  # noqa: ANN401
        """Answer POST requests. See `route` for the options."""
        return self.route(path, methods=["POST"], **options)

    def put(self, path: str, **options: Any) -> Callable[[Function], Function]:  # noqa: ANN401
        """Answer PUT requests. See `route` for the options."""
        return self.route(path, methods=["PUT"], **options)

    def patch(self, path: str, **options: Any) -> Callable[[Function], Function]:  # noqa: ANN401
        """Answer PATCH requests. See `route` for the options."""
        return self.route(path, methods=["PATCH"], **options)

    def delete(self, path: str, **options: Any) -> Callable[[Function], Function]:  # noqa: ANN401
        """Answer DELETE requests. See `route` for the options."""
        return self.route(path, methods=["DELETE"], **options)

    def route(
        self,
        path: str,
        *,
        methods: Sequence[str],
        auth: Auth | None = None,
        role: Role | None = None,
        scopes: Sequence[str] | None = None,
        tag: str | None = None,
        **options: Any,  # noqa: ANN401 - FastAPI's own
    ) -> Callable[[Function], Function]:
        """Answer requests to a path of the manifest.

        Args:
            path: as in the manifest, e.g. `/items/{id}`; outside it is `/api/plugins/<plugin id>/items/…`.
            methods: HTTP methods.
            auth: `none`, `session` or `apikey`. The manifest decides; what is given here must agree with it, and
                the plugin does not start when it does not.
            role: `user` or `admin`, checked in the same way.
            scopes: scopes that an API key must hold, checked in the same way.
            tag: `compat:<product>` for a route that also appears at a compatibility port, checked in the same way.
            options: anything FastAPI takes for a route: `response_model`, `status_code`, `tags`, …
        """

        def register(function: Function) -> Function:
            upper = [method.upper() for method in methods]
            self._declare(function, path, upper, auth=auth, role=role, scopes=scopes, tag=tag)
            with without_pydantic_v1():
                self.app.add_api_route(path, prepare_handler(function), methods=list(methods), **options)
            return function

        return register

    def websocket(
        self, path: str, *, auth: Auth | None = None, role: Role | None = None, scopes: Sequence[str] | None = None
    ) -> Callable[[Function], Function]:
        """Answer WebSocket connections; in the manifest the route takes GET. Options as for `route`."""

        def register(function: Function) -> Function:
            self._declare(function, path, ["GET"], auth=auth, role=role, scopes=scopes)
            self.app.add_api_websocket_route(path, prepare_handler(function))
            return function

        return register

    def _declare(
        self,
        function: Callable[..., Any],
        path: str,
        methods: Sequence[str],
        *,
        auth: Auth | None,
        role: Role | None,
        scopes: Sequence[str] | None,
        tag: str | None = None,
    ) -> None:
        where = f"{function.__module__}.{function.__qualname__}"
        kept = tuple(scopes) if scopes is not None else None
        self.declared.append(Declared(path, tuple(methods), auth, role, kept, where, tag))

    def check_manifest(self) -> None:
        """Compare the decorators with the manifest: routes, events, schedules. Called at every start.

        Raises:
            RoutesDisagree: they differ; the message lists every difference and what to change.
        """
        found = disagreements(self.declared, self.manifest.routes)
        found += hook_disagreements(self.subscriptions, self.jobs, self.manifest.events, self.manifest.schedules)
        if found:
            raise RoutesDisagree(
                "\n".join(["the code and manifest.json disagree:", *(f"  {item}" for item in found)])
            )

    # -- hooks -----------------------------------------------------------------------------------------------

    def check(self, function: Function) -> Function:
        """Add a readiness check: raise `NotReady` or `Degraded` with a reason, or return.

        The function may take `core`, `config`, `media`, `log` and settings. It runs at every health probe (every
        few seconds), so it should be quick.
        """
        self.checks.append(Hook(function))
        return function

    def on_enabled(self, function: Function) -> Function:
        """Run when the plugin has been enabled, before it gets requests. An error keeps it from becoming ready.

        It runs again after every restart of the plugin, so it must bear repetition. Parameters as for `check`,
        and `event`, a `LifecycleEvent`.
        """
        return self._on("enabled", function)

    def on_disabled(self, function: Function) -> Function:
        """Run when the plugin is being disabled, with about two seconds to finish. Parameters as for `on_enabled`."""
        return self._on("disabled", function)

    def on_upgraded(self, function: Function) -> Function:
        """Run when a new version takes over from `event.previous_version`. Parameters as for `on_enabled`."""
        return self._on("upgraded", function)

    def on_config_changed(self, function: Function) -> Function:
        """Run when the operator changed settings. Parameters as for `on_enabled`."""
        return self._on("config_changed", function)

    def _on(self, event: str, function: Function) -> Function:
        self.lifecycle_hooks.setdefault(event, []).append(Hook(function, extras=("event",)))
        return function

    # -- events ----------------------------------------------------------------------------------------------

    def on(self, pattern: str) -> Callable[[Function], Function]:
        """Run when an event arrives whose type fits `pattern`; the manifest must subscribe to it.

        The function may take `event`, an `Event`; `data` typed as a pydantic model, which gets the event's data;
        and whatever `check` takes. The event counts as handled when it returns. When it raises, Nimbus delivers
        the event again, later and later, and gives up after eight times; so it must bear repetition.

        Args:
            pattern: segments between dots; `*` is any one segment, `**` any number: `io.nimbus.media.*.v1`.

        Raises:
            ValueError: the pattern is malformed.
        """
        check_pattern(pattern)

        def register(function: Function) -> Function:
            self.subscriptions.append(Subscription(pattern, Hook(function, extras=("event",))))
            return function

        return register

    def every(
        self, cron: str, *, schedule: str | None = None, timezone: str = "UTC"
    ) -> Callable[[Function], Function]:
        """Run at the times of a cron line, one run at a time; the manifest's `schedules` must have the same.

        Parameters of the function as for `on`.

        Args:
            cron: minute, hour, day, month, weekday: `0 3 * * *` is every night at three.
            schedule: id of the schedule in the manifest; the function's name when left out.
            timezone: IANA name of the zone that the times are in.

        Raises:
            ManifestError: two functions have the same schedule.
        """

        def register(function: Function) -> Function:
            name = schedule or job_id(function)
            if any(job.id == name for job in self.jobs):
                raise ManifestError(f"two functions run at the schedule {name}; give one of them another id")
            self.jobs.append(Job(name, cron, timezone, Hook(function, extras=("event",))))
            return function

        return register

    # -- background ------------------------------------------------------------------------------------------

    def background(self, function: Function) -> Function:
        """Run beside the requests, from when the plugin is enabled to its end; then it is cancelled.

        When it raises it is started anew after 1 to 60 seconds, and until then the plugin is degraded and says why.
        When it returns it is done. It must be a coroutine function; parameters as for `check`.

        Raises:
            TypeError: it is not one.
        """
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__name__}() runs in the background, so write it with async def")
        self.background_tasks.append(Hook(function))
        return function

    # -- running ---------------------------------------------------------------------------------------------

    @property
    def server(self) -> PluginServer:
        """The running plugin; made of the process environment when first asked for."""
        if self._server is None:
            self._server = PluginServer(self, Environment.read())
        return self._server

    @contextmanager
    def served_by(self, server: PluginServer) -> Iterator[None]:
        """While it lasts, `server` is the running plugin: how the test kit puts its own in place."""
        before, self._server = self._server, server
        try:
            yield
        finally:
            self._server = before

    @property
    def data_dir(self) -> Path:
        """The folder that survives updates, for manifests with `runtime.data`; `./data` when started by hand."""
        return Environment.read().data_dir

    @property
    def core(self) -> Core:
        """The core client of the running plugin."""
        return self.server.core

    @property
    def log(self) -> Logger:
        """The plugin's logger."""
        return logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, so that any ASGI server can run it: `uvicorn hello:plugin`."""
        await self.server(scope, receive, send)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then finish what is under way and stop.

        Exits with status 1 and plain words when the manifest and the code disagree.
        """
        with without_collection(freeze=True), models_built_when_used(), without_command_line():
            from nimbus_sdk.serving import serve  # noqa: PLC0415 - uvicorn is not needed by tests and tools

        serve(self)
