"""Query parameters that a call does not have: refused by the API, ignored where watchers and browsers look."""

import re

import pytest

from tests.gateway.support import Nimbus, problem

pytestmark = pytest.mark.anyio

IGNORED = ("/healthz", "/readyz", "/metrics")
METHODS = {"get", "post", "put", "patch", "delete"}
BY_TICKET = "/api/admin/backups/restore"
"""Sessions do not open it."""


async def calls_of(nimbus: Nimbus) -> list[tuple[str, str, set[str]]]:
    """Method, target and query parameters of each call of the API."""
    document = (await nimbus.client().get("/api/openapi.json")).json()
    return [
        (
            method,
            re.sub(r"\{[^}]*\}", "1", path),
            {one["name"] for one in call.get("parameters", []) if one["in"] == "query"},
        )
        for path, calls in document["paths"].items()
        if path not in IGNORED
        for method, call in calls.items()
        if method in METHODS
    ]


async def test_every_call_of_the_api_names_it(nimbus: Nimbus):
    admin = await nimbus.admin()
    calls = await calls_of(nimbus)
    for method, target, known in calls:
        if target == BY_TICKET and method == "get":
            continue
        [error] = problem(await admin.request(method, f"{target}?limitt=1"), 422, "validation")["errors"]
        assert error["path"] == "limitt", (method, target)
        assert all(name in error["message"] for name in known), (method, target)
    assert len(calls) > 80


async def test_a_stranger_is_asked_to_sign_in_first(nimbus: Nimbus):
    """Whoever is not let in without the parameter is told that with it, and not what the call takes."""
    closed = 0
    for method, target, _ in await calls_of(nimbus):
        plain = await nimbus.client().request(method, target)
        misspelt = await nimbus.client().request(method, f"{target}?limitt=1")
        if plain.status_code == 401:
            assert misspelt.status_code == 401, (method, target, misspelt.text)
            closed += 1
        else:
            assert misspelt.status_code == 422, (method, target, misspelt.text)
    assert closed > 70


async def test_who_may_not_call_is_told_that_first(nimbus: Nimbus):
    user = await nimbus.user("ada")
    problem(await user.get("/api/admin/users", params={"limitt": "1"}), 403, "forbidden")


async def test_metadata_filters_have_any_name(nimbus: Nimbus):
    admin = await nimbus.admin()
    assert (await admin.get("/api/media", params={"metadata.studio": "UFA"})).status_code == 200
    [error] = problem(await admin.get("/api/media", params={"metadat.studio": "UFA"}), 422, "validation")["errors"]
    assert error["path"] == "metadat.studio"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/docs"])
async def test_watchers_and_browsers_may_add_theirs(nimbus: Nimbus, path: str):
    assert (await nimbus.client().get(path, params={"t": "1"})).status_code == 200
