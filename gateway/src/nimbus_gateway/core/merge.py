"""JSON merge patch (RFC 7396)."""

import json
from typing import Any

from nimbus_sdk.contracts.jsontext import MAX_DOCUMENT_BYTES
from nimbus_sdk.contracts.problem import FieldProblem

from nimbus_gateway.errors import ValidationError


def merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The target with the patch applied: members that are null go, others replace or merge. Pure."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def merge_metadata(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The metadata with the patch applied. Pure.

    Raises:
        ValidationError: it would be too large: many small patches must not add up without end.
    """
    merged: dict[str, Any] = merge_patch(target, patch)
    if len(json.dumps(merged, ensure_ascii=False, separators=(",", ":")).encode()) > MAX_DOCUMENT_BYTES:
        message = f"at most {MAX_DOCUMENT_BYTES // 1024} KiB once merged"
        raise ValidationError("The metadata is too large.", errors=[FieldProblem(path="/metadata", message=message)])
    return merged
