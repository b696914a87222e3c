"""The environment of a plugin that runs as a child process: an allow-list, as a pure function."""

import os
from collections.abc import Mapping
from pathlib import Path

from nimbus_registry.runtime.base import PluginSpec
from nimbus_registry.runtime.run_state import RUN_MARK, PluginFolder

_FROM_HOST = (
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


def process_environment(
    spec: PluginSpec,
    secrets: Mapping[str, str],
    host: Mapping[str, str],
    *,
    folder: PluginFolder,
    virtualenv: Path | None,
    own_prefix: str,
    port: int,
    run_id: str,
) -> dict[str, str]:
    """All variables of the plugin's process.

    Of the registry's own environment only locale, time zone, certificates and the search path come through, and
    of the path not the registry's own packages (`own_prefix`).
    """
    own_programs = str(Path(own_prefix) / "bin")
    path = [entry for entry in host.get("PATH", _DEFAULT_PATH).split(os.pathsep) if entry and entry != own_programs]
    environment = {key: host[key] for key in _FROM_HOST if key in host}
    environment.update(spec.environment)
    environment.update(
        {
            "HOME": str(folder.home),
            "TMPDIR": str(folder.temporary),
            "NIMBUS_PLUGIN_HOST": "127.0.0.1",
            "NIMBUS_PLUGIN_PORT": str(port),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPYCACHEPREFIX": str(folder.home / ".cache" / "python"),
            RUN_MARK: run_id,
        }
    )
    if spec.data:
        environment["NIMBUS_DATA_DIR"] = str(folder.data)
    if virtualenv is not None:
        path.insert(0, str(virtualenv / "bin"))
        environment["VIRTUAL_ENV"] = str(virtualenv)
    environment["PATH"] = os.pathsep.join(path)
    return {**environment, **secrets}
