"""What a field expects, in words: pydantic's errors turned into sentences for the author of a document."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from nimbus_sdk.contracts.base import PLUGIN_ID_PATTERN
from nimbus_sdk.contracts.jsontext import pointer, shown
from nimbus_sdk.contracts.problem import FieldProblem

_PATTERNS: tuple[tuple[str, str], ...] = (
    (PLUGIN_ID_PATTERN, "2 to 40 lower-case letters, digits and '-', starting with a letter, such as subtitles"),
    (r"^(0|[1-9]\d*)\.", "a semantic version of three numbers, such as 1.2.0"),
    (r"^[a-z]+:[a-z0-9*-]+(?:", "a permission such as media:read or plugins:call:indexer"),
    (r"^[a-z][a-z0-9-]*:[a-z0-9*:-]+$", "a scope such as subtitles:read"),
    (r"^/[A-Za-z0-9_\-./:]*$", "a page path that starts with '/', such as /settings"),
    (
        r"^[A-Za-z0-9_\-][A-Za-z0-9_\-.]*(/",
        "a relative file path without '..' or hidden folders, such as web/main.js",
    ),
    (r"^[A-Za-z_$]", "the name of an export, such as default or MediaTab"),
    (r"^https?://", "an address that starts with https:// or http://"),
    (r"^[a-z0-9-]+(/[a-z0-9-]+)*/v\d+$", "a slot name with its version, such as media-detail/tab/v1"),
    (r"^[a-z0-9-]+$", "the name of an icon: lower-case letters, digits and '-', such as captions"),
    (r"^[a-z][a-z0-9:-]*$", "a capability: lower-case letters, digits, ':' and '-', such as api or compat:sonarr"),
    (r"^compat:", "a compatibility tag such as compat:sonarr"),
)
_TYPES = {
    "string_type": "text in double quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list in [ ]",
    "dict_type": "an object in { }",
    "model_type": "an object in { }",
    "model_attributes_type": "an object in { }",
    "string_unicode": "text without lone surrogates",
}

_BOUNDS = {
    "string_too_short": ("at least", "min_length", "characters"),
    "string_too_long": ("at most", "max_length", "characters"),
    "too_short": ("at least", "min_length", "entries"),
    "too_long": ("at most", "max_length", "entries"),
    "greater_than": ("more than", "gt", ""),
    "greater_than_equal": ("at least", "ge", ""),
    "less_than": ("less than", "lt", ""),
    "less_than_equal": ("at most", "le", ""),
}


def close_match(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was likely meant, or None."""
    by_folded = {candidate.replace("_", "").lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(word.replace("_", "").lower(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def field_problem(error: ErrorDetails, descriptions: Mapping[str, str]) -> FieldProblem:
    """One pydantic error as a field problem; `descriptions` maps a field's name to what it is."""
    location = error["loc"]
    if error["type"] == "missing":
        about = descriptions.get(str(location[-1]))
        words = "required, but missing" + (f": {about}" if about else "")
        return FieldProblem(path=pointer(*location), message=words)
    value = error["input"]
    suggestion = None
    if error["type"] == "literal_error" and isinstance(value, str):
        suggestion = close_match(value, _options(error))
    return FieldProblem(path=pointer(*location), message=_words(error), value=shown(value), suggestion=suggestion)


def _words(error: ErrorDetails) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    kind = error["type"]
    words = _TYPES.get(kind) or error["msg"]
    if kind == "string_pattern_mismatch":
        words = _pattern_words(str(context["pattern"]))
    elif kind == "value_error":
        words = str(context["error"])
    elif kind == "literal_error":
        options = _options(error) or [str(context["expected"])]
        words = "one of " + ", ".join(options) if len(options) > 1 else f"the value {options[0]}"
    elif kind in _BOUNDS:
        comparison, key, unit = _BOUNDS[kind]
        words = f"{comparison} {context[key]} {unit}".strip()
    return words


def _pattern_words(pattern: str) -> str:
    return next((words for known, words in _PATTERNS if pattern.startswith(known)), f"text of the form {pattern}")


def _options(error: ErrorDetails) -> list[str]:
    expected = str(error.get("ctx", {}).get("expected", ""))
    return [part.strip("'") for part in expected.replace(" or ", ", ").split(", ") if part.startswith("'")]
