"""The errors of the SDK: what the core answered, and what a plugin says about itself.

A `CoreError` that a route handler lets through becomes the fitting problem answer, so most handlers need no
`try`: an item that does not exist is a 404 for the plugin's caller too.
"""

# ruff: noqa: N818 - the names say what happened; authors read them in `except` clauses

from typing import ClassVar

from nimbus_sdk.contracts.problem import FieldProblem, Problem


class NimbusError(Exception):
    """Base of every error of the SDK."""


class ManifestError(NimbusError):
    """`manifest.json` is missing, unreadable or not valid; the message lists everything that is wrong."""


class RoutesDisagree(ManifestError):
    """The routes in the code are not those of the manifest; the message lists every difference."""


class NotReady(NimbusError):
    """Raise it in a `@plugin.check`: the plugin cannot serve now. Say why; it is shown to the operator."""


class Degraded(NimbusError):
    """Raise it in a `@plugin.check`: the plugin serves, with less than usual. Say what is missing."""


class CoreError(NimbusError):
    """The core refused or failed a call.

    Attributes:
        status: the HTTP status that the class stands for.
        http_status: the status that the core answered with, where it differs from `status`.
        problem: the core's problem details, when it sent some.
    """

    status: ClassVar[int] = 500

    def __init__(self, message: str, *, status: int | None = None, problem: Problem | None = None) -> None:
        super().__init__(message)
        self.http_status = status if status is not None else self.status
        self.problem = problem


class Unauthenticated(CoreError):
    """The core does not know this plugin's token: it was disabled or started again elsewhere."""

    status: ClassVar[int] = 401


class PermissionMissing(CoreError):
    """The plugin lacks a permission; ask for it in the manifest's `permissions`.

    Attributes:
        permission: its name, e.g. `media:write`; None when the core did not name it.
    """

    status: ClassVar[int] = 403

    def __init__(
        self,
        message: str,
        *,
        permission: str | None = None,
        status: int | None = None,
        problem: Problem | None = None,
    ) -> None:
        super().__init__(message, status=status, problem=problem)
        self.permission = permission


class NotFound(CoreError):
    """There is no such thing, or none that this plugin may see."""

    status: ClassVar[int] = 404


class Conflict(CoreError):
    """The call does not fit the state of things."""

    status: ClassVar[int] = 409


class PreconditionFailed(CoreError):
    """Somebody changed the thing since it was read: read it again and decide anew."""

    status: ClassVar[int] = 412


class QuotaExceeded(CoreError):
    """The plugin would keep more than the operator allows, or a call is too large; the message says of what."""

    status: ClassVar[int] = 413


class ValidationFailed(CoreError):
    """The core did not accept a value.

    Attributes:
        errors: each field that is wrong, with its path and what was expected.
    """

    status: ClassVar[int] = 422

    def __init__(
        self,
        message: str,
        *,
        errors: list[FieldProblem] | None = None,
        status: int | None = None,
        problem: Problem | None = None,
    ) -> None:
        super().__init__(message, status=status, problem=problem)
        self.errors = errors or []


class Unavailable(CoreError):
    """The core cannot be reached or cannot serve now; repeats did not help.

    Attributes:
        retry_after: seconds after which another try makes sense, when the core said so.
    """

    status: ClassVar[int] = 503

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        problem: Problem | None = None,
    ) -> None:
        super().__init__(message, status=status, problem=problem)
        self.retry_after = retry_after


class RateLimited(Unavailable):
    """The plugin makes more calls than the operator allows; repeats did not help.

    A handler that lets it through answers 503: it is the plugin that is too busy, not its caller.
    """
