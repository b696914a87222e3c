"""Whether the registry is up, and whether it is ready to serve. Without a token."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from nimbus_sdk.contracts.base import WireModel

from nimbus_registry import __version__
from nimbus_registry.api.context import Current
from nimbus_registry.errors import DatabaseUnavailableError

router = APIRouter(tags=["health"])


class Liveness(WireModel):
    """The process is up."""

    status: str = "ok"
    version: str = __version__


class Readiness(WireModel):
    """Whether it can do its work, with the state of what it needs."""

    status: str
    database: str
    runtime: str
    notice: str | None = None


@router.get("/healthz")
async def healthz() -> Liveness:
    """Answers as long as the process does."""
    return Liveness()


@router.get("/readyz", responses={503: {"model": Readiness, "description": "The database does not answer."}})
async def readyz(context: Current, response: Response) -> Readiness:
    """Reads come from memory, so a database that is down only stops changes."""
    database = "ok"
    try:
        await context.database.ping()
    except DatabaseUnavailableError:
        database = "unavailable"
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    status = "ok" if database == "ok" else "unavailable"
    runtime = context.runtime
    return Readiness(status=status, database=database, runtime=runtime.name, notice=runtime.isolation_notice)
