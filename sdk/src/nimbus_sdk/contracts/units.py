"""Sizes and durations as people write them in a manifest: ``256m``, ``100m``, ``60s``, ``5m``, ``0``."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

LEAST_MEMORY = 6 * 1024**2
LEAST_CPUS = 0.01
"""The least that an engine limits a container to. To an engine 0 means no limit."""
MOST_START = "1h"
"""The longest time that a start may take. Who is waited for longer has failed, and nobody would be told."""
MOST_SILENCE = "24h"
"""The longest limit of a request; what is to last longer has none, which is written as 0."""

_SIZE = re.compile(r"^([0-9]{1,15}(?:\.[0-9]{1,9})?)([bkmg]?)$")
_SIZE_UNITS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_DURATION = re.compile(r"^([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|s|m|h)?$")
_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def parse_size(text: str) -> int:
    """Bytes of a size such as ``512k``, ``256m`` or ``1.5g`` (powers of 1024).

    Raises:
        ValueError: the text is not a size.
    """
    found = _SIZE.match(text.strip().lower())
    if not found:
        raise ValueError(f"{text[:40]!r} is not a size; write a number and b, k, m or g, such as 256m")
    return int(float(found[1]) * _SIZE_UNITS[found[2]])


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``500ms``, ``60s``, ``5m`` or ``1h``; ``0`` means no limit.

    Raises:
        ValueError: the text is not a duration.
    """
    found = _DURATION.match(text.strip().lower())
    if not found or (found[2] is None and float(found[1]) != 0):
        raise ValueError(f"{text[:40]!r} is not a duration; write a number and ms, s, m or h, such as 30s, or 0")
    return float(found[1]) * _DURATION_UNITS[found[2]]


def _checked_size(text: str) -> str:
    parse_size(text)
    return text


def _checked_duration(text: str) -> str:
    parse_duration(text)
    return text


Size = Annotated[str, AfterValidator(_checked_size), Field(examples=["256m"])]
Duration = Annotated[str, AfterValidator(_checked_duration), Field(examples=["30s"])]
