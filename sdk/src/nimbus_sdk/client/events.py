"""Publishing events."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nimbus_sdk.contracts.events import EventBatch, EventPublish, EventReceipt

if TYPE_CHECKING:
    from nimbus_sdk.client.transport import Transport


class Events:
    """Publishes events of the plugin's own: types that begin with `plugin.<id>.`. Needs `events:publish`.

    To handle events write a function under `@plugin.on`.
    """

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    async def publish(
        self,
        event_type: str,
        data: Any = None,  # noqa: ANN401 - any JSON
        *,
        subject: str | None = None,
        event_id: str | None = None,
    ) -> str:
        """Publish one event and return its id. It is kept for good when this returns.

        Args:
            event_type: `plugin.<id>.<what>`, listed in the manifest's `events.publish`.
            data: any JSON value.
            subject: what it is about.
            event_id: an id of your own; a second event with the same one is not published again.

        Raises:
            ValidationFailed: the type is not this plugin's to publish.
            PermissionMissing: the plugin lacks `events:publish`.
        """
        [made] = await self.publish_all(
            [EventPublish.model_construct(type=event_type, subject=subject, data=data, id=event_id)]
        )
        return made

    async def publish_all(self, events: Sequence[EventPublish]) -> list[str]:
        """Publish up to 500 events, all or none, and return their ids. See `publish`.

        Each event has an id of its own before it is sent, so the call is repeated safely when the core is away.
        """
        named = [event.model_copy(update={"id": event.id or uuid.uuid4().hex}) for event in events]
        body = EventBatch.model_construct(events=named).wire()
        answer = await self._transport.json("POST", "/events", json=body, repeatable=True)
        return EventReceipt.model_validate(answer).ids
