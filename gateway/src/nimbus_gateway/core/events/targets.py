"""How subscribers are reached: plugins at `POST /_nimbus/events`, webhooks at their address."""

from nimbus_sdk.contracts.events import CLOUD_EVENT_MEDIA_TYPE, HEADER_DELIVERY_ATTEMPT
from nimbus_sdk.contracts.plugin_api import EVENTS_PATH
from nimbus_sdk.contracts.snapshot import SERVING_STATES

from nimbus_gateway.core.events.audience import is_schedule, may_see, plugin_of, withheld
from nimbus_gateway.core.events.dispatcher import Deliver, Outcome
from nimbus_gateway.core.events.outcomes import outcome_of
from nimbus_gateway.core.events.queue import Pending
from nimbus_gateway.core.webhooks.service import webhook_target
from nimbus_gateway.proxy.failures import UpstreamError
from nimbus_gateway.state import GatewayState

DELIVERY_SECONDS = 60.0
JOB_SECONDS = 3600.0
"""A scheduled job answers when it is done."""
MAX_ANSWER = 64 * 1024
_ATTEMPT = HEADER_DELIVERY_ATTEMPT.lower().encode()


async def find_target(state: GatewayState, subscriber: str) -> Deliver | None:
    """How a subscriber is reached; None while it cannot be, and its events wait."""
    plugin_id = plugin_of(subscriber)
    if plugin_id is None:
        return await webhook_target(state, subscriber)
    plugin = state.snapshots.current.plugins.get(plugin_id)
    if plugin is None or plugin.upstream is None or plugin.detail.state not in SERVING_STATES:
        return None
    address = (plugin.upstream.host, plugin.upstream.port)
    timeout = JOB_SECONDS if is_schedule(subscriber) else DELIVERY_SECONDS
    kept_back = withheld(plugin.grants)

    async def deliver(pending: Pending) -> Outcome:
        event = pending.event
        if not pending.addressed and not may_see(plugin_id, kept_back, event.type, event.subject):
            return Outcome("done")  # it was queued before the permission was taken back
        headers = [
            (b"x-nimbus-identity", state.signer.platform_token(plugin_id).encode()),
            (b"content-type", CLOUD_EVENT_MEDIA_TYPE.encode()),
            (_ATTEMPT, str(pending.attempts + 1).encode()),
        ]
        body = event.model_dump_json(by_alias=True, exclude_none=True).encode()
        try:
            answer = await state.upstreams.fetch(
                address,
                "POST",
                EVENTS_PATH,
                headers,
                body=body,
                timeout=timeout,
                limit=MAX_ANSWER,
                # A job that may have begun is not begun again for a connection's sake; an event has an id for that.
                repeatable=not is_schedule(subscriber),
            )
        except UpstreamError as error:
            return Outcome("failed", str(error))
        return outcome_of(answer.status, answer.body, f"POST {EVENTS_PATH}")

    return deliver
