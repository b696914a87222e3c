"""Asking a plugin that runs for its health, again and again, and showing what it says."""

import random
import time

from nimbus_sdk.contracts.snapshot import SERVING_STATES, Reason

from nimbus_registry.gateway_client import GatewayUnreachableError
from nimbus_registry.lifecycle import configuration, data_cap, health, reasons
from nimbus_registry.lifecycle.tools import Tools
from nimbus_registry.store.record import PluginRecord


class Prober:
    """The probes of one plugin.

    Attributes:
        due_at: monotonic time of the next one.
        misses: how many failed in a row.
    """

    def __init__(self, tools: Tools, record: PluginRecord, *, cause: str) -> None:
        self._tools = tools
        self._record = record
        self._cause = cause
        self.due_at = 0.0
        self.misses = 0

    def begin(self) -> None:
        """A run is ready: nothing of an earlier one counts, and the next probe comes in a while."""
        self.misses = 0
        self._wait()

    async def probe(self) -> Reason | None:
        """Ask once, and show the answer as the plugin's state. Returns why it is to be started again, if it is."""
        record, tools = self._record, self._tools
        self._wait()
        if record.upstream is None:
            return None
        try:
            result = await tools.gateway.probe(record.id, record.upstream, timeout=health.TIMEOUT_SECONDS)
        except GatewayUnreachableError:
            return None
        if result.ok and record.manifest is not None and (record.unfit is None or record.unfit):
            await configuration.look(tools, record, record.manifest)
        if record.restart or not record.enabled or record.state not in SERVING_STATES:
            return None
        verdict = health.judge(result, self.misses)
        self.misses = verdict.misses
        if verdict.state == "failed":
            return verdict.reason
        used, most = record.data_used, tools.policy.max_data
        if verdict.state == "ready" and used is not None and data_cap.nearly(used, most):
            tools.ledger.move(record, "degraded", self._cause, reasons.data_nearly_full(used, most))
        elif result.ok and (lacks := configuration.needed(record)) is not None:
            tools.ledger.move(record, "degraded", self._cause, lacks)
        else:
            tools.ledger.move(record, verdict.state, self._cause, verdict.reason or reasons.about_source(record))
        return None

    def _wait(self) -> None:
        # Spread, so that plugins that started together are not probed together for ever.
        self.due_at = time.monotonic() + health.INTERVAL_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311
