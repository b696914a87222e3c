"""An upstream that reads a request body slowly and says at the end how much it was.

Run as ``python -m tests.bench.servers.slow_upload PORT MEBIBYTES_A_SECOND``.
"""

import asyncio
import re
import sys

_STEP = 0.01


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: float) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = int((re.search(r"^content-length: *(\d+)", head, re.IGNORECASE | re.MULTILINE) or [0, 0])[1])
    step = max(1, int(rate * 1024 * 1024 * _STEP))
    taken = 0
    while taken < length:
        chunk = await reader.read(min(step, length - taken))
        if not chunk:
            break
        taken += len(chunk)
        await asyncio.sleep(_STEP)
    body = str(taken).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n")
    writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def serve(port: int, rate: float) -> None:
    server = await asyncio.start_server(
        lambda reader, writer: answer(reader, writer, rate), "127.0.0.1", port, limit=64 * 1024
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
