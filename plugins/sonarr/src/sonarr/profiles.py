"""Quality profiles: which releases they let in. Pure.

The qualities and profiles, with their numbers, are those that the product comes with.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

QUALITIES: dict[int, tuple[str, str, int]] = {
    0: ("Unknown", "unknown", 0),
    1: ("SDTV", "television", 480),
    8: ("WEBDL-480p", "web", 480),
    2: ("DVD", "dvd", 480),
    4: ("HDTV-720p", "television", 720),
    5: ("WEBDL-720p", "web", 720),
    6: ("Bluray-720p", "bluray", 720),
    9: ("HDTV-1080p", "television", 1080),
    3: ("WEBDL-1080p", "web", 1080),
    7: ("Bluray-1080p", "bluray", 1080),
    16: ("HDTV-2160p", "television", 2160),
    18: ("WEBDL-2160p", "web", 2160),
    19: ("Bluray-2160p", "bluray", 2160),
}
"""Name, source and lines of each quality, the worst first."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A named choice of resolutions; the best one that it lets in is its cutoff."""

    id: int
    name: str
    resolutions: frozenset[int]

    def takes(self, quality: int) -> bool:
        """Whether it lets a quality in."""
        return QUALITIES[quality][2] in self.resolutions


PROFILES = (
    Profile(1, "Any", frozenset({0, 480, 720, 1080, 2160})),
    Profile(2, "SD", frozenset({480})),
    Profile(3, "HD-720p", frozenset({720})),
    Profile(4, "HD-1080p", frozenset({1080})),
    Profile(5, "Ultra-HD", frozenset({2160})),
    Profile(6, "HD - 720p/1080p", frozenset({720, 1080})),
)
_RESOLUTION = re.compile(r"(?<!\d)(480|576|720|1080|2160)[pi]", re.IGNORECASE)
_SOURCES = (
    ("bluray", re.compile(r"blu-?ray|\bbd-?rip\b|\bbrrip\b", re.IGNORECASE)),
    ("web", re.compile(r"\bweb(?:-?dl|-?rip)?\b", re.IGNORECASE)),
    ("dvd", re.compile(r"\bdvd", re.IGNORECASE)),
)


def profile(number: int) -> Profile | None:
    """The profile of a number."""
    return next((one for one in PROFILES if one.id == number), None)


def quality_of(title: str) -> int:
    """The quality that a release's title tells of."""
    found = _RESOLUTION.search(title)
    lines = 0 if found is None else int(found[1])
    lines = 480 if 0 < lines < 720 else lines  # noqa: PLR2004 - what is below HD is SD
    source = next((name for name, pattern in _SOURCES if pattern.search(title)), None)
    if lines == 0:
        return 2 if source == "dvd" else 0
    wanted = source or "television"
    return next(
        (number for number, (_, kind, height) in QUALITIES.items() if (kind, height) == (wanted, lines)),
        next(number for number, (_, _, height) in QUALITIES.items() if height == lines),
    )


def quality_resource(number: int) -> dict[str, Any]:
    """A quality as files, queue and history carry it."""
    return {"quality": _quality(number), "revision": {"version": 1, "real": 0, "isRepack": False}}


def profile_resource(one: Profile) -> dict[str, Any]:
    """A profile with every quality, and whether it is let in."""
    taken = [number for number in QUALITIES if one.takes(number)]
    return {
        "id": one.id,
        "name": one.name,
        "upgradeAllowed": False,
        "cutoff": taken[-1],
        "items": [{"quality": _quality(number), "items": [], "allowed": one.takes(number)} for number in QUALITIES],
        "minFormatScore": 0,
        "cutoffFormatScore": 0,
        "formatItems": [],
    }


def best(titles: Iterable[tuple[str, str]], chosen: Profile) -> str | None:
    """The id of the first of the ranked releases (id, title) that a profile lets in."""
    return next((key for key, title in titles if chosen.takes(quality_of(title))), None)


def _quality(number: int) -> dict[str, Any]:
    name, source, lines = QUALITIES[number]
    return {"id": number, "name": name, "source": source, "resolution": lines}
