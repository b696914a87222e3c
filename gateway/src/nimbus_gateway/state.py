"""What the applications of one worker share. Made by `main.create_app`, filled during its start-up.

Order of the start-up (`main.lifespan`): signing keys, upstream pool, the last good snapshot from disk, then
`nimbus_gateway.accounts.open_accounts(state)` (database, migrations, authenticator, followers), then the watch on
the registry. Shutdown is the reverse.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nimbus_gateway.access_log import AccessLog
from nimbus_gateway.compat.ports import CompatPorts
from nimbus_gateway.core.call_rate import CallRate
from nimbus_gateway.core.events.quota import EventQuota
from nimbus_gateway.core.media.quota import MediaQuota
from nimbus_gateway.jobs import AskedJob
from nimbus_gateway.metrics import RequestMetrics
from nimbus_gateway.proxy.gates import PluginGates
from nimbus_gateway.proxy.held import Held
from nimbus_gateway.proxy.loop_pace import LoopPace
from nimbus_gateway.proxy.streams import OpenStreams
from nimbus_gateway.proxy.waking import Waker
from nimbus_gateway.settings import Settings
from nimbus_gateway.snapshots import SnapshotStore
from nimbus_gateway.traffic.recorder import TrafficRecorder

if TYPE_CHECKING:
    from nimbus_gateway.accounts import Accounts
    from nimbus_gateway.auth.identity import IdentitySigner
    from nimbus_gateway.auth.principal import Authenticator
    from nimbus_gateway.core.events.tail import EventTail
    from nimbus_gateway.database import Database
    from nimbus_gateway.plugins.ui_assets import AssetStore
    from nimbus_gateway.proxy.inline import InlineProxy
    from nimbus_gateway.proxy.upstream import UpstreamPool
    from nimbus_gateway.registry_client import RegistryClient


@dataclass
class GatewayState:
    """Shared parts of one worker.

    Attributes:
        settings: what the operator set.
        snapshots: the snapshot served by this worker.
        stopping: set when the process begins to stop; streams (SSE) end themselves then.
        event_quota: how many events of each plugin are kept.
        media_quota: how many items of the library each plugin has made.
        plugin_calls: how often each plugin calls the core.
        event_tail: new events for people who watch; set by `open_accounts`.
        streams: what is under way with plugins.
        gates: how many requests each plugin takes at a time, and its circuit breaker.
        loop_pace: how the event loop goes on between the steps of exchanges.
        metrics: counts requests.
        compat_ports: which plugin appears at which compatibility port; read by `open_accounts`.
        traffic: keeps what was counted, for people to look at.
        access_log: a line a request.
        inline: the short way to plugins, for the server's protocol.
        registry: control calls and the watch.
        signer: mints `X-Nimbus-Identity` and holds the public keys of `/core/v1/keys`.
        upstreams: connections to plugins.
        held: requests that wait while a plugin's versions are exchanged.
        backups: backups and restores under way, each with a file on disk.
        system_backup: the backup or restore of everything that is under way.
        waker: starts plugins that run on demand, and tells which are in use.
        assets: UI files of plugins.
        authenticator: finds out who calls; set by `open_accounts`.
        database: set by `open_accounts`.
        accounts: services behind sign-in and core data; set by `open_accounts`.
    """

    settings: Settings
    snapshots: SnapshotStore = field(default_factory=SnapshotStore)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    streams: OpenStreams = field(default_factory=OpenStreams)
    gates: PluginGates = field(default_factory=PluginGates)
    metrics: RequestMetrics = field(default_factory=RequestMetrics)
    compat_ports: CompatPorts = field(default_factory=CompatPorts)
    traffic: TrafficRecorder = field(default_factory=TrafficRecorder)
    backups: set[object] = field(default_factory=set)
    system_backup: AskedJob = field(default_factory=AskedJob)
    access_log: AccessLog = field(init=False)
    loop_pace: LoopPace = field(init=False)
    inline: "InlineProxy" = field(init=False)
    held: Held = field(init=False)
    waker: Waker = field(init=False)
    registry: "RegistryClient" = field(init=False)
    signer: "IdentitySigner" = field(init=False)
    upstreams: "UpstreamPool" = field(init=False)
    assets: "AssetStore" = field(init=False)
    authenticator: "Authenticator" = field(init=False)
    database: "Database" = field(init=False)
    accounts: "Accounts" = field(init=False)
    event_tail: "EventTail" = field(init=False)
    plugin_calls: CallRate = field(init=False)
    event_quota: EventQuota = field(init=False)
    media_quota: MediaQuota = field(init=False)

    def __post_init__(self) -> None:
        """Make what follows from the settings and other parts."""
        self.held = Held(self.snapshots)
        self.waker = Waker(self)
        self.plugin_calls = CallRate(self.settings.plugin_calls)
        self.media_quota = MediaQuota(self.settings.plugin_media)
        self.event_quota = EventQuota(self.settings.plugin_events, self.settings.plugin_event_bytes)
        self.access_log = AccessLog(self.settings)
        self.loop_pace = LoopPace(self.settings.busy_poll_seconds, self.settings.coalesce / 1e6, self.stopping)
        self.metrics.watch(self._gauges)
        self.metrics.listen(self.traffic.add)

    def _gauges(self) -> list[tuple[str, int, str]]:
        moment = time.monotonic()
        return [(plugin_id, gate.active, gate.breaker.state(moment)) for plugin_id, gate in self.gates]
