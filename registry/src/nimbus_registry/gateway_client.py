"""Calls to the gateway's management listener: it is the only part that talks to plugins."""

from typing import Protocol, TypeVar

import httpx
import structlog
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.control import (
    LifecycleRequest,
    LifecycleResult,
    ProbeRequest,
    ProbeResult,
    SettingsCheck,
    SettingsChecked,
    SettingsSwitch,
    SettingsSwitched,
    UiFetchRequest,
    UiFetchResult,
)
from nimbus_sdk.contracts.plugin_api import LifecycleEvent
from nimbus_sdk.contracts.problem import Problem
from nimbus_sdk.contracts.snapshot import Upstream
from pydantic import ValidationError

log = structlog.get_logger(__name__)

_Answer = TypeVar("_Answer", bound=WireModel)

_SLACK = 3.0
"""Seconds that the gateway gets beyond the time it may spend on the plugin."""
_REFUSALS = (httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS)


class GatewayUnreachableError(Exception):
    """The gateway does not answer as it should. This says nothing about the plugin."""


class GatewayRefusedError(GatewayUnreachableError):
    """The gateway answers, but not this: what was asked cannot be done (409), or not now (429)."""

    def __init__(self, message: str, *, later: bool) -> None:
        super().__init__(message)
        self.later = later


class Gateway(Protocol):
    """What the lifecycle needs of the gateway. Every call raises `GatewayUnreachableError`."""

    async def probe(self, plugin_id: str, upstream: Upstream, *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """Call the plugin's health endpoint on the path that users take."""

    async def lifecycle(
        self,
        plugin_id: str,
        upstream: Upstream,
        event: LifecycleEvent,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> LifecycleResult:
        """Deliver a lifecycle event."""

    async def fetch_ui(self, plugin_id: str, upstream: Upstream, bundle: str, *, timeout: float) -> UiFetchResult:  # noqa: ASYNC109
        """Fetch and keep the plugin's UI files."""

    async def switch_settings(self, wanted: SettingsSwitch, *, timeout: float) -> SettingsSwitched:  # noqa: ASYNC109
        """Have a plugin's settings belong to another version of it."""

    async def check_settings(self, wanted: SettingsCheck, *, timeout: float) -> SettingsChecked:  # noqa: ASYNC109
        """Which settings of a plugin are missing or do not fit.

        Raises:
            GatewayRefusedError: they cannot be checked by this schema, or not now.
        """


class GatewayClient:
    """The gateway over HTTP, on the control network."""

    def __init__(self, url: str, token: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=30),
            trust_env=False,
            transport=transport,
        )
        self._reachable = True

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def probe(self, plugin_id: str, upstream: Upstream, *, timeout: float) -> ProbeResult:  # noqa: ASYNC109
        """See `Gateway.probe`."""
        request = ProbeRequest(plugin_id=plugin_id, upstream=upstream, timeout=timeout)
        return await self._call("/internal/v1/probe", request, ProbeResult, timeout)

    async def lifecycle(
        self,
        plugin_id: str,
        upstream: Upstream,
        event: LifecycleEvent,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> LifecycleResult:
        """See `Gateway.lifecycle`."""
        request = LifecycleRequest(plugin_id=plugin_id, upstream=upstream, event=event, timeout=timeout)
        return await self._call("/internal/v1/lifecycle", request, LifecycleResult, timeout)

    async def fetch_ui(self, plugin_id: str, upstream: Upstream, bundle: str, *, timeout: float) -> UiFetchResult:  # noqa: ASYNC109
        """See `Gateway.fetch_ui`."""
        request = UiFetchRequest(plugin_id=plugin_id, upstream=upstream, bundle=bundle, timeout=timeout)
        return await self._call("/internal/v1/ui", request, UiFetchResult, timeout)

    async def switch_settings(self, wanted: SettingsSwitch, *, timeout: float) -> SettingsSwitched:  # noqa: ASYNC109
        """See `Gateway.switch_settings`."""
        return await self._call("/internal/v1/settings/switch", wanted, SettingsSwitched, timeout)

    async def check_settings(self, wanted: SettingsCheck, *, timeout: float) -> SettingsChecked:  # noqa: ASYNC109
        """See `Gateway.check_settings`."""
        return await self._call("/internal/v1/settings/check", wanted, SettingsChecked, timeout)

    async def _call(self, path: str, body: WireModel, answer: type[_Answer], limit: float) -> _Answer:
        timeouts = httpx.Timeout(limit + _SLACK, connect=2.0, pool=limit + _SLACK)
        try:
            response = await self._client.post(path, json=body.wire(), timeout=timeouts)
            refused = response.status_code in _REFUSALS
            if not refused:
                response.raise_for_status()
            result = (Problem if refused else answer).model_validate_json(response.content)
        except (httpx.HTTPError, ValidationError) as error:
            why = _words(error)
            if self._reachable:
                self._reachable = False
                log.warning("the gateway does not answer; plugins keep their state until it does", why=why)
            raise GatewayUnreachableError(f"the gateway did not answer {path}: {why}") from error
        if not self._reachable:
            self._reachable = True
            log.info("the gateway answers again")
        if isinstance(result, Problem):
            later = response.status_code == httpx.codes.TOO_MANY_REQUESTS
            raise GatewayRefusedError(result.detail or result.title, later=later)
        return result


def _words(error: httpx.HTTPError | ValidationError) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        unknown = status == httpx.codes.UNAUTHORIZED
        return f"it answered {status}" + ("; do both use the same service token file?" if unknown else "")
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
