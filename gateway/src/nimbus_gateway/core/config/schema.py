"""What a manifest's settings schema says about values. Pure; a request asks through `judge.aside`."""

from collections.abc import Mapping
from typing import Any

from jsonschema.exceptions import SchemaError
from jsonschema.exceptions import ValidationError as SchemaMismatch
from nimbus_sdk.contracts.jsontext import pointer, shown
from nimbus_sdk.contracts.problem import FieldProblem
from referencing.exceptions import Unresolvable

from nimbus_gateway.core.config.budget import TooSlowError
from nimbus_gateway.core.config.judge import mismatches
from nimbus_gateway.errors import ConflictError

Schema = Mapping[str, Any]
MOST_ERRORS = 50
_ABOUT_THE_WHOLE = {"required", "minProperties", "dependentRequired", "dependentSchemas"}
"""Keywords that other settings decide; they do not speak against one value."""


def defaults(schema: Schema | None) -> dict[str, Any]:
    """The defaults of the top-level settings."""
    return {key: part["default"] for key, part in _properties(schema).items() if "default" in part}


def secret_keys(schema: Schema | None) -> frozenset[str]:
    """The settings that are, or hold anywhere in them, a secret (`x-secret: true`)."""
    return frozenset(key for key, part in _properties(schema).items() if _holds_secret(part))


def setting_problems(schema: Schema | None, key: str, value: Any) -> list[FieldProblem]:  # noqa: ANN401 - any JSON
    """Everything that is wrong with one setting; paths begin at `/value`.

    Raises:
        ConflictError: the manifest's schema itself is not valid.
    """
    found: list[FieldProblem] = []
    for error in _mismatches(schema, {key: value}):
        inside = list(error.absolute_path)
        if inside[:1] == [key]:
            found.append(_problem(error, "value", *inside[1:]))
        elif not inside and error.validator not in _ABOUT_THE_WHOLE:
            found.append(_problem(error))
    return found[:MOST_ERRORS]


def document_problems(schema: Schema | None, values: Mapping[str, Any]) -> list[FieldProblem]:
    """Everything that is wrong with all settings together; paths begin at `/values`. Secrets are not shown.

    Raises:
        ConflictError: the manifest's schema itself is not valid.
    """
    hidden = secret_keys(schema)
    found: list[FieldProblem] = []
    for error in _mismatches(schema, dict(values)):
        inside = list(error.absolute_path)
        if inside and inside[0] in hidden:
            found.append(FieldProblem(path=pointer("values", *inside), message="a value that fits the schema"))
        else:
            found.append(_problem(error, "values", *inside))
    return found[:MOST_ERRORS]


def unfit_settings(schema: Schema, values: Mapping[str, Any]) -> list[FieldProblem]:
    """The settings that are missing or do not fit, each once, by their paths. Shows no value, for everybody reads it.

    Raises:
        ConflictError: the manifest's schema itself is not valid.
    """
    found: dict[str, FieldProblem] = {}
    for error in _mismatches(schema, dict(values)):
        inside = list(error.absolute_path)
        wanted: Any = error.validator_value
        if error.validator == "required" and isinstance(error.instance, Mapping):
            missing = [name for name in wanted if name not in error.instance]
            places = {pointer(*inside, name): "a value: it is required" for name in missing}
        else:
            places = {pointer(*inside): "a value that fits the schema"}
        for path, message in places.items():
            found.setdefault(path, FieldProblem(path=path, message=message))
    return list(found.values())[:MOST_ERRORS]


def _problem(error: SchemaMismatch, *path: str | int) -> FieldProblem:
    value = shown(error.instance) if error.absolute_path else None
    return FieldProblem(path=pointer(*path), message=error.message[:300], value=value)


def _mismatches(schema: Schema | None, document: Mapping[str, Any]) -> list[SchemaMismatch]:
    if schema is None:
        return []
    try:
        return mismatches(schema, document)
    except TooSlowError:
        raise ConflictError("Checking against the settings schema in the plugin's manifest takes too long.") from None
    except (SchemaError, Unresolvable, RecursionError, ArithmeticError) as error:
        reason = error.message if isinstance(error, SchemaError) else str(error)
        reason = reason.split("\n")[0][:300]
        raise ConflictError(f"The settings schema in the plugin's manifest is not valid: {reason}") from error


def _properties(schema: Schema | None) -> dict[str, Schema]:
    found = (schema or {}).get("properties")
    return {key: part for key, part in found.items() if isinstance(part, dict)} if isinstance(found, dict) else {}


def _holds_secret(part: Any) -> bool:  # noqa: ANN401 - any JSON value
    if isinstance(part, dict):
        return part.get("x-secret") is True or any(_holds_secret(member) for member in part.values())
    return isinstance(part, list) and any(_holds_secret(member) for member in part)
