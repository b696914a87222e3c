"""``nimbus-embedded``: registry and gateway on SQLite, plugins as processes, one command and one Ctrl-C."""

import argparse
import asyncio
import fcntl
import http
import http.client
import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO

from nimbus_embedded.settings import Layout, StartError, is_free, layout, private_ports, service_environment
from nimbus_embedded.supervisor import STOP_GRACE_SECONDS, Service, ServiceFailedError

_READY_SECONDS = 120.0

_ORPHANS_SECONDS = 330.0
"""Services whose supervisor was killed finish what is in flight first: ``NIMBUS_DRAIN_TIMEOUT``, at most 300 s."""
_ORPHANS_TOLD_SECONDS = 10.0


def _repository_root() -> Path:
    return Path(__file__).resolve().parents[4]


def _lock(path: Path) -> IO[str] | None:
    """Hold the file for this process and for the children that inherit it; None while others hold it."""
    handle = path.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def _lock_for_supervisor(data: Path) -> IO[str]:
    """Hold the data folder, so that two supervisors never share a database.

    Raises:
        StartError: another Nimbus holds it.
    """
    handle = _lock(data / "embedded.lock")
    if handle is None:
        raise StartError(f"another Nimbus already runs on {data}; stop it, or set NIMBUS_DATA_DIR")
    return handle


def _lock_for_services(data: Path) -> IO[str]:
    """Hold the file that the services inherit; wait for those whose supervisor was killed, which still end.

    Raises:
        StartError: they did not end within `_ORPHANS_SECONDS`.
    """
    path = data / "services.lock"
    deadline = time.monotonic() + _ORPHANS_SECONDS
    told = -math.inf
    while (handle := _lock(path)) is None:
        now = time.monotonic()
        if now >= deadline:
            raise StartError(
                f"services of a Nimbus that was killed still run on {data} after {_ORPHANS_SECONDS:.0f} s; "
                "end their processes (nimbus_embedded.child), or set NIMBUS_DATA_DIR"
            )
        if now - told >= _ORPHANS_TOLD_SECONDS:
            print("nimbus   | waiting for the services of a Nimbus that was killed to end", flush=True)
            told = now
        time.sleep(0.05)
    return handle


def _check_port(where: Layout) -> None:
    if not is_free(where.host, where.port):
        raise StartError(
            f"port {where.port} on {where.host} is in use; stop what uses it, or set NIMBUS_PORT to another"
        )


def _answers_ready(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2.0)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


async def _wait_until_ready(where: Layout) -> None:
    """Poll `/readyz` until it answers 200.

    Raises:
        StartError: it did not within two minutes.
    """
    deadline = time.monotonic() + _READY_SECONDS
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where.host, where.host)
    while time.monotonic() < deadline:
        if await asyncio.to_thread(_answers_ready, host, where.port):
            return
        await asyncio.sleep(0.05)
    raise StartError(f"Nimbus was not ready within {_READY_SECONDS:.0f} s; the lines above say why")


def _banner(where: Layout, seconds: float) -> str:
    lines = [f"Nimbus is ready after {seconds:.1f} s:  {where.url}"]
    first_admin = where.data / "first-admin"
    if first_admin.exists():
        account = json.loads(first_admin.read_text())
        first_admin.unlink()
        lines += [
            "",
            f"Sign in as      {account['username']}",
            f"with password   {account['password']}",
            "It is shown this once. Change it under your name in the dashboard.",
        ]
    lines += ["", f"Plugins: {where.plugins}    Data: {where.data}    Stop: Ctrl-C"]
    width = max(map(len, lines))
    rule = "─" * (width + 2)
    body = "\n".join(f"│ {line:<{width}} │" for line in lines)
    return f"\n┌{rule}┐\n{body}\n└{rule}┘\n"


async def _announce(where: Layout, started: float) -> None:
    await _wait_until_ready(where)
    print(_banner(where, time.monotonic() - started), flush=True)


async def _run(where: Layout, inherited: int) -> None:
    started = time.monotonic()
    environment = service_environment(os.environ, where, private_ports(os.environ, where.data))
    services = [
        Service("registry", "nimbus_registry", environment, inherited),
        Service("gateway", "nimbus_gateway", environment, inherited),
    ]
    stop_asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop_asked.set)

    tasks = [asyncio.create_task(service.run(), name=service.name) for service in services]
    tasks.append(asyncio.create_task(_announce(where, started), name="announce"))
    stopper = asyncio.create_task(stop_asked.wait(), name="stop")
    try:
        pending = {*tasks, stopper}
        while stopper in pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        print("nimbus   | stopping", flush=True)
        deadline = time.monotonic() + STOP_GRACE_SECONDS
        await asyncio.gather(*(service.stop(deadline) for service in services))
        for task in (*tasks, stopper):
            task.cancel()
        await asyncio.gather(*tasks, stopper, return_exceptions=True)


def main() -> None:
    """Entry point of ``nimbus-embedded``; exit code 1 with a message when it cannot start."""
    argparse.ArgumentParser(
        prog="nimbus-embedded",
        description="Run Nimbus on this machine without an engine: registry, gateway and plugins as processes.",
        epilog="Settings are environment variables: NIMBUS_PORT, NIMBUS_HOST, NIMBUS_DATA_DIR, NIMBUS_PLUGINS_DIR; "
        "docs/reference/configuration.md lists all. Ctrl-C stops everything.",
    ).parse_args()
    try:
        where = layout(os.environ, _repository_root())
        where.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _lock_for_supervisor(where.data), _lock_for_services(where.data) as inherited:
            _check_port(where)
            asyncio.run(_run(where, inherited.fileno()))
    except (StartError, ServiceFailedError) as error:
        sys.exit(f"nimbus: {error}")
    except KeyboardInterrupt:  # before the loop handles the signal
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
