"""Schemas come from plugins: whatever is in one, checking against it ends soon and lets others go on meanwhile."""

import asyncio
import json
import time
from typing import Any

import pytest
from nimbus_gateway.core.config.budget import LONGEST_MESSAGE, SECONDS, budget
from nimbus_gateway.core.config.patterns import with_plain_braces
from nimbus_gateway.core.config.schema import document_problems, setting_problems
from nimbus_gateway.core.config.turns import MOST_AT_ONCE, aside
from nimbus_gateway.errors import ConflictError, RateLimitedError
from nimbus_sdk.contracts.settings_schema import LARGEST_PATTERN, pattern_size

LONG = "a" * 60 + "!"
TOO_LONG = "takes too long"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SLOW = {"$schema": DIALECT, "pattern": "^(a|aa)+$"}


def one(part: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": part}}


def branching(levels: int) -> dict[str, Any]:
    """A few hundred bytes that are looked at 2^levels times."""
    defs: dict[str, Any] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(levels)
    }
    defs[f"d{levels}"] = {"minLength": 1}
    return {"$defs": defs, **one({"$ref": "#/$defs/d0"})}


def wide(settings: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"s{n}": {"type": "string", "minLength": 1} for n in range(settings)}}


def evaluated(keyword: str, levels: int = 40) -> dict[str, Any]:
    """References that branch, where the library looks for what is evaluated without asking a keyword."""
    defs: dict[str, Any] = {
        f"d{n}": {"$ref": f"#/$defs/d{n + 1}", "if": True, "then": {"$ref": f"#/$defs/d{n + 1}"}}
        for n in range(levels)
    }
    return {"$defs": {**defs, f"d{levels}": {}}, **one({keyword: False, "$ref": "#/$defs/d0"})}


HOSTILE = {
    "a pattern that backtracks": (one({"pattern": "^(a|aa)+$"}), LONG),
    "a pattern of a name": ({"patternProperties": {"^(a|aa)+$": {}}}, {LONG: 1}),
    "a pattern beside a name": ({"patternProperties": {"^(a|aa)+$": {}}, "additionalProperties": False}, {LONG: 1}),
    "a pattern that is tried again and again": (
        one({"items": {"pattern": "^(a|aa)+$"}}),
        ["a" * 28 + "!" for _ in range(5000)],
    ),
    "references that branch": (branching(40), "text"),
    "as large as a manifest can be": (wide(5000), "text"),
    "a part that names its dialect": (one(SLOW), LONG),
    "a root that names its dialect": ({"$schema": DIALECT, **one({"$ref": "#/$defs/a"}), "$defs": {"a": SLOW}}, LONG),
    "an older dialect": (
        {
            "$defs": {"a": {**SLOW, "$schema": "http://json-schema.org/draft-07/schema#"}},
            **one({"$ref": "#/$defs/a"}),
        },
        LONG,
    ),
    "a dialect by a dynamic reference": (
        {"$defs": {"a": {**SLOW, "$dynamicAnchor": "a"}}, **one({"$dynamicRef": "#a"})},
        LONG,
    ),
    "a dialect in a default": (
        {"properties": {"x": {"$ref": "#/properties/y/default"}, "y": {"default": SLOW}}},
        LONG,
    ),
    "many that allow nothing, about much": (one({"oneOf": [True] + [False] * 40_000}), "a" * 200_000),
    "many alternatives that allow nothing": (one({"anyOf": [False] * 40_000}), "a" * 200_000),
    "many errors about much": (one({"anyOf": [{"type": "integer"}] * 12_000}), "a" * 200_000),
    "many errors about a format": (one({"anyOf": [{"format": "uri"}] * 12_000}), "a" * 200_000),
    "a text that is too long for a pattern": (one({"pattern": "^(a|b)*[cd]"}), "ab" * 500_000),
}

