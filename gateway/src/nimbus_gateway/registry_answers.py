"""The registry's answers: read as models, as streams, or turned into the errors that they stand for."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import httpx
from nimbus_sdk.contracts.base import WireModel
from nimbus_sdk.contracts.control import LogLine
from nimbus_sdk.contracts.problem import FieldProblem, Problem
from pydantic import ValidationError as ModelError

from nimbus_gateway.errors import (
    GatewayError,
    PluginFailedError,
    PluginInvalidError,
    PluginNotFoundError,
    RegistryUnavailableError,
)

_FAILED = 400
_PROBLEM_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "errors"})

Model = TypeVar("Model", bound=WireModel)


async def pieces_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        RegistryUnavailableError: it broke off.
    """
    try:
        async for piece in response.aiter_raw():
            yield piece
    except httpx.HTTPError as error:
        raise unavailable(error) from error


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[LogLine]:
    """A log, one JSON document a line.

    Raises:
        RegistryUnavailableError: it is something else.
    """
    rest = b""
    try:
        async for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line.strip():
                    yield LogLine.model_validate_json(line)
        if rest.strip():
            yield LogLine.model_validate_json(rest)
    except ModelError as error:
        raise unavailable(error) from error


def unavailable(error: Exception) -> RegistryUnavailableError:
    """What a failed call means for whoever asked."""
    return RegistryUnavailableError(f"the registry did not answer ({type(error).__name__})", retry_after=2)


def read_answer(model: type[Model], response: httpx.Response) -> Model:
    """The answer as a model.

    Raises:
        RegistryUnavailableError: it is something else.
    """
    try:
        return model.model_validate_json(response.content)
    except ModelError as error:
        raise RegistryUnavailableError("the registry's answer could not be read", retry_after=2) from error


class _RegistryProblemError(GatewayError):
    """A problem of the registry that is passed on as it came."""

    def __init__(self, problem: Problem, extra: Mapping[str, Any]) -> None:
        super().__init__(problem.detail, errors=problem.errors, extra=extra)
        self.source = problem
        # The class attributes are the rule; this one error stands for many.
        self.__dict__.update(type=problem.type, title=problem.title, status=problem.status)


_KNOWN: dict[str, type[GatewayError]] = {
    error.type: error for error in (PluginNotFoundError, PluginFailedError, PluginInvalidError)
}


def raise_for(response: httpx.Response) -> None:
    """Turn a failed answer into the error that it stands for."""
    if response.status_code < _FAILED:
        return
    try:
        document = response.json()
        problem = Problem.model_validate(document)
    except ValueError:
        raise RegistryUnavailableError(f"the registry answered {response.status_code}", retry_after=2) from None
    if problem.status >= 500 or problem.status in (401, 403):  # noqa: PLR2004 - its own trouble, not the caller's
        raise RegistryUnavailableError(f"the registry answered {problem.status}: {problem.title}", retry_after=2)
    extra = {key: value for key, value in document.items() if key not in _PROBLEM_MEMBERS}
    known = _KNOWN.get(problem.type)
    if known is None:
        raise _RegistryProblemError(problem, extra)
    errors: list[FieldProblem] | None = problem.errors
    raise known(problem.detail, errors=errors, extra=extra)
