"""The plugin itself, and what its routes have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

from nimbus_sdk import Plugin

from sonarr.numbers import Numbers

plugin = Plugin(__name__)
numbers = Numbers()

Json = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])

READ = ["sonarr:read"]
WRITE = ["sonarr:write"]
TAG = "compat:sonarr"
_ROOT = "/api/v3"


def reads(path: str) -> Callable[[Function], Function]:
    """Answer GET requests to a path of the API."""
    return plugin.get(f"{_ROOT}/{path}", auth="apikey", scopes=READ, tag=TAG)


def writes(method: str, path: str, status: int = 200) -> Callable[[Function], Function]:
    """Answer requests that change something."""
    return plugin.route(f"{_ROOT}/{path}", methods=[method], auth="apikey", scopes=WRITE, tag=TAG, status_code=status)


def paged(records: list[Json], *, page: int, page_size: int, sort_key: str, descending: bool) -> Json:
    """A page of records as the API wraps it."""
    first = (page - 1) * page_size
    return {
        "page": page,
        "pageSize": page_size,
        "sortKey": sort_key,
        "sortDirection": "descending" if descending else "ascending",
        "totalRecords": len(records),
        "records": records[first : first + page_size],
    }
