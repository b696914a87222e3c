"""The manifest validator: every error at once, each with its place, value, expectation and a suggestion."""

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nimbus_sdk.contracts.jsontext import pointer
from nimbus_sdk.contracts.manifest import Manifest
from nimbus_sdk.contracts.validation import validate_manifest

from tests.registry.conftest import manifest

FULL = {
    "$schema": "https://example.org/manifest.schema.json",
    **manifest("subtitles"),
    "requires": {"nimbus": ">=0.1,<2"},
    "capabilities": ["api", "ui", "compat:sonarr"],
    "settings": {"type": "object", "properties": {"token": {"type": "string", "x-secret": True}}},
    "dependencies": [{"id": "indexer", "version": ">=1,<2", "optional": True}],
    "ui": {"bundle": "web/main.js", "isolation": "module", "navItems": [{"label": "Subtitles"}]},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(FULL)
    *parents, last = path.split("/")
    target: Any = document
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target.setdefault(part, {})
    target[int(last) if isinstance(target, list) else last] = value
    return document


def test_a_good_manifest_is_taken_as_it_is() -> None:
    for raw in (FULL, json.dumps(FULL), json.dumps(FULL).encode(), b"\xef\xbb\xbf" + json.dumps(FULL).encode()):
        report = validate_manifest(raw, strict=True)
        assert report.ok, report.errors
        assert (report.errors, report.warnings) == ([], [])
        assert report.manifest is not None
        assert report.manifest.id == "subtitles"


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("id", "Sub_Titles", "lower-case letters"),
        ("id", "a", "2 to 40"),
        ("version", "1.0", "semantic version"),
        ("name", "", "at least 1 characters"),
        ("name", None, "text in double quotes"),
        ("manifestVersion", "1", "the value 1"),
        ("manifestVersion", 2, "manifest version 1"),
        ("homepage", "ftp://x", "https://"),
        ("runtime/port", 0, "at least 1"),
        ("runtime/port", "8000", "a whole number"),
        ("runtime/resources/memory", "lots", "is not a size"),
        ("runtime/resources/cpus", 0, "more than 0"),
        ("runtime/timeouts/start", "0", "needs a limit"),
        ("runtime/timeouts/start", "61m", "at most 1h"),
        ("runtime/timeouts/response", "30", "is not a duration"),
        ("runtime/timeouts/response", "25h", "at most 24h, or 0"),
        ("runtime/timeouts/idle", "86401s", "at most 24h, or 0"),
        ("routes/0/timeout", "1440.1m", "at most 24h, or 0"),
        ("routes/0/path", "hello", "starts with '/'"),
        ("routes/0/path", "/_nimbus/x", "belong to the platform"),
        ("routes/0/path", "/enable", "belongs to the platform"),
        ("routes/0/path", "/a/../b", "no '.' or '..'"),
        ("routes/0/auth", "sesion", "one of none, session, apikey"),
        ("routes/0/methods", ["FETCH"], "one of GET"),
        ("permissions/0", "everything", "a permission such as"),
        ("requires/nimbus", "1.x", "a version range"),
        ("dependencies/0/version", "newest", "a version range"),
        ("settings/type", "array", '"object"'),
        ("settings/unevaluatedProperties", False, "additionalProperties in place"),
        ("settings/properties/a", {"items": {"allOf": [{"unevaluatedItems": True}]}}, "items, beside prefixItems"),
        ("settings/properties/a/pattern", "a" * 1001, "at most 1000 characters"),
        ("settings/patternProperties", {"a" * 1001: {}}, "at most 1000 characters"),
        ("settings/properties/a/pattern", "(?:ab{300}){300}", "at most 50000 parts"),
        (
            "settings",
            {"properties": {f"s{n}": {"pattern": "a" * 900} for n in range(23)}},
            "20000 characters together",
        ),
        ("settings", {"properties": {f"s{n}": {"pattern": "a{40000}"} for n in range(6)}}, "200000 parts together"),
        ("events/subscribe", ["**", "a." * 16 + "a"], "at most 16 segments"),
        ("events/publish", ["a." * 16 + "**"], "at most 16 segments"),
        ("ui/bundle", "../../etc/passwd", "a relative file path"),
        ("ui/navItems/0/path", "settings", "a page path"),
        ("routes", {}, "a list in [ ]"),
        ("runtime", [], "an object in { }"),
        ("activation", "sometimes", "one of always, on-demand"),
    ],
)
def test_each_error_names_its_place_and_what_was_expected(path: str, value: Any, words: str) -> None:
    report = validate_manifest(changed(path, value))
    assert report.manifest is None
    # A wrong entry of a list is named by its own place below the list.
    found = [error for error in report.errors if error.path.startswith("/" + path)]
    assert [error for error in found if words in error.message], report.errors


