"""`PluginTestClient`: a plugin in memory, called as anyone."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from nimbus_sdk.client import Core
from nimbus_sdk.contracts.events import CLOUD_EVENT_MEDIA_TYPE, CloudEvent
from nimbus_sdk.contracts.identity import (
    HEADER_CALLER_PLUGIN,
    HEADER_IDENTITY,
    HEADER_PLUGIN,
    HEADER_REQUEST_ID,
    HEADER_ROLE,
    HEADER_SCOPES,
    HEADER_USER_ID,
    HEADER_USER_NAME,
    IDENTITY_LIFETIME_SECONDS,
    PLATFORM_SUBJECT,
    IdentityClaims,
    KeySet,
)
from nimbus_sdk.contracts.plugin_api import (
    EVENTS_PATH,
    HEALTH_PATH,
    LIFECYCLE_PATH,
    UI_PATH,
    Health,
    LifecycleEvent,
    UiFiles,
)
from nimbus_sdk.contracts.schedules import SCHEDULE_FIRED, ScheduleFired
from nimbus_sdk.environment import Environment
from nimbus_sdk.identity import IdentityVerifier
from nimbus_sdk.server import PluginServer
from nimbus_sdk.signing import SigningKey
from nimbus_sdk.testing.core import INSTANCE, TOKEN, FakeCore

if TYPE_CHECKING:
    from nimbus_sdk.plugin import Plugin

START_TIMEOUT = 10.0
_NOT_OPEN = "use PluginTestClient in a with statement: with PluginTestClient(plugin) as client: …"
Result = TypeVar("Result")
LifecycleName = Literal["enabled", "disabled", "upgraded", "config_changed"]


class As:
    """Requests as one caller. The methods are httpx's: `get`, `post`, …, and answer an `httpx.Response`."""

    def __init__(self, client: "PluginTestClient", claims: dict[str, Any] | None) -> None:
        self._client = client
        self._claims = claims

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Send one request, with the headers that the gateway would send."""
        headers = httpx.Headers(options.pop("headers", None))
        headers.update(self._client.headers_for(self._claims))
        return self._client.send(method, path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send a GET request."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send a POST request."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send a PUT request."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send a PATCH request."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send a DELETE request."""
        return self.request("DELETE", path, **options)


