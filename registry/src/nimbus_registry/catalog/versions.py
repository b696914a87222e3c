"""Versions and ranges: SemVer for the order of plugins, PEP 440 specifiers for the ranges that manifests write."""

import re
from dataclasses import dataclass

from nimbus_sdk.contracts.problem import FieldProblem
from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

Precedence = tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]

_PARTS = re.compile(r"^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$")


def precedence(version: str) -> Precedence:
    """A sort key with the order of SemVer 2.0, section 11.

    A pre-release comes before its release, and build metadata does not count.

    Raises:
        ValueError: it is not SemVer.
    """
    found = _PARTS.match(version)
    if found is None:
        raise ValueError(f"{version!r} is not a SemVer version")
    major, minor, patch, before = found.groups()
    identifiers = tuple(
        (False, int(part), "") if part.isdigit() else (True, 0, part)
        for part in (before.split(".") if before else ())
    )
    return (int(major), int(minor), int(patch)), before is None, identifiers


def satisfies(version: str, wanted: str) -> bool:
    """Whether a plugin's version is in a range such as `>=1,<2`; `*` and an empty range take any.

    Raises:
        ValueError: the range cannot be read.
    """
    if wanted.strip() in {"", "*"}:
        return True
    try:
        return SpecifierSet(wanted).contains(_comparable(version), prereleases=True)
    except InvalidSpecifier as error:
        raise ValueError(f"{wanted!r} is not a version range such as >=1,<2") from error


def _comparable(version: str) -> Version:
    """SemVer as ranges compare it. A pre-release with a name that PEP 440 does not have comes before all others."""
    plain = version.partition("+")[0]
    try:
        return Version(plain)
    except InvalidVersion:
        return Version(plain.partition("-")[0] + ".dev0")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """This Nimbus is outside of the range that a plugin needs.

    Attributes:
        change: the side that is too old and should be updated.
        message: what to do, as a sentence.
    """

    change: str
    message: str


def mismatch(requires: str, nimbus_version: str) -> Mismatch | None:
    """Which side has to change when a plugin and this Nimbus do not fit; None when they do.

    Raises:
        ValueError: the range cannot be read.
    """
    try:
        wanted = SpecifierSet(requires)
    except InvalidSpecifier as error:
        raise ValueError("a version range such as >=1.0,<2") from error
    if wanted.contains(nimbus_version, prereleases=True):
        return None
    unmet = [one for one in wanted if not one.contains(nimbus_version, prereleases=True)]
    if any(_wants_newer(one, nimbus_version) for one in unmet):
        return Mismatch(
            "nimbus",
            f"It needs Nimbus {requires}, and this is {nimbus_version}, which is too old: update Nimbus, "
            "or take an older version of the plugin.",
        )
    return Mismatch(
        "plugin",
        f"It needs Nimbus {requires}, and this is {nimbus_version}, which is newer than it knows: update the plugin.",
    )


def _wants_newer(one: Specifier, nimbus_version: str) -> bool:
    """Whether a specifier that is not met would be by a newer Nimbus."""
    if one.operator in {"<", "<="}:
        return False
    if one.operator == "!=":
        return True
    bound = one.version.removesuffix(".*")
    return Version(bound) > Version(nimbus_version)


def incompatibility(requires: str, nimbus_version: str) -> FieldProblem | None:
    """The same as a problem of the manifest."""
    try:
        found = mismatch(requires, nimbus_version)
    except ValueError as error:
        return FieldProblem(path="/requires/nimbus", message=str(error), value=requires)
    if found is None:
        return None
    return FieldProblem(
        path="/requires/nimbus",
        message=f"a range with this Nimbus, which is {nimbus_version}. {found.message}",
        value=requires,
    )
