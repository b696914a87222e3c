"""One HTTP connection pool to the core: deadlines, safe repeats, typed errors.

httpx and tenacity are imported at the first call: a plugin that is starting does not pay for them.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nimbus_sdk.carried import carried
from nimbus_sdk.client.answers import error_of
from nimbus_sdk.errors import RateLimited, Unavailable

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

DEFAULT_TIMEOUT = 30.0
"""Seconds for one call, repeats included."""

ATTEMPTS = 5
PREFIX = "/core/v1"
_CONNECT_TIMEOUT = 3.0
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_RETRY_STATUS = frozenset({502, 503, 504})


class Transport:
    """Sends requests to the core. Bound to the event loop of its first call."""

    def __init__(
        self,
        base_url: str | None,
        token: str | None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> None:
        self._base_url = base_url
        self._token = token
        self._timeout = timeout
        self._inner = transport
        self._client: httpx.AsyncClient | None = None

    def _open(self) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415 - see the module's docstring

        if self._base_url is None:
            raise Unavailable("there is no core to call: the plugin was started without NIMBUS_CORE_URL")
        if self._client is None:
            headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            self._client = httpx.AsyncClient(
                base_url=self._base_url + PREFIX,
                headers={"Accept": "application/json, application/problem+json", **headers},
                timeout=httpx.Timeout(self._timeout, connect=_CONNECT_TIMEOUT),
                limits=httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=30),
                transport=self._inner,
                trust_env=False,
                follow_redirects=False,
            )
        return self._client

    async def json(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON is anything
        """The JSON body of a successful answer; see `request`."""
        return (await self.request(method, path, **options)).json()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: object = None,
        content: bytes | None = None,
        etag: str | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> "httpx.Response":
        """Send one request and return its successful answer.

        Args:
            method: HTTP method; GET, PUT and DELETE are repeated after failures, unless `etag` guards them.
            path: path under `/core/v1`.
            params: query parameters.
            json: body, as JSON.
            content: body, as it is.
            etag: version that the thing must still have (`If-Match`).
            headers: further headers; a call with conditions of its own is not repeated.
            repeatable: a second arrival changes nothing, so the call may be repeated whatever its method.

        Raises:
            CoreError: the kind that fits the answer; `Unavailable` when none came in time.
        """
        import httpx  # noqa: PLC0415
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt  # noqa: PLC0415

        client = self._open()
        sent = dict(headers or {})
        sent |= if_match(etag)
        safe = repeatable or (method in _IDEMPOTENT and not sent)

        async def send() -> httpx.Response:
            onward = carried(to_plugins=path.startswith("/plugins/"))
            answer = await client.request(
                method, path, params=params, json=json, content=content, headers={**onward, **sent}
            )
            if answer.is_success:
                return answer
            raise error_of(answer.status_code, answer.headers, answer.content)

        def worth_another(error: BaseException) -> bool:
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
                return True  # nothing was sent
            if isinstance(error, RateLimited):
                return True  # refused before anything was done
            if isinstance(error, Unavailable):
                return safe and error.http_status in _RETRY_STATUS
            return safe and isinstance(error, httpx.TransportError)

        try:
            async with asyncio.timeout(self._timeout):
                return await AsyncRetrying(
                    retry=retry_if_exception(worth_another),
                    stop=stop_after_attempt(ATTEMPTS),
                    wait=_pause,
                    reraise=True,
                )(send)
        except (httpx.TransportError, TimeoutError) as error:
            what = "did not answer in time" if isinstance(error, TimeoutError | httpx.TimeoutException) else "failed"
            raise Unavailable(f"the core cannot be reached: {method} {path} {what}") from error

    async def aclose(self) -> None:
        """Close the pool."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def if_match(etag: str | None) -> dict[str, str]:
    """The header that guards a change of something as it was read. Pure."""
    if not etag:
        return {}
    return {"If-Match": etag if etag.startswith(('"', "W/")) else f'"{etag}"'}


def preload() -> None:
    """Import what the first call needs, ahead of it."""
    import httpx  # noqa: F401, PLC0415
    import tenacity  # noqa: F401, PLC0415


def _pause(state: "RetryCallState") -> float:
    """Seconds before the next try: what the core asked for (at most 10), else 0.1, 0.2, 0.4 … with jitter."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Unavailable) and error.retry_after is not None:
        return min(error.retry_after, 10.0)
    return 0.1 * 2.0 ** (state.attempt_number - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret
