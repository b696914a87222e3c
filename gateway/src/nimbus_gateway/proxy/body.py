"""How a request's body is framed towards a plugin, and how large it may be."""

from dataclasses import dataclass

from nimbus_gateway.errors import PayloadTooLargeError
from nimbus_gateway.proxy.headers import Header, find_header


@dataclass(frozen=True, slots=True)
class RequestBody:
    """How a request's body is framed towards the plugin.

    Attributes:
        expected: there is one.
        chunked: its length is not known.
        limit: bytes that it may have.
        framing: the headers that say so.
    """

    expected: bool
    chunked: bool
    limit: int
    framing: list[Header]

    @classmethod
    def of(cls, headers: list[Header], limit: int) -> "RequestBody":
        """Read a request's own framing, which the guard has checked.

        Raises:
            PayloadTooLargeError: it announces more than `limit` bytes.
        """
        length = find_header(headers, b"content-length")
        if length is not None:
            size = int(length)
            if size > limit:
                raise too_large(limit)
            return cls(
                expected=size > 0, chunked=False, limit=limit, framing=[(b"content-length", str(size).encode())]
            )
        if find_header(headers, b"transfer-encoding") is not None:
            return cls(expected=True, chunked=True, limit=limit, framing=[(b"transfer-encoding", b"chunked")])
        return cls(expected=False, chunked=False, limit=limit, framing=[])

    def frame(self, data: bytes, *, more: bool) -> bytes:
        """Bytes for the wire."""
        if not self.chunked:
            return data
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return chunk if more else chunk + b"0\r\n\r\n"


def too_large(limit: int) -> PayloadTooLargeError:
    """The error that names the limit."""
    return PayloadTooLargeError(
        f"the body is larger than the {limit} bytes that this route takes", extra={"limit": limit}
    )
