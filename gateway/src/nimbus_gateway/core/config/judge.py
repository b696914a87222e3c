"""A JSON Schema validator whose time and memory are bounded.

Whoever ships a plugin writes its schema, with patterns and references in it: `^(a|aa)+$` alone would keep Python's
`re`, and every other thread with it, busy for years. So each keyword looks at a budget, and patterns are matched by
`patterns`. The validator of the library changes to a class without all that where a schema names another one or is
plainly `false`; this one does not.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from nimbus_sdk.contracts.formats import missed_format
from nimbus_sdk.contracts.settings_schema import patterns_in, schema_problems
from referencing import Registry

from nimbus_gateway.core.config.budget import LONGEST_MESSAGE, budget, left, one_error
from nimbus_gateway.core.config.patterns import matches, prepared

Untyped = Any
"""Any JSON value, or a validator of the library, which has no types for the parts of it that are used here."""
Found = Iterator[ValidationError]
Keyword = Callable[[Untyped, Untyped, Untyped, Untyped], "Found | None"]

MOST_MISMATCHES: Final = 1000
_NOTHING: Final = {"not": True}
"""The schema `false`, as one that is looked at like all others."""


def mismatches(schema: Mapping[str, Any], document: Mapping[str, Any]) -> list[ValidationError]:
    """Everything in which a document does not fit a schema, up to 1000 errors, in the order of its places.

    Raises:
        SchemaError: it is no schema, or one that is not supported.
        Unresolvable, RecursionError: it refers to what is not there, or to itself.
        TooSlowError: it takes too long.
    """
    with budget() as mine:
        if not mine.is_known(schema):
            for problem in schema_problems(schema):
                raise SchemaError(f"{problem.path or 'it'} should have {problem.message}")
            _check_schema(schema)
            for pattern in patterns_in(schema):
                mine.left()
                prepared(pattern)
            mine.note(schema)
        # An empty registry: a reference to another document is an error, never a download.
        errors = _ForSettings(schema, registry=Registry()).iter_errors(document)
        found = list(islice(errors, MOST_MISMATCHES))
    return sorted(found, key=lambda error: [str(part) for part in error.absolute_path])


def _check_schema(schema: Untyped) -> None:
    # No format checker: that of patterns would have `re` compile them.
    wrong = best_match(_ForSchemas(_ForSchemas.META_SCHEMA).iter_errors(schema))
    if wrong is not None:
        raise SchemaError(wrong.message)


def _counted(keyword: Keyword) -> Keyword:
    def look(validator: Untyped, value: Untyped, instance: Untyped, schema: Untyped) -> Found:
        left()
        for error in keyword(validator, value, instance, schema) or ():
            if not error.relative_schema_path:  # it is new, not one from below
                one_error()
                error.message = error.message[:LONGEST_MESSAGE]
            yield error

    return look


def _reference(validator: Untyped, value: str, instance: Untyped, _: Untyped) -> Found:
    """What it leads to may be anything in the document, such as a default, which nobody has looked at."""
    try:
        resolved = validator._resolver.lookup(value)  # noqa: SLF001 - it has no public name
    except (AttributeError, TypeError, ValueError) as error:
        raise SchemaError(f"the reference {value!r} leads to no schema") from error
    target = resolved.contents
    with budget() as mine:
        if not isinstance(target, Mapping):
            _check_schema(target)
        elif not mine.is_known(target):
            _check_schema(target)
            mine.note(target)
    yield from validator.descend(instance, target, resolver=resolved.resolver)


def _unsupported(_: Untyped, value: Untyped, instance: Untyped, schema: Untyped) -> Found:  # noqa: ARG001 - the library passes four
    """The library's look through a schema without asking any keyword on the way, so without end."""
    raise SchemaError("unevaluatedProperties and unevaluatedItems are not supported")


def _pattern(validator: Untyped, value: str, instance: Untyped, _: Untyped) -> Found:
    if validator.is_type(instance, "string") and not matches(value, instance):
        yield ValidationError(f"{instance!r} does not match {value!r}")


def _format(validator: Untyped, value: str, instance: Untyped, _: Untyped) -> Found:
    """Not by the library's checker, which has `re` compile what is of the format `regex`."""
    if validator.is_type(instance, "string") and (expected := missed_format(value, instance)) is not None:
        yield ValidationError(f"{instance[:LONGEST_MESSAGE]!r} is not {expected}")


def _pattern_properties(validator: Untyped, value: Mapping[str, Untyped], instance: Untyped, _: Untyped) -> Found:
    if validator.is_type(instance, "object"):
        for pattern, part in value.items():
            for key in instance:
                if matches(pattern, key):
                    yield from validator.descend(instance[key], part, path=key, schema_path=pattern)


def _additional_properties(validator: Untyped, value: Untyped, instance: Untyped, schema: Untyped) -> Found:
    if not validator.is_type(instance, "object"):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extras = [key for key in instance if key not in named and not any(matches(one, key) for one in patterns)]
    if isinstance(value, Mapping):
        for key in extras:
            yield from validator.descend(instance[key], value, path=key)
    elif not value and extras:
        unexpected = f"{', '.join(map(repr, sorted(extras)))} {'was' if len(extras) == 1 else 'were'} unexpected"
        yield ValidationError(f"Additional properties are not allowed ({unexpected})")


def _unique_items(validator: Untyped, value: Untyped, instance: Untyped, _: Untyped) -> Found:
    """By their text: comparing each with each takes minutes for what fits into a manifest."""
    if value and validator.is_type(instance, "array"):
        seen = {json.dumps(_as_numbers(item), sort_keys=True) for item in instance}
        if len(seen) != len(instance):
            yield ValidationError(f"{instance!r} has non-unique elements")


def _as_numbers(value: Untyped) -> Untyped:
    """1.0 and 1 are one number in JSON Schema."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _as_numbers(member) for key, member in value.items()}
    return [_as_numbers(member) for member in value] if isinstance(value, list) else value


def _evolve(validator: Untyped, **changes: Untyped) -> Untyped:
    """The library's, but always of the same class, whatever `$schema` says."""
    for field in type(validator).__attrs_attrs__:
        if field.init:
            changes.setdefault(field.alias, getattr(validator, field.name))
    if changes["schema"] is False:
        changes["schema"] = _NOTHING
    return type(validator)(**changes)


def _bounded(own: Mapping[str, Keyword]) -> type[Validator]:
    keywords = {**Draft202012Validator.VALIDATORS, **own}
    made: type[Validator] = extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {name: _counted(keyword) for name, keyword in keywords.items()}
    )
    of_library: Callable[..., Found] = made.descend  # type: ignore[attr-defined]

    def descend(validator: Untyped, instance: Untyped, schema: Untyped, **places: Untyped) -> Found:
        left()
        return of_library(validator, instance, _NOTHING if schema is False else schema, **places)

    made.evolve, made.descend = _evolve, descend  # type: ignore[assignment, attr-defined, method-assign]
    return made


_OWN: Final[Mapping[str, Keyword]] = {
    "unevaluatedProperties": _unsupported,
    "unevaluatedItems": _unsupported,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
_ForSchemas: Final = _bounded(_OWN)
_ForSettings: Final = _bounded({**_OWN, "format": _format, "$ref": _reference, "$dynamicRef": _reference})
