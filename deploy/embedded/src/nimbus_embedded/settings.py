"""What embedded mode decides before the services start: folders, ports and their environment."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PRIVATE_PORTS = {
    "core": ("NIMBUS_CORE_PORT", 8081),
    "management": ("NIMBUS_MANAGEMENT_PORT", 8082),
    "registry": ("NIMBUS_REGISTRY_PORT", 8083),
}


_PORTS = 65536


class StartError(Exception):
    """Embedded mode cannot start; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. All paths are absolute."""

    root: Path
    data: Path
    plugins: Path
    host: str
    port: int

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        host = "localhost" if self.host in {"127.0.0.1", "0.0.0.0", "::", "::1"} else self.host
        return f"http://{host}:{self.port}"


def layout(environment: Mapping[str, str], root: Path) -> Layout:
    """Folders and public address from the environment, defaults relative to `root`.

    Raises:
        StartError: a variable holds something unusable.
    """
    plugins = environment.get("NIMBUS_PLUGINS_DIR") or environment.get("PLUGINS_DIR")
    return Layout(
        root=root,
        data=Path(environment.get("NIMBUS_DATA_DIR") or root / ".nimbus").resolve(),
        plugins=Path(plugins or root / "plugins").resolve(),
        host=environment.get("NIMBUS_HOST", "127.0.0.1"),
        port=_port("NIMBUS_PORT", environment.get("NIMBUS_PORT") or "8080"),
    )


def is_free(host: str, port: int) -> bool:
    """True when nothing listens on the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def private_ports(environment: Mapping[str, str], data: Path) -> dict[str, int]:
    """Loopback ports of the listeners that only Nimbus itself uses.

    A port that the environment names is taken as it is. Any other choice is kept in the data folder, so that a
    plugin process which outlived a crash still finds the core.

    Raises:
        StartError: a variable holds something unusable, or the data folder cannot be written.
    """
    kept_in = data / "ports.json"
    kept = _kept_ports(kept_in)
    ports: dict[str, int] = {}
    for name, (variable, usual) in _PRIVATE_PORTS.items():
        named = environment.get(variable)
        if named:
            ports[name] = _port(variable, named)
        else:
            wanted = kept.get(name, usual)
            ports[name] = wanted if is_free("127.0.0.1", wanted) else _any_free_port()
    if ports == kept:
        return ports
    draft = kept_in.with_name("ports.json.new")
    try:
        draft.write_text(json.dumps(ports))
        draft.replace(kept_in)
    except OSError as error:
        raise StartError(f"{data} cannot be written: {error.strerror or error}") from error
    return ports


def _kept_ports(path: Path) -> dict[str, int]:
    """The choice of the last start; empty when there is none or the file is not one of ours."""
    try:
        kept = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    whole = isinstance(kept, dict) and all(isinstance(port, int) and 0 < port < _PORTS for port in kept.values())
    return kept if whole else {}


def _port(variable: str, text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < _PORTS:
        raise StartError(f"{variable}={text!r} is not a port; use a number from 1 to 65535")
    return int(text)


def service_environment(environment: Mapping[str, str], where: Layout, ports: Mapping[str, int]) -> dict[str, str]:
    """The environment of both services: the caller's own, completed with the embedded defaults."""
    defaults = {
        "NIMBUS_HOST": where.host,
        "NIMBUS_PORT": str(where.port),
        "NIMBUS_RUNTIME": "process",
        "NIMBUS_WORKERS": "1",
        "NIMBUS_GENERATE_ADMIN": "true",
        "NIMBUS_STOP_PLUGINS_ON_EXIT": "true",
        "NIMBUS_SDK_SOURCE": str(where.root / "sdk"),
        "NIMBUS_WEB_DIR": str(where.root / "frontend" / "dist"),
    }
    fixed = {
        "NIMBUS_DATA_DIR": str(where.data),
        "NIMBUS_PLUGINS_DIR": str(where.plugins),
        "NIMBUS_CORE_HOST": "127.0.0.1",
        "NIMBUS_CORE_PORT": str(ports["core"]),
        "NIMBUS_MANAGEMENT_HOST": "127.0.0.1",
        "NIMBUS_MANAGEMENT_PORT": str(ports["management"]),
        "NIMBUS_REGISTRY_HOST": "127.0.0.1",
        "NIMBUS_REGISTRY_PORT": str(ports["registry"]),
        "NIMBUS_REGISTRY_URL": f"http://127.0.0.1:{ports['registry']}",
        "NIMBUS_GATEWAY_MANAGEMENT_URL": f"http://127.0.0.1:{ports['management']}",
        "NIMBUS_CORE_URL": f"http://127.0.0.1:{ports['core']}",
        "PYTHONUNBUFFERED": "1",
    }
    if os.isatty(2):
        defaults["NIMBUS_LOG_FORMAT"] = "console"
    return {**defaults, **environment, **fixed}
