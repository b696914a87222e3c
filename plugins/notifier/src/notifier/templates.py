"""Templates: text with `{data.title}` in it. Pure.

What is looked up is only ever shown: there are no expressions, so a template cannot do anything.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_PLACE = re.compile(r"\{([A-Za-z_][\w-]*(?:\.[\w-]+)*)\}")
_DEFAULTS: dict[str, tuple[str, str]] = {
    "io.nimbus.media.created.v1": ("New: {data.title}", "{data.kind} {data.title} {data.year} is in the library."),
    "io.nimbus.media.updated.v1": ("Changed: {data.title}", "{data.kind} {data.title} {data.year} was changed."),
    "io.nimbus.media.deleted.v1": ("Removed: {data.title}", "{data.kind} {data.title} was removed from the library."),
    "io.nimbus.download.created.v1": ("Download: {data.title}", "{data.provider} is to fetch {data.title}."),
    "io.nimbus.download.queued.v1": ("Download waits: {data.title}", "{data.title} waits for its turn."),
    "io.nimbus.download.started.v1": ("Downloading: {data.title}", "{data.provider} fetches {data.title}."),
    "io.nimbus.download.paused.v1": ("Download paused: {data.title}", "{data.title} was paused."),
    "io.nimbus.download.completed.v1": ("Downloaded: {data.title}", "{data.provider} has fetched {data.title}."),
    "io.nimbus.download.failed.v1": ("Download failed: {data.title}", "{data.provider}: {data.error}"),
    "io.nimbus.download.canceled.v1": ("Download canceled: {data.title}", "{data.title} is not fetched."),
    "io.nimbus.user.created.v1": ("New user: {data.username}", "{data.username} has an account as {data.role}."),
    "io.nimbus.user.updated.v1": ("User changed: {data.username}", "The account of {data.username} was changed."),
    "io.nimbus.user.deleted.v1": ("User removed: {data.username}", "{data.username} has no account any more."),
    "io.nimbus.plugin.state-changed.v1": (
        "{subject} is {data.toState}",
        "The plugin {subject} went from {data.fromState} to {data.toState}. {data.reason.message}",
    ),
}
_ANY = ("{type}", "{subject} {data.title} {data.message}")


def lookup(document: object, path: str) -> str:
    """The value at a dotted path as text; empty when there is none. Numbers count into lists."""
    found: Any = document
    for part in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif (
            isinstance(found, Sequence) and not isinstance(found, str) and part.isdecimal() and int(part) < len(found)
        ):
            found = found[int(part)]
        else:
            return ""
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def render(template: str, document: Mapping[str, Any]) -> str:
    """The template with every `{path}` replaced; runs of spaces that empty values leave become one."""
    filled = _PLACE.sub(lambda place: lookup(document, place[1]), template)
    return "\n".join(re.sub(r" {2,}", " ", line).strip() for line in filled.splitlines()).strip()


def texts(document: Mapping[str, Any], title: str, message: str) -> tuple[str, str]:
    """Title and message of a notification, by the target's templates or those that fit the event's type."""
    default_title, default_message = _DEFAULTS.get(str(document["type"]), _ANY)
    return (
        render(title or default_title, document) or str(document["type"]),
        render(message or default_message, document),
    )
