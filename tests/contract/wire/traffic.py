"""Recorded traffic of the SDK: its form in a file, the references in it, and what an answer must still have. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("recorded")
SENT = frozenset({"content-type", "if-match", "if-none-match", "accept", "x-nimbus-on-behalf-of"})
"""Headers of requests that are recorded; the rest belongs to the connection or is the plugin's credential."""

PERSON = "{{identity of a person}}"
"""Stands for the identity token of a person for whom a plugin acts: it lives for a minute."""

_SHORTEST = 12
"""Strings of answers that are shorter are no ids, versions or cursors, but words that requests may hold by chance."""
_REFERENCE = re.compile(r"^\{\{(\d+)(\S*)\}\}$")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of the SDK and what the gateway answered.

    A string of a request that came with an earlier answer is kept as `{{number of the exchange/JSON pointer}}`, or
    `{{number#etag}}` for that answer's header, because today's gateway gives out other ids.
    """

    plugin: str
    method: str
    path: list[str]
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    status: int
    content_type: str | None
    etag: str | None
    answer: Any


def load(file: Path) -> list[Exchange]:
    """The exchanges of a recording, in their order."""
    return [Exchange(**item) for item in json.loads(file.read_text(encoding="utf-8"))["exchanges"]]


def store(file: Path, release: str, exchanges: list[Exchange]) -> None:
    """Write a recording."""
    document = {"sdk": release, "exchanges": [asdict(exchange) for exchange in exchanges]}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def known(exchanges: list[Exchange]) -> dict[str, str]:
    """Strings that came with answers, with the reference to where each came first."""
    found: dict[str, str] = {}
    for number, exchange in enumerate(exchanges):
        for pointer, text in leaves(exchange.answer):
            if len(text) >= _SHORTEST:
                found.setdefault(text, f"{{{{{number}{pointer}}}}}")
        if exchange.etag is not None:
            found.setdefault(exchange.etag, f"{{{{{number}#etag}}}}")
    return found


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a JSON document with its pointer."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, f"{at}/{key}")
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from leaves(member, f"{at}/{index}")


def referring(value: Any, references: Mapping[str, str]) -> Any:
    """A document with the strings that are known replaced by their references."""
    return _mapped(value, lambda text: references.get(text, text))


def resolved(value: Any, answers: list[tuple[Any, str | None]]) -> Any:
    """A document with its references replaced by what today's answers have there.

    Raises:
        LookupError: today's answer has nothing there; that exchange failed before.
    """

    def text_of(text: str) -> str:
        found = _REFERENCE.match(text)
        if found is None:
            return text
        body, etag = answers[int(found[1])]
        if found[2] == "#etag":
            if etag is None:
                raise LookupError(text)
            return etag
        for part in found[2].split("/")[1:]:
            body = body[int(part)] if isinstance(body, list) else body[part]
        return str(body)

    return _mapped(value, text_of)


def _mapped(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(member, change) for key, member in value.items()}
    if isinstance(value, list):
        return [_mapped(member, change) for member in value]
    return value


def lacking(recorded: Any, today: Any, at: str = "") -> list[str]:
    """What today's answer has no longer, or as another type. More than was recorded is fine: v1 only grows."""
    if recorded is None:
        return []
    if _kind(recorded) != _kind(today):
        return [f"{at or '/'} was {_kind(recorded)} and is {_kind(today)}"]
    if isinstance(recorded, dict):
        gone = [f"{at}/{key} is gone" for key in recorded if key not in today and recorded[key] is not None]
        nested = [lacking(recorded[key], today[key], f"{at}/{key}") for key in recorded if key in today]
        return gone + [one for found in nested for one in found]
    if isinstance(recorded, list) and recorded:
        return lacking(recorded[0], today[0], f"{at}/0") if today else [f"{at} is empty"]
    return []


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    return {str: "a string", dict: "an object", list: "a list", type(None): "null"}[type(value)]


def differences(
    recorded: Exchange, status: int, content_type: str | None, etag: str | None, answer: Any
) -> list[str]:
    """Where today's answer would surprise the SDK that was recorded."""
    found = []
    if status != recorded.status:
        found.append(f"status {recorded.status} became {status}: {answer}")
    if content_type != recorded.content_type:
        found.append(f"{recorded.content_type} became {content_type}")
    if recorded.etag is not None and etag is None:
        found.append("the header ETag is gone")
    if isinstance(recorded.answer, dict) and recorded.content_type == "application/problem+json":
        found += [
            f"/{key} {recorded.answer[key]!r} became {answer.get(key)!r}"
            for key in ("type", "missing")
            if key in recorded.answer and recorded.answer[key] != answer.get(key)
        ]
    return found + lacking(recorded.answer, answer)
