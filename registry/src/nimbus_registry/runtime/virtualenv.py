"""The Python environment of a plugin that runs as a process: made by uv, kept until what it is made of changes."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from uv import find_uv_bin

from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.build_log import BuildLog

SETUP_TIMEOUT = 600.0
"""Seconds for one step of setting an environment up."""

_COMPLETE = ".nimbus-complete"
_PASSED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR")
_PASSED_ON_PREFIXES = ("UV_", "XDG_", "SSL_CERT_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


def setup_environment(host: Mapping[str, str]) -> dict[str, str]:
    """What uv, and build code of the plugin under it, see of the registry's environment."""
    return {
        key: value for key, value in host.items() if key in _PASSED_ON or key.upper().startswith(_PASSED_ON_PREFIXES)
    }


def environment_key(source_dir: Path, sdk_source: Path | None) -> str:
    """Name of the environment that fits a plugin's folder: another interpreter, SDK or project file is another key.

    Raises:
        OSError: the project file cannot be read.
    """
    digest = hashlib.sha256()
    parts = [sys.version.encode(), str(Path(sys.base_prefix)).encode(), str(source_dir.resolve()).encode()]
    parts.append((source_dir / "pyproject.toml").read_bytes())
    if sdk_source is not None:
        parts.append(str(sdk_source.resolve()).encode())
        parts.append(sdk_source.read_bytes() if sdk_source.is_file() else _sdk_folder_facts(sdk_source))
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()[:16]


def _sdk_folder_facts(folder: Path) -> bytes:
    lock = folder / "requirements.lock"
    return (folder / "pyproject.toml").read_bytes() + (lock.read_bytes() if lock.is_file() else b"")


async def ensure_virtualenv(
    source_dir: Path, directory: Path, sdk_source: Path | None, log: BuildLog, report: Callable[[str], None]
) -> Path | None:
    """Have the environment of a plugin's folder.

    Args:
        source_dir: the plugin's folder; without a `pyproject.toml` in it there is no environment.
        directory: where the environments of this plugin are kept.
        sdk_source: folder or wheel of the SDK that goes in along; None takes what the package index has.
        log: gets every line of uv.
        report: is told each line as it comes.

    Returns:
        The environment's folder, or None for a plugin that needs none.

    Raises:
        RuntimeFailure: hop `image`, with uv's last lines.
    """
    environment = await asyncio.to_thread(_look, source_dir, directory, sdk_source)
    if environment is None or (environment / _COMPLETE).is_file():
        return environment
    log.begin()
    await asyncio.to_thread(shutil.rmtree, environment, ignore_errors=True)
    report("making a Python environment")
    uv = find_uv_bin()
    await _run([uv, "venv", "--no-project", "--python", sys.executable, str(environment)], log, report)
    install = [uv, "pip", "install", "--python", str(environment / "bin" / "python"), "--no-sources"]
    await _run([*install, *_sdk_requirement(sdk_source), "--editable", str(source_dir)], log, report)
    (environment / _COMPLETE).touch()
    return environment


def has_virtualenv(source_dir: Path, directory: Path, sdk_source: Path | None) -> bool:
    """Whether `ensure_virtualenv` would find everything made."""
    try:
        environment = _look(source_dir, directory, sdk_source)
    except OSError:
        return False
    return environment is None or (environment / _COMPLETE).is_file()


def _look(source_dir: Path, directory: Path, sdk_source: Path | None) -> Path | None:
    """The folder of the environment, complete or not; None for a plugin that needs none."""
    if not (source_dir / "pyproject.toml").is_file():
        return None
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory / environment_key(source_dir, sdk_source)


def _sdk_requirement(sdk_source: Path | None) -> list[str]:
    """Arguments that install the SDK of this Nimbus, with the versions it was tested with."""
    if sdk_source is None:
        return []
    if not sdk_source.is_dir():
        return [str(sdk_source)]
    lock = sdk_source / "requirements.lock"
    constraint = ["--constraint", str(lock)] if lock.is_file() else []
    return [*constraint, "--editable", str(sdk_source)]


def remove_other_environments(directory: Path, keep: Path | None) -> None:
    """Delete environments that nothing uses any more."""
    for other in directory.iterdir() if directory.is_dir() else ():
        if other != keep:
            shutil.rmtree(other, ignore_errors=True)


async def _run(argv: Sequence[str], log: BuildLog, report: Callable[[str], None]) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=setup_environment(os.environ),
        cwd="/",
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SETUP_TIMEOUT):
            if process.stdout is not None:
                while line := await _readline(process.stdout):
                    text = line.decode("utf-8", "replace").rstrip()
                    log.add(text)
                    report(text)
            code = await process.wait()
    except TimeoutError:
        raise RuntimeFailure(
            "image",
            "environment-timeout",
            f"The Python environment was not ready after {SETUP_TIMEOUT:.0f} seconds.",
            hint="Check that this machine reaches the Python package index, then enable the plugin again.",
            log_tail=log.tail(20),
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
    if code != 0:
        raise RuntimeFailure(
            "image",
            "environment-failed",
            "The plugin's Python environment could not be set up.",
            hint="The log's last lines name the package or setting; correct pyproject.toml and enable it again.",
            log_tail=log.tail(20),
        )


async def _readline(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the reader's limit; the reader has dropped it
        return b"(a line too long to show)\n"
