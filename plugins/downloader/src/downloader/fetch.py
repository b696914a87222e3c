"""Fetching one file over HTTP: into a part file, going on where it was, checked at the end.

Going on follows RFC 9110: a range with `If-Range`, so that a file which changed meanwhile is fetched from its start
and never put together from two versions.
"""

import asyncio
import errno
import hashlib
import hmac
import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from downloader.names import name_for
from downloader.throttle import Throttle

ATTEMPTS = 6
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
ALGORITHMS = frozenset({"md5", "sha1", "sha256", "sha512"})


class FetchError(Exception):
    """The file cannot be had; the message is for people.

    Attributes:
        passing: another attempt may succeed.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


@dataclass(slots=True)
class Progress:
    """How far a download is.

    Attributes:
        done: bytes that are here.
        total: bytes that there are to be.
        received: bytes that came since the plugin began with it, also those that were fetched again.
    """

    done: int = 0
    total: int | None = None
    received: int = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is here."""

    path: Path
    name: str
    size: int
    sha256: str


class Part:
    """The part file of a download, and which version of the remote file it is of."""

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / f"{key}.part"
        self._facts = folder / f"{key}.json"

    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def validator(self, url: str) -> str | None:
        """What `If-Range` may say: the strong entity tag or date of what is here, when it is of the same address."""
        try:
            facts = json.loads(self._facts.read_text())
        except (OSError, ValueError):
            return None
        found = facts.get("validator") if isinstance(facts, dict) and facts.get("url") == url else None
        return found if isinstance(found, str) else None

    def begin(self, url: str, validator: str | None) -> None:
        """Start from the beginning with a version of the remote file."""
        self.path.write_bytes(b"")
        self._facts.write_text(json.dumps({"url": url, "validator": validator}))

    def discard(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)
        self._facts.unlink(missing_ok=True)


async def fetch(
    http: httpx.AsyncClient,
    url: str,
    part: Part,
    *,
    checksum: str | None,
    throttle: Throttle,
    progress: Progress,
    most_bytes: int,
    pause: Callable[[int], float] | None = None,
) -> Fetched:
    """Fetch a file, with further attempts that go on where the one before broke off.

    Args:
        http: the client.
        url: its address.
        part: where it is collected.
        checksum: `<algorithm>:<hex>`, when it is known.
        throttle: the shared speed limit.
        progress: kept up to date.
        most_bytes: the largest file that is taken.
        pause: seconds before an attempt, by how many there were.

    Raises:
        FetchError: it cannot be had.
    """
    wait = pause or pause_before
    wanted = parse_checksum(checksum)
    attempts, reached = 0, -1
    while True:
        try:
            name = await _attempt(http, url, part, throttle, progress, most_bytes)
            break
        except FetchError as error:
            # An attempt that got further is a first one again: a bad line ends no long download.
            attempts = 1 if progress.done > reached else attempts + 1
            reached = max(reached, progress.done)
            if not error.passing or attempts >= ATTEMPTS:
                raise
            await asyncio.sleep(wait(attempts))
    digests = await asyncio.to_thread(_digests, part.path, {"sha256", wanted[0] if wanted else "sha256"})
    if wanted and not hmac.compare_digest(digests[wanted[0]], wanted[1]):
        part.discard()
        raise FetchError(f"the file is damaged: its {wanted[0]} is {digests[wanted[0]]}, expected was {wanted[1]}")
    return Fetched(part.path, name, part.size(), digests["sha256"])


def pause_before(attempts: int) -> float:
    """1, 2, 4 … up to 60 seconds, with jitter."""
    return min(FIRST_PAUSE * 2.0 ** (attempts - 1), LONGEST_PAUSE) * random.uniform(0.7, 1.3)  # noqa: S311


