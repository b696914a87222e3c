"""How a script reaches a Nimbus: one address, an API key or a session, requests, and files of any size both ways."""

from collections.abc import Callable, Iterator
from io import SEEK_END
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

import httpx

from nimbus_sdk.client.answers import error_of
from nimbus_sdk.contracts.archive import CHUNK
from nimbus_sdk.contracts.backup import BACKUP_MEDIA_TYPE
from nimbus_sdk.errors import Unavailable

TIMEOUT = 30.0
BACKUP_TIMEOUT = 600.0
"""Seconds without a byte: the plugin is stopped, copied and started before the first, or after the last one."""
Progress = Callable[[int, int], None]
SESSION_COOKIES = ("nimbus_session", "__Host-nimbus_session")
_CONNECT_RETRIES = 2


class NimbusConnection:
    """A connection to a Nimbus, as a key or a person. `NimbusClient` has the calls.

    Attributes:
        asked_changes: something was asked of Nimbus that is more than reading; it may be under way.

    Args:
        url: where Nimbus is, e.g. `http://nimbus.local:8080`.
        api_key: an API key (`nbk_…`); without one, `login` first.
        timeout: seconds for one call.
        transport: how requests travel, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a Nimbus; write one such as http://nimbus.local:8080")
        if parts.username is not None or parts.password is not None:
            raise ValueError("an address has no name or password in it, messages show it; use a key, or sign in")
        self.url = url.rstrip("/")
        self.asked_changes = False
        headers = {"Accept": "application/json, application/problem+json", "User-Agent": "nimbus-sdk"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        else:
            headers["Origin"] = f"{parts.scheme}://{parts.netloc}"  # a call with a cookie must say where it is from
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=timeout,
            transport=transport or httpx.HTTPTransport(retries=_CONNECT_RETRIES),
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Send one request to a path of the public API and return its successful answer.

        Raises:
            CoreError: the kind that fits the answer; `Unavailable` when there was none.
        """
        self._note(method)
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unavailable(f"{self.url} cannot be reached: {error or type(error).__name__}") from error
        if answer.is_success:
            return answer
        raise error_of(answer.status_code, answer.headers, answer.content)

    def download(self, method: str, path: str, file: IO[bytes], *, progress: Progress | None = None) -> int:
        """Write the answer of a call into a file, piece by piece. Returns its size in bytes.

        Raises:
            CoreError: as `request`.
            Unavailable: it broke off; what is in the file is not whole.
        """
        timeout = httpx.Timeout(TIMEOUT, read=BACKUP_TIMEOUT)
        done = 0
        self._note(method)
        try:
            with self._http.stream(method, path, timeout=timeout) as answer:
                if not answer.is_success:
                    raise error_of(answer.status_code, answer.headers, answer.read())
                whole = int(answer.headers.get("content-length", 0))
                for piece in answer.iter_raw():
                    file.write(piece)
                    done += len(piece)
                    if progress is not None:
                        progress(done, whole)
        except httpx.TransportError as error:
            raise Unavailable(f"the backup broke off: {error or type(error).__name__}") from error
        return done

    def upload(
        self, path: str, file: IO[bytes], *, params: dict[str, str] | None = None, progress: Progress | None = None
    ) -> httpx.Response:
        """Send a backup, read to its end, piece by piece.

        Raises:
            CoreError: as `request`.
        """
        whole = file.seek(0, SEEK_END)
        file.seek(0)

        def pieces() -> Iterator[bytes]:
            while piece := file.read(CHUNK):
                yield piece
                if progress is not None:
                    progress(file.tell(), whole)

        return self.request(
            "POST",
            path,
            content=pieces(),
            params=params,
            headers={"Content-Type": BACKUP_MEDIA_TYPE, "Content-Length": str(whole)},
            timeout=httpx.Timeout(TIMEOUT, read=BACKUP_TIMEOUT, write=BACKUP_TIMEOUT),
        )

    def _note(self, method: str) -> None:
        self.asked_changes = self.asked_changes or method != "GET"

    # -- who ------------------------------------------------------------------------------------------------

    def login(self, username: str, password: str) -> dict[str, Any]:
        """Sign in as a person; the session is used from now on. Returns the user."""
        answer = self.request("POST", "/api/auth/login", json={"username": username, "password": password})
        return dict(answer.json())

    def logout(self) -> None:
        """End the session."""
        self.request("POST", "/api/auth/logout")

    def me(self) -> dict[str, Any]:
        """Who is signed in."""
        return dict(self.request("GET", "/api/auth/me").json())

    @property
    def session(self) -> tuple[str, str] | None:
        """Name and value of the session's cookie, to go on later; None when nobody is signed in."""
        for cookie in self._http.cookies.jar:
            if cookie.name in SESSION_COOKIES and cookie.value:
                return cookie.name, cookie.value
        return None

    def resume(self, name: str, value: str) -> None:
        """Go on with a session that `session` gave."""
        host = urlsplit(self.url).hostname or ""
        # Python's cookie jar knows a host without a dot, such as localhost, by this name.
        domain = host if "." in host or ":" in host else f"{host}.local"
        self._http.cookies.set(name, value, domain=domain, path="/")
