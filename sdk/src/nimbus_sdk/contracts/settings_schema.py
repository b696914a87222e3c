"""What a settings schema may not hold, because checking settings against it could take for ever. Pure.

The gateway looks before each check; a manifest is looked at when it is installed. Not in the manifest's model, which
also reads what was installed before.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nimbus_sdk.contracts.jsontext import pointer, shown
from nimbus_sdk.contracts.problem import FieldProblem

LONGEST_PATTERN: Final = 1000
"""Characters of one pattern."""
MOST_CHARACTERS: Final = 20_000
"""Characters of all patterns together."""
LARGEST_PATTERN: Final = 50_000
"""`pattern_size` of one pattern: at most 20 MB and 30 ms to prepare it."""
MOST_PARTS: Final = 200_000
"""`pattern_size` of all patterns together."""

_REFUSED: Final = {"unevaluatedProperties": "additionalProperties", "unevaluatedItems": "items, beside prefixItems,"}
_OF_NAMES: Final = {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
"""Keywords with an object whose keys are names, not keywords."""
_OF_DATA: Final = {"default", "const", "enum", "examples"}
_REPEATED: Final = re.compile(r"(.?)\{([0-9]*)(?:,[0-9]*)?\}", re.DOTALL)

Place = tuple[str | int, ...]


def pattern_size(pattern: str) -> int:
    """The parts of a pattern with its least repetitions written out, as they are to match it; rather too many.

    `(?:ab{20}){30}` has 30 times 35. What repeats a group counts for the whole pattern, so that none is parsed.
    """
    parts, times = len(pattern), 1
    for before, digits in _REPEATED.findall(pattern):
        least = int(digits.lstrip("0")[:12] or 0)
        if before in {"", ")", "}", "*", "+", "?"} or before.isspace():
            times *= max(least, 1)
        else:
            parts += least
    return parts * times


def schema_problems(schema: Mapping[str, Any], *place: str | int) -> Iterator[FieldProblem]:
    """Everything in a settings schema that it may not hold, by JSON pointers that begin with `place`."""
    characters = parts = 0
    for path, keyword, value in _keywords(schema, place):
        if keyword in _REFUSED:
            message = f"{_REFUSED[keyword]} in place of {keyword}, which settings cannot be checked by"
            yield FieldProblem(path=pointer(*path), message=message)
        for pattern in _patterns(keyword, value):
            size = pattern_size(pattern) if len(pattern) <= LONGEST_PATTERN else 0
            characters, parts = characters + len(pattern), parts + size
            if len(pattern) > LONGEST_PATTERN:
                message = f"a pattern of at most {LONGEST_PATTERN} characters"
                yield FieldProblem(path=pointer(*path), message=message, value=shown(pattern))
            elif size > LARGEST_PATTERN:
                message = f"a pattern of at most {LARGEST_PATTERN} parts when its repetitions are written out"
                yield FieldProblem(path=pointer(*path), message=message, value=shown(pattern))
    if characters > MOST_CHARACTERS:
        yield FieldProblem(path=pointer(*place), message=f"patterns of at most {MOST_CHARACTERS} characters together")
    elif parts > MOST_PARTS:
        message = f"patterns of at most {MOST_PARTS} parts together when their repetitions are written out"
        yield FieldProblem(path=pointer(*place), message=message)


def patterns_in(schema: Mapping[str, Any]) -> Iterator[str]:
    """Every pattern in a schema: of values, and of names of properties."""
    for _, keyword, value in _keywords(schema, ()):
        yield from _patterns(keyword, value)


def _patterns(keyword: str, value: object) -> Iterator[str]:
    if keyword == "pattern" and isinstance(value, str):
        yield value
    elif keyword == "patternProperties" and isinstance(value, Mapping):
        yield from value


def _keywords(schema: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str, Any]]:
    """Every keyword of a schema and of all schemas in it, with its place and value."""
    waiting: list[tuple[Place, Any]] = [(place, schema)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, list):
            waiting += [((*path, position), member) for position, member in enumerate(found)]
        if not isinstance(found, Mapping):
            continue
        for keyword, value in found.items():
            here = (*path, keyword)
            yield here, keyword, value
            if keyword in _OF_NAMES and isinstance(value, Mapping):
                waiting += [((*here, name), member) for name, member in value.items()]
            elif keyword not in _OF_DATA:
                waiting.append((here, value))
