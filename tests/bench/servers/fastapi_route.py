"""A competitor: the design that comes to mind first, a FastAPI route that streams through httpx.

Run as ``python -m tests.bench.servers.fastapi_route PORT UPSTREAM_PORT KEY PREFIX``.
"""

import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "host", "x-api-key"}


def build(upstream: int, key: str, prefix: str) -> FastAPI:
    known = {hashlib.sha256(key.encode()).hexdigest(): "bench"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=512)
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{upstream}", limits=limits, timeout=30, trust_env=False)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan)

    async def caller(x_api_key: Annotated[str, Header()] = "") -> str:
        found = known.get(hashlib.sha256(x_api_key.encode()).hexdigest())
        if found is None:
            raise HTTPException(401)
        return found

    @app.api_route(prefix + "/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def forward(path: str, request: Request, user: Annotated[str, Depends(caller)]) -> StreamingResponse:
        headers = [(name, value) for name, value in request.headers.items() if name not in _HOP]
        headers += [("X-Forwarded-For", request.client.host if request.client else ""), ("X-User", user)]
        content = request.stream() if request.method != "GET" else None
        outgoing = client.build_request(request.method, f"/{path}", headers=headers, content=content)
        answer = await client.send(outgoing, stream=True)
        kept = {name: value for name, value in answer.headers.items() if name not in _HOP}
        return StreamingResponse(
            answer.aiter_raw(), status_code=answer.status_code, headers=kept, background=BackgroundTask(answer.aclose)
        )

    return app


if __name__ == "__main__":
    application = build(int(sys.argv[2]), sys.argv[3], sys.argv[4])
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
