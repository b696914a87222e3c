"""What every plugin's task works with."""

from dataclasses import dataclass

from nimbus_registry.gateway_client import Gateway
from nimbus_registry.lifecycle.observer import Observer
from nimbus_registry.runtime.base import Runtime
from nimbus_registry.runtime.spec import OperatorPolicy
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.workers import Workers


@dataclass(frozen=True, slots=True)
class Tools:
    """The parts that carry out a plan."""

    ledger: Ledger
    runtime: Runtime
    gateway: Gateway
    workers: Workers
    observer: Observer
    policy: OperatorPolicy
    core_url: str
    upgrade_timeout: float = 20.0