def parse_checksum(text: str | None) -> tuple[str, str] | None:
    """Algorithm and lower-case hex of `sha256:…`.

    Raises:
        FetchError: it is anything else.
    """
    if not text:
        return None
    algorithm, _, value = text.partition(":")
    algorithm, value = algorithm.strip().lower(), value.strip().lower()
    length = hashlib.new(algorithm, usedforsecurity=False).digest_size * 2 if algorithm in ALGORITHMS else 0
    if not length or len(value) != length or any(char not in "0123456789abcdef" for char in value):
        raise FetchError(f"{text!r} is no checksum; write one such as sha256:…, md5, sha1 and sha512 do too")
    return algorithm, value


async def _attempt(  # noqa: PLR0917 - what `fetch` was given
    http: httpx.AsyncClient, url: str, part: Part, throttle: Throttle, progress: Progress, most: int
) -> str:
    start, validator = part.size(), part.validator(url)
    headers = {"Accept-Encoding": "identity"}  # ranges count the bytes of the file itself
    if start and validator:
        headers |= {"Range": f"bytes={start}-", "If-Range": validator}
    try:
        async with http.stream("GET", url, headers=headers) as answer:
            name = name_for(str(answer.url), answer.headers.get("content-disposition"))
            if _is_whole(answer, start):
                progress.done = progress.total = start
                return name
            start = _begin(answer, url, part, start)
            total = _total(answer, start)
            progress.done, progress.total = start, total
            if total is not None and total > most:
                raise FetchError(f"it has {total} bytes; at most {most} are taken (the setting max_bytes)")
            await _write(answer, part, throttle, progress, most)
    except httpx.InvalidURL as error:
        raise FetchError(f"the address is not valid: {error}") from error
    except httpx.UnsupportedProtocol as error:
        raise FetchError(f"only http and https addresses can be fetched: {error}") from error
    except httpx.TooManyRedirects as error:
        raise FetchError("it redirects in a circle") from error
    except httpx.TransportError as error:
        raise FetchError(f"the connection failed: {error or type(error).__name__}", passing=True) from error
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise FetchError("the disk is full" if full else f"the file cannot be written: {error.strerror}") from error
    if total is not None and progress.done != total:
        raise FetchError(f"the connection ended after {progress.done} of {total} bytes", passing=True)
    return name


def _is_whole(answer: httpx.Response, start: int) -> bool:
    """Whether the server says that what is here is all there is."""
    whole = answer.headers.get("content-range", "") == f"bytes */{start}"
    return answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and whole


def _begin(answer: httpx.Response, url: str, part: Part, start: int) -> int:
    """Where the answer's body belongs in the part file."""
    status = answer.status_code
    if status == httpx.codes.PARTIAL_CONTENT and start:
        if answer.headers.get("content-range", "").partition("-")[0] != f"bytes {start}":
            part.discard()
            raise FetchError("the server sent another part than the one that was asked for", passing=True)
        return start
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.discard()
        raise FetchError("the file is shorter than what is here of it", passing=True)
    if status != httpx.codes.OK:
        raise FetchError(f"the server answered {status} {answer.reason_phrase}".strip(), passing=status in _AGAIN)
    tag = answer.headers.get("etag", "")
    strong = tag if tag.startswith('"') else None
    part.begin(url, strong or answer.headers.get("last-modified"))
    return 0


def _total(answer: httpx.Response, start: int) -> int | None:
    length = answer.headers.get("content-length", "")
    return start + int(length) if length.isdecimal() else None


async def _write(answer: httpx.Response, part: Part, throttle: Throttle, progress: Progress, most: int) -> None:
    with part.path.open("ab") as file:
        try:
            async for chunk in answer.aiter_raw():
                if progress.done + len(chunk) > most:
                    raise FetchError(f"it has more than {most} bytes (the setting max_bytes)")
                await asyncio.to_thread(file.write, chunk)
                progress.done += len(chunk)
                progress.received += len(chunk)
                await throttle.take(len(chunk))
        finally:
            file.flush()
            os.fsync(file.fileno())


def _digests(path: Path, algorithms: set[str]) -> dict[str, str]:
    counting = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    with path.open("rb") as file:
        while block := file.read(1024 * 1024):
            for digest in counting.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in counting.items()}
