"""Settings in memory, checked against the manifest's schema."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import jsonschema

from nimbus_sdk.contracts.formats import missed_format
from nimbus_sdk.contracts.problem import FieldProblem
from nimbus_sdk.testing.refusals import Refused


def _format(_: object, name: str, value: object, __: object) -> Iterator[jsonschema.ValidationError]:
    """The keyword `format`, as the core takes it."""
    if isinstance(value, str) and (expected := missed_format(name, value)) is not None:
        yield jsonschema.ValidationError(f"{value!r} is not {expected}")


_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]  # the library has no types for it
    jsonschema.Draft202012Validator, {"format": _format}
)


class FakeConfig(MutableMapping[str, Any]):
    """The plugin's settings. Assign to it as the operator would; a value that does not fit is a `ValueError`."""

    def __init__(self, schema: dict[str, Any] | None) -> None:
        self._schema = schema
        self._values: dict[str, Any] = {}
        self._versions: dict[str, int] = {}

    def errors(self, key: str, value: Any) -> list[FieldProblem]:  # noqa: ANN401 - settings are any JSON
        """What is wrong with a value, by the manifest's schema."""
        if self._schema is None:
            return [FieldProblem(path=f"/{key}", message="the manifest declares no settings", value=value)]
        properties = self._schema.get("properties", {})
        if key not in properties and self._schema.get("additionalProperties") is not True:
            return [FieldProblem(path=f"/{key}", message="the manifest declares no such setting", value=value)]
        validator = _Validator({**self._schema, "required": []})
        return [
            FieldProblem(
                path="/" + "/".join(str(part) for part in error.absolute_path), message=error.message, value=value
            )
            for error in validator.iter_errors({key: value})
        ]

    def effective(self) -> dict[str, Any]:
        """All values, the schema's defaults for those that are not set."""
        properties = (self._schema or {}).get("properties", {})
        defaults = {name: entry["default"] for name, entry in properties.items() if "default" in entry}
        return {**defaults, **self._values}

    def etag(self, key: str) -> str:
        """The version of a setting."""
        return f'"{self._versions.get(key, 0)}"'

    def guard(self, key: str, if_match: str | None) -> None:
        """Refuse a write that was made for another version."""
        if if_match is not None and if_match not in {"*", self.etag(key)}:
            raise Refused(412, "precondition-failed", f"The setting {key} was changed meanwhile.")

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:  # noqa: ANN401
        errors = self.errors(key, value)
        if errors:
            raise ValueError("; ".join(f"{error.path}: {error.message}" for error in errors))
        self._values[key] = value
        self._versions[key] = self._versions.get(key, 0) + 1

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._versions[key] = self._versions.get(key, 0) + 1

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
