"""The media library for people and their API keys."""

from typing import Annotated

from fastapi import Depends

from nimbus_gateway.auth.principal import Principal
from nimbus_gateway.core.media.api import media_router
from nimbus_gateway.http.dependencies import caller_with


def _actor(principal: Principal) -> str:
    return f"{principal.kind}:{principal.id}"


async def _reader(principal: Annotated[Principal, Depends(caller_with("media:read"))]) -> str:
    return _actor(principal)


async def _writer(principal: Annotated[Principal, Depends(caller_with("media:write"))]) -> str:
    return _actor(principal)


router = media_router("/api/media", reader=_reader, writer=_writer)
