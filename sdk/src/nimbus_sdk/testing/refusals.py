"""How the fake core says no."""

from pydantic import ValidationError

from nimbus_sdk.contracts.problem import FieldProblem


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A problem answer: its status, the last part of its type, words, and extension members."""

    def __init__(self, status: int, kind: str, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.extra = extra


def invalid(error: ValidationError) -> Refused:
    """The answer to a body that does not fit its model."""
    errors = [
        FieldProblem(path="/" + "/".join(str(part) for part in item["loc"]), message=item["msg"]).wire()
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return Refused(422, "validation", "The body does not fit.", errors=errors)
