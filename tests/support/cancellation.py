"""Cancelled transactions: a cancellation that is lost on its way, and a connection that is left behind."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing, suppress
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession


async def goes_on_after(
    transaction: Callable[[], AbstractAsyncContextManager[AsyncSession]], *, error: Exception | None = None
) -> bool:
    """Whether a task that was cancelled inside a transaction, which did not notice, goes on behind it.

    Args:
        transaction: opens one.
        error: what the transaction ends with; None is nothing.
    """
    inside = asyncio.Event()
    went_on = False

    async def job() -> None:
        nonlocal went_on
        with suppress(Exception):
            async with transaction() as session:
                inside.set()
                try:
                    await asyncio.sleep(10)
                except asyncio.CancelledError:
                    await session.exec(select(sa.literal(1)))
                if error is not None:
                    raise error
        went_on = True

    task = asyncio.create_task(job())
    async with asyncio.timeout(5):
        await inside.wait()
        task.cancel()
        await asyncio.wait([task])
    assert went_on or task.cancelled()
    return went_on


class Closable(Protocol):
    """The databases of gateway and registry."""

    def read(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A transaction that only reads."""

    def write(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A transaction that may write."""

    async def close(self) -> None:
        """Close every connection."""


async def threads_left_behind(database: Closable, file: Path) -> list[str]:
    """The threads of connections that go on once a SQLite database is closed.

    One connection is in use then, and one was let go by a task that was cancelled while it waited for the lock that
    somebody else has on the file until the closing has begun.
    """
    before = set(threading.enumerate())
    inside, leave = asyncio.Event(), asyncio.Event()

    async def reader() -> None:
        with suppress(Exception):  # its connection is closed under it
            async with database.read() as session:
                await session.exec(select(sa.literal(1)))
                inside.set()
                await leave.wait()

    async def writer() -> None:
        async with database.write() as session:
            await session.exec(select(sa.literal(1)))
            raise AssertionError("nobody may write here")

    async def close() -> list[str]:
        await database.close()
        left = set(threading.enumerate()) - before
        return [thread.name for thread in left if "connection_worker" in thread.name]

    async with asyncio.timeout(30):
        await asyncio.gather(_used(database), _used(database))
        reading = asyncio.create_task(reader())
        await inside.wait()
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(writer())
            await asyncio.wait([writing], timeout=0.2)
            while not writing.done():  # the driver waits out the first; another makes it let the connection go
                writing.cancel()
                await asyncio.wait([writing], timeout=0.1)
            assert writing.cancelled()
            ending = asyncio.create_task(close())
            await asyncio.wait([ending], timeout=0.2)
            other.execute("ROLLBACK")
        left = await ending
        leave.set()
        await reading
    return left


async def _used(database: Closable) -> None:
    async with database.read() as session:
        await session.exec(select(sa.literal(1)))
