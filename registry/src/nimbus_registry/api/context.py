"""What every handler gets: the parts of the running registry, and the check of the service token."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from nimbus_sdk.contracts.base import PLUGIN_ID_PATTERN
from nimbus_sdk.contracts.control import ScanResult
from nimbus_sdk.contracts.problem import PROBLEM_MEDIA_TYPE, Problem
from pydantic import StringConstraints

from nimbus_registry.catalog.install import Installer
from nimbus_registry.catalog.jobs import Jobs
from nimbus_registry.catalog.permissions import Permissions
from nimbus_registry.database import Database
from nimbus_registry.errors import UnauthenticatedError
from nimbus_registry.lifecycle.copies import DataCopies
from nimbus_registry.lifecycle.examination import Examination
from nimbus_registry.lifecycle.garbage import Garbage
from nimbus_registry.lifecycle.reconcile import Reconciler
from nimbus_registry.lifecycle.requests import Requests
from nimbus_registry.lifecycle.uninstall import Uninstaller
from nimbus_registry.lifecycle.usage import Usage
from nimbus_registry.lifecycle.versions import Versions
from nimbus_registry.runtime.base import Runtime
from nimbus_registry.store.ledger import Ledger
from nimbus_registry.workers import Workers

PathId = Annotated[str, StringConstraints(pattern=PLUGIN_ID_PATTERN)]


@dataclass(frozen=True, slots=True)
class Context:
    """The running registry, as the API sees it."""

    token: str
    database: Database
    ledger: Ledger
    workers: Workers
    requests: Requests
    reconciler: Reconciler
    permissions: Permissions
    jobs: Jobs
    installer: Installer
    versions: Versions
    uninstaller: Uninstaller
    copies: DataCopies
    runtime: Runtime
    examination: Examination
    usage: Usage
    garbage: Garbage
    rescan: Callable[[], Awaitable[ScanResult]]

    @property
    def stopping(self) -> asyncio.Event:
        """Set when the registry is about to end."""
        return self.requests.stopping


def get_context(request: Request) -> Context:
    """The context that the lifespan made."""
    context: Context = request.app.state.context
    return context


Current = Annotated[Context, Depends(get_context)]

_bearer = HTTPBearer(auto_error=False, description="The service token that registry and gateway share.")


async def require_service_token(
    context: Current, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Let only the gateway in.

    Raises:
        UnauthenticatedError: the token is missing or wrong.
    """
    given = credentials.credentials if credentials else ""
    if not hmac.compare_digest(given.encode(), context.token.encode()):
        raise UnauthenticatedError


def problem_response(description: str) -> dict[str, Any]:
    """How an error answer is described in the OpenAPI document."""
    return {
        "description": description,
        "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}},
    }
