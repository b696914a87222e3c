"""UI files of plugins: fetched once per version, checked, kept by content, and served by look-up.

A request's path never becomes a file's path: it is looked up in the list that came with the version, and files are
kept under the SHA-256 of their content.
"""

import asyncio
import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from nimbus_sdk.contracts.plugin_api import UI_PATH, UiFiles
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.contracts.snapshot import UiAssets
from pydantic import ValidationError as ModelError
from starlette.types import Receive, Scope, Send

from nimbus_gateway.errors import MethodNotAllowedError, NotFoundError
from nimbus_gateway.guard.request import request_info
from nimbus_gateway.proxy.headers import Header, find_header
from nimbus_gateway.proxy.routes import Address
from nimbus_gateway.proxy.upstream import UpstreamPool
from nimbus_gateway.snapshots import SnapshotStore

MAX_FILES = 500
MAX_BYTES = 20 * 1024 * 1024
MAX_LIST = 256 * 1024
_CACHE_BYTES = 32 * 1024 * 1024
_PATH_SEGMENTS = 4
"""``/plugin-assets/{id}/{content hash}/<file>``."""

_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")

CONTENT_TYPES: Mapping[str, str] = {
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "ico": "image/x-icon",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "otf": "font/otf",
    "wasm": "application/wasm",
    "txt": "text/plain; charset=utf-8",
}
"""By extension; anything else is octets, which no browser renders."""