class PluginTestClient:
    """Runs a plugin in memory: its real app and SDK, real signed identities, a fake core. Use it in a `with`.

    Args:
        plugin: the plugin.
        enable: send the `enabled` lifecycle call first, as Nimbus does before the first request.
        raise_exceptions: an unexpected error of a handler is raised in the test instead of answered as 500.

    Attributes:
        core: the `FakeCore`; fill it and look into it.
    """

    def __init__(self, plugin: "Plugin", *, enable: bool = True, raise_exceptions: bool = True) -> None:
        self._plugin = plugin
        self._enable = enable
        self._raise = raise_exceptions
        self._key = SigningKey.generate()
        keys = KeySet(keys=[self._key.public], issuer=INSTANCE)
        self.core = FakeCore(plugin.manifest, keys)
        self._portal: BlockingPortal | None = None
        self._http: httpx.AsyncClient | None = None
        self._stack = ExitStack()
        self._requests = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal(backend="asyncio"))
            server = PluginServer(
                self._plugin,
                Environment(plugin_id=self._plugin.manifest.id, core_url="http://core", token=TOKEN),
                core=Core("http://core", TOKEN, transport=self.core.transport()),
                verifier=IdentityVerifier(self._plugin.manifest.id, self._keys),
                logs=None,
            )
            stack.enter_context(self._plugin.served_by(server))
            self._http = stack.enter_context(self._portal.wrap_async_context_manager(self._open(server)))
            self._stack = stack.pop_all()
        if self._enable:
            try:
                self.lifecycle("enabled")
            except BaseException:
                self._stack.close()
                raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()
        self._portal = self._http = None

    async def _keys(self) -> KeySet:
        return KeySet(keys=[self._key.public], issuer=INSTANCE)

    @asynccontextmanager
    async def _open(self, server: PluginServer) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(server, raise_app_exceptions=self._raise, client=("127.0.0.1", 50000))
        async with (
            _lifespan(server),
            httpx.AsyncClient(transport=transport, base_url="http://plugin", follow_redirects=False) as client,
        ):
            yield client

    # -- callers ---------------------------------------------------------------------------------------------

    def anonymous(self) -> As:
        """Nobody: no identity at all."""
        return As(self, None)

    def as_user(
        self, name: str = "ada", *, role: Literal["user", "admin"] = "user", user_id: str | None = None
    ) -> As:
        """A signed-in person."""
        return As(self, {"sub": user_id or f"id-of-{name}", "name": name, "role": role, "sid": f"session-of-{name}"})

    def as_api_key(
        self, name: str = "key", *, scopes: tuple[str, ...] = (), role: Literal["user", "admin"] = "user"
    ) -> As:
        """An API key with these scopes."""
        return As(self, {"sub": f"key:{name}", "name": name, "role": role, "scopes": list(scopes)})

    def as_plugin(self, plugin_id: str, *, scopes: tuple[str, ...] = ()) -> As:
        """Another plugin."""
        return As(self, {"sub": f"plugin:{plugin_id}", "name": plugin_id, "role": "plugin", "scopes": list(scopes)})

    def as_platform(self) -> As:
        """Nimbus itself."""
        return As(self, {"sub": PLATFORM_SUBJECT, "role": "platform"})

    # -- what the platform calls -----------------------------------------------------------------------------

    def health(self) -> Health:
        """The plugin's health as Nimbus sees it, failed checks included."""
        return Health.model_validate(self.as_platform().get(HEALTH_PATH).json())

    def lifecycle(self, event: LifecycleName, **data: Any) -> None:  # noqa: ANN401 - any JSON
        """Send a lifecycle call.

        Raises:
            AssertionError: the plugin answered with an error; the message is its own.
        """
        body = LifecycleEvent(event=event, version=self._plugin.manifest.version, data=data).wire()
        answer = self.as_platform().post(LIFECYCLE_PATH, json=body)
        if answer.status_code not in (204, 404):
            raise AssertionError(f"the plugin did not take {event!r}: {answer.status_code} {answer.text}")

    def deliver(
        self,
        event_type: str,
        data: Any = None,  # noqa: ANN401 - any JSON
        *,
        subject: str | None = None,
        source: str = "/core",
        event_id: str | None = None,
    ) -> None:
        """Deliver an event as Nimbus does. A second delivery of the same event has the same `event_id`.

        Raises:
            AssertionError: the plugin did not handle it; the message is its own.
        """
        self._requests += 1
        event = CloudEvent(
            id=event_id or f"event-{self._requests}",
            source=source,
            type=event_type,
            subject=subject,
            time=datetime.now(UTC),
            data=data,
        )
        answer = self.as_platform().post(
            EVENTS_PATH, json=event.wire(), headers={"Content-Type": CLOUD_EVENT_MEDIA_TYPE}
        )
        if not answer.is_success:
            raise AssertionError(f"the plugin did not handle {event_type}: {answer.status_code} {answer.text}")

    def fire(self, schedule: str, *, due: datetime | None = None) -> None:
        """Start a job of the plugin as Nimbus does when its time has come.

        Raises:
            AssertionError: the job failed, or there is none with this id.
        """
        fired = ScheduleFired(schedule=schedule, run=f"run-{self._requests}", due=due or datetime.now(UTC))
        self.deliver(SCHEDULE_FIRED, fired.wire(), subject=schedule)

    def ui_files(self) -> dict[str, bytes]:
        """The files of the UI bundle, fetched as Nimbus does."""
        platform = self.as_platform()
        answer = platform.get(UI_PATH)
        if answer.status_code != 200:  # noqa: PLR2004
            raise AssertionError(f"the plugin has no UI files to give: {answer.text}")
        names = UiFiles.model_validate(answer.json()).files
        return {name: platform.get(f"{UI_PATH}/{name}").content for name in names}

    # -- used by `As` ----------------------------------------------------------------------------------------

    def headers_for(self, claims: dict[str, Any] | None) -> dict[str, str]:
        """The headers that the gateway adds for a caller."""
        plugin_id = self._plugin.manifest.id
        self._requests += 1
        headers = {
            HEADER_PLUGIN: plugin_id,
            HEADER_REQUEST_ID: f"test-{self._requests}",
            "X-Forwarded-Prefix": f"/api/plugins/{plugin_id}",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": "nimbus.test",
        }
        if claims is None:
            return headers
        now = int(time.time())
        full = IdentityClaims(iss=INSTANCE, aud=plugin_id, iat=now, exp=now + IDENTITY_LIFETIME_SECONDS, **claims)
        headers |= {
            HEADER_IDENTITY: self._key.sign(full),
            HEADER_ROLE: full.role,
            HEADER_SCOPES: " ".join(full.scopes),
        }
        if full.role == "plugin":
            headers[HEADER_CALLER_PLUGIN] = full.sub.removeprefix("plugin:")
        elif full.role != "platform":
            headers |= {HEADER_USER_ID: full.sub, HEADER_USER_NAME: full.name or ""}
        return headers

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Send a request as it is, without any header of the gateway.

        Raises:
            RuntimeError: the client is not open.
        """
        http = self._http
        if http is None:
            raise RuntimeError(_NOT_OPEN)

        async def call() -> httpx.Response:
            return await http.request(method, path, **options)

        return self.call(call)

    def call(self, function: Callable[[], Awaitable[Result]]) -> Result:
        """Run a coroutine function in the plugin's event loop, e.g. to use `plugin.core` from a test.

        Raises:
            RuntimeError: the client is not open.
        """
        if self._portal is None:
            raise RuntimeError(_NOT_OPEN)
        return self._portal.call(function)


@asynccontextmanager
async def _lifespan(app: PluginServer) -> AsyncIterator[None]:
    """Start and stop an ASGI app as a server does."""
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue(2)
    from_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue(2)
    task = asyncio.create_task(app({"type": "lifespan", "state": {}}, to_app.get, from_app.put), name="lifespan")

    async def step(name: str) -> None:
        await to_app.put({"type": f"lifespan.{name}"})
        answer = asyncio.create_task(from_app.get(), name=f"lifespan {name}")
        await asyncio.wait({answer, task}, timeout=START_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            if task.done():
                task.result()
            raise TimeoutError(f"the plugin's {name} did not finish in {START_TIMEOUT} s")
        message = answer.result()
        if message["type"] == f"lifespan.{name}.failed":
            raise RuntimeError(f"the plugin's {name} failed: {message.get('message', '')}")

    await step("startup")
    try:
        yield
    finally:
        await step("shutdown")
        await asyncio.wait_for(task, START_TIMEOUT)
