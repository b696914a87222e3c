"""An upstream as a plugin's author would write it: FastAPI on uvicorn, models checked on the way out.

Run as ``python -m tests.bench.servers.realistic PORT``.
"""

import sys
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Item(BaseModel):
    """A media item as list calls answer it."""

    id: str
    kind: str
    title: str
    year: int | None
    created_at: datetime


class Page(BaseModel):
    """One page of items."""

    items: list[Item]
    next: str | None


app = FastAPI()
_SINCE = datetime(2026, 1, 1, tzinfo=UTC)


@app.get("/items")
async def items(kind: str = "movie", limit: int = 10) -> Page:
    found = [
        Item(
            id=f"{kind}-{number:06}", kind=kind, title=f"Title number {number}", year=1980 + number, created_at=_SINCE
        )
        for number in range(limit)
    ]
    return Page(items=found, next=None)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
