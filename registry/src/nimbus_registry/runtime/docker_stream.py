"""Long answers of the engine: read in a thread, carried into the event loop, cut off when nobody wants them."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import docker
import requests
from docker.errors import DockerException
from docker.types import CancellableStream

T = TypeVar("T")

_BUFFERED: Final = 200


class StreamClient(docker.APIClient):
    """A client for one long answer, which can be cut off from another thread."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own arguments
        super().__init__(**options)
        self._response: requests.Response | None = None
        self._aborted = threading.Event()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401
        """Send, and remember the answer for `abort`."""
        response: requests.Response = super().send(request, **options)
        self._response = response
        if self._aborted.is_set():
            self.abort()
        return response

    def abort(self) -> None:
        """Shut the connection down: the engine stops a build or pull, and whoever reads here finds the end."""
        self._aborted.set()
        if self._response is not None:
            with contextlib.suppress(OSError, AttributeError, DockerException):
                CancellableStream(iter(()), self._response).close()


class StreamReader(Generic[T]):
    """A thread that reads one long answer, and the queue that carries it into the event loop."""

    def __init__(self, source: Callable[[StreamClient], Iterator[T]], client: StreamClient) -> None:
        self._source = source
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._queue: queue.Queue[T | _End] = queue.Queue(_BUFFERED)
        self._filled = asyncio.Event()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name="docker-stream", daemon=True).start()

    def stop(self) -> None:
        """Cut the answer off; the thread ends by itself."""
        self._stopped.set()
        self._client.abort()

    def _read(self) -> None:
        failure: Exception | None = None
        try:
            for item in self._source(self._client):
                self._put(item)
                if self._stopped.is_set():
                    break
        except Exception as error:  # noqa: BLE001 - handed to the reader
            failure = error
        finally:
            self._client.close()
        self._put(_End(failure))

    def _put(self, item: "T | _End") -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.5)
                break
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._filled.set)

    async def items(self) -> AsyncIterator[T]:
        """What was read, until the end or the failure of the answer."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while not self._queue.empty():
                item = self._queue.get_nowait()
                if not isinstance(item, _End):
                    yield item
                elif item.failure is not None:
                    raise item.failure
                else:
                    return


@dataclass(frozen=True, slots=True)
class _End:
    failure: Exception | None
