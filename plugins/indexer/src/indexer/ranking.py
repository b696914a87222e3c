"""Merging what several servers offer, and putting the best first. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from indexer.newznab import Release

SAME_SIZE = 0.02
"""Two releases of one title whose sizes differ by less are the same."""
_OLD = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ranked:
    """A release with the other servers that offer it too."""

    release: Release
    also: tuple[str, ...] = ()


def words_of(title: str) -> tuple[str, ...]:
    """A title as its words, whatever stands between them."""
    return tuple(re.findall(r"[a-z0-9]+", title.casefold()))


def merged(found: Iterable[Release], priorities: Mapping[str, int]) -> list[Ranked]:
    """One entry for each release; of the same on several servers the one of the lowest priority number."""
    groups: dict[tuple[str, ...], list[list[Release]]] = {}
    for release in found:
        same_title = groups.setdefault(words_of(release.title), [])
        group = next((one for one in same_title if _same_size(one[0], release)), None)
        if group is None:
            same_title.append([release])
        else:
            group.append(release)
    merged_groups = []
    for group in (group for same_title in groups.values() for group in same_title):
        first, *others = sorted(group, key=lambda one: (priorities.get(one.server, 100), -(one.seeders or 0)))
        also = tuple(dict.fromkeys(one.server for one in others if one.server != first.server))
        merged_groups.append(Ranked(first, also))
    return merged_groups


def ranked(found: Iterable[Ranked], prefer: Sequence[str], avoid: Sequence[str]) -> list[Ranked]:
    """The best first: nothing to avoid, then the preferred words, seeders, grabs, and the newest."""
    bad = [words_of(word) for word in avoid]
    good = [words_of(word) for word in prefer]

    def key(one: Ranked) -> tuple[bool, int, int, int, float, str]:
        title = words_of(one.release.title)
        rank = next((place for place, word in enumerate(good) if _holds(title, word)), len(good))
        published = (one.release.published or _OLD).timestamp()
        return (
            any(_holds(title, word) for word in bad),
            rank,
            -(one.release.seeders or 0),
            -(one.release.grabs or 0),
            -published,
            one.release.title,
        )

    return sorted(found, key=key)


def _holds(title: tuple[str, ...], words: tuple[str, ...]) -> bool:
    count = len(words)
    return count > 0 and any(title[at : at + count] == words for at in range(len(title) - count + 1))


def _same_size(one: Release, other: Release) -> bool:
    if one.size is None or other.size is None:
        return one.size == other.size
    return abs(one.size - other.size) <= SAME_SIZE * max(one.size, other.size)
