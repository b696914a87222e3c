"""A gateway whose short way is open to a plugin, and requests that may take it."""

import asyncio
import json
from contextlib import asynccontextmanager

from tests.support.connections import tcp_server
from tests.support.gateway import (
    Answer,
    manifest,
    read_head,
    running_gateway,
    snapshot_plugin,
)

ROUTES = [
    {"path": "/open", "methods": ["GET", "DELETE", "OPTIONS"], "auth": "none"},
    {"path": "/files/{rest:path}", "methods": ["GET"], "auth": "none"},
    {"path": "/keyed", "methods": ["GET"], "auth": "apikey", "scopes": ["demo:read"]},
    {"path": "/mine", "methods": ["GET", "DELETE"], "auth": "session"},
    {"path": "/slow", "methods": ["GET"], "auth": "none", "timeout": "200ms"},
]


@asynccontextmanager
async def warm_gateway(tmp_path, handler, **options):
    """A gateway with a plugin; the host is known and a connection to the plugin is idle."""
    async with (
        tcp_server(handler) as address,
        running_gateway(
            tmp_path, snapshot_plugin(manifest(ROUTES), address, trusted=options.pop("trusted", True)), **options
        ) as gateway,
    ):
        assert (await gateway.get("/api/plugins/demo/open")).status == 200
        yield gateway


def request(path="/open", *headers, method="GET", close=True):
    lines = [f"{method} /api/plugins/demo{path} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join([*lines, *(["Connection: close"] if close else []), "", ""]).encode("latin-1")


async def ask(gateway, data):
    """One answer on a connection of its own, which is kept open until it has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        writer.write(data)
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
            answer = Answer.parse(head)
            bodyless = data.startswith(b"HEAD ") or answer.status in {204, 304}
            body = b"" if bodyless else await reader.readexactly(int(answer.get("content-length")))
        return Answer.parse(head + body)
    finally:
        writer.close()


def scripted(*answers):
    """A plugin that gives one answer after another on each connection; bytes are sent, others are called."""

    async def handler(reader, writer):
        for answer in answers:
            if await read_head(reader) is None:
                return
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(reader, writer)

    return handler


async def read_answer_head(reader):
    raw = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    lines = raw.decode("latin-1").split("\r\n")[1:-2]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


_PER_REQUEST = {"x-request-id", "traceparent", "x-nimbus-identity"}


def comparable(answer):
    """What must not differ between the ways: status, headers, and what the plugin was told."""
    headers = sorted((name, value) for name, value in answer.headers if name not in {"x-request-id", "date"})
    if answer.status != 200 or not answer.body:
        body = json.loads(answer.body) if answer.body else None
        return answer.status, headers, None if body is None else {**body, "instance": ""}
    document = answer.json()
    document["headers"] = [pair for pair in document["headers"] if pair[0] not in _PER_REQUEST]
    names = {name for name, _ in answer.json()["headers"]}
    return answer.status, headers, document, names
