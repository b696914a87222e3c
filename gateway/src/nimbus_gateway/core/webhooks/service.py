"""Webhooks within one transaction: each is a subscriber to events."""

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.core.config.sealing import SecretBox
from nimbus_gateway.core.events.dispatcher import Deliver, Outcome
from nimbus_gateway.core.events.queue import Pending
from nimbus_gateway.core.events.subscribers import drop_subscribers
from nimbus_gateway.core.events.tables import SubscriberRow, WebhookRow
from nimbus_gateway.core.webhooks.sending import send
from nimbus_gateway.core.webhooks.signing import new_secret
from nimbus_gateway.database import parse_id
from nimbus_gateway.errors import ConflictError, NotFoundError
from nimbus_gateway.state import GatewayState

MOST_WEBHOOKS = 100
_WEBHOOK = "webhook:"


def webhook_subscriber(webhook_id: uuid.UUID) -> str:
    """The name of a webhook as a subscriber."""
    return f"{_WEBHOOK}{webhook_id}"


class Webhooks:
    """Webhooks within one transaction."""

    def __init__(self, session: AsyncSession, box: SecretBox) -> None:
        self._session = session
        self._box = box

    async def all(self) -> Sequence[WebhookRow]:
        """Every webhook, oldest first."""
        return (await self._session.exec(select(WebhookRow).order_by(col(WebhookRow.id)))).all()

    async def get(self, webhook_id: str) -> WebhookRow:
        """One webhook.

        Raises:
            NotFoundError: there is none with this id.
        """
        key = parse_id(webhook_id)
        found = await self._session.get(WebhookRow, key) if key else None
        if found is None:
            raise NotFoundError("There is no such webhook.")
        return found

    def secret(self, row: WebhookRow) -> str:
        """What its messages are signed with."""
        return str(self._box.open(row.secret, webhook_subscriber(row.id)))

    async def create(self, *, name: str, url: str, patterns: list[str], by: str) -> tuple[WebhookRow, str]:
        """Add a webhook; also its secret, which is shown this once.

        Raises:
            ConflictError: there are too many.
        """
        if (await self._session.exec(select(sa.func.count(col(WebhookRow.id))))).one() >= MOST_WEBHOOKS:
            raise ConflictError(f"There are {MOST_WEBHOOKS} webhooks already. Delete some first.")
        row = WebhookRow(name=name, url=url, secret="", patterns=patterns, created_by=by)
        secret = self._new_secret(row)
        self._session.add(row)
        self._session.add(SubscriberRow(name=webhook_subscriber(row.id), patterns=patterns))
        await self._session.flush()
        return row, secret

    def _new_secret(self, row: WebhookRow) -> str:
        secret = new_secret()
        row.secret = self._box.seal(secret, webhook_subscriber(row.id))
        return secret

    async def rotate(self, row: WebhookRow) -> str:
        """Give a webhook a new secret, which is shown this once."""
        secret = self._new_secret(row)
        self._session.add(row)
        await self._session.flush()
        return secret

    async def save(self, row: WebhookRow) -> None:
        """Keep changes of a webhook. One that was unsubscribed by 410 gets events again when it is enabled."""
        self._session.add(row)
        await self._session.exec(
            sa.update(SubscriberRow)
            .where(col(SubscriberRow.name) == webhook_subscriber(row.id))
            .values(patterns=row.patterns, active=row.enabled, blocked_until=None)
        )
        await self._session.flush()

    async def delete(self, row: WebhookRow) -> None:
        """Forget a webhook with all that it was to get."""
        await drop_subscribers(self._session, [webhook_subscriber(row.id)])
        await self._session.delete(row)
        await self._session.flush()


async def webhook_target(state: GatewayState, subscriber: str) -> Deliver | None:
    """How a webhook is reached; None for one that is switched off or gone."""
    async with state.database.read() as session:
        key = parse_id(subscriber.removeprefix(_WEBHOOK))
        row = await session.get(WebhookRow, key) if key else None
        if row is None or not row.enabled:
            return None
        url, secret = row.url, Webhooks(session, state.accounts.box).secret(row)
    private = state.settings.webhook_private_addresses

    async def deliver(pending: Pending) -> Outcome:
        return await send(url, secret, pending.event, attempt=pending.attempts + 1, private=private)

    return deliver
