"""From a spec to a running keeper: what a process plugin is started from, and the start itself."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from nimbus_registry.runtime import keeper
from nimbus_registry.runtime.base import PluginSpec, RuntimeFailure
from nimbus_registry.runtime.run_state import PluginFolder, RunRecord, parse_record

SPAWN_TIMEOUT: Final = 15.0


def checked(spec: PluginSpec) -> tuple[Path, tuple[str, ...]]:
    """The folder and the command that a process plugin is started from.

    Raises:
        RuntimeFailure: it has none.
    """
    if spec.command is None:
        raise RuntimeFailure(
            "start",
            "no-process",
            "The plugin can only run as a container: its manifest has no runtime.process.",
            hint="Run Nimbus with the docker runtime, or add runtime.process.command to the manifest.",
        )
    if spec.source_dir is None or not spec.source_dir.is_dir():
        raise RuntimeFailure(
            "start",
            "source-missing",
            f"The plugin's folder {spec.source_dir or ''} is not there.".replace("  ", " "),
            hint="Put the folder back, or disable the plugin.",
        )
    return spec.source_dir.resolve(), spec.command


def program(name: str, source: Path, path: str) -> str:
    """The file behind a command's first word.

    Raises:
        RuntimeFailure: there is none, or it is not executable.
    """
    found = shutil.which(str(source / name), path="") if "/" in name else shutil.which(name, path=path)
    if found is None:
        where = "in the plugin's folder" if "/" in name else "on the plugin's PATH"
        raise RuntimeFailure(
            "start",
            "program-missing",
            f"The program {name!r} is not there {where}, or not executable.",
            hint="Install it, or correct runtime.process.command in the manifest.",
        )
    return found


def spawn(folder: PluginFolder, order: keeper.KeeperOrder) -> RunRecord:
    """Start a keeper under the run's lock and wait until the plugin's program runs.

    Raises:
        RuntimeFailure: it did not start.
        OSError: the disk is full.
    """
    lock = folder.take_lock()
    if lock is None:
        raise RuntimeFailure(
            "start",
            "run-locked",
            "The plugin is already running under another registry on this data folder.",
            hint="Stop the other Nimbus, or give this one its own NIMBUS_DATA_DIR.",
        )
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", keeper.__file__, str(lock)],
            input=json.dumps(order).encode(),
            capture_output=True,
            pass_fds=(lock,),
            env={"PATH": os.environ.get("PATH", os.defpath)},
            cwd="/",
            timeout=SPAWN_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeFailure(
            "start", "keeper-failed", f"The plugin's keeper could not be started: {error}"
        ) from error
    finally:
        os.close(lock)
    with contextlib.suppress(ValueError, KeyError, TypeError):
        answer = json.loads(done.stdout)
        if "error" in answer:
            if answer["errno"] in {errno.ENOSPC, errno.EDQUOT}:
                raise OSError(answer["errno"], answer["error"])  # not the plugin's fault, see `ensure`
            raise RuntimeFailure(
                "start",
                "start-failed",
                f"{order['argv'][0]} could not be started: {answer['error']}.",
                hint="Check runtime.process.command in the manifest, and the program's permissions.",
            )
        return parse_record(answer["run"])
    raise RuntimeFailure(
        "start",
        "keeper-failed",
        "The plugin's keeper ended before the plugin was started.",
        log_tail=done.stderr.decode("utf-8", "replace").splitlines()[-10:],
    )
