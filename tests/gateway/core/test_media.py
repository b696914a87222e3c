"""The media library, as plugins and people call it."""

import pytest
from nimbus_gateway.core.etags import matches
from nimbus_gateway.core.merge import merge_patch

from tests.gateway.support import Nimbus, problem

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
MISSING = "01a20738-fd42-720a-9485-7e805bd2de20"
ALIEN = {"kind": "movie", "title": "Alien", "year": 1979, "metadata": {"genre": "horror", "runtime": 117}}


async def make(client, **changes) -> dict:
    answer = await client.post("/core/v1/media", json={**ALIEN, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()


class TestCreate:
    async def test_gives_the_item_with_its_tag(self, nimbus: Nimbus):
        answer = await nimbus.plugin("hello").post("/core/v1/media", json=ALIEN)
        item = answer.json()
        assert answer.status_code == 201
        assert answer.headers["location"] == f"/core/v1/media/{item['id']}"
        assert answer.headers["etag"] == item["etag"] == '"1"'
        assert item["createdBy"] == "plugin:hello"
        assert {key: item[key] for key in ALIEN} == ALIEN
        assert item["createdAt"].endswith("Z")

    async def test_without_the_permission_it_is_named(self, nimbus: Nimbus):
        body = problem(await nimbus.plugin("other").post("/core/v1/media", json=ALIEN), 403, "permission-missing")
        assert body["missing"] == "media:write"

    @pytest.mark.parametrize("plugin", ["asleep", "unknown"])
    async def test_a_plugin_that_does_not_run_is_nobody(self, nimbus: Nimbus, plugin: str):
        problem(await nimbus.plugin(plugin).post("/core/v1/media", json=ALIEN), 401, "unauthenticated")

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"kind": "Not A Kind"}, "/kind"),
            ({"title": ""}, "/title"),
            ({"year": 0}, "/year"),
            ({"year": "1979a"}, "/year"),
            ({"metadata": []}, "/metadata"),
            ({"parentId": MISSING}, "/parentId"),
            ({"parentId": "nonsense"}, "/parentId"),
            ({"title": "nul\x00"}, "/title"),
        ],
    )
    async def test_bad_input_is_named(self, nimbus: Nimbus, change: dict, path: str):
        answer = await nimbus.plugin("hello").post("/core/v1/media", json={**ALIEN, **change})
        assert problem(answer, 422, "validation")["errors"][0]["path"] == path

    async def test_too_large_a_body_is_refused(self, nimbus: Nimbus):
        body = {**ALIEN, "metadata": {"text": "x" * 3_000_000}}
        problem(await nimbus.plugin("hello").post("/core/v1/media", json=body), 413, "payload-too-large")

    async def test_people_share_the_library(self, nimbus: Nimbus):
        ada = await nimbus.user()
        made = (await ada.post("/api/media", json=ALIEN)).json()
        assert made["createdBy"].startswith("user:")
        assert (await nimbus.plugin("hello").get(f"/core/v1/media/{made['id']}")).json() == made