def test_every_error_at_once() -> None:
    report = validate_manifest(
        {
            "id": "Hello",
            "runtime": {"port": "x"},
            "routes": [{"path": "/a", "auth": "sesion"}, {"path": "/b"}, {"path": "/b", "methods": ["GET", "POST"]}],
            "requires": {"nimbus": "new"},
        }
    )
    assert {error.path for error in report.errors} == {
        "/manifestVersion",
        "/id",
        "/name",
        "/version",
        "/runtime",
        "/runtime/port",
        "/routes/0/auth",
        "/routes/2",
        "/requires/nimbus",
    }
    auth = next(error for error in report.errors if error.path == "/routes/0/auth")
    assert (auth.value, auth.suggestion) == ("sesion", "session")


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("path", "suggestion"),
        [
            ("discription", "description"),
            ("runtime/max_body", "maxBody"),
            ("runtime/resources/mem", "memory"),
            ("routes/0/method", "methods"),
            ("ui/navitems", "navItems"),
            ("ui/navItems/0/lable", "label"),
            ("zzz", None),
        ],
    )
    def test_a_misspelt_key(self, path: str, suggestion: str | None) -> None:
        lenient = validate_manifest(changed(path, "1m"))
        strict = validate_manifest(changed(path, "1m"), strict=True)
        assert lenient.ok
        assert not strict.ok
        for problems in (lenient.warnings, strict.errors):
            assert [(problem.path, problem.suggestion) for problem in problems] == [("/" + path, suggestion)]

    def test_free_keys_and_free_objects(self) -> None:
        said = {"madeUp": 1, "default": {"unevaluatedProperties": 1, "pattern": "a" * 2000}}
        document = changed("settings/properties/unevaluatedItems", said) | {"x-note": "mine"}
        assert validate_manifest(document, strict=True).ok


class TestText:
    @pytest.mark.parametrize(
        ("raw", "words"),
        [
            (b'{\n  "id": "a",\n}', "line 3, column 1"),
            (b"{'id': 1}", "line 1, column 2"),
            (b"", "line 1, column 1"),
            (b'{"id": "a" "b"}', "line 1, column 12"),
            (b"[1]", "an object"),
            (b"null", "an object"),
            (b'"\xff"', "UTF-8"),
            (b'{"a": NaN}', "NaN is not JSON"),
            (b'{"a": ' + b"9" * 5000 + b"}", "thousands of digits"),
            (b"[" * 5000, "levels of nesting"),
            (b" " * (256 * 1024 + 1), "at most 256 KiB"),
        ],
    )
    def test_what_is_not_json(self, raw: bytes, words: str) -> None:
        report = validate_manifest(raw)
        assert words in report.errors[0].message
        assert not report.ok

    @pytest.mark.parametrize(
        ("raw", "hint"),
        [(b'{"a": 1,}', "comma"), (b"{'a': 1}", "double quotes"), (b"// x\n{}", "no comments"), (b" ", "empty")],
    )
    def test_hints(self, raw: bytes, hint: str) -> None:
        suggestion = validate_manifest(raw).errors[0].suggestion
        assert suggestion is not None
        assert hint in suggestion

    def test_duplicate_keys(self) -> None:
        text = json.dumps(FULL)[:-1] + ', "routes": [{"path": "/x", "path": "/y"}], "id": "other"}'
        paths = {error.path for error in validate_manifest(text).errors if "more than once" in error.message}
        assert paths == {"/id", "/routes", "/routes/0/path"}

    def test_what_a_database_cannot_keep(self) -> None:
        for text in ("a\\u0000b", "\\ud800"):
            raw = json.dumps(FULL).replace('"Subtitles"', f'"{text}"', 1)
            report = validate_manifest(raw)
            assert not report.ok
            report.model_dump_json()


