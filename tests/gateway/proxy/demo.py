"""A plugin with a route of each kind, and plugins whose bytes a test writes itself."""

from tests.support.connections import tcp_server
from tests.support.gateway import (
    manifest,
    read_head,
    running_gateway,
    snapshot_plugin,
)

ROUTES = [
    {"path": "/hello", "methods": ["GET"], "auth": "none"},
    {"path": "/", "methods": ["GET"], "auth": "none"},
    {"path": "/upload", "methods": ["POST"], "auth": "none", "maxBody": "1m"},
    {"path": "/me", "methods": ["GET", "POST"], "auth": "session"},
    {"path": "/keyed", "methods": ["GET", "POST"], "auth": "apikey", "scopes": ["demo:read"]},
    {"path": "/scoped", "methods": ["GET"], "auth": "apikey", "scopes": ["demo:write"]},
    {"path": "/admin", "methods": ["*"], "auth": "session", "role": "admin"},
    {"path": "/slow", "methods": ["GET"], "auth": "none", "timeout": "200ms"},
    {"path": "/files/{rest:path}", "methods": ["GET"], "auth": "none"},
]


def demo(address, **options):
    return snapshot_plugin(manifest(ROUTES), address, **options)


async def run_raw(tmp_path, handler, request, *, limit=5.0):
    """What a client gets when the plugin is `handler`; also the plugin's gateway, closed by then."""
    async with tcp_server(handler) as address, running_gateway(tmp_path, demo(address)) as gateway:
        return await gateway.raw(request, limit=limit)


def once(answer):
    """A plugin that answers each request with the same bytes."""

    async def handler(reader, writer):
        while await read_head(reader) is not None:
            writer.write(answer)
            await writer.drain()

    return handler


GET = b"GET /api/plugins/demo/hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
