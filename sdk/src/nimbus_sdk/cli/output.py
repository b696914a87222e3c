"""What commands print and how they end.

Exit status: 0 done; 1 it failed, or something is not valid; 2 the call makes no sense; 3 not signed in, or not
allowed; 4 there is no such thing; 5 Nimbus, or a program that is needed, cannot be reached; 130 ended by Ctrl-C.

Under `--json` a command that does not end with 0 prints one JSON object on standard error: problem details
(RFC 9457), Nimbus' own where it answered with some. Standard output has the result, or nothing.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from nimbus_sdk.contracts.problem import FieldProblem, Problem
from nimbus_sdk.contracts.snapshot import Reason
from nimbus_sdk.errors import CoreError, NotFound, PermissionMissing, Unauthenticated, Unavailable, ValidationFailed
from nimbus_sdk.nimbus_connection import NimbusConnection

FAILED, USAGE, NOT_ALLOWED, NOT_THERE, UNREACHABLE = 1, 2, 3, 4, 5
INTERRUPTED = 130
"""What shells make of a program that ended by Ctrl-C."""

_OPTIONS = {
    "/problems/consent-required": "nimbus plugins permissions ID --grant NAME decides what it may do;"
    " nimbus plugins upgrade ID VERSION --version takes a version that waits, with --grant NAME or --grant-none.",
    "/problems/plugin-needed": "--cascade disables them first, --force leaves them as they are.",
    "/problems/plugin-exists": "nimbus plugins upgrade ID IMAGE changes the version.",
    "/problems/dependencies-unmet": "nimbus plugins enable --with-dependencies enables those that are disabled.",
}
"""What an answer's way out is called on the command line."""

_GOES_ON = (
    "It was ended by Ctrl-C. What was asked of Nimbus may be under way still:"
    " nimbus plugins list and nimbus backup list tell."
)
_json_wanted: ContextVar[bool] = ContextVar("json_wanted", default=False)
_used: ContextVar[NimbusConnection | None] = ContextVar("used", default=None)

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What a terminal obeys rather than shows: controls but tab and newline, and what turns the direction of text."""


def harmless(text: str) -> str:
    r"""The text without colours, and with what else a terminal obeys shown as an escape, such as `\x1b`. Pure."""
    return _ACTS.sub(lambda found: ascii(found[0])[1:-1], _COLOURS.sub("", text))


def one_line(text: str) -> str:
    """`harmless`, and without line ends, so that it cannot pretend to be several lines. Pure."""
    return harmless(text).replace("\n", "↵")


class Terminal(Console):
    """What commands print on: texts of plugins, and of whoever they log, do nothing to the terminal."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401 - rich's own
        """Print as rich does."""
        super().print(*(harmless(one) if isinstance(one, str) else one for one in objects), **options)


console = Terminal(highlight=False, soft_wrap=True)
errors = Terminal(stderr=True, highlight=False, soft_wrap=True)


_KINDS = {
    FAILED: ("command-failed", "It failed", 500),
    USAGE: ("usage", "The call makes no sense", 400),
    NOT_ALLOWED: ("unauthenticated", "Not signed in, or not allowed", 401),
    NOT_THERE: ("not-found", "There is no such thing", 404),
    UNREACHABLE: ("unreachable", "It cannot be reached", 503),
    INTERRUPTED: ("interrupted", "It was ended by Ctrl-C", 499),
}
"""Of each exit status that is an error: the end of the problem's type, its title, and the status nearest to it."""


def fail(
    message: str,
    status: int = FAILED,
    *,
    problem: Problem | None = None,
    found: Sequence[FieldProblem] = (),
    shown: bool = False,
) -> NoReturn:
    """Say what is wrong on standard error and end with a status.

    Args:
        message: for people, and the problem's `detail`.
        status: the exit status.
        problem: what Nimbus answered; made of the status when there is none.
        found: each thing that is wrong, where there are several.
        shown: people have read it already; it is printed under `--json` alone.
    """
    if wants_json():
        print_problem(message, status, problem=problem, found=found)
    elif not shown:
        lines = "".join(f"\n  {one.path or '/'}: {one.message}" for one in found)
        errors.print(f"[red]{escape(message + lines)}[/]")
    raise typer.Exit(status)


