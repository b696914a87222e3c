"""The gateway's management calls, answered from what the fake runtime runs."""

# ruff: noqa: ASYNC109 - the protocol hands the time limit on to the gateway

from nimbus_registry.gateway_client import GatewayRefusedError, GatewayUnreachableError
from nimbus_sdk.contracts.control import (
    LifecycleResult,
    ProbeResult,
    SettingsCheck,
    SettingsChecked,
    SettingsSwitch,
    SettingsSwitched,
    UiFetchResult,
)
from nimbus_sdk.contracts.plugin_api import Health, LifecycleEvent
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import UiAssets, Upstream

from tests.registry.fake_runtime import FakeRuntime


class FakeGateway:
    def __init__(self, runtime: FakeRuntime) -> None:
        self.runtime = runtime
        self.down = False
        self.health: dict[str, ProbeResult] = {}
        self.init: dict[str, LifecycleResult] = {}
        self.ui: dict[str, UiFetchResult] = {}
        self.events: list[tuple[str, str]] = []
        self.probes = 0
        self.refused = 0
        self.settings: dict[str, str] = {}
        self.settings_kept: dict[tuple[str, str], str] = {}
        self.settings_owner: dict[str, str] = {}
        self.settings_down = False
        self.settings_refused: GatewayRefusedError | None = None
        self.unfit: dict[str, list[FieldProblem]] = {}
        self.checks = 0

    async def probe(self, plugin_id: str, upstream: Upstream, *, timeout: float) -> ProbeResult:
        self._reach()
        self.probes += 1
        if plugin_id in self.health:
            return self.health[plugin_id]
        runs = [run for run in self.runtime.engine.runs.values() if run.plugin_id == plugin_id]
        run = next((one for one in runs if one.upstream == upstream), None)
        if run is None or run.phase != "running" or not run.linked:
            return ProbeResult(ok=False, hop="connect", detail="connection refused")
        return ProbeResult(ok=True, status=200, health=Health(status="ok"))

    async def lifecycle(
        self, plugin_id: str, upstream: Upstream, event: LifecycleEvent, *, timeout: float
    ) -> LifecycleResult:
        self._reach()
        self.events.append((plugin_id, event.event))
        return self.init.get(plugin_id, LifecycleResult(ok=True, status=204))

    async def fetch_ui(self, plugin_id: str, upstream: Upstream, bundle: str, *, timeout: float) -> UiFetchResult:
        self._reach()
        assets = UiAssets(content_hash="c0ffee", files={bundle: "0" * 64})
        return self.ui.get(plugin_id, UiFetchResult(ok=True, assets=assets))

    async def switch_settings(self, wanted: SettingsSwitch, *, timeout: float) -> SettingsSwitched:
        """As the gateway does it, with one word in the place of a document."""
        self._reach()
        if self.settings_down:
            raise GatewayUnreachableError("it answered 503")
        plugin_id, before = wanted.plugin_id, self.settings.get(wanted.plugin_id, "")
        if self.settings_owner.get(plugin_id) == wanted.enters:
            return SettingsSwitched(changed=False)
        self.settings_owner[plugin_id] = wanted.enters
        self.settings_kept[plugin_id, wanted.leaves] = before
        if wanted.bring_back:
            self.settings[plugin_id] = self.settings_kept.get((plugin_id, wanted.enters), before)
        return SettingsSwitched(changed=self.settings.get(plugin_id, "") != before)

    async def check_settings(self, wanted: SettingsCheck, *, timeout: float) -> SettingsChecked:
        self._reach()
        if self.settings_down:
            raise GatewayUnreachableError("it answered 503")
        self.checks += 1
        if self.settings_refused is not None:
            raise self.settings_refused
        return SettingsChecked(problems=self.unfit.get(wanted.plugin_id, []))

    def _reach(self) -> None:
        if self.down:
            self.refused += 1
            raise GatewayUnreachableError("down")
