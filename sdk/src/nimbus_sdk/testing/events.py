"""Events that a plugin publishes, kept in memory."""

import httpx
from pydantic import ValidationError

from nimbus_sdk.contracts.events import EventBatch, EventPublish, EventReceipt, event_matches
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.testing.refusals import Refused, invalid


class FakeEvents:
    """What the plugin published.

    Attributes:
        published: every event, in order; one that was sent again is there once.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.published: list[EventPublish] = []
        self._manifest = manifest

    def of(self, event_type: str) -> list[EventPublish]:
        """The published events of one type."""
        return [event for event in self.published if event.type == event_type]

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer `POST /events`."""
        try:
            batch = EventBatch.model_validate_json(request.content)
        except ValidationError as error:
            raise invalid(error) from error
        problems = [
            FieldProblem(path=f"/events/{at}/type", message="not this plugin's to publish", value=event.type).wire()
            for at, event in enumerate(batch.events)
            if not self._may(event.type)
        ]
        if problems:
            raise Refused(422, "validation", "A plugin publishes events of its own namespace.", errors=problems)
        known = {event.id for event in self.published}
        for event in batch.events:
            made = event if event.id else event.model_copy(update={"id": f"event-{len(self.published) + 1}"})
            if made.id not in known:
                self.published.append(made)
        return httpx.Response(202, json=EventReceipt(ids=[event.id or "" for event in batch.events]).wire())

    def _may(self, event_type: str) -> bool:
        declared = self._manifest.events.publish
        return event_type.startswith(f"plugin.{self._manifest.id}.") and (
            not declared or any(event_matches(pattern, event_type) for pattern in declared)
        )