NOT_VALID = {
    "what is evaluated, of an object": (
        evaluated("unevaluatedProperties"),
        {"a": 1},
        "additionalProperties in place",
    ),
    "what is evaluated, of a list": (evaluated("unevaluatedItems"), [1], "items, beside prefixItems"),
    "the same in a default": (
        {"properties": {"x": {"$ref": "#/properties/y/default"}, "y": {"default": {"unevaluatedProperties": False}}}},
        {"a": 1},
        "not supported",
    ),
    "a pattern that takes long to prepare": (
        one({"pattern": "(?i)" + "[!-\U0010fff0]" * 300}),
        "a",
        "/properties/x/pattern should have a pattern of at most 1000",
    ),
    "the same for names": ({"patternProperties": {"(?i)" + "[!-\U0010fff0]" * 300: {}}}, "a", "at most 1000"),
    "many patterns": (
        {"properties": {f"s{n}": {"pattern": "[a-z]" * 150} for n in range(30)}},
        "a",
        "20000 characters together",
    ),
    "repetitions that fill the memory": (one({"pattern": "(?:[ab]{100}){100000000}"}), "a", "written out"),
    "repetitions that are written apart": (one({"pattern": "(?x)(?:[ab]{1000}) # \n {1000}"}), "a", "written out"),
    "repetitions in a default": (
        {"properties": {"x": {"$ref": "#/properties/y/default"}, "y": {"default": {"pattern": "(?:ab){100000000}"}}}},
        "a",
        "too large",
    ),
    "a pattern that calls itself": (one({"pattern": "^((?1)|a)*[cd]"}), "a" * 10, "calls another"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("schema", "value"), HOSTILE.values(), ids=HOSTILE)
async def test_it_ends_and_others_go_on(schema: dict[str, Any], value: Any) -> None:
    document = value if isinstance(value, dict) else {"x": value}
    with pytest.raises(ConflictError, match=TOO_LONG):
        await going_on(schema, document)


@pytest.mark.parametrize(
    ("name", "value", "missed"),
    [
        ("uri", "http://example.org/", None),
        ("uri", "example.org", "'example.org' is not an address with its scheme, such as https://example.org/"),
        ("uri", "a" * 100_000, "a" * 200),
        ("email", "nobody", "'nobody' is not an e-mail address, such as ada@example.org"),
        ("uri", 5, None),
        ("regex", "(a|aa)+$(", None),
    ],
)
def test_formats_are_checked(name: str, value: Any, missed: str | None) -> None:
    found = [problem.message for problem in document_problems(one({"format": name}), {"x": value})]
    assert found == [] if missed is None else len(found) == 1 and missed in found[0]
    assert all(len(message) <= LONGEST_MESSAGE for message in found)


@pytest.mark.anyio
@pytest.mark.parametrize(("schema", "value", "reason"), NOT_VALID.values(), ids=NOT_VALID)
async def test_what_cannot_be_bounded_is_refused_at_once(schema: dict[str, Any], value: Any, reason: str) -> None:
    begun = time.process_time()
    with pytest.raises(ConflictError, match=f"not valid: .*{reason}"):
        await going_on(schema, {"x": value})
    assert time.process_time() - begun < SECONDS


async def going_on(schema: dict[str, Any], document: dict[str, Any]) -> None:
    """Judge, and see that others are never held up for long.

    A schema that holds them up does so each time, a machine that has no core for this thread only now and then, while
    the one that judges has: so the least of three is what the schema did.
    """
    for attempt in range(3):
        longest, last = 0.0, time.process_time()
        judged = asyncio.ensure_future(aside("sample", document_problems, schema, document))
        while not judged.done():
            await asyncio.sleep(0.005)
            moment = time.process_time()
            longest, last = max(longest, moment - last), moment
        if longest < SECONDS / 2 or attempt == 2:
            break
        await asyncio.gather(judged, return_exceptions=True)
    assert longest < SECONDS / 2
    await judged


def test_no_error_holds_the_whole_value() -> None:
    found = setting_problems(one({"items": {"type": "integer"}}), "x", ["a" * 1000] * 5000)
    assert len(found) == 50
    assert max(len(problem.message) for problem in found) <= 300


@pytest.mark.anyio
async def test_one_check_at_a_time_for_a_plugin_and_few_that_wait() -> None:
    running: list[str] = []
    most: list[int] = []

    def check(name: str) -> None:
        running.append(name)
        most.append(running.count(name))
        time.sleep(0.15)
        running.remove(name)

    checks = [asyncio.ensure_future(aside("greedy", check, "greedy")) for _ in range(MOST_AT_ONCE)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimitedError) as caught:
        await aside("greedy", check, "greedy")
    assert int(caught.value.headers["retry-after"]) > 0
    begun = time.monotonic()
    await aside("modest", check, "modest")
    assert time.monotonic() - begun < 0.15 * MOST_AT_ONCE / 2
    checks[0].cancel()
    checks[1].cancel()  # its turn lasts until the thread is done with it
    await asyncio.gather(*checks, return_exceptions=True)
    assert max(most) == 1
    await aside("greedy", check, "greedy")


def test_one_budget_for_all_that_is_checked_together() -> None:
    schema = one({"items": {"pattern": "^(a|aa)+$"}})
    with budget() as mine:
        assert setting_problems(schema, "x", ["a"]) == []
        left = mine.left()
        with pytest.raises(ConflictError, match=TOO_LONG):
            setting_problems(schema, "x", [LONG])
        with pytest.raises(ConflictError, match=TOO_LONG):
            setting_problems(schema, "x", ["a"])
    assert left > SECONDS / 2
    assert setting_problems(schema, "x", ["a"]) == []


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("^S{s}E{e}$", "S{s}E{e}", True),
        ("^S{s}E{e}$", "S{s}", False),
        ("^(?:cat){e<=1}$", "cut", False),
        ("^a{2}b{1,}c{,2}d{1,2}$", "aabcdd", True),
        ("^a{2}b{1,}c{,2}d{1,2}$", "abcdd", False),
        (r"^\{x\}[{]\\{$", "{x}{\\{", True),
        (r"^\p{L}+$", "Größe", True),
        (r"^\(?0[0-9]{2}\)?$", "(012)", True),
    ],
)
def test_braces_mean_what_they_mean_elsewhere(pattern: str, text: str, fits: bool) -> None:
    assert (setting_problems(one({"pattern": pattern}), "x", text) == []) is fits


def test_usual_patterns_are_not_too_large() -> None:
    part = "(25[0-5]|(2[0-4]|1{0,1}[0-9]){0,1}[0-9])"
    address = (
        rf"^(({part}\.){{3,3}}{part}|([0-9a-f]{{1,4}}:){{7,7}}[0-9a-f]{{1,4}}|::(ffff(:0{{1,4}}){{0,1}}:){{0,1}})$"
    )
    for usual in (address, "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "^[0-9a-f]{64}$", "^.{1,5000}$"):
        assert pattern_size(usual) < LARGEST_PATTERN
        assert with_plain_braces(usual) == usual


def test_items_are_compared_in_a_line() -> None:
    many: list[Any] = [{"n": n} for n in range(20_000)]
    assert setting_problems(one({"uniqueItems": True}), "x", many) == []
    assert setting_problems(one({"uniqueItems": True}), "x", [*many, {"n": 7.0}]) != []
    assert setting_problems(one({"uniqueItems": True}), "x", [1, True, "1", [1], None, 0, False]) == []


def test_names_and_patterns_count_as_the_standard_says() -> None:
    schema = {
        "properties": {"a": {"type": "string"}},
        "patternProperties": {"^n_": {"type": "integer"}, "_s$": {"type": "string"}},
        "additionalProperties": False,
    }
    assert document_problems(schema, {"a": "x", "n_1": 1, "b_s": "x"}) == []
    found = document_problems(schema, {"n_1": "no", "other": 1, "n_s": "x"})
    assert sorted(problem.path for problem in found) == ["/values", "/values/n_1", "/values/n_s"]
    assert "'other' was unexpected" in json.dumps([problem.message for problem in found])
    looked = {"patternProperties": {"^n_": {}}, "additionalProperties": {"type": "integer"}}
    assert [problem.path for problem in document_problems(looked, {"n_x": "x", "y": "x"})] == ["/values/y"]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (one({"pattern": "("}), "not valid"),
        ({"patternProperties": {"^a": {}}, "unevaluatedProperties": False}, "additionalProperties in place"),
        ({"properties": {"x": {"$ref": "#/properties/y/default"}, "y": {"default": "text"}}}, "not valid"),
        ({"properties": {"x": {"$ref": "#/properties/y/default"}, "y": {"default": [1]}}}, "not valid"),
        ({"properties": {"x": {"$ref": "#/properties/y/default"}, "y": {"default": {"type": "odd"}}}}, "not valid"),
        (
            {"properties": {"x": {"$ref": "#/properties/y/default"}, "y": {"default": {"minLength": "1"}}}},
            "not valid",
        ),
        (one({"$ref": "http://[::1"}), "not valid"),
        (one({"$dynamicRef": "http://127.0.0.1:1/schema"}), "not valid"),
        ({"$ref": "#"}, "not valid"),
        (one({"$ref": "http://127.0.0.1:1/schema"}), "not valid"),
    ],
)
def test_what_cannot_be_judged_says_so(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConflictError, match=reason):
        setting_problems(schema, "x", "text")


def test_a_setting_may_be_called_like_a_keyword_and_a_schema_may_name_its_dialect() -> None:
    schema = {
        "$schema": DIALECT,
        "properties": {"unevaluatedItems": {"$ref": "#/$defs/n"}},
        "$defs": {"n": {"type": "integer"}},
    }
    assert setting_problems(schema, "unevaluatedItems", 1) == []
    assert setting_problems(schema, "unevaluatedItems", "x") != []
    assert setting_problems({"properties": {"x": False}}, "x", 1) != []
    assert setting_problems({"properties": {"x": {"$ref": "#/$defs/no"}}, "$defs": {"no": False}}, "x", 1) != []
