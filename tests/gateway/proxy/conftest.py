"""Runs on the event loop of production; counts requests on the long way."""

import pytest
from nimbus_gateway.proxy.http import HttpProxy


@pytest.fixture
def anyio_backend():
    return ("asyncio", {"use_uvloop": True})


class LongWay:
    """Counts the requests that took the long way."""

    def __init__(self, monkeypatch):
        self.taken = 0
        original = HttpProxy.__call__

        async def counted(proxy, scope, receive, send):
            self.taken += 1
            await original(proxy, scope, receive, send)

        monkeypatch.setattr(HttpProxy, "__call__", counted)


@pytest.fixture
def long_way(monkeypatch):
    return LongWay(monkeypatch)
