"""What a command shows while Nimbus fetches an image: its layers, as they come."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.markup import escape

from nimbus_sdk.cli.output import errors
from nimbus_sdk.contracts.jobs import InstallJob, PullLayer
from nimbus_sdk.errors import CoreError
from nimbus_sdk.nimbus_client import NimbusClient

EVERY_SECONDS: Final = 0.5
MOST_LAYERS: Final = 8
_MB: Final = 1_000_000


@contextmanager
def fetching(nimbus: NimbusClient, what: str, reference: str) -> Iterator[None]:
    """Show `what`, and under it the layers of the image `reference`, while the block waits for Nimbus.

    Shown on terminals only. Not to see the layers is no reason to stop.
    """
    done = threading.Event()
    with errors.status(escape(what)) as line:

        def follow() -> None:
            while not done.wait(EVERY_SECONDS):
                try:
                    found = nimbus.installs()
                except (CoreError, ValueError, RuntimeError):  # no answer, a foreign one, or the client is closed
                    continue
                running = [job for job in found if job.state == "running" and job.source == f"image:{reference}"]
                if running:
                    line.update(escape("\n".join([what, *layers(running[-1])])))

        follower = threading.Thread(target=follow, name="fetch progress", daemon=True)
        if errors.is_terminal:
            follower.start()
        try:
            yield
        finally:
            done.set()
            if follower.is_alive():
                follower.join(timeout=1)


def layers(job: InstallJob) -> list[str]:
    """A line for each layer that is under way, then how many others there are. Pure."""
    shown = [one for one in job.layers if one.id]
    moving = [one for one in shown if not _is_here(one)]
    lines = [_line(one) for one in moving[:MOST_LAYERS]]
    here, waiting = len(shown) - len(moving), len(moving[MOST_LAYERS:])
    rest = [f"{count} {what}" for count, what in ((waiting, "more to come"), (here, "layers are here")) if count]
    return [*lines, *([", ".join(rest)] if rest else [])]


def _is_here(layer: PullLayer) -> bool:
    return layer.status.startswith(("Pull complete", "Already exists"))


def _line(layer: PullLayer) -> str:
    size = ""
    if layer.current is not None and layer.total:
        size = f" {layer.current / _MB:.1f} of {layer.total / _MB:.1f} MB"
    return f"{layer.id[:12]} {layer.status}{size}"
