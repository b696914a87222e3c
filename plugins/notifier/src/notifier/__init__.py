"""Turns events of Nimbus into notifications: webhooks, Discord, ntfy, e-mail."""

import uuid
from datetime import UTC, datetime
from typing import Annotated

import httpx
from fastapi import Path, Query
from nimbus_sdk import Config, Core, Event, Kv, Logger, NamedSettings, Plugin
from pydantic import BaseModel, Field

from notifier.outbox import PREFIX, Entry, EntryList, Outbox
from notifier.senders import Notification, NotSent, send
from notifier.targets import Name, NotifierSettings, Target, document_of
from notifier.templates import texts

plugin = Plugin(__name__)
notices = Outbox()


class TargetView(Target):
    """A target as the page shows it."""

    has_secret: bool


class TargetWrite(Target):
    """A target to be stored. A secret that is left out stays; an empty one goes."""

    secret: str | None = Field(default=None, max_length=2000)


class TargetList(BaseModel):
    """Every target."""

    items: list[TargetView]


class Tested(BaseModel):
    """What came of a test notification."""

    ok: bool
    detail: str


def kept(settings: NotifierSettings, config: Config) -> NamedSettings[Target]:
    """The targets with their secrets."""
    return NamedSettings(config, "target", items=("targets", settings.targets), secrets=("secrets", settings.secrets))


@plugin.on("io.nimbus.**")
@plugin.on("plugin.**")
async def tell(event: Event, settings: NotifierSettings, kv: Kv) -> None:
    """Put the event's notifications into the outbox."""
    await notices.add(event, settings.targets, kv)


@plugin.background
async def deliver(kv: Kv, log: Logger) -> None:
    """Send what is in the outbox."""
    await notices.run(kv, lambda: plugin.server.settings(NotifierSettings), log)


@plugin.get("/targets", auth="session", role="admin")
async def targets(settings: NotifierSettings) -> TargetList:
    """Where notifications go; secrets are never shown."""
    return TargetList(
        items=[
            TargetView(**target.model_dump(), has_secret=bool(settings.secrets.get(target.name)))
            for target in settings.targets
        ]
    )


@plugin.put("/targets/{name}", auth="session", role="admin")
async def store_target(name: Name, body: TargetWrite, settings: NotifierSettings, config: Config) -> TargetView:
    """Add a target or replace the one with this name."""
    target = Target.model_validate(body.model_dump(exclude={"secret"}))
    has_secret = await kept(settings, config).put(name, target, body.secret)
    return TargetView(**target.model_dump(), has_secret=has_secret)


@plugin.delete("/targets/{name}", auth="session", role="admin", status_code=204)
async def remove_target(name: Name, settings: NotifierSettings, config: Config) -> None:
    """Remove a target and its secret."""
    await kept(settings, config).remove(name)


@plugin.post("/targets/{name}/test", auth="session", role="admin")
async def try_target(name: Name, settings: NotifierSettings, config: Config) -> Tested:
    """Send a test notification now, and say what the receiver said."""
    target = kept(settings, config).get(name)
    event = Event(
        id=f"test-{uuid.uuid4()}",
        source="/plugins/notifier",
        type="plugin.notifier.test",
        subject=name,
        time=datetime.now(UTC),
        data={"title": "Test", "message": "If you can read this, it works."},
    )
    document = document_of(event)
    title, text = texts(document, "Test from Nimbus", "{data.message}")
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as http:
        try:
            secret = settings.secrets.get(name, "")
            await send(target, secret, Notification(event.id, title, text, document), http)
        except NotSent as error:
            return Tested(ok=False, detail=str(error))
    return Tested(ok=True, detail="The receiver took it.")


@plugin.get("/history", auth="session", role="admin")
async def history(kv: Kv, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> EntryList:
    """What waits, was sent, or was given up, newest first."""
    return await notices.entries(kv, limit)


@plugin.post("/history/{event}/{target}/retry", auth="session", role="admin")
async def retry(event: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], target: Name, core: Core) -> Entry:
    """Send one that was given up again."""
    return await notices.again(f"{PREFIX}{event}/{target}", core.kv)
