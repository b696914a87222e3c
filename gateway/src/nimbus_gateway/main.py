"""Makes the gateway's application out of its settings."""

from nimbus_gateway import garbage
from nimbus_gateway.accounts import open_accounts
from nimbus_gateway.application import Gateway, Parts
from nimbus_gateway.core.api import build_core_api
from nimbus_gateway.observability import configure_logging
from nimbus_gateway.public_api import build_public_api
from nimbus_gateway.settings import Settings


def create_app(settings: Settings) -> Gateway:
    """The ASGI application of all listeners; requests are told apart by their local port."""
    return Gateway(settings, Parts(accounts=open_accounts, public_api=build_public_api, core_api=build_core_api))


def create_app_from_environment() -> Gateway:
    """What uvicorn imports in each worker: the supervisor passes the settings on through the environment."""
    garbage.pause()
    settings = Settings()
    configure_logging(settings)
    return create_app(settings)
