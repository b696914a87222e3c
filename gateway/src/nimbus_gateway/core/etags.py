"""Entity tags and the preconditions on them (RFC 9110, sections 8.8.3 and 13.1)."""

from nimbus_gateway.errors import PreconditionFailedError


def version_etag(version: int) -> str:
    """The strong tag of a row's version, quotes included."""
    return f'"{version}"'


def matches(header: str, etag: str) -> bool:
    """Whether an If-Match header accepts a tag. Pure. Tags without quotes are taken as meant with them."""
    if header.strip() == "*":
        return True
    accepted = {tag.strip() for tag in header.split(",")}
    return etag in accepted or etag.strip('"') in accepted


def require_match(header: str | None, etag: str | None) -> None:
    """Refuse a change of something else than what the caller has seen.

    Args:
        header: If-Match, when the request has one.
        etag: of what is there now; None when nothing is.

    Raises:
        PreconditionFailedError: the tags differ.
    """
    if header is not None and (etag is None or not matches(header, etag)):
        now = f"It is {etag} now." if etag else "It does not exist."
        raise PreconditionFailedError(f"It was changed since you read it. {now}")


def require_none_match(header: str | None, etag: str | None) -> None:
    """Refuse to replace what is there already.

    Args:
        header: If-None-Match, when the request has one; `*` means anything.
        etag: of what is there now; None when nothing is.

    Raises:
        PreconditionFailedError: it is there.
    """
    if header is not None and etag is not None and matches(header, etag):
        raise PreconditionFailedError(f"It exists already. It is {etag} now.")
