"""What one check of settings may take: processor time, and errors that are found."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from nimbus_sdk.contracts.settings_schema import MOST_PARTS

T = TypeVar("T")

SECONDS: Final = 1.0
"""Processor time for one check: a hundred times of what large settings take."""
MOST_ERRORS: Final = 10_000
"""Errors, also those within alternatives that are then fulfilled."""
LONGEST_MESSAGE: Final = 300
"""Characters of an error that are kept; the library shows the whole value in it."""


class TooSlowError(Exception):
    """The schema cannot be checked in the time, or with the memory, that there is."""


class Budget:
    """What is left in one thread, and the schemas that were looked at and need not be again."""

    def __init__(self) -> None:
        self._ends = time.thread_time() + SECONDS
        self._errors = 0
        self._known: dict[int, Mapping[str, Any]] = {}
        self._parts = 0
        self._patterns: dict[str, Any] = {}

    def left(self) -> float:
        """Seconds that are left.

        Raises:
            TooSlowError: none.
        """
        left = self._ends - time.thread_time()
        if left <= 0:
            raise TooSlowError
        return left

    def one_error(self) -> None:
        """Count an error.

        Raises:
            TooSlowError: there are too many.
        """
        self._errors += 1
        if self._errors > MOST_ERRORS:
            raise TooSlowError

    def kept(self, pattern: str, parts: int, make: Callable[[str], T]) -> T:
        """A pattern, made ready once.

        Raises:
            TooSlowError: those that were made have too many parts.
        """
        if pattern not in self._patterns:
            self._parts += parts
            if self._parts > MOST_PARTS:
                raise TooSlowError
            self._patterns[pattern] = make(pattern)
        made: T = self._patterns[pattern]
        return made

    def is_known(self, schema: Mapping[str, Any]) -> bool:
        """Whether this very schema was noted."""
        return id(schema) in self._known

    def note(self, schema: Mapping[str, Any]) -> None:
        """Note that a schema is one. It is held, so that no other can take its place in memory."""
        self._known[id(schema)] = schema


_budget: ContextVar[Budget] = ContextVar("budget")


@contextmanager
def budget() -> Iterator[Budget]:
    """The budget of what is checked in the block: the one around it, if there is one."""
    if (around := _budget.get(None)) is not None:
        yield around
        return
    token = _budget.set(Budget())
    try:
        yield _budget.get()
    finally:
        _budget.reset(token)


def left() -> float:
    """See `Budget.left`."""
    return _budget.get().left()


def one_error() -> None:
    """See `Budget.one_error`."""
    _budget.get().one_error()
