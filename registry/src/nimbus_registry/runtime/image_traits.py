"""What an image brings along besides its files, and what becomes of it in a plugin's container. Pure."""

import re
from collections.abc import Iterable
from posixpath import normpath
from typing import Final

from nimbus_registry.runtime.base import RuntimeFailure

MOST_VOLUMES: Final = 32
MOST_LABELS: Final = 256
MOST_LABEL_TEXT: Final = 16 * 1024

_LABEL: Final = re.compile(r"[A-Za-z0-9_./\[\]-]{1,256}")
"""The socket proxy lets labels of this form through when they are empty."""


def memory_mounts(declared: Iterable[str], *, data: str | None) -> tuple[str, ...]:
    """Where memory is mounted for the volumes that an image declares, each place once and as the engine writes it.

    Written another way, as `/cache/` or `//cache`, the engine would make a volume beside it, which has no limit.

    Args:
        declared: as in the image.
        data: where the plugin's own volume is; None without one.

    Raises:
        RuntimeFailure: there are too many, or one below the plugin's own volume. Memory there would take in what the
            plugin means to keep and lose it at the next start, and copies of its data would not have it.
    """
    places = tuple(dict.fromkeys("/" + normpath(path).lstrip("/") for path in declared))
    if len(places) > MOST_VOLUMES:
        raise _refused(f"declares {len(places)} volumes; at most {MOST_VOLUMES} are taken")
    below = next((place for place in places if data is not None and place.startswith(f"{data}/")), None)
    if below is not None:
        raise _refused(
            f"declares a volume at {below[:80]!r}, within {data}, which the plugin has as one volume",
            hint=f"Take this VOLUME out of the image: everything below {data} is kept without it.",
        )
    return tuple(place for place in places if place != data)


def blanked_labels(names: Iterable[str]) -> dict[str, str]:
    """Empty values for the labels that a container would inherit.

    Other programs of the machine act on labels: Compose takes a container for one of its services, a proxy gives it a
    host name, a scheduler runs commands in it. What an operator did not write must not speak to them. Nearly all of
    them name theirs with dots; a label without one, which an image may need for itself, is left as it is.

    Raises:
        RuntimeFailure: there are too many, or one whose name cannot be given back empty.
    """
    dotted = sorted(name for name in names if "." in name)
    if len(dotted) > MOST_LABELS or sum(map(len, dotted)) > MOST_LABEL_TEXT:
        raise _refused(
            f"carries {len(dotted)} labels; at most {MOST_LABELS} and {MOST_LABEL_TEXT} characters are taken"
        )
    odd = next((name for name in dotted if not _LABEL.fullmatch(name)), None)
    if odd is not None:
        raise _refused(f"carries a label that no program should act on, and that cannot be emptied: {odd[:80]!r}")
    return dict.fromkeys(dotted, "")


def _refused(what: str, *, hint: str = "Ask its author for an image without them.") -> RuntimeFailure:
    return RuntimeFailure("image", "image-refused", f"The plugin's image {what}.", hint=hint)
