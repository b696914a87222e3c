"""What the doctor needs to know of a plugin, collected: a few short calls, each with a deadline."""

import asyncio
from collections.abc import Callable
from typing import Final

from nimbus_sdk.contracts.control import ProbeResult
from nimbus_sdk.contracts.inspection import Diagnosis, DoctorHop
from nimbus_sdk.contracts.snapshot import PluginDetail

from nimbus_registry.database import utcnow
from nimbus_registry.gateway_client import GatewayUnreachableError
from nimbus_registry.lifecycle import doctor, reasons
from nimbus_registry.lifecycle.failing import last_lines
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.runtime.base import CoreReach, Observation, PluginSpec, Prepared, RuntimeFailure
from nimbus_registry.store.record import PluginRecord

_PROBE_SECONDS: Final = 3.0
_REACH_SECONDS: Final = 25.0
_LOOK_SECONDS: Final = 10.0


class Examination:
    """Looks at one plugin. Changes nothing.

    Args:
        tools: the parts of the registry.
        spec_of: what a plugin is to be run by.
    """

    def __init__(self, tools: Tools, spec_of: Callable[[PluginRecord], PluginSpec | None]) -> None:
        self._tools = tools
        self._spec_of = spec_of

    async def diagnose(self, plugin_id: str) -> Diagnosis:
        """The doctor's findings on one plugin.

        Raises:
            PluginNotFoundError: there is none.
        """
        record = self._tools.ledger.get(plugin_id)
        spec = self._spec_of(record)
        unknown: dict[DoctorHop, str] = {}
        run = await self._run(record, unknown)
        image = await self._image(spec, unknown)
        probe: ProbeResult | None = None
        gateway_error: str | None = None
        reach: CoreReach | None = None
        if run is not None and run.phase == "running":
            async with asyncio.TaskGroup() as group:
                probing = group.create_task(self._probe(record, run), name=f"doctor probe {record.id}")
                reaching = group.create_task(self._reach(run, unknown), name=f"doctor reach {record.id}")
            probe, gateway_error = probing.result()
            reach = reaching.result()
        detail = self._tools.ledger.detail(record)
        granted = list(record.snapshot(detail).grants)
        facts = doctor.Facts(
            plugin_id=record.id,
            state=record.state,
            reason=record.reason,
            wanted=record.enabled and self._tools.ledger.switched_on and record.state != "idle",
            port=run.upstream.port if run and run.upstream else spec.port if spec else 0,
            problems=len(record.problems),
            has_manifest=record.manifest is not None,
            image=image,
            run=run,
            current=run is None or spec is None or run.spec_hash == spec.spec_hash,
            probe=probe,
            gateway_error=gateway_error,
            reach=reach,
            token_known=run is not None and record.token_sha256 is not None and run.run_id == record.run_id,
            asked=_asked(detail),
            granted=granted,
            unknown=unknown,
        )
        return doctor.diagnose(facts, at=utcnow(), log_tail=await last_lines(self._tools.runtime, record.id))

    async def _run(self, record: PluginRecord, unknown: dict[DoctorHop, str]) -> Observation | None:
        try:
            await self._tools.observer.look()
        except (RuntimeFailure, TimeoutError) as error:
            unknown["container"] = f"The runtime cannot be asked: {reasons.clean(str(error) or 'it does not answer')}"
            return None
        return self._tools.observer.serving(record.id, record.run_id)

    async def _image(self, spec: PluginSpec | None, unknown: dict[DoctorHop, str]) -> Prepared | None:
        if spec is None:
            return None
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await self._tools.runtime.prepared(spec)
        except RuntimeFailure as failure:
            if failure.hop == "image":
                return Prepared(ready=False, message=failure.message, hint=failure.hint)
            unknown["image"] = failure.message
        except TimeoutError:
            unknown["image"] = "The runtime did not answer in time."
        return None

    async def _probe(self, record: PluginRecord, run: Observation) -> tuple[ProbeResult | None, str | None]:
        if run.upstream is None:
            return None, None
        try:
            return await self._tools.gateway.probe(record.id, run.upstream, timeout=_PROBE_SECONDS), None
        except GatewayUnreachableError as error:
            return None, reasons.clean(str(error))

    async def _reach(self, run: Observation, unknown: dict[DoctorHop, str]) -> CoreReach | None:
        try:
            async with asyncio.timeout(_REACH_SECONDS):
                return await self._tools.runtime.reach_core(run, self._tools.core_url)
        except RuntimeFailure as failure:
            unknown["callback"] = failure.message
        except TimeoutError:
            unknown["callback"] = "The runtime did not answer in time."
        return None


def _asked(detail: PluginDetail) -> list[str]:
    return list(detail.manifest.permissions) if detail.manifest else []
