"""The published JSON Schema is current and agrees with the model."""

import json
from pathlib import Path

import jsonschema
import pytest
from nimbus_sdk.cli.schema import manifest_schema
from nimbus_sdk.contracts.validation import validate_manifest

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "reference" / "manifest.schema.json"


def test_it_is_current() -> None:
    assert PUBLISHED.read_text() == manifest_schema(), (
        "write it anew: nimbus schema manifest > docs/reference/manifest.schema.json"
    )


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(PUBLISHED.read_text()))


@pytest.mark.parametrize("path", sorted(ROOT.glob("plugins/*/manifest.json")), ids=lambda path: path.parent.name)
def test_first_party_manifests_fit_it(path: Path) -> None:
    document = json.loads(path.read_text())
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text())).validate(document)
    assert validate_manifest(document, strict=True).errors == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": "Bad Id"},
        {"version": "1"},
        {"manifestVersion": 2},
        {"runtime": {"port": 0}},
        {"routes": [{"methods": []}]},
        {"schedules": [{"id": f"job-{number}", "cron": "0 0 * * *"} for number in range(21)]},
    ],
)
def test_what_the_model_refuses_the_schema_refuses(change: dict[str, object]) -> None:
    base = json.loads((ROOT / "plugins" / "hello" / "manifest.json").read_text())
    document = {**base, **change}
    assert validate_manifest(document).errors
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text()))
    assert list(validator.iter_errors(document))