class TestList:
    async def test_pages_newest_first(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        made = [(await make(hello, title=f"Film {number}"))["title"] for number in range(5)]
        first = (await hello.get("/core/v1/media", params={"limit": 3})).json()
        rest = (await hello.get("/core/v1/media", params={"limit": 3, "cursor": first["next"]})).json()
        assert [item["title"] for item in first["items"] + rest["items"]] == made[::-1]
        assert rest.get("next") is None

    @pytest.mark.parametrize(
        ("query", "titles"),
        [
            ({}, ["Heat 100%", "Étoile", "Alien"]),
            ({"kind": "show"}, ["Étoile"]),
            ({"search": "LIE"}, ["Alien"]),
            ({"search": "étoile"}, ["Étoile"]),
            ({"search": "100% heat"}, ["Heat 100%"]),
            ({"search": "_"}, []),
            ({"search": "%"}, ["Heat 100%"]),
            ({"year": 1979}, ["Alien"]),
            ({"metadata.genre": "horror"}, ["Alien"]),
            ({"metadata.runtime": "117"}, ["Alien"]),
            ({"metadata.runtime": "118"}, []),
            ({"metadata.seen": "true"}, ["Étoile"]),
            ({"metadata.seen": "null"}, ["Heat 100%"]),
            ({"metadata.rating": "7.5"}, ["Étoile"]),
            ({"metadata.code": "007"}, ["Heat 100%"]),
            ({'metadata.a "b".c': "x"}, ["Heat 100%"]),
            ({"metadata.genre": "horror", "metadata.runtime": "1"}, []),
            ({"metadata.big": "1" * 60}, []),
            ({"parentId": MISSING}, []),
            ({"parentId": "nonsense"}, []),
        ],
    )
    async def test_filters(self, nimbus: Nimbus, query: dict, titles: list[str]):
        hello = nimbus.plugin("hello")
        await make(hello)
        await make(hello, kind="show", title="Étoile", year=2000, metadata={"seen": True, "rating": 7.5})
        await make(hello, title="Heat 100%", year=1995, metadata={"seen": None, "code": "007", 'a "b".c': "x"})
        answer = await hello.get("/core/v1/media", params=query)
        assert [item["title"] for item in answer.json()["items"]] == titles

    async def test_children_of_an_item(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        show = await make(hello, kind="show")
        episode = await make(hello, kind="episode", parentId=show["id"])
        found = (await hello.get("/core/v1/media", params={"parentId": show["id"]})).json()["items"]
        assert [item["id"] for item in found] == [episode["id"]]

    @pytest.mark.parametrize(
        "query", ["cursor=x", "limit=0", "year=x", "search=%00", "metadata.a=%00", "kind=" + "x" * 300]
    )
    async def test_bad_queries_are_named(self, nimbus: Nimbus, query: str):
        problem(await nimbus.plugin("hello").get(f"/core/v1/media?{query}"), 422, "validation")

    async def test_needs_the_permission(self, nimbus: Nimbus):
        body = problem(await nimbus.plugin("other").get("/core/v1/media"), 403, "permission-missing")
        assert body["missing"] == "media:read"

    async def test_an_api_key_needs_the_scope(self, nimbus: Nimbus):
        robot = await nimbus.with_key("media:read")
        assert (await robot.get("/api/media")).status_code == 200
        body = problem(await robot.post("/api/media", json=ALIEN), 403, "permission-missing")
        assert body["missing"] == "media:write"


class TestGet:
    @pytest.mark.parametrize("media_id", [MISSING, "nonsense", "%00"])
    async def test_nothing_is_404(self, nimbus: Nimbus, media_id: str):
        problem(await nimbus.plugin("hello").get(f"/core/v1/media/{media_id}"), 404, "not-found")


class TestUpdate:
    async def test_changes_what_is_named_and_merges_metadata(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        item = await make(hello)
        body = {"year": None, "metadata": {"genre": None, "cut": {"director": True}}}
        answer = await hello.patch(f"/core/v1/media/{item['id']}", json=body, headers={"If-Match": item["etag"]})
        changed = answer.json()
        assert answer.headers["etag"] == changed["etag"] == '"2"'
        assert changed["title"] == "Alien"
        assert changed.get("year") is None
        assert changed["metadata"] == {"runtime": 117, "cut": {"director": True}}

    async def test_an_older_tag_loses(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        item = await make(hello)
        path, guard = f"/core/v1/media/{item['id']}", {"If-Match": item["etag"]}
        assert (await hello.patch(path, json={"title": "A"}, headers=guard)).status_code == 200
        problem(await hello.patch(path, json={"title": "B"}, headers=guard), 412, "precondition-failed")
        assert (await hello.get(path)).json()["title"] == "A"

    async def test_an_item_is_not_its_own_ancestor(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        show = await make(hello)
        season = await make(hello, parentId=show["id"])
        episode = await make(hello, parentId=season["id"])
        for parent in (show, episode):
            answer = await hello.patch(f"/core/v1/media/{show['id']}", json={"parentId": parent["id"]})
            problem(answer, 409, "conflict")
        moved = await hello.patch(f"/core/v1/media/{episode['id']}", json={"parentId": None})
        assert moved.json().get("parentId") is None

    async def test_patches_do_not_add_up_without_end(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        path = f"/core/v1/media/{(await make(hello))['id']}"
        assert (await hello.patch(path, json={"metadata": {"a": "x" * 150_000}})).status_code == 200
        body = problem(await hello.patch(path, json={"metadata": {"b": "x" * 150_000}}), 422, "validation")
        assert body["errors"][0]["path"] == "/metadata"
        assert "b" not in (await hello.get(path)).json()["metadata"]

    @pytest.mark.parametrize("body", [{"title": None}, {"kind": None}, {"metadata": None}, {"year": 99999}])
    async def test_bad_input_is_refused(self, nimbus: Nimbus, body: dict):
        hello = nimbus.plugin("hello")
        item = await make(hello)
        problem(await hello.patch(f"/core/v1/media/{item['id']}", json=body), 422, "validation")

    async def test_needs_the_permission(self, nimbus: Nimbus):
        problem(await nimbus.plugin("other").patch(f"/core/v1/media/{MISSING}", json={}), 403, "permission-missing")


class TestDelete:
    async def test_takes_it_away(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        item = await make(hello)
        path = f"/core/v1/media/{item['id']}"
        problem(await hello.delete(path, headers={"If-Match": '"9"'}), 412, "precondition-failed")
        assert (await hello.delete(path)).status_code == 204
        problem(await hello.delete(path), 404, "not-found")

    async def test_not_while_others_belong_to_it(self, nimbus: Nimbus):
        hello = nimbus.plugin("hello")
        show = await make(hello)
        await make(hello, parentId=show["id"])
        problem(await hello.delete(f"/core/v1/media/{show['id']}"), 409, "conflict")


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ([1], {"a": 1}, {"a": 1}),
    ],
)
async def test_merge_patch_as_in_rfc_7396(target, patch, result):
    assert merge_patch(target, patch) == result


@pytest.mark.parametrize(
    ("header", "expected"), [('"1"', True), ("1", True), ("*", True), ('"2", "1"', True), ('"2"', False), ("", False)]
)
async def test_if_match(header: str, expected: bool):
    assert matches(header, '"1"') is expected