def wants_json() -> bool:
    """Whether the command that runs was called with `--json`."""
    return _json_wanted.get()


def print_problem(
    message: str, status: int, *, problem: Problem | None = None, found: Sequence[FieldProblem] = ()
) -> None:
    """Print problem details on standard error. Arguments as for `fail`."""
    kind, title, nearest = _KINDS.get(status, _KINDS[FAILED])
    told = problem or Problem(type=f"/problems/{kind}", title=title, status=nearest, errors=list(found) or None)
    typer.echo(json.dumps(told.model_copy(update={"detail": message}).wire(), ensure_ascii=False), err=True)


def uses(nimbus: NimbusConnection) -> None:
    """Note what the command reaches a Nimbus by, so that it can say what goes on when it is interrupted."""
    _used.set(nimbus)


def by_ctrl_c(error: BaseException) -> bool:
    """Whether it was Ctrl-C, also at a prompt, whose `Abort` may as well be the end of the input. Pure."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, typer.Abort) and isinstance(error.__context__, KeyboardInterrupt)
    )


class Commands(TyperGroup):
    """The root of the commands: knows whether `--json` was given, and tells wrong calls and Ctrl-C as JSON then."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - typer's own
        """Run a command. What one that is ended by Ctrl-C asked for may be carried out all the same, or in part."""
        before = _used.set(None)
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort) as error:
            if not by_ctrl_c(error):
                raise
            nimbus, at_prompt = _used.get(), isinstance(error, typer.Abort)
            if at_prompt:
                errors.print()  # the line of the question has no end
            if nimbus is not None and nimbus.asked_changes:
                fail(_GOES_ON, INTERRUPTED)
            fail("It was ended by Ctrl-C.", INTERRUPTED, shown=not at_prompt)
        finally:
            _used.reset(before)

    def main(  # type: ignore[override]  # typer calls it by name
        self,
        args: Sequence[str] | None = None,
        *,
        standalone_mode: bool = True,
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - typer's own
        """Run a command, and end the process with its status."""
        given = list(sys.argv[1:] if args is None else args)
        if not standalone_mode or "--json" not in given:
            return super().main(given, standalone_mode=standalone_mode, **extra)
        before = _json_wanted.set(True)
        try:
            ended = super().main(given, standalone_mode=False, **extra)
        except typer.TyperException as error:
            print_problem(error.format_message(), error.exit_code)
            sys.exit(error.exit_code)
        except typer.Abort:
            print_problem("It was cut off before it was done.", FAILED)
            sys.exit(FAILED)
        finally:
            _json_wanted.reset(before)
        sys.exit(ended if isinstance(ended, int) else 0)


def show_json(value: Any) -> None:  # noqa: ANN401 - any JSON
    """Print JSON for scripts: plain when it goes into a pipe or file, coloured on a terminal."""
    if sys.stdout.isatty():
        console.print_json(json.dumps(value))
    else:
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def status_of(error: CoreError) -> int:
    """The exit status for an error of a call. Pure."""
    match error:
        case Unauthenticated() | PermissionMissing():
            return NOT_ALLOWED
        case NotFound():
            return NOT_THERE
        case Unavailable():
            return UNREACHABLE
    return FAILED


def _why(problem: Problem | None) -> str:
    """What to do about a plugin that failed, and what it printed last, where an answer says so. Pure."""
    told = (problem.model_extra or {}).get("reason") if problem is not None else None
    try:
        reason = Reason.model_validate(told)
    except ValidationError:
        return ""
    lines = [reason.hint] if reason.hint else []
    return "".join(f"\n  {line}" for line in [*lines, *(f"| {one_line(line)}" for line in reason.log_tail[-10:])])


@contextmanager
def told() -> Iterator[None]:
    """Calls of Nimbus in this block end the command with words and a status when they fail."""
    try:
        yield
    except CoreError as error:
        message = str(error)
        if isinstance(error, Unauthenticated):
            message += "\nSign in: nimbus login ADDRESS"
        if error.problem is not None and error.problem.type in _OPTIONS:
            message += f"\nHere: {_OPTIONS[error.problem.type]}"
        if not wants_json():
            message += _why(error.problem)
        found = error.errors if isinstance(error, ValidationFailed) else ()
        fail(message, status_of(error), problem=error.problem, found=found)