class UiRefusedError(Exception):
    """The plugin's UI files are not acceptable; the errors say which and why."""

    def __init__(self, message: str, errors: list[FieldProblem] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or []


def content_type(path: str) -> str:
    """The type that a file is served with."""
    return CONTENT_TYPES.get(path.rsplit(".", 1)[-1].lower(), "application/octet-stream")


def content_hash(files: Mapping[str, str]) -> str:
    """One hash over all files of a version: it is part of their address."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{files[path]}\n".encode())
    return digest.hexdigest()


def check_list(files: Mapping[str, str], bundle: str) -> None:
    """Refuse a list with unsafe paths, broken hashes, too many files, or without the bundle.

    Raises:
        UiRefusedError: with one field error each.
    """
    errors: list[FieldProblem] = []
    if len(files) > MAX_FILES:
        errors.append(FieldProblem(path="/files", message=f"at most {MAX_FILES} files", value=len(files)))
    for path, sha256 in list(files.items())[:MAX_FILES]:
        if not _PATH.fullmatch(path) or len(path) > 256:  # noqa: PLR2004 - as the manifest's AssetPath
            message = "segments of letters, digits, '_', '-' and '.', not starting with '.'"
            errors.append(FieldProblem(path="/files", message=message, value=path[:256]))
        if not _SHA256.fullmatch(sha256):
            errors.append(FieldProblem(path=f"/files/{path[:256]}", message="SHA-256 in hex", value=sha256[:80]))
    if bundle not in files:
        errors.append(FieldProblem(path="/files", message="the manifest's bundle must be listed", value=bundle))
    if errors:
        raise UiRefusedError("the plugin's list of UI files is not acceptable", errors)


class AssetStore:
    """Files by the SHA-256 of their content, in one folder that all workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._cached = 0

    def has(self, sha256: str) -> bool:
        """Whether the content is here already."""
        return (self._folder / sha256).is_file()

    def keep(self, sha256: str, content: bytes) -> None:
        """Keep content that has been checked."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{sha256}.{os.getpid()}"
        temporary.write_bytes(content)
        temporary.replace(self._folder / sha256)

    async def read(self, sha256: str) -> bytes | None:
        """The content, or None when it is not here."""
        cached = self._cache.get(sha256)
        if cached is not None:
            self._cache.move_to_end(sha256)
            return cached
        try:
            content = await asyncio.to_thread((self._folder / sha256).read_bytes)
        except FileNotFoundError:
            return None
        if len(content) <= _CACHE_BYTES // 4 and sha256 not in self._cache:
            self._cache[sha256] = content
            self._cached += len(content)
            while self._cached > _CACHE_BYTES:
                _, dropped = self._cache.popitem(last=False)
                self._cached -= len(dropped)
        return content


async def fetch_ui(
    pool: UpstreamPool,
    store: AssetStore,
    address: Address,
    *,
    token: str,
    bundle: str,
    timeout: float,  # noqa: ASYNC109 - one deadline over the list and all files
) -> UiAssets:
    """Fetch a plugin's UI files, check them and keep them.

    Args:
        pool: makes the connections.
        store: keeps the files; what it has already is not fetched again.
        address: where the plugin listens.
        token: the platform's identity for this plugin.
        bundle: the file that the manifest names.
        timeout: seconds for everything.

    Raises:
        UiRefusedError: the list or a file is not acceptable.
        UpstreamError: the plugin did not answer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    headers = [(b"x-nimbus-identity", token.encode()), (b"accept-encoding", b"identity")]

    def left() -> float:
        return max(deadline - loop.time(), 0.001)

    answer = await pool.fetch(address, "GET", UI_PATH, headers, timeout=left(), limit=MAX_LIST)
    if answer.status != 200:  # noqa: PLR2004
        raise UiRefusedError(f"GET {UI_PATH} answered {answer.status}")
    try:
        files = UiFiles.model_validate_json(answer.body).files
    except ModelError as error:
        raise UiRefusedError(f'GET {UI_PATH} must answer {{"files": {{path: sha256}}}}') from error
    check_list(files, bundle)
    total = 0
    for path, sha256 in files.items():
        if await asyncio.to_thread(store.has, sha256):
            continue
        target = f"{UI_PATH}/{quote(path)}"
        answer = await pool.fetch(address, "GET", target, headers, timeout=left(), limit=MAX_BYTES - total)
        total += len(answer.body)
        _check_file(path, sha256, answer.status, answer.body)
        await asyncio.to_thread(store.keep, sha256, answer.body)
    return UiAssets(content_hash=content_hash(files), files=files)


def _check_file(path: str, sha256: str, status: int, body: bytes) -> None:
    if status != 200:  # noqa: PLR2004
        problem = FieldProblem(path=f"/files/{path}", message="answer 200", value=status)
        raise UiRefusedError(f"GET {UI_PATH}/{path} answered {status}", [problem])
    found = hashlib.sha256(body).hexdigest()
    if found != sha256:
        problem = FieldProblem(path=f"/files/{path}", message=f"content with SHA-256 {sha256}", value=found)
        raise UiRefusedError(f"the content of {path} does not have the hash that the list gives", [problem])


class AssetApp:
    """Answers ``/plugin-assets/{id}/{content hash}/<file>``, in plain ASGI."""

    def __init__(self, store: AssetStore, snapshots: SnapshotStore) -> None:
        self._store = store
        self._snapshots = snapshots

    def find(self, segments: tuple[str, ...]) -> tuple[str, str] | None:
        """Path in the version's list and SHA-256 of what a request asks for."""
        if len(segments) < _PATH_SEGMENTS:
            return None
        plugin = self._snapshots.current.plugins.get(segments[1])
        if plugin is None or plugin.ui is None or not plugin.detail.enabled or plugin.ui.content_hash != segments[2]:
            return None
        path = "/".join(segments[3:])
        sha256 = plugin.ui.files.get(path)
        return None if sha256 is None else (path, sha256)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Answer one request.

        Raises:
            NotFoundError: there is no such file in a version that is served.
        """
        if scope["method"] not in {"GET", "HEAD"}:
            raise MethodNotAllowedError("files are read only", headers={"allow": "GET, HEAD"})
        info = request_info(scope)
        found = self.find(info.path.segments)
        content = None if found is None else await self._store.read(found[1])
        if found is None or content is None:
            raise NotFoundError("there is no such file in the plugin's present version")
        info.plugin, info.route = info.path.segments[1], "/plugin-assets"
        path, sha256 = found
        etag = f'"{sha256}"'.encode()
        headers: list[Header] = [
            (b"content-type", content_type(path).encode()),
            (b"etag", etag),
            (b"cache-control", b"public, max-age=31536000, immutable"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", b"default-src 'none'; sandbox"),
            (b"access-control-allow-origin", b"*"),
            (b"cross-origin-resource-policy", b"cross-origin"),
        ]
        if etag in [
            tag.strip() for tag in (find_header(scope["headers"], b"if-none-match") or "").encode().split(b",")
        ]:
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content if scope["method"] == "GET" else b""})
