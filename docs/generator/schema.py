"""JSON Schema in words: the type of a field and the tables of objects."""

import json
from typing import Any

from generator.markdown import anchor, code

Schema = dict[str, Any]


def ref_name(schema: Schema) -> str | None:
    """The definition that a schema points to."""
    target = schema.get("$ref")
    return target.rsplit("/", 1)[1] if isinstance(target, str) else None


def type_words(schema: Schema, linked: frozenset[str] = frozenset(), elsewhere: str = "") -> str:
    """The type of a value, for a table.

    Args:
        schema: of the value.
        linked: definitions that have a heading of their own on the page.
        elsewhere: page that describes definitions which are not linked; none when empty.
    """
    name = ref_name(schema)
    if name is not None:
        page = "" if name in linked else elsewhere
        return f"[{name}]({page}#{anchor(name)})" if page or name in linked else name
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices is not None:
        kinds = [type_words(one, linked, elsewhere) for one in choices if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "const" in schema or "enum" in schema:
        values = [json.dumps(schema["const"])] if "const" in schema else [str(value) for value in schema["enum"]]
        return ", ".join(code(value) for value in values)
    return _plain_type(schema, linked, elsewhere)


def _plain_type(schema: Schema, linked: frozenset[str], elsewhere: str) -> str:
    kind = str(schema.get("type", "any JSON"))
    inner = schema.get("items") if kind == "array" else schema.get("additionalProperties")
    words = {"array": "list", "string": str(schema.get("format", "string"))}.get(kind, kind)
    if kind in {"array", "object"} and isinstance(inner, dict) and inner:
        return f"{words} of {type_words(inner, linked, elsewhere)}"
    return words + (_range(schema) if kind in {"integer", "number"} else "")


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    over = schema.get("exclusiveMinimum")
    if low is not None and high is not None:
        return f" {low} to {high}"
    if over is not None and high is not None:
        return f" over {over}, up to {high}"
    return f" from {low}" if low is not None else ""


def default_words(schema: Schema, *, required: bool) -> str:
    """What is taken when a value is left out."""
    if required:
        return "**required**"
    if schema.get("default") is not None and schema["default"] not in ([], {}, ""):
        return code(json.dumps(schema["default"], ensure_ascii=False))
    return ""
