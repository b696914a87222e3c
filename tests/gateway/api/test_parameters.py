"""Query parameters that a call does not have: refused by the API, ignored where watchers and browsers look."""

import re

import pytest

from tests.gateway.support import Nimbus, problem

pytestmark = pytest.mark.anyio

IGNORED = ("/healthz", "/readyz", "/metrics")
METHODS = {"get", "post", "put", "patch", "delete"}


async def test_every_call_of_the_api_names_it(nimbus: Nimbus):
    client = nimbus.client()
    document = (await client.get("/api/openapi.json")).json()
    asked = 0
    for path, calls in document["paths"].items():
        if path in IGNORED:
            continue
        for method in METHODS & calls.keys():
            known = {one["name"] for one in calls[method].get("parameters", []) if one["in"] == "query"}
            target = re.sub(r"\{[^}]*\}", "1", path)
            [error] = problem(await client.request(method, f"{target}?limitt=1"), 422, "validation")["errors"]
            assert error["path"] == "limitt", (method, path)
            assert all(name in error["message"] for name in known), (method, path)
            asked += 1
    assert asked > 80


async def test_metadata_filters_have_any_name(nimbus: Nimbus):
    admin = await nimbus.admin()
    assert (await admin.get("/api/media", params={"metadata.studio": "UFA"})).status_code == 200
    [error] = problem(await admin.get("/api/media", params={"metadat.studio": "UFA"}), 422, "validation")["errors"]
    assert error["path"] == "metadat.studio"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/docs"])
async def test_watchers_and_browsers_may_add_theirs(nimbus: Nimbus, path: str):
    assert (await nimbus.client().get(path, params={"t": "1"})).status_code == 200
