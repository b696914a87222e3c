"""The environment that Nimbus starts a plugin with.

`NIMBUS_PLUGIN_TOKEN` is taken out of the process environment when this module is imported, so that neither a
child process nor an error page can show it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TOKEN = os.environ.pop("NIMBUS_PLUGIN_TOKEN", None)


@dataclass(frozen=True, slots=True)
class Environment:
    """What a plugin is told at its start.

    Attributes:
        plugin_id: the id Nimbus knows it by.
        core_url: base URL of the core's plugin listener; None when the plugin was started by hand.
        token: the plugin's credential for the core.
        host: address to listen on.
        port: port to listen on; None leaves it to the manifest.
        base_path: where the plugin's routes are for the outside, e.g. `/api/plugins/hello`.
        data_dir: folder that survives updates, for manifests with `runtime.data`.
        log_level: lowest level that is printed and sent.
    """

    plugin_id: str | None = None
    core_url: str | None = None
    token: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int | None = None
    base_path: str | None = None
    data_dir: Path = Path("data")
    log_level: str = "INFO"

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> "Environment":
        """Read `NIMBUS_*` variables; the process environment when none is given.

        Raises:
            ValueError: `NIMBUS_PLUGIN_PORT` is not a port.
        """
        variables = os.environ if environ is None else environ
        token = variables.get("NIMBUS_PLUGIN_TOKEN") or (_TOKEN if environ is None else None)
        port = variables.get("NIMBUS_PLUGIN_PORT")
        if port and not (port.isdecimal() and int(port) < 65536):  # noqa: PLR2004 - ports end there
            raise ValueError(f"NIMBUS_PLUGIN_PORT is {port!r}; expected a port from 0 to 65535")
        return cls(
            plugin_id=variables.get("NIMBUS_PLUGIN_ID") or None,
            core_url=(variables.get("NIMBUS_CORE_URL") or "").rstrip("/") or None,
            token=token or None,
            host=variables.get("NIMBUS_PLUGIN_HOST") or "127.0.0.1",
            port=int(port) if port else None,
            base_path=variables.get("NIMBUS_BASE_PATH") or None,
            data_dir=Path(variables.get("NIMBUS_DATA_DIR") or "data"),
            log_level=(variables.get("NIMBUS_LOG_LEVEL") or "INFO").upper(),
        )
