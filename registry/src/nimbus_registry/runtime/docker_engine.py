"""The Docker SDK behind one method: synchronous calls run in threads, each with a deadline."""

import asyncio
import functools
import os
import socket
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import docker
import requests
import structlog
import urllib3
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from docker.utils import kwargs_from_env

from nimbus_registry.runtime.advisories import advisories
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.docker_stream import StreamClient, StreamReader
from nimbus_registry.runtime.settled import settled

log = structlog.get_logger(__name__)

T = TypeVar("T")

DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
CALL_DEADLINE: Final = 30.0
"""Seconds for an ordinary call."""

_THREADS = 16
_LOST = (requests.exceptions.ConnectionError, requests.exceptions.Timeout, urllib3.exceptions.HTTPError, OSError)


class Engine:
    """Connection to one Docker engine.

    Args:
        host: address as in DOCKER_HOST; None takes that variable or the usual socket.
    """

    def __init__(self, host: str | None = None) -> None:
        self._options: dict[str, Any] = dict(kwargs_from_env())
        self._options["base_url"] = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        self._client: docker.APIClient | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")

    @property
    def host(self) -> str:
        """Address of the engine."""
        return str(self._options["base_url"])

    async def open(self) -> None:
        """Connect.

        Raises:
            RuntimeFailure: no engine answers.
        """

        def connect() -> docker.APIClient:
            check_socket(self.host)
            client = docker.APIClient(
                **self._options, version="auto", timeout=int(CALL_DEADLINE), max_pool_size=_THREADS
            )
            client.ping()
            return client

        try:
            async with asyncio.timeout(CALL_DEADLINE):
                self._client = await asyncio.get_running_loop().run_in_executor(self._threads, connect)
        except (DockerException, TimeoutError, *_LOST) as error:
            raise self._unreachable(error) from error
        version, info = await self.call(lambda api: (str(api.version()["Version"]), api.info()))
        log.info("engine.connected", host=self.host, version=version)
        for advisory in advisories(version):
            log.warning("engine.old", version=version, cve=advisory.cve, advice=advisory.meaning)
        for key, what in (("MemoryLimit", "memory"), ("PidsLimit", "the number of processes")):
            if not info.get(key, True):
                log.warning("engine.no_limit", advice=f"this engine cannot limit {what} of a plugin")

    def close(self) -> None:
        """Let go of the engine."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def call(self, work: Callable[[docker.APIClient], T], *, deadline: float = CALL_DEADLINE) -> T:
        """Run synchronous SDK calls in a thread.

        When the caller is cancelled, the calls are waited for first, so that nothing appears in the engine after
        the caller has cleaned up.

        Raises:
            APIError: the engine refused.
            RuntimeFailure: it does not answer.
        """
        client = self._client
        if client is None:
            raise self._unreachable(None)

        async def run() -> T:
            async with asyncio.timeout(deadline):
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, functools.partial(work, client)
                )

        try:
            return await settled(run())
        except TimeoutError as error:
            raise RuntimeFailure(
                "engine",
                "engine-timeout",
                f"The Docker engine did not answer within {deadline:.0f} seconds.",
                hint="Look at the engine's log and at the machine's load.",
            ) from error
        except APIError:
            raise
        except (DockerException, *_LOST) as error:
            raise self._unreachable(error) from error

    async def stream(self, start: Callable[[StreamClient], Iterator[T]]) -> AsyncGenerator[T, None]:
        """Items of a long answer, read in a thread of its own; leaving the loop cuts the answer off.

        Raises:
            APIError: the engine refused.
            RuntimeFailure: the connection was lost.
        """
        if self._client is None:
            raise self._unreachable(None)
        version = self._client.api_version
        client = StreamClient(**self._options, version=version, timeout=int(CALL_DEADLINE))
        reader = StreamReader(start, client)
        reader.start()
        try:
            async for item in reader.items():
                yield item
        except APIError:
            raise
        except (DockerException, *_LOST) as error:
            raise self._unreachable(error) from error
        finally:
            reader.stop()

    def _unreachable(self, error: BaseException | None) -> RuntimeFailure:
        cause = f" ({error})" if error is not None and str(error) else ""
        return RuntimeFailure(
            "engine",
            "engine-unreachable",
            f"The Docker engine at {self.host} does not answer{cause}.",
            hint="Start the engine, or set DOCKER_HOST to its address; the registry needs access to its socket.",
        )


def explain(error: APIError) -> str:
    """What the engine said, as a sentence."""
    text = str(error.explanation or error).strip()
    return text if text.endswith(".") else f"{text}."


def check_socket(host: str) -> None:
    """Try the engine's socket before the SDK does, which leaves a socket open when it cannot connect.

    Raises:
        OSError: nobody listens there.
    """
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(CALL_DEADLINE)
            probe.connect(host.removeprefix("unix://"))


def create_container(api: docker.APIClient, options: Mapping[str, object], name: str | None) -> str:
    """Create a container from the body of the engine's call and return its id.

    Raises:
        APIError: the engine refused.
    """
    made = api.create_container_from_config(options, name)  # type: ignore[no-untyped-call]
    return str(made["Id"])


def raise_for_status(response: requests.Response) -> None:
    """Raise the SDK's own error for an answer that was asked for past its methods.

    Raises:
        APIError: the engine refused.
    """
    try:
        response.raise_for_status()
    except requests.exceptions.HTTPError as error:
        create_api_error_from_http_exception(error)


async def together(*work: Any) -> list[Any]:  # noqa: ANN401 - as asyncio.gather, of which only two forms are typed
    """Run coroutines side by side; the first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as failures:  # not `except*`, which would wrap what is raised here once more
        first: Exception = failures
        while isinstance(first, ExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]
