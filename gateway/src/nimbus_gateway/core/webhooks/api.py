"""Webhooks for administrators."""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.events import CloudEvent, NewEventPattern
from nimbus_sdk.contracts.problem import FieldProblem
from pydantic import Field, HttpUrl, StringConstraints, TypeAdapter
from pydantic import ValidationError as ModelError

from nimbus_gateway.core.events.outbox import CORE_SOURCE
from nimbus_gateway.core.events.tables import WebhookRow
from nimbus_gateway.core.webhooks.sending import send
from nimbus_gateway.core.webhooks.service import Webhooks, webhook_subscriber
from nimbus_gateway.database import new_id, now
from nimbus_gateway.errors import ValidationError
from nimbus_gateway.http.dependencies import AdminDep, AuditDep, ReadSessionDep, SessionDep, StateDep
from nimbus_gateway.http.problems import responses
from nimbus_gateway.http.requests import StrictRoute

router = APIRouter(
    prefix="/api/admin/webhooks",
    route_class=StrictRoute,
    tags=["event administration"],
    responses=responses(401, 403),
)

Name = Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[\x21-\x7e]+$", max_length=2000)]
_URL: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


class WebhookCreate(WireModel):
    """Body of the call that adds a webhook."""

    name: Name
    url: Url = Field(description="Where events are posted; private and loopback addresses only when allowed.")
    patterns: list[NewEventPattern] = Field(
        min_length=1, max_length=100, description="Which types of events; at most 16 segments each."
    )


class WebhookUpdate(WireModel):
    """Body of the call that changes a webhook: what is left out stays."""

    name: Name | None = None
    url: Url | None = None
    patterns: list[NewEventPattern] | None = Field(default=None, min_length=1, max_length=100)
    enabled: bool | None = None


class Webhook(WireModel):
    """A webhook, without its secret. How its deliveries stand is at `/api/admin/events/subscriptions`."""

    id: str
    subscriber: str
    name: str
    url: str
    patterns: list[str]
    enabled: bool
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, row: WebhookRow) -> "Webhook":
        """The view of a row."""
        return cls.model_validate({**row.model_dump(), "id": str(row.id), "subscriber": webhook_subscriber(row.id)})


class NewWebhook(Webhook):
    """A webhook with its secret: the only answer that shows it."""

    secret: str = Field(description="For a Standard Webhooks library at the receiving side.")


class WebhookList(WireModel):
    """All webhooks, oldest first."""

    items: list[Webhook]


class WebhookTest(WireModel):
    """What came of a test message."""

    outcome: Literal["done", "failed", "gone"]
    detail: str


def masked(url: str) -> str:
    """An address without what follows its host: with many services that is the secret. Pure."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def _checked(url: str) -> str:
    try:
        _URL.validate_python(url)
    except ModelError as error:
        message = "an address with a host, such as https://example.org/hook"
        raise ValidationError(errors=[FieldProblem(path="/url", message=message, value=url[:80])]) from error
    return url


@router.get("")
async def webhooks_list(_: AdminDep, state: StateDep, session: ReadSessionDep) -> WebhookList:
    """All webhooks."""
    rows = await Webhooks(session, state.accounts.box).all()
    return WebhookList(items=[Webhook.of(row) for row in rows])


@router.post("", status_code=201, responses=responses(409))
async def webhooks_create(
    body: WebhookCreate, admin: AdminDep, state: StateDep, session: SessionDep, audit: AuditDep
) -> NewWebhook:
    """Post events to an address, signed by Standard Webhooks. The answer is the only one that shows the secret."""
    row, secret = await Webhooks(session, state.accounts.box).create(
        name=body.name, url=_checked(body.url), patterns=body.patterns, by=f"user:{admin.id}"
    )
    audit.write(session, "webhook.create", admin, webhook_subscriber(row.id), url=masked(row.url))
    return NewWebhook(**Webhook.of(row).model_dump(), secret=secret)


@router.patch("/{webhook_id}", responses=responses(404))
async def webhooks_update(
    *,
    webhook_id: str,
    body: WebhookUpdate,
    admin: AdminDep,
    state: StateDep,
    session: SessionDep,
    audit: AuditDep,
) -> Webhook:
    """Change a webhook, or switch it on and off; while it is off nothing is kept for it."""
    webhooks = Webhooks(session, state.accounts.box)
    row = await webhooks.get(webhook_id)
    if body.url is not None:
        _checked(body.url)
    for name, value in body.model_dump(exclude_none=True).items():
        setattr(row, name, value)
    await webhooks.save(row)
    changed = body.model_dump(exclude_none=True)
    if body.url is not None:
        changed["url"] = masked(body.url)
    audit.write(session, "webhook.update", admin, webhook_subscriber(row.id), **changed)
    return Webhook.of(row)


@router.post("/{webhook_id}/secret", responses=responses(404))
async def webhooks_rotate(
    webhook_id: str, admin: AdminDep, state: StateDep, session: SessionDep, audit: AuditDep
) -> NewWebhook:
    """Give a webhook a new secret; the old one signs nothing any more."""
    webhooks = Webhooks(session, state.accounts.box)
    row = await webhooks.get(webhook_id)
    secret = await webhooks.rotate(row)
    audit.write(session, "webhook.secret", admin, webhook_subscriber(row.id))
    return NewWebhook(**Webhook.of(row).model_dump(), secret=secret)


@router.post("/{webhook_id}/test", responses=responses(404))
async def webhooks_test(webhook_id: str, _: AdminDep, state: StateDep) -> WebhookTest:
    """Post a test message now, once, and say what came of it."""
    async with state.database.read() as session:
        webhooks = Webhooks(session, state.accounts.box)
        row = await webhooks.get(webhook_id)
        url, secret = row.url, webhooks.secret(row)
    event = CloudEvent(
        id=str(new_id()), source=CORE_SOURCE, type="io.nimbus.webhook.test.v1", subject=webhook_id, time=now()
    )
    private = state.settings.webhook_private_addresses
    outcome = await send(url, secret, event, attempt=1, private=private)
    return WebhookTest(outcome=outcome.kind, detail=outcome.detail)


@router.delete("/{webhook_id}", status_code=204, responses=responses(404))
async def webhooks_delete(
    webhook_id: str, admin: AdminDep, state: StateDep, session: SessionDep, audit: AuditDep
) -> None:
    """Delete a webhook with all that it was to get."""
    webhooks = Webhooks(session, state.accounts.box)
    row = await webhooks.get(webhook_id)
    await webhooks.delete(row)
    audit.write(session, "webhook.delete", admin, webhook_subscriber(row.id), url=masked(row.url))
