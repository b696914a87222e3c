"""How often sign-in may be tried: counted in the database, so that all workers count together.

An attempt is counted before the password is looked at, so that many at once cannot slip through, and taken off
again when it succeeds.
"""

import hashlib
import math
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from nimbus_gateway.auth.tables import LoginAttempt
from nimbus_gateway.database import Database, lock, new_id, now
from nimbus_gateway.errors import RateLimitedError

WINDOW = timedelta(minutes=15)
PER_ACCOUNT = 10
PER_ADDRESS = 40


@dataclass(frozen=True, slots=True)
class Attempt:
    """A counted attempt, to be taken off when it succeeds."""

    id: uuid.UUID
    account: str | None


def account_subject(username_key: str) -> str:
    """What attempts on an account count under; a hash, for people type passwords into the name field."""
    return "account:" + hashlib.sha256(username_key.encode("utf-8", "replace")).hexdigest()


def address_subject(address: str) -> str:
    """What attempts from an address count under: IPv6 by /64, which is what one customer gets."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return f"address:{address[:64]}"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return f"address:{parsed.ipv4_mapped}"
        return f"address:{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return f"address:{parsed}"


def wait_seconds(recent: list[datetime], limit: int, present: datetime) -> int | None:
    """Seconds until another attempt is allowed, or None when it is now. Pure.

    Args:
        recent: times of the attempts within the window.
        limit: how many are allowed within it.
        present: the time now.
    """
    if len(recent) < limit:
        return None
    frees_up = sorted(recent)[len(recent) - limit] + WINDOW
    return max(1, math.ceil((frees_up - present).total_seconds()))


async def count_attempt(database: Database, *, address: str, username_key: str | None) -> Attempt:
    """Count an attempt, in a transaction of its own; by address only, when it is on nobody's account.

    Raises:
        RateLimitedError: too many for the account or the address; this one is then not counted.
        DatabaseUnavailableError: the database does not answer.
    """
    account = account_subject(username_key) if username_key is not None else None
    limits = {address_subject(address): PER_ADDRESS}
    if account is not None:
        limits[account] = PER_ACCOUNT
    attempt = Attempt(new_id(), account)
    async with database.write() as session:
        present = now()
        waits = [await _wait(session, subject, limits[subject], present) for subject in sorted(limits)]
        wait = max((seconds for seconds in waits if seconds is not None), default=None)
        if wait is not None:
            raise RateLimitedError(f"Too many failed attempts. Try again in {_in_words(wait)}.", retry_after=wait)
        session.add_all(LoginAttempt(subject=subject, attempt=attempt.id, at=present) for subject in limits)
    return attempt


async def _wait(session: AsyncSession, subject: str, limit: int, present: datetime) -> int | None:
    await lock(session, subject)
    recent = select(LoginAttempt.at).where(
        col(LoginAttempt.subject) == subject, col(LoginAttempt.at) > present - WINDOW
    )
    return wait_seconds(list((await session.exec(recent)).all()), limit, present)


async def attempt_succeeded(session: AsyncSession, attempt: Attempt) -> None:
    """Take off a successful attempt, and the account's failures before it."""
    done = sa.or_(col(LoginAttempt.attempt) == attempt.id, col(LoginAttempt.subject) == attempt.account)
    await session.exec(sa.delete(LoginAttempt).where(done))


async def forget_attempts(session: AsyncSession, username_key: str) -> None:
    """Take off every failure of an account, so that it may try again at once."""
    await session.exec(sa.delete(LoginAttempt).where(col(LoginAttempt.subject) == account_subject(username_key)))


async def cut_attempts(session: AsyncSession) -> None:
    """Delete attempts that no longer count."""
    await session.exec(sa.delete(LoginAttempt).where(col(LoginAttempt.at) < now() - WINDOW))


def _in_words(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{seconds} seconds" if seconds < 60 else f"{minutes} minute{'s' if minutes > 1 else ''}"  # noqa: PLR2004
