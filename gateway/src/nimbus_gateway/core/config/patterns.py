"""Patterns of settings schemas, matched in bounded time and memory.

By `regex`, which lets others run meanwhile and can be told to give up, and reads a few things otherwise than `re` and
JSON Schema do.
"""

import functools
import re
from typing import Final

import regex
from jsonschema.exceptions import SchemaError
from nimbus_sdk.contracts.settings_schema import LARGEST_PATTERN, LONGEST_PATTERN, pattern_size

from nimbus_gateway.core.config.budget import TooSlowError, budget, left

LONGEST_TEXT: Final = 100_000
"""Characters that are compared with a pattern: the ways back take some hundred bytes for each."""
_BRACES: Final = re.compile(r"(\\[pP]\{[^{}]*\}|\\.|\{[0-9]+(?:,[0-9]*)?\}|\{,[0-9]+\})|\{", re.DOTALL)
_CALLS: Final = re.compile(r"(?<!\\)(?:\\\\)*\(\s*\?\s*(?:R|&|P\s*>|[-+]?[0-9])")
"""What JSON Schema does not have: a part that stands for another one, or for itself, so for ever."""


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is anywhere in a text.

    Raises:
        SchemaError: it is no pattern, or too large a one.
        TooSlowError: it takes too long.
    """
    if len(text) > LONGEST_TEXT:
        raise TooSlowError
    try:
        return prepared(pattern).search(text, timeout=left(), concurrent=True) is not None
    except (TimeoutError, MemoryError):
        raise TooSlowError from None


def prepared(pattern: str) -> regex.Pattern[str]:
    """A pattern that can be matched. A large one is kept for the check that is under way only.

    Raises:
        SchemaError: it is no pattern, or too large a one.
        TooSlowError: there are too many large ones.
    """
    size = pattern_size(pattern) if len(pattern) <= LONGEST_PATTERN else LARGEST_PATTERN + 1
    if size > LARGEST_PATTERN:
        raise SchemaError(f"the pattern {pattern[:40]!r}… is too large")
    if _CALLS.search(pattern):
        raise SchemaError(f"{pattern!r} is no pattern: a part of it calls another one")
    if size <= LONGEST_PATTERN:
        return _kept(pattern)
    with budget() as mine:
        return mine.kept(pattern, size, _compiled)


def _compiled(pattern: str) -> regex.Pattern[str]:
    try:
        return regex.compile(with_plain_braces(pattern), cache_pattern=False)
    except (regex.error, RecursionError, OverflowError) as error:
        raise SchemaError(f"{pattern!r} is no pattern: {error}") from error


_kept = functools.lru_cache(maxsize=256)(_compiled)


def with_plain_braces(pattern: str) -> str:
    r"""The pattern with each brace escaped that begins no repetition: `regex` takes `{e}` for "with errors". Pure.

    `\p{L}` stays, as JSON Schema has it.
    """
    return _BRACES.sub(lambda found: found[1] or r"\{", pattern)
