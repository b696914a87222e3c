"""Serves the built dashboard: its files, the frame for plugin pages, and the page itself for every other address."""

import hashlib
import html
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Receive, Scope, Send

from nimbus_gateway.errors import MethodNotAllowedError, NotFoundError
from nimbus_gateway.guard.request import request_info
from nimbus_gateway.plugins.ui_assets import CONTENT_TYPES, content_type
from nimbus_gateway.proxy.headers import Header, find_header

NONCE_PLACEHOLDER = b"__NIMBUS_CSP_NONCE__"
"""What the built page holds in the place of the nonce of its inline scripts."""

FRAME_PATH = "plugin-frame"
"""Where the document lives in which pages of plugins run that are not trusted."""

_SECURITY_HEADERS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
)


def content_security_policy(nonce: str) -> bytes:
    """The page's policy: own files, the scripts that carry the nonce, nothing else."""
    return (
        "default-src 'none'; "
        f"script-src 'self' 'nonce-{nonce}'; "
        f"style-src 'self' 'nonce-{nonce}'; "
        "img-src 'self' data: blob:; font-src 'self'; media-src 'self' blob:; connect-src 'self'; "
        "manifest-src 'self'; frame-src 'self'; worker-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ).encode()


def frame_policy(nonce: str) -> bytes:
    """The policy of the frame for plugin pages, which holds wherever its address is opened.

    The sandbox gives it an opaque origin: no cookie of the dashboard goes with what it loads. It may load scripts,
    styles and pictures and call nothing; calls go over the bridge, where the dashboard decides about them.
    """
    return (
        "default-src 'none'; "
        f"script-src 'self' 'nonce-{nonce}'; "
        f"style-src 'self' 'nonce-{nonce}'; "
        "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; connect-src 'none'; "
        "frame-src 'none'; worker-src 'none'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; "
        "object-src 'none'; sandbox allow-scripts allow-forms"
    ).encode()


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file of the built dashboard."""

    content: bytes
    type: bytes
    etag: bytes
    immutable: bool


def load_files(folder: Path) -> dict[str, WebFile]:
    """Every file below `folder`, by its path with a leading slash. Files under ``/assets/`` carry their hash."""
    files: dict[str, WebFile] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() and not path.is_symlink():
            name = "/" + path.relative_to(folder).as_posix()
            content = path.read_bytes()
            files[name] = WebFile(
                content=content,
                type=(CONTENT_TYPES["txt"] if name.endswith(".html") else content_type(name)).encode(),
                etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"'.encode(),
                immutable=name.startswith("/assets/"),
            )
    return files


def _not_built(folder: Path) -> bytes:
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Nimbus</title>"
        "<h1>The dashboard has not been built</h1>"
        f"<p>Nimbus is running, and there is no dashboard in <code>{html.escape(str(folder))}</code>.</p>"
        "<p>Build it with <code>npm ci</code> and <code>npm run build</code> in <code>frontend/</code>, or start "
        "with <code>make run</code>, which does so; then restart the gateway. <code>NIMBUS_WEB_DIR</code> names "
        "another place.</p><p>The API is at <a href=/api/docs>/api/docs</a>.</p>"
    ).encode()


class WebApp:
    """Answers everything public that is neither API nor plugin asset, in plain ASGI."""

    def __init__(self, folder: Path) -> None:
        self._files = load_files(folder)
        self._page = self._take("/index.html")
        self._frame = self._take("/frame.html")
        self._missing = _not_built(folder)

    def _take(self, name: str) -> bytes | None:
        """A document with a nonce's place in it, which is therefore no file like the others."""
        file = self._files.pop(name, None)
        return None if file is None else file.content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Answer one request.

        Raises:
            NotFoundError: no such file, and no page was asked for.
        """
        if scope["method"] not in {"GET", "HEAD"}:
            raise MethodNotAllowedError("the dashboard is read only", headers={"allow": "GET, HEAD"})
        segments = request_info(scope).path.segments
        file = self._files.get("/" + "/".join(segments))
        if file is not None:
            await self._send_file(scope, send, file)
        elif segments == (FRAME_PATH,) and self._frame is not None:
            await self._send_document(scope, send, self._frame, frame_policy, b"SAMEORIGIN")
        elif self._wants_page(segments, find_header(scope["headers"], b"accept") or "*/*"):
            await self._send_page(scope, send)
        else:
            raise NotFoundError("there is nothing at this address")

    @staticmethod
    def _wants_page(segments: tuple[str, ...], accept: str) -> bool:
        if segments[0] == "assets":
            return False
        return "text/html" in accept or ("*/*" in accept and "." not in segments[-1])

    async def _send_file(self, scope: Scope, send: Send, file: WebFile) -> None:
        cache = b"public, max-age=31536000, immutable" if file.immutable else b"no-cache"
        headers: list[Header] = [
            (b"content-type", file.type),
            (b"etag", file.etag),
            (b"cache-control", cache),
            (b"content-security-policy", b"default-src 'none'; sandbox"),
            (b"x-frame-options", b"DENY"),
            *_SECURITY_HEADERS,
        ]
        if file.immutable:
            # The frame's origin is opaque, so even the dashboard's own modules and fonts are another origin's to it.
            headers.append((b"access-control-allow-origin", b"*"))
        if file.etag in [
            tag.strip() for tag in (find_header(scope["headers"], b"if-none-match") or "").encode().split(b",")
        ]:
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await _send(scope, send, 200, headers, file.content)

    async def _send_page(self, scope: Scope, send: Send) -> None:
        if self._page is not None:
            await self._send_document(scope, send, self._page, content_security_policy, b"DENY")
        else:
            await self._send_document(scope, send, self._missing, content_security_policy, b"DENY", status=503)

    @staticmethod
    async def _send_document(
        scope: Scope,
        send: Send,
        content: bytes,
        policy: Callable[[str], bytes],
        framing: bytes,
        *,
        status: int = 200,
    ) -> None:
        """Send a document with a nonce of its own."""
        nonce = secrets.token_urlsafe(18)
        headers: list[Header] = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", policy(nonce)),
            (b"x-frame-options", framing),
            *_SECURITY_HEADERS,
        ]
        await _send(scope, send, status, headers, content.replace(NONCE_PLACEHOLDER, nonce.encode()))


async def _send(scope: Scope, send: Send, status: int, headers: list[Header], content: bytes) -> None:
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content if scope["method"] == "GET" else b""})
