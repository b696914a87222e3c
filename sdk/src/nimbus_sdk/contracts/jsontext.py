"""Reading a JSON document strictly, so that what a person wrote wrongly is named instead of guessed.

Beyond what `json.loads` refuses, this refuses documents that are too large or nested too deeply, duplicate keys
(RFC 8259 leaves their meaning open), `NaN` and `Infinity`, and characters that not every store can keep (NUL and
lone surrogates).
"""

import json
import math
from collections.abc import Iterator
from typing import Any

from nimbus_sdk.contracts.problem import FieldProblem

MAX_DOCUMENT_BYTES = 256 * 1024
MAX_DEPTH = 64
_SHOWN = 80


class _Members(dict[str, Any]):
    """A JSON object that remembers the keys that were written twice."""

    repeated: tuple[str, ...] = ()


def pointer(*parts: str | int) -> str:
    """The JSON pointer (RFC 6901) of a path of keys and positions; empty for the whole document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def shown(value: object) -> object:
    """The value as an error message shows it: whole when short, else cut to a readable length."""
    if isinstance(value, int | float) and not abs(value) < 10**18:
        return "a very large number"
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{SYMBOL FOR NULL}")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def read_json(raw: bytes | str) -> tuple[Any, list[FieldProblem]]:
    """The document and everything wrong with it as text; the document is None when it cannot be read at all."""
    text, problem = _decoded(raw)
    if problem is not None:
        return None, [problem]
    try:
        document = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        return None, [_syntax(text, error)]
    except RecursionError:
        return None, [_whole(f"at most {MAX_DEPTH} levels of nesting")]
    except _ConstantError as error:
        return None, [_whole(str(error))]
    except ValueError:
        return None, [_whole("numbers of a readable length; one has thousands of digits")]
    return document, list(text_problems(document))


def text_problems(
    value: object, path: tuple[str | int, ...] = (), *, deepest: int = MAX_DEPTH
) -> Iterator[FieldProblem]:
    """Duplicate keys, unkeepable characters and too deep nesting, anywhere in a parsed document."""
    if len(path) > deepest:
        yield FieldProblem(path=pointer(*path[:4]) + "/…", message=f"at most {deepest} levels of nesting")
        return
    if isinstance(value, dict):
        for key in getattr(value, "repeated", ()):
            yield FieldProblem(path=pointer(*path, key), message="this key is written more than once; keep one")
        for key, member in value.items():
            if _unkeepable(str(key)):
                yield FieldProblem(
                    path=pointer(*path), message="keys without NUL or lone surrogates", value=shown(key)
                )
            yield from text_problems(member, (*path, str(key)), deepest=deepest)
    elif isinstance(value, list):
        for position, member in enumerate(value):
            yield from text_problems(member, (*path, position), deepest=deepest)
    elif isinstance(value, str) and _unkeepable(value):
        yield FieldProblem(path=pointer(*path), message="text without NUL or lone surrogates", value=shown(value))
    elif isinstance(value, float) and not math.isfinite(value):
        yield FieldProblem(path=pointer(*path), message="a finite number", value=shown(value))


def _decoded(raw: bytes | str) -> tuple[str, FieldProblem | None]:
    size = len(raw) if isinstance(raw, bytes) else len(raw.encode("utf-8", "surrogatepass"))
    if size > MAX_DOCUMENT_BYTES:
        return "", _whole(f"at most {MAX_DOCUMENT_BYTES // 1024} KiB; this document has {size} bytes")
    try:
        return (raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw.removeprefix("\ufeff")), None
    except UnicodeDecodeError as error:
        return "", _whole(f"UTF-8 text; byte {error.start} is not UTF-8")


def _unkeepable(text: str) -> bool:
    return "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _members(pairs: list[tuple[str, Any]]) -> _Members:
    members = _Members(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        members.repeated = tuple(dict.fromkeys(twice))
    return members


class _ConstantError(ValueError):
    """Something Python's parser takes that is not JSON."""


def _refuse_constant(name: str) -> object:
    raise _ConstantError(f"{name} is not JSON; write a number")


def _syntax(text: str, error: json.JSONDecodeError) -> FieldProblem:
    lines = text.splitlines()
    line = lines[error.lineno - 1].strip() if error.lineno <= len(lines) else ""
    hint = None
    before = text[: error.pos].rstrip()
    if not text.strip():
        hint = "the file is empty"
    elif before.endswith(",") and text[error.pos : error.pos + 1] in {"}", "]"}:
        hint = "remove the comma before it"
    elif text[error.pos : error.pos + 2] in {"//", "/*"} or text[error.pos : error.pos + 1] == "#":
        hint = "JSON has no comments"
    elif text[error.pos : error.pos + 1] == "'":
        hint = "JSON strings take double quotes"
    return FieldProblem(
        path="",
        message=f"valid JSON; line {error.lineno}, column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]}",
        value=shown(line) if line else None,
        suggestion=hint,
    )


def _whole(message: str) -> FieldProblem:
    return FieldProblem(path="", message=message)
