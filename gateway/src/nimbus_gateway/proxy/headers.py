"""Headers on their way to a plugin and back: pure functions of the plugin contract's section "Headers"."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from nimbus_gateway.auth.principal import (
    API_KEY_PREFIX,
    SECURE_SESSION_COOKIE,
    SESSION_COOKIE,
    Credentials,
    Principal,
)

Header = tuple[bytes, bytes]

LENGTHLESS = frozenset({204, 304})
"""Statuses of answers that have no body, and no length to announce (RFC 9110, 8.6)."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of one connection (RFC 9110, 7.6.1) with the older names that are still about."""

_OF_THE_WHOLE_ORIGIN = frozenset(
    {b"alt-svc", b"clear-site-data", b"nel", b"public-key-pins", b"report-to", b"strict-transport-security"}
)
"""What a browser applies to every page of the origin, the dashboard's too: not a plugin's to say."""


(
    _PASS,
    _DROP,
    _CONNECTION,
    _COOKIE,
    _AUTHORIZATION,
    _API_KEY,
    _TRACEPARENT,
    _SET_COOKIE,
    _LOCATION,
    _CONTENT_TYPE,
    _NOSNIFF,
    _SERVER,
) = range(1, 13)
"""What becomes of a header. Plain numbers: they are compared for each header of each request."""


class _Rules:
    """The rule of each header's name. Names that come up for the first time are decided once and remembered."""

    _MAX_LEARNT = 2048

    def __init__(self, known: Mapping[bytes, int], dropped: tuple[bytes, ...]) -> None:
        self._known = dict(known)
        self._dropped = dropped
        self.by_name: dict[bytes, int] = dict(known)

    def learn(self, name: bytes) -> int:
        """The rule of a name that is not in `by_name` yet: what reads as Nimbus's own is dropped."""
        own = name.startswith(b"x") and name.translate(_ALIASES).startswith(self._dropped)
        rule = _DROP if own else _PASS
        if len(self.by_name) >= self._MAX_LEARNT:
            self.by_name = dict(self._known)
        self.by_name[name] = rule
        return rule


_ALIASES = bytes.maketrans(b"_.", b"--")
"""Servers that make variables of headers read these characters as one."""

_REQUEST_RULES = _Rules(
    {
        **dict.fromkeys(HOP_BY_HOP, _DROP),
        **dict.fromkeys(
            (b"content-length", b"expect", b"forwarded", b"http2-settings", b"proxy", b"x-real-ip", b"x-request-id"),
            _DROP,
        ),
        b"connection": _CONNECTION,
        b"traceparent": _TRACEPARENT,
        b"cookie": _COOKIE,
        b"authorization": _AUTHORIZATION,
        b"x-api-key": _API_KEY,
    },
    (b"x-nimbus-", b"x-forwarded-"),
)

_ANSWER_RULES = _Rules(
    {
        **dict.fromkeys(HOP_BY_HOP | _OF_THE_WHOLE_ORIGIN, _DROP),
        **dict.fromkeys((b"date", b"service-worker-allowed", b"x-request-id"), _DROP),
        b"connection": _CONNECTION,
        b"set-cookie": _SET_COOKIE,
        b"location": _LOCATION,
        b"content-location": _LOCATION,
        b"content-type": _CONTENT_TYPE,
        b"x-content-type-options": _NOSNIFF,
        b"server": _SERVER,
    },
    (b"x-nimbus-",),
)

