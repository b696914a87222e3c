"""Heads of plugins' answers: how they frame the body that follows, and heads that were read before.

Plugins repeat themselves: within a second, all answers of a route often have the same head, byte for byte. What such
a head means is worked out once.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import httptools

from nimbus_gateway.proxy.failures import UpstreamProtocolError

Header = tuple[bytes, bytes]

MAX_HEADERS = 200
NO_BODY = frozenset({204, 304})
FIRST_FINAL = 200
LAST_FINAL = 599

MAX_REMEMBERED_HEAD = 2 * 1024
"""Bytes of a head that is worth remembering."""
_MOST_HEADERS = 32
"""Headers of such a head."""
_REMEMBERED = 1024
_END = b"\r\n\r\n"


@dataclass(slots=True, eq=False)
class AnswerHead:
    """What the bytes of a head mean, as far as they alone decide it.

    Attributes:
        status: 200 to 599.
        headers: names in lower case.
        length: bytes of the body that follows, unless the answer has none by its status or method.
        keep_alive: the plugin keeps the connection open.
        told: the head as it was last told to a client, and for whom; see `inline_exchange`.
    """

    status: int
    headers: list[Header]
    length: int | None
    keep_alive: bool
    told: tuple[object, object, bytes] | None = field(default=None, repr=False)


class _Reader:
    """Callbacks of httptools."""

    def __init__(self) -> None:
        self.headers: list[Header] = []
        self.status = 0
        self.keep_alive = False
        self._parser = httptools.HttpResponseParser(self)

    def read(self, head: bytes) -> None:
        try:
            self._parser.feed_data(head)
        finally:
            del self._parser  # it holds on to this object

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.keep_alive = self._parser.should_keep_alive()


def split_head(data: bytes) -> int:
    """Where the head ends with which `data` begins; 0 when it is not whole, or too large to be remembered."""
    end = data.find(_END, 0, MAX_REMEMBERED_HEAD)
    return end + len(_END) if end > 0 else 0


@lru_cache(_REMEMBERED)
def read_head(head: bytes) -> AnswerHead | None:
    """What a whole head means; None leaves it to a connection's own parser.

    That is so for everything that is not plain: interim answers, bodies without a length, and mistakes.
    """
    reader = _Reader()
    try:
        reader.read(head)
        length, _ = framing(reader.headers)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade, UpstreamProtocolError):
        return None
    plain = FIRST_FINAL <= reader.status <= LAST_FINAL and len(reader.headers) <= _MOST_HEADERS
    if not plain or (length is None and reader.status not in NO_BODY):
        return None
    return AnswerHead(reader.status, reader.headers, length, reader.keep_alive)


def framing(headers: list[Header]) -> tuple[int | None, bool]:
    """The announced length of a body, and whether it is chunked.

    Raises:
        UpstreamProtocolError: it can be read in two ways, or in none.
    """
    lengths: list[bytes] = []
    encodings: list[bytes] = []
    for name, value in headers:
        if name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            encodings.append(value)
    if encodings and (lengths or [value.strip().lower() for value in encodings] != [b"chunked"]):
        raise UpstreamProtocolError("Transfer-Encoding beside Content-Length, or not understood")
    if not lengths:
        return None, bool(encodings)
    if len(lengths) > 1 or not lengths[0].strip().isdigit():
        raise UpstreamProtocolError("Content-Length is ambiguous")
    return int(lengths[0]), False
