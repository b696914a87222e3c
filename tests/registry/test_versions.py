"""Versions, ranges and risk: pure functions, by tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_registry.catalog.changelog import news
from nimbus_registry.catalog.risk import HIGH, LIMIT, MEDIUM, RULES, Facts, rate
from nimbus_registry.catalog.versions import mismatch, precedence, satisfies
from nimbus_sdk.contracts.manifest import Manifest

from tests.registry.conftest import manifest

ASCENDING = [
    "0.9.0",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
]  # fmt: skip - the order of SemVer 2.0, section 11


def test_precedence_is_semver() -> None:
    assert sorted(set(ASCENDING), key=precedence) == ASCENDING
    assert precedence("1.0.0+a") == precedence("1.0.0+b")
    with pytest.raises(ValueError, match="SemVer"):
        precedence("1.0")


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("1.2.0", "*", True), ("1.2.0", "", True), ("1.2.0", ">=1,<2", True), ("2.0.0", ">=1,<2", False),
        ("1.0.0-beta.1", ">=1", False), ("1.0.0-beta.1", ">=0.9", True), ("1.0.0-nightly", ">=1", False),
        ("1.0.0+build.7", "==1.0.0", True),
    ],
)  # fmt: skip
def test_ranges(version: str, wanted: str, fits: bool) -> None:
    assert satisfies(version, wanted) is fits


def test_a_range_that_cannot_be_read() -> None:
    with pytest.raises(ValueError, match=">=1,<2"):
        satisfies("1.0.0", "newest")


@pytest.mark.parametrize(
    ("requires", "change"),
    [(">=0.1,<2", None), (">=2", "nimbus"), (">=0.1,<0.1", "plugin"), ("==0.5.*", "nimbus"), ("<=0.0.9", "plugin")],
)
def test_says_which_side_to_change(requires: str, change: str | None) -> None:
    found = mismatch(requires, "0.1.0")
    assert (found.change if found else None) == change


@pytest.mark.parametrize(
    ("version", "installed", "shown"),
    [
        ("1.2.0", "1.0.0", ["1.2.0", "1.1.0"]),
        ("1.2.0", "1.2.0", ["1.2.0"]),
        ("1.0.0", "1.2.0", ["1.0.0"]),
        ("1.3.0", "1.2.0", []),
    ],
)
def test_a_person_reads_what_is_new_to_them(version: str, installed: str, shown: list[str]) -> None:
    entries = [{"version": one, "changes": ["Something."]} for one in ("1.0.0", "2.0.0", "1.2.0", "1.1.0")]
    found = news(Manifest.model_validate(manifest(version=version, changelog=entries)), installed)
    assert [entry.version for entry in found] == shown


def facts(*asked: str, trusted: bool = False, isolated: bool = True, pinned: bool = True, **changes: object) -> Facts:
    shape = manifest(permissions=list(asked), routes=[], **changes)
    return Facts(Manifest.model_validate(shape), frozenset(asked), trusted, isolated, pinned)


@pytest.mark.parametrize(
    ("what", "codes", "score", "level"),
    [
        (facts(), [], 0, "low"),
        (facts("media:read"), [], 0, "low"),
        (facts("media:read", "network:egress"), ["network-egress", "reads-media-and-sends"], 3, "medium"),
        (facts("media:write", "plugins:call:x1"), ["media-write", "calls-plugins"], 3, "medium"),
        (facts(pinned=False), ["not-pinned"], 1, "low"),
        (facts(isolated=False, pinned=False), ["not-isolated"], 4, "medium"),
        (facts(trusted=True, ui={"bundle": "m.js", "isolation": "module"}), ["trusted-ui"], 3, "medium"),
        (facts(trusted=True, ui={"bundle": "m.js", "isolation": "iframe"}), [], 0, "low"),
    ],
)
def test_risk(what: Facts, codes: list[str], score: int, level: str) -> None:
    risk = rate(what)
    assert ([factor.code for factor in risk.factors], risk.score, risk.level) == (codes, score, level)


@given(
    st.sets(st.sampled_from(["media:read", "media:write", "network:egress", "downloads:*", "plugins:call:x1"])),
    st.booleans(),
    st.booleans(),
)
def test_asking_for_more_is_never_safer(asked: set[str], trusted: bool, isolated: bool) -> None:
    whole = rate(facts(*asked, trusted=trusted, isolated=isolated))
    assert 0 <= whole.score <= LIMIT
    assert whole.level == ("high" if whole.score >= HIGH else "medium" if whole.score >= MEDIUM else "low")
    for left_out in asked:
        assert rate(facts(*asked - {left_out}, trusted=trusted, isolated=isolated)).score <= whole.score


def test_every_rule_has_a_code_of_its_own() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)
