"""Plugins that run only while somebody uses them: when one is awake, and when it may fall asleep. Pure."""

from typing import Final

from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.snapshot import SERVING_STATES
from nimbus_sdk.contracts.units import parse_duration

from nimbus_registry.lifecycle.states import PREPARING
from nimbus_registry.store.record import PluginRecord

NEWS_SECONDS: Final = 15.0
"""A gateway that has said nothing for so long may be serving requests that nobody here knows of."""


TELLING_SECONDS: Final = 5.0
"""Between two times that a gateway worker tells."""


def on_demand(manifest: Manifest | None) -> bool:
    """Whether a plugin sleeps until it is asked for."""
    return manifest is not None and manifest.activation == "on-demand"


def awake(record: PluginRecord, now: float, told_at: float) -> bool:
    """Whether a wanted plugin is to run now.

    Args:
        record: the plugin.
        now: monotonic.
        told_at: when a gateway last told what is in use, monotonic.
    """
    manifest = record.manifest
    if manifest is None or not on_demand(manifest):
        return True
    if record.restart or record.next is not None or record.state in PREPARING:
        return True
    idle = parse_duration(manifest.idle_after)
    if record.state not in SERVING_STATES:
        return now - record.used_at < idle
    # What is in use is told from time to time only, by each worker at its own time.
    return told_at - record.used_at < idle + TELLING_SECONDS or now - told_at > NEWS_SECONDS
