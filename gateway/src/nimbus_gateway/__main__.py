"""The gateway's supervisor: binds every socket, then runs the workers that serve them."""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Sequence

import structlog
import uvicorn
from pydantic import ValidationError
from uvicorn.supervisors import Multiprocess

from nimbus_gateway import garbage
from nimbus_gateway.errors import GatewayError
from nimbus_gateway.metrics import prepare_metrics
from nimbus_gateway.observability import configure_logging
from nimbus_gateway.settings import Settings

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
"""Longer than common proxies keep an idle connection, so that it is not closed under a request of theirs."""
RESOLVE_SECONDS = 30.0
COMPAT = "NIMBUS_COMPAT_PORTS"

log = structlog.get_logger("nimbus.supervisor")


class BindError(Exception):
    """A listener's address cannot be used; the message names the setting."""


def bind(host: str, port: int, setting: str, *, wait: float = RESOLVE_SECONDS) -> socket.socket:
    """A socket that listens already: who comes while the workers start is served when they have.

    A name is resolved first; in a container it may take a moment until the network knows it.

    Raises:
        BindError: it does not resolve, or the address is taken or not ours.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            family, kind, proto, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            break
        except socket.gaierror as error:
            if time.monotonic() > deadline:
                raise BindError(f"{setting}_HOST: {host!r} does not resolve: {error.strerror}") from error
            time.sleep(0.2)
    listener = socket.socket(family, kind, proto)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        change = setting if setting == COMPAT else f"{setting}_PORT or _HOST"
        raise BindError(f"cannot listen on {host}:{port} ({error.strerror}); set {change}") from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library takes it so
    listener.set_inheritable(True)
    return listener


def bind_all(settings: Settings) -> list[socket.socket]:
    """Public, core and management sockets, then those of compatibility ports.

    The ports that were chosen are put into the environment.

    Raises:
        BindError: one of them cannot be bound; none is left open.
    """
    wanted = [
        (settings.host, settings.port, "NIMBUS"),
        (settings.core_host, settings.core_port, "NIMBUS_CORE"),
        (settings.management_host, settings.management_port, "NIMBUS_MANAGEMENT"),
    ]
    bound: list[socket.socket] = []
    try:
        for host, port, setting in wanted:
            bound.append(bind(host, port, setting))
            os.environ[f"{setting}_PORT"] = str(bound[-1].getsockname()[1])
        for port in settings.compat_ports:
            bound.append(bind(settings.host, port, COMPAT))  # noqa: PERF401 - those before a failure are closed
    except BindError:
        for listener in bound:
            listener.close()
        raise
    return bound


def server_config(settings: Settings) -> uvicorn.Config:
    """How uvicorn runs the application in each worker."""
    return uvicorn.Config(
        "nimbus_gateway.main:create_app_from_environment",
        factory=True,
        workers=settings.workers,
        loop="uvloop",
        http="nimbus_gateway.guard.protocol:GuardedProtocol",
        ws="none",  # upgrades are requests like any other, until the plugin has agreed to one
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.drain_timeout),
        # A worker may wait for the database at its start; it is not hung.
        timeout_worker_healthcheck=30,
    )


def raise_open_files() -> None:
    """Take as many open files as the system grants: each connection needs one, and the usual 1024 are soon gone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(settings: Settings) -> int:
    """Run until SIGINT or SIGTERM; the process's exit status. SIGHUP replaces several workers one by one."""
    configure_logging(settings)
    raise_open_files()
    try:
        sockets = bind_all(settings)
    except BindError as error:
        log.error("the gateway cannot start", reason=str(error))  # noqa: TRY400 - the reason says it all
        return 1
    prepare_metrics(settings.data_dir / "metrics", settings.workers)
    public, core, management = (listener.getsockname()[:2] for listener in sockets[:3])
    log.info(
        "listening",
        public=public,
        core=core,
        management=management,
        compat=list(settings.compat_ports),
        workers=settings.workers,
    )
    config = server_config(settings)
    if settings.workers > 1:
        Multiprocess(config, sockets).run()
        return 0
    # uvicorn raises the signal again when it has stopped: by then there is nothing left to do.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    garbage.pause()
    server = uvicorn.Server(config)
    server.run(sockets)
    return 0 if server.started else 3


def print_openapi() -> int:
    """Write the public API's OpenAPI document to stdout."""
    from nimbus_gateway.public_api import build_public_api  # noqa: PLC0415 - a start need not wait for it
    from nimbus_gateway.state import GatewayState  # noqa: PLC0415 - as above

    json.dump(build_public_api(GatewayState(Settings())).openapi(), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def print_new_password(settings: Settings, username: str) -> int:
    """Reset a password and show it, this once; the process's exit status."""
    from nimbus_gateway.auth.reset import NoDatabaseError, reset_password  # noqa: PLC0415 - a start need not wait

    try:
        done = asyncio.run(reset_password(settings.database_url, username))
    except (GatewayError, NoDatabaseError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        f"New password of {done.username}: {done.password}\n"
        "It is shown this once; all sessions of the account have ended. Change it under your name in the dashboard.\n"
    )
    if done.disabled:
        sys.stderr.write("The account is disabled: an administrator has to enable it before it can sign in.\n")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `nimbus-gateway` and `python -m nimbus_gateway`."""
    parser = argparse.ArgumentParser(prog="nimbus-gateway", description="The public side of Nimbus.")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("serve", help="run the gateway; what happens without a command too")
    commands.add_parser("openapi", help="print the API's description")
    reset = commands.add_parser(
        "reset-password", help="print a new password for an account and end its sessions; the gateway may run"
    )
    reset.add_argument("username")
    chosen = parser.parse_args(arguments)
    if chosen.command == "openapi":
        return print_openapi()
    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors():
            place = ".".join(str(part) for part in problem["loc"])
            sys.stderr.write(f"NIMBUS_{place.upper().removeprefix('NIMBUS_')}: {problem['msg']}\n")
        return 2
    if chosen.command == "reset-password":
        return print_new_password(settings, chosen.username)
    return serve(settings)


if __name__ == "__main__":
    sys.exit(main())