def test_unknown_permission_is_a_warning_with_a_suggestion() -> None:
    report = validate_manifest(changed("permissions/0", "media:raed"))
    assert report.ok
    assert [(warning.path, warning.suggestion) for warning in report.warnings] == [("/permissions/0", "media:read")]


def test_pointers_are_escaped() -> None:
    assert pointer("a/b", 0, "c~d") == "/a~1b/0/c~0d"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from([*FULL, "other"]), JSON))
def test_no_object_breaks_the_validator(document: dict[str, Any]) -> None:
    report = validate_manifest({**FULL, **document})
    assert report.ok == (not report.errors)
    report.model_dump_json()


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_no_text_breaks_the_validator(raw: bytes | str) -> None:
    report = validate_manifest(raw)
    assert not report.ok
    assert report.errors
    report.model_dump_json()


def test_what_is_valid_survives_storing() -> None:
    report = validate_manifest(FULL)
    assert report.manifest is not None
    assert Manifest.model_validate(report.manifest.wire()) == report.manifest


def test_limits_that_would_be_none_are_refused() -> None:
    for resources, path in (
        ({"memory": "0"}, "memory"),
        ({"memory": "5m"}, "memory"),
        ({"memory": "9" * 5000 + "g"}, "memory"),
        ({"memory": "\u0661m"}, "memory"),
        ({"cpus": 1e-10}, "cpus"),
    ):
        report = validate_manifest({**FULL, "runtime": {"image": "a/b:1", "resources": resources}})
        assert [problem.path for problem in report.errors] == [f"/runtime/resources/{path}"]
        assert len(report.errors[0].message) < 300
    for start in ("0.0s", "0m", "9" * 400 + "h"):
        assert not validate_manifest({**FULL, "runtime": {"image": "a/b:1", "timeouts": {"start": start}}}).ok


def test_what_was_installed_before_a_start_had_a_bound_is_read_with_it() -> None:
    old = Manifest.model_validate({**manifest(), "runtime": {"image": "a/b:1", "timeouts": {"start": "9999h"}}})
    assert old.runtime.timeouts.start_seconds == 3600.0
    assert Manifest.model_validate(manifest()).runtime.timeouts.start_seconds == 2.0


@pytest.mark.parametrize("text", ["\u202egnp.exe", "\x1b[31mred", "two\nlines", "\x9b2J", "a\u2066b"])
def test_names_show_what_they_are(text: str) -> None:
    for changes, path in (
        ({"name": text}, "/name"),
        ({"author": text}, "/author"),
        ({"ui": {"bundle": "a.js", "navItems": [{"label": text}]}, "capabilities": ["ui"]}, "/ui/navItems/0/label"),
    ):
        report = validate_manifest({**FULL, **changes})
        assert [problem.path for problem in report.errors] == [path]
        assert str(report.errors[0].value).isprintable()
    assert validate_manifest({**FULL, "description": "two\nlines"}).ok


def test_what_takes_long_to_look_at_is_refused_soon() -> None:
    routes = [{"path": f"/{{a}}/{{b}}/{number}", "methods": ["GET", "PUT", "POST"]} for number in range(500)]
    begun = time.process_time()
    assert validate_manifest({**FULL, "routes": routes}).ok
    assert not validate_manifest({**FULL, "routes": [*routes[:-1], routes[0]]}).ok
    for version in (">=" + "9" * 5000, ",".join([">=0.1"] * 5000)):
        assert not validate_manifest({**FULL, "requires": {"nimbus": version}}).ok
        assert not validate_manifest({**FULL, "dependencies": [{"id": "other", "version": version}]}).ok
    assert time.process_time() - begun < 2
