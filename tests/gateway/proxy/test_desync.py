"""Two users under load, with everything that could put an answer into the wrong hands."""

import asyncio
import random

import pytest

from tests.support.connections import tcp_server
from tests.support.gateway import eventually, manifest, read_body, read_head, running_gateway, snapshot_plugin

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROUTES = [{"path": "/{rest:path}", "methods": ["GET", "POST"], "auth": "session"}]
CONNECTIONS = 12
EXCHANGES = 60


async def moody(reader, writer):
    """Says who asked for what; cuts connections, dawdles, frames in every way."""
    mood = random.Random(0)
    while (head := await read_head(reader)) is not None:
        await read_body(reader, head)
        said = f"{head.get('x-nimbus-user-id')} {head.target}".encode()
        choice = mood.random()
        if choice < 0.05:
            writer.transport.abort()
            return
        if choice < 0.1:
            await asyncio.sleep(0.01)
        if choice < 0.4:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            half = len(said) // 2
            for piece in (said[:half], said[half:]):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")
        elif choice < 0.45:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b and bytes of nobody" % (len(said), said))
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
        await writer.drain()


async def read_answer(reader):
    """Status and body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    if b"transfer-encoding: chunked" in head:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return status, body
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return status, await reader.readexactly(length)


class User:
    """A client that knows what it asked for, and notes every answer that is not its own."""

    def __init__(self, port, cookie, user_id, seed):
        self.port = port
        self.cookie = cookie
        self.user_id = user_id
        self.random = random.Random(seed)
        self.number = 0
        self.answered = 0
        self.wrong = []

    def request(self):
        self.number += 1
        path = f"/{self.user_id}/{self.number}"
        head = f"/api/plugins/demo{path} HTTP/1.1\r\nHost: localhost\r\nCookie: nimbus_session={self.cookie}\r\n"
        origin = f"Origin: http://localhost:{self.port}\r\nSec-Fetch-Site: same-origin\r\n"
        match self.random.randrange(4):
            case 0:
                return path, f"POST {head}{origin}Content-Length: 5\r\n\r\nhello".encode()
            case 1:
                chunked = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
                return path, f"POST {head}{origin}{chunked}".encode()
            case _:
                return path, f"GET {head}\r\n".encode()

    async def run(self):
        reader = writer = None
        for _ in range(EXCHANGES):
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            asked = [self.request() for _ in range(self.random.choice([1, 1, 1, 2, 3]))]
            try:
                writer.write(b"".join(data for _, data in asked))
                if self.random.random() < 0.1:
                    writer.transport.abort()  # leaves before the answer
                    writer = None
                    continue
                async with asyncio.timeout(10):
                    for path, _ in asked:
                        status, body = await read_answer(reader)
                        self.answered += 1
                        if status == 200 and body.decode() != f"{self.user_id} {path}":
                            self.wrong.append((path, body))
            except (OSError, asyncio.IncompleteReadError):
                writer = None
        if writer is not None:
            writer.close()


async def test_no_answer_reaches_the_wrong_client(tmp_path):
    async with (
        tcp_server(moody) as address,
        running_gateway(tmp_path, snapshot_plugin(manifest(ROUTES), address)) as gateway,
    ):
        users = [
            User(gateway.port, *("alice", "0198-alice") if number % 2 else ("admin", "0198-admin"), seed=number)
            for number in range(CONNECTIONS)
        ]
        async with asyncio.TaskGroup() as group:
            for user in users:
                group.create_task(user.run())
        assert [user.wrong for user in users if user.wrong] == []
        assert sum(user.answered for user in users) > CONNECTIONS * EXCHANGES * 0.6
        await eventually(lambda: gateway.state.gates.of("demo").active == 0)
