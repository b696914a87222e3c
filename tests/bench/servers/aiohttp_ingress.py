"""A competitor: an ingress on aiohttp's server and client, in the manner of home automation hubs.

Run with the bench's own Python: ``python aiohttp_ingress.py PORT UPSTREAM_PORT KEY PREFIX``.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import web

_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host", "x-api-key"}
_SMALL = 4 * 1024 * 1024


class Ingress:
    """Checks the key by its hash and passes the request on."""

    def __init__(self, upstream: int, key: str, prefix: str) -> None:
        self._base = f"http://127.0.0.1:{upstream}"
        self._known = {hashlib.sha256(key.encode()).hexdigest(): "bench"}
        self._prefix = prefix
        self._session: aiohttp.ClientSession | None = None

    async def lifetime(self, _app: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            self._session = session
            yield

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        key = request.headers.get("X-Api-Key", "")
        caller = self._known.get(hashlib.sha256(key.encode()).hexdigest())
        if caller is None:
            return web.Response(status=401)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        headers["X-Forwarded-For"] = request.remote or ""
        headers["X-User"] = caller
        async with self._session.request(
            request.method,
            self._base + request.raw_path.removeprefix(self._prefix),
            headers=headers,
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            if answer.content_length is not None and answer.content_length < _SMALL:
                kept.pop("Content-Length", None)
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response


async def serve(port: int, ingress: Ingress) -> None:
    app = web.Application(client_max_size=1 << 40)
    app.cleanup_ctx.append(ingress.lifetime)
    app.router.add_route("*", "/{path:.*}", ingress.handle)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=3600)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(int(sys.argv[1]), Ingress(int(sys.argv[2]), sys.argv[3], sys.argv[4])))
