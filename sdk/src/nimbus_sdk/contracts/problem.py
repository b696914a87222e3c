"""Problem details (RFC 9457): the one error body of every Nimbus service."""

from typing import Any

from pydantic import Field

from nimbus_sdk.contracts.base import WireModel

PROBLEM_MEDIA_TYPE = "application/problem+json"


class FieldProblem(WireModel):
    """One thing that is wrong with the input."""

    path: str = Field(description="JSON pointer into the body, or the parameter's name.", examples=["/routes/0/path"])
    message: str = Field(description="What was expected.")
    value: Any = Field(default=None, description="What was found, cut to a readable length.")
    suggestion: str | None = Field(default=None, description="A likely meant key or value.")


class Problem(WireModel):
    """Problem details. `type` is stable: clients may switch on it."""

    type: str = Field(description="Stable URI reference under /problems/.", examples=["/problems/plugin-disabled"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str | None = None
    instance: str | None = Field(default=None, description="The request's id; quote it when reporting.")
    errors: list[FieldProblem] | None = None
