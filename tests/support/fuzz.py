"""What schemathesis sends where it has no way of its own."""

import schemathesis


def send_no_archives() -> None:
    """Have calls that take an archive sent something else; archives have tests of their own."""

    @schemathesis.serializer("application/x-tar")
    def no_archive(_: schemathesis.SerializationContext, value: object) -> bytes:
        return repr(value).encode("utf-8", "replace")
