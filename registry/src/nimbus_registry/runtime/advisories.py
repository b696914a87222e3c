"""Which advisories about the networks of containers hold for an engine, by its version. Pure."""

import re
from dataclasses import dataclass
from typing import Final

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Advisory:
    """A published flaw of the engine.

    Attributes:
        cve: its number.
        affected: ranges of versions that have it: the first that does, and the first that does not any more.
        meaning: what it comes to for plugins, and what to do, as a sentence.
    """

    cve: str
    affected: tuple[tuple[Version, Version], ...]
    meaning: str

    def holds_for(self, version: Version) -> bool:
        """Whether an engine of this version has it."""
        return any(first <= version < fixed for first, fixed in self.affected)


ADVISORIES: Final = (
    Advisory(
        "CVE-2024-29018",
        (((0, 0, 0), (23, 0, 11)), ((24, 0, 0), (25, 0, 5))),
        "names that are looked up on internal networks go to the host's resolver, which carries data out;"
        " plugins get a resolver of their own instead. Update the engine to 25.0.5, 26.0 or later",
    ),
    Advisory(
        "CVE-2024-32473",
        (((26, 0, 0), (26, 0, 2)),),
        "containers get IPv6 addresses on networks without IPv6, for which no rule keeps them in. Update the engine"
        " to 26.0.2 or later",
    ),
    Advisory(
        "CVE-2025-54410",
        (((0, 0, 0), (25, 0, 13)), ((26, 0, 0), (28, 0, 0))),
        "where firewalld runs, its reload takes away what keeps networks apart: plugins with network:egress then"
        " reach other containers until the engine is started anew. Update the engine to 25.0.13, 28.0 or later",
    ),
)
"""From the engine's published advisories. What other programs than this one do with the engine is not among them."""


def advisories(version: str) -> list[Advisory]:
    """Those that hold for an engine that says this of its version, such as `20.10.24+dfsg1`."""
    numbers = [int(number) for number in re.findall(r"\d+", version)[:3]]
    first, second, third = [*numbers, 0, 0, 0][:3]
    return [one for one in ADVISORIES if one.holds_for((first, second, third))]
