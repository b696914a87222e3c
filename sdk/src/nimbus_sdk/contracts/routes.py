"""Route patterns: their grammar, their order and how a request path is matched.

A pattern is a path of segments. A segment is literal text, ``{name}`` for exactly one segment, or, as the last
one, ``{name:path}`` for the rest, however many segments (at least one character). Among patterns that match,
the most specific wins, segment by segment: literal before ``{name}`` before ``{name:path}``. The manifest's
validator, the gateway's table and the SDK's router share this module, so they agree.
"""

import re
from collections.abc import Iterable, Sequence

_LITERAL = re.compile(r"^[A-Za-z0-9._~!$&'()*+,;=:@-]+$")
_PARAM = re.compile(r"^\{[A-Za-z_][A-Za-z0-9_]*\}$")
_REST = re.compile(r"^\{[A-Za-z_][A-Za-z0-9_]*:path\}$")

Taken = dict[tuple[tuple[tuple[int, str], ...], str], str]
"""Which route takes which requests: its path by its specificity and method."""

RESERVED_PREFIX = "_nimbus"
"""First segment of the calls that only the platform makes; no route may use it."""

RESERVED_SEGMENTS = frozenset({"enable", "disable", "ui-manifest"})
"""Single-segment paths under ``/api/plugins/{id}`` that are the platform's own, for every method."""


def check_route_path(path: str) -> str:
    """Return the pattern unchanged when it is well-formed.

    Raises:
        ValueError: says which segment is wrong and what is allowed.
    """
    if not path.startswith("/"):
        raise ValueError(f"a route path starts with '/': {path!r}")
    if path == "/":
        return path
    segments = path[1:].split("/")
    for position, segment in enumerate(segments):
        _check_segment(segment, last=position == len(segments) - 1)
    if segments[0] == RESERVED_PREFIX:
        raise ValueError(f"paths under /{RESERVED_PREFIX} belong to the platform")
    if len(segments) == 1 and segments[0] in RESERVED_SEGMENTS:
        raise ValueError(f"/{segments[0]} belongs to the platform; choose another path")
    return path


def _check_segment(segment: str, *, last: bool) -> None:
    if _REST.match(segment):
        if not last:
            raise ValueError(f"{segment!r} takes the rest of the path, so it must be the last segment")
    elif segment in {".", ".."}:
        raise ValueError("a route path holds no '.' or '..' segment")
    elif not segment:
        raise ValueError("a route path holds no empty segment ('//' or a '/' at its end)")
    elif not _PARAM.match(segment) and not _LITERAL.match(segment):
        raise ValueError(
            f"segment {segment!r} is neither literal text nor {{name}} nor, as the last one, {{name:path}}"
        )


def specificity(path: str) -> tuple[tuple[int, str], ...]:
    """Sort key of a pattern: ascending order puts the most specific first.

    Literal segments come before parameters and these before ``{name:path}``; parameter names do not count.
    """
    key: list[tuple[int, str]] = []
    for segment in path[1:].split("/"):
        if _REST.match(segment):
            key.append((2, ""))
        elif _PARAM.match(segment):
            key.append((1, ""))
        else:
            key.append((0, segment))
    return tuple(key)


def route_conflicts(routes: Sequence[tuple[str, Iterable[str]]]) -> list[str]:
    """Pairs of routes that take the same requests, as sentences; empty when there are none."""
    seen: Taken = {}
    return [conflict for path, methods in routes for conflict in conflicts_with(seen, path, methods)]


def conflicts_with(seen: Taken, path: str, methods: Iterable[str]) -> list[str]:
    """What a further route takes that one before it takes already, as sentences; `seen` then knows it too."""
    conflicts: list[str] = []
    key = specificity(path)
    for method in methods:
        earlier = seen.get((key, method))
        if earlier is not None:
            conflicts.append(f"routes {earlier!r} and {path!r} both take {method}")
        seen[(key, method)] = path
    return conflicts
