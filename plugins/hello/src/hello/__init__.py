"""The smallest Nimbus plugin worth reading: two routes, one setting, one look into the media library."""

from nimbus_sdk import Logger, Media, Plugin, Settings, User
from pydantic import BaseModel, Field

plugin = Plugin(__name__)


class HelloSettings(Settings):
    """What the operator can change; the same is in the manifest, where the dashboard finds it."""

    greeting: str = Field("Hello", description="How the plugin greets people.", min_length=1, max_length=80)


class Greeting(BaseModel):
    """Answer of `/hello`."""

    message: str


class Status(BaseModel):
    """Answer of `/status`."""

    message: str
    user: str
    role: str
    media: int
    latest: list[str]


@plugin.get("/hello", auth="none")
async def hello(settings: HelloSettings) -> Greeting:
    """Greet anyone, signed in or not."""
    return Greeting(message=f"{settings.greeting}, world!")


@plugin.get("/status", auth="session")
async def status(user: User, settings: HelloSettings, media: Media, log: Logger) -> Status:
    """Greet the user who is signed in and say what is new in the media library."""
    titles = [item.title async for item in media.iterate()]
    log.info("status asked for", user=user.id, media=len(titles))
    name = user.name or user.id
    return Status(
        message=f"{settings.greeting}, {name}!", user=name, role=user.role, media=len(titles), latest=titles[:3]
    )
