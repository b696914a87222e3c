"""What commands ask people. Never under `--json`: scripts are told which option answers."""

import sys

import typer

from nimbus_sdk.cli.output import USAGE, fail, wants_json


def ask(what: str, *, instead: str, hidden: bool = False, twice: bool = False) -> str:
    """An answer of the person at the terminal; where there is none, the command ends and says what is missing.

    Args:
        what: is asked for.
        instead: how it is given without a question.
        hidden: it is not shown while it is typed.
        twice: it is typed two times, and both must agree.
    """
    if wants_json():
        fail(f"{what} is missing, and nobody is asked under --json: give it by {instead}.", USAGE)
    if not sys.stdin.isatty():
        fail(f"{what} is missing, and there is no terminal to ask at: give it by {instead}.", USAGE)
    answer: str = typer.prompt(what, hide_input=hidden, confirmation_prompt=twice)
    return answer


def make_sure(question: str, *, yes: bool) -> None:
    """Go on when `--yes` was given, or whoever calls the command says yes; else the command ends."""
    if yes:
        return
    if wants_json():
        fail(f"{question} Nobody is asked under --json: --yes says so.", USAGE)
    typer.confirm(question, abort=True)
