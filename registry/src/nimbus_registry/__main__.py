"""`nimbus-registry`: serve, tear down what it made, print its OpenAPI document."""

import argparse
import asyncio
import fcntl
import gc
import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from pydantic import ValidationError

from nimbus_registry.errors import StartError
from nimbus_registry.observability import configure_logging
from nimbus_registry.settings import RegistrySettings

log = structlog.get_logger("nimbus_registry")

_LOCK_WAIT = 15.0
_GRACEFUL_SECONDS = 1


def main() -> None:
    """Entry point of the program."""
    parser = argparse.ArgumentParser(prog="nimbus-registry", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="run the registry (the default)")
    commands.add_parser("teardown", help="remove every plugin's container, process and network; data stays")
    commands.add_parser("openapi", help="print the OpenAPI document")
    command = parser.parse_args().command or "serve"
    try:
        settings = RegistrySettings()
        configure_logging(console=settings.console)
        if command == "openapi":
            print_openapi(settings)
            return
        # A registry that is being replaced gets the time to end; a teardown beside a running one is a mistake.
        with _only_one(settings, wait=2.0 if command == "teardown" else _LOCK_WAIT):
            if command == "teardown":
                from nimbus_registry.teardown import tear_down  # noqa: PLC0415 - a start need not wait for it

                asyncio.run(tear_down(settings))
            else:
                serve(settings)
    except ValidationError as error:
        sys.exit("nimbus-registry: a setting is wrong:\n" + _settings_problems(error))
    except StartError as error:
        sys.exit(f"nimbus-registry: {error}")


def print_openapi(settings: RegistrySettings) -> None:
    """Write the API's OpenAPI document to stdout."""
    from nimbus_registry.main import create_app  # noqa: PLC0415 - as above

    json.dump(create_app(settings).openapi(), sys.stdout, indent=2)
    sys.stdout.write("\n")


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: `_serve` tells it and the application together."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the caller."""
        yield


def serve(settings: RegistrySettings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        StartError: the registry could not start.
    """
    # Nothing that a start makes is garbage, and looking for it is a tenth of the start.
    gc.disable()
    with _bound(settings) as listener:
        log.info(
            "the registry starts",
            runtime=settings.runtime,
            plugins=str(settings.plugins_dir),
            port=listener.getsockname()[1],
        )
        asyncio.run(_serve(settings, listener))


async def _serve(settings: RegistrySettings, listener: socket.socket) -> None:
    from nimbus_registry.main import create_app  # noqa: PLC0415 - most of the start, while no garbage is looked for

    app = create_app(settings)
    config = uvicorn.Config(
        app,
        lifespan="off",  # entered here, so that a start that fails ends with a sentence and not with a traceback
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    server = _Server(config)
    this = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def end() -> None:
        context = getattr(app.state, "context", None)
        if context is None:
            if this is not None:
                this.cancel()
            return
        # Long-polls answer now instead of being cut off.
        context.stopping.set()
        context.ledger.pulse.fire()
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    try:
        async with app.router.lifespan_context(app):
            gc.freeze()
            gc.enable()
            await server.serve(sockets=[listener])
    except asyncio.CancelledError:
        log.info("ended before it served")


@contextmanager
def _bound(settings: RegistrySettings) -> Iterator[socket.socket]:
    """The listening address, taken before anything is opened. Nobody can connect before it serves."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise StartError(f"{settings.host}:{settings.port} cannot be bound: {error.strerror}") from error
        yield listener


def _settings_problems(error: ValidationError) -> str:
    return "\n".join(f"  {'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())


@contextmanager
def _only_one(settings: RegistrySettings, *, wait: float) -> Iterator[None]:
    """Two registries on one data directory would fight over every plugin; the lock dies with the process."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    with (settings.data_dir / "registry.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StartError(f"another registry runs on {settings.data_dir}; stop it first") from None
                time.sleep(0.1)
        yield


if __name__ == "__main__":
    main()
