"""From an answer of the core to the error that it stands for. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, ValidationError

from nimbus_sdk.contracts.problem import Problem
from nimbus_sdk.errors import (
    Conflict,
    CoreError,
    NotFound,
    PermissionMissing,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)

_BY_STATUS: dict[int, type[CoreError]] = {
    401: Unauthenticated,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: QuotaExceeded,
}
_UNAVAILABLE = frozenset({502, 503, 504})
_TOO_MANY = 429


class AnsweredProblem(Problem):
    """A problem as it came, with the members that only its type has, such as `reason` of a plugin that failed."""

    model_config = ConfigDict(extra="allow")


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> CoreError:
    """The error for an answer that is not a success."""
    raw = _object(body)
    try:
        problem = AnsweredProblem.model_validate(raw) if raw else None
    except ValidationError:
        problem = None
    message = (problem.detail or problem.title) if problem else f"the core answered {status}"
    if status == 403 or (problem and problem.type == "/problems/permission-missing"):  # noqa: PLR2004
        permission = raw.get("missing")
        return PermissionMissing(
            message, permission=permission if isinstance(permission, str) else None, status=status, problem=problem
        )
    if status in (400, 422):
        errors = (problem.errors if problem else None) or []
        return ValidationFailed(message, errors=errors, status=status, problem=problem)
    if status == _TOO_MANY or status in _UNAVAILABLE:
        kind = RateLimited if status == _TOO_MANY else Unavailable
        return kind(message, retry_after=retry_after_of(headers), status=status, problem=problem)
    return _BY_STATUS.get(status, CoreError)(message, status=status, problem=problem)


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds of `Retry-After`, when it holds a number."""
    value = headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