_NIMBUS_COOKIES = frozenset({SESSION_COOKIE, SECURE_SESSION_COOKIE})
_TRACEPARENT_FORM = re.compile(rb"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_KEY_PREFIX = API_KEY_PREFIX.encode()
_ORDINARY_CONNECTION = frozenset({b"keep-alive", b"close"})
"""Values of Connection that name no header."""
_NOT_OF_A_CONNECTION = frozenset({b"set-cookie", b"location", b"content-location"})
"""What a plugin's Connection header does not take out of its own answer."""
SERVER = (b"server", b"nimbus")
"""For answers that do not say what made them."""

SANDBOX = b"sandbox allow-scripts allow-forms allow-popups allow-downloads"
_PLAIN_TYPES = re.compile(
    rb"(?:application/(?:json|javascript|octet-stream|wasm|zip|gzip|x-ndjson|[a-z0-9.+-]+\+json)|text/(?:plain|css|"
    rb"javascript|csv|event-stream|vtt)|(?:image|audio|video|font)/(?!svg|[^;]*\+xml)[a-z0-9.+-]+)\s*(?:;[^,]*)?",
    re.IGNORECASE,
)
"""Types that no browser renders as a document with scripts: not what ends in ``+xml`` (MIME Sniffing, 4.6), and not
what holds a comma, behind which another type would count (Fetch, "extract a MIME type")."""


@dataclass(frozen=True, slots=True)
class _SessionCookie:
    value: str
    secure: bool


def _split_cookies(header: bytes) -> tuple[_SessionCookie | None, list[bytes]]:
    """Nimbus's session cookie and the others. The __Host- form cannot be planted by a sibling host, so it wins."""
    session: _SessionCookie | None = None
    others: list[bytes] = []
    for piece in header.split(b";"):
        label, _, content = piece.strip().partition(b"=")
        name = label.decode("latin-1").strip()
        if name not in _NIMBUS_COOKIES:
            if piece.strip():
                others.append(piece.strip())
        elif session is None or name == SECURE_SESSION_COOKIE:
            session = _SessionCookie(content.strip().strip(b'"').decode("latin-1"), name == SECURE_SESSION_COOKIE)
    return session, others


@dataclass(slots=True)
class SortedRequest:
    """A request's headers, sorted into what passes, what Nimbus consumes and what it reads.

    Attributes:
        passing: what the plugin gets as the client wrote it, cookies and foreign credentials last.
        credentials: Nimbus's own: taken out of what is forwarded, valid or not.
        traceparent: a well-formed W3C traceparent of the client.
    """

    passing: list[Header]
    credentials: Credentials
    traceparent: bytes | None


NO_CREDENTIALS = Credentials()


def _pick(headers: Sequence[Header], rules: _Rules) -> tuple[list[Header], list[tuple[int, Header]]]:
    """The headers that pass as they are, and those with a rule of their own; what is dropped is in neither."""
    by_name = rules.by_name
    passing: list[Header] = []
    special: list[tuple[int, Header]] = []
    for header in headers:
        rule = by_name.get(header[0]) or rules.learn(header[0])
        if rule == _PASS:
            passing.append(header)
        elif rule != _DROP:
            special.append((rule, header))
    return passing, special


def sort_request(headers: Sequence[Header]) -> SortedRequest:
    """Sort a request's headers (names in lower case) in one pass.

    Nimbus's session cookie never passes. A bearer token or X-Api-Key that starts like a Nimbus key is Nimbus's; any
    other passes on to the plugin.
    """
    passing, special = _pick(headers, _REQUEST_RULES)
    if not special:
        return SortedRequest(passing, NO_CREDENTIALS, None)
    session: _SessionCookie | None = None
    key: str | None = None
    cookies: list[bytes] = []
    theirs: dict[bytes, bytes] = {}
    traceparent: bytes | None = None
    for rule, (name, value) in special:
        if rule in (_API_KEY, _AUTHORIZATION):
            own = nimbus_key(value, bearer=rule == _AUTHORIZATION)
            if own is None:
                theirs[name] = value
            else:
                key = key or own
        elif rule == _COOKIE:
            found, others = _split_cookies(value)
            cookies += others
            session = found if found is not None and (session is None or found.secure) else session
        elif rule == _TRACEPARENT:
            traceparent = value if traceparent is None and _TRACEPARENT_FORM.fullmatch(value) else traceparent
        elif value.lower() not in _ORDINARY_CONNECTION:
            # A Connection header cannot take out what the contract promises: only what the client sent.
            named = connection_named(headers)
            passing = [header for header in passing if header[0] == b"host" or header[0] not in named]
    if cookies:
        passing.append((b"cookie", b"; ".join(cookies)))
    passing += theirs.items()
    if session is None and key is None:
        return SortedRequest(passing, NO_CREDENTIALS, traceparent)
    return SortedRequest(passing, Credentials(session.value if session is not None else None, key), traceparent)


def nimbus_key(value: bytes, *, bearer: bool) -> str | None:
    """The API key in a header's value; None when the header is not Nimbus's."""
    token = value.strip()
    if bearer:
        scheme, _, token = value.partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer":
            return None
    return token.decode("latin-1") if token.startswith(_KEY_PREFIX) else None


def connection_named(headers: Iterable[Header]) -> frozenset[bytes]:
    """Names (lower case) that the Connection headers list."""
    named = [value for name, value in headers if name == b"connection"]
    if not named:
        return frozenset()
    return frozenset(token.strip().lower() for value in named for token in value.split(b",") if token.strip())


def is_event_stream(headers: Iterable[Header]) -> bool:
    """Whether an answer goes on for as long as both sides like."""
    return any(name == b"content-type" and value.lower().startswith(b"text/event-stream") for name, value in headers)


def header_lines(headers: Iterable[Header]) -> bytes:
    """Headers as they stand on the wire."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def find_header(headers: Sequence[Header], wanted: bytes) -> str | None:
    """The first value of a header."""
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return None


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What the gateway tells a plugin about where its requests come from; the same for many requests."""

    plugin_id: str
    prefix: str
    client: str
    host: str
    scheme: str

    def headers(self) -> list[Header]:
        """Its headers."""
        headers = [
            (b"x-forwarded-for", self.client.encode("latin-1")),
            (b"x-forwarded-host", self.host.encode("latin-1")),
            (b"x-forwarded-proto", self.scheme.encode()),
            (b"x-nimbus-plugin", self.plugin_id.encode()),
        ]
        if self.prefix:
            headers.append((b"x-forwarded-prefix", self.prefix.encode()))
        return headers


def identity_headers(principal: Principal, token: str) -> list[Header]:
    """What a plugin is told about a caller; `token` is the signed form of it."""
    return [*principal_headers(principal), (b"x-nimbus-identity", token.encode())]


def principal_headers(principal: Principal) -> list[Header]:
    """The plain headers about a caller; names and scopes are percent-encoded where they are not plain ASCII."""
    result = [
        (b"x-nimbus-role", principal.role.encode()),
        (b"x-nimbus-scopes", " ".join(sorted(principal.scopes)).encode("latin-1", "replace")),
        (b"x-nimbus-user-name", quote(principal.name, safe=" !#$&'()*+,/:;=?@[]~").encode()),
    ]
    if principal.kind == "plugin":
        result.append((b"x-nimbus-caller-plugin", principal.id.encode()))
    else:
        result.append((b"x-nimbus-user-id", principal.subject.encode("latin-1", "replace")))
    return result


def response_headers(
    headers: Sequence[Header], *, prefix: str, origins: Callable[[], Sequence[str]], trusted: bool
) -> list[Header]:
    """Headers for the client (names in lower case), with Content-Length as the plugin sent it.

    Args:
        headers: the plugin's.
        prefix: where the plugin appears; its redirects and cookies are kept under it. Empty at the root of a
            compatibility port, where it sets no cookies.
        origins: origins (``scheme://host``) that mean the plugin itself in an absolute redirect; asked for one only.
        trusted: whether the operator trusts the plugin's documents on the dashboard's origin.
    """
    result, special = _pick(headers, _ANSWER_RULES)
    types: list[bytes] = []
    server: Header | None = None
    for rule, header in special:
        name, value = header
        if rule == _CONTENT_TYPE:
            types.append(value)
        elif rule == _SERVER:
            server = server or header
        elif rule == _SET_COOKIE:
            # At the root of a port there is no path to keep it under: a browser would send it to the dashboard, too.
            cookie = rewrite_cookie(value, prefix) if prefix else None
            if cookie is not None:
                result.append((name, cookie))
        elif rule == _LOCATION:
            result.append((name, rewrite_location(value, prefix, origins())))
        elif rule == _CONNECTION and value.lower() not in _ORDINARY_CONNECTION:
            named = connection_named(headers) - _NOT_OF_A_CONNECTION
            result = [header for header in result if header[0] not in named]
    result += [(b"content-type", value) for value in types]
    result.append(server or SERVER)
    if trusted:
        result += [header for rule, header in special if rule == _NOSNIFF]
    else:
        result.append((b"x-content-type-options", b"nosniff"))
        if len(types) != 1 or not _PLAIN_TYPES.fullmatch(types[0].strip()):
            # A second policy can only narrow what the plugin's own allows (CSP3, 8.1).
            result.append((b"content-security-policy", SANDBOX))
    return result


def rewrite_cookie(value: bytes, prefix: str) -> bytes | None:
    """A plugin's Set-Cookie with its Path under the prefix; None when it must not pass.

    It must not pass when it names a cookie of Nimbus or sets a domain.
    """
    pair, *attributes = (part.strip() for part in value.split(b";"))
    name = pair.partition(b"=")[0].strip()
    if not name or name.decode("latin-1") in _NIMBUS_COOKIES:
        return None
    kept = [pair]
    path = b""
    for attribute in attributes:
        label, _, content = attribute.partition(b"=")
        label = label.strip().lower()
        if label == b"domain":
            if content.strip():
                return None
        elif label == b"path":
            path = content.strip()
        elif attribute:
            kept.append(attribute)
    base = prefix.encode()
    if path != base and not path.startswith(base + b"/"):
        path = base + path.rstrip(b"/") if path.startswith(b"/") else base
    return b"; ".join([*kept, b"Path=" + path])


def rewrite_location(value: bytes, prefix: str, origins: Sequence[str]) -> bytes:
    """A plugin's redirect, kept under the prefix when it points into the plugin."""
    target = value.strip()
    base = prefix.encode()
    lowered = target.lower()
    for origin in origins:
        start = origin.lower().encode("latin-1")
        for absolute in (start, start.partition(b":")[2]):
            if lowered.startswith(absolute) and lowered[len(absolute) : len(absolute) + 1] in (b"", b"/", b"?", b"#"):
                target = target[len(absolute) :]
                target = target if target.startswith(b"/") else b"/" + target
                return target if _under(target, base) else base + target
    if target.startswith(b"/") and not target.startswith((b"//", b"/\\")):
        return target if _under(target, base) else base + target
    return value


def _under(path: bytes, base: bytes) -> bool:
    return path.startswith(base) and path[len(base) : len(base) + 1] in (b"", b"/", b"?", b"#")
