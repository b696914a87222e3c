"""Downloads: what people ask for, what providers report, and the order of the queue."""

import asyncio
from typing import Any

import pytest
from nimbus_gateway.core.downloads import service
from nimbus_gateway.core.downloads.rules import (
    Provider,
    Standing,
    after_action,
    after_report,
    choose_provider,
    default_title,
)

from tests.gateway.core.sinks import listener, open_sink, serve_plugins
from tests.gateway.support import Nimbus, plugin, problem

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
URL = "https://files.test/films/alien.mkv"
GRANTS = ("downloads:*",)


@pytest.fixture
async def served(nimbus: Nimbus) -> Nimbus:
    """`getter` downloads anything, `magnets` magnet links; `asker` only asks."""
    await serve_plugins(
        nimbus,
        plugin("getter", grants=GRANTS, capabilities=["downloader"]),
        plugin("magnets", grants=GRANTS, capabilities=["downloader:magnet"]),
        plugin("asker", grants=GRANTS),
        plugin("other", grants=()),
    )
    return nimbus


async def ask(client: Any, **body: Any) -> dict[str, Any]:
    answer = await client.post("/core/v1/downloads", json={"url": URL, **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def report(client: Any, download: dict[str, Any], state: str, **body: Any) -> Any:
    return await client.post(f"/core/v1/downloads/{download['id']}/report", json={"state": state, **body})


async def act(client: Any, download: dict[str, Any], action: str, root: str = "/core/v1") -> Any:
    return await client.post(f"{root}/downloads/{download['id']}/{action}")


@pytest.mark.parametrize(
    ("state", "wanted", "action", "after"),
    [
        ("queued", "run", "pause", ("paused", "pause")),
        ("running", "run", "pause", ("running", "pause")),
        ("paused", "pause", "resume", ("queued", "run")),
        ("running", "pause", "resume", ("running", "run")),
        ("queued", "run", "cancel", ("canceled", "cancel")),
        ("paused", "pause", "cancel", ("canceled", "cancel")),
        ("running", "run", "cancel", ("running", "cancel")),
        ("failed", "run", "retry", ("queued", "run")),
        ("canceled", "cancel", "retry", ("queued", "run")),
        ("completed", "run", "retry", None),
        ("running", "run", "retry", None),
        ("completed", "run", "pause", None),
        ("failed", "run", "cancel", None),
    ],
)
def test_actions(state: Any, wanted: Any, action: Any, after: tuple[Any, Any] | None):
    found = after_action(Standing(state, wanted), action)
    assert isinstance(found, str) if after is None else found == Standing(*after)


def test_reports_after_the_end():
    ended = Standing("completed", "run")
    assert after_report(ended, "completed") == ended
    assert isinstance(after_report(ended, "running"), str)
    assert after_report(Standing("running", "cancel"), "canceled") == Standing("canceled", "cancel")


def test_the_provider_that_names_the_scheme_comes_first():
    anything = Provider("anything", "A", (), takes_any=True, ready=True)
    magnets = Provider("magnets", "M", ("magnet",), takes_any=False, ready=True)
    asleep = Provider("aaa", "A", (), takes_any=True, ready=False)
    assert choose_provider([anything, magnets], "magnet:?xt=1") == magnets
    assert choose_provider([asleep, anything, magnets], "HTTPS://x/y") == anything
    assert choose_provider([asleep], "https://x/y") == asleep
    assert choose_provider([magnets], "https://x/y") is None


@pytest.mark.parametrize(
    ("url", "title"),
    [(URL, "alien.mkv"), ("https://x/a/b/?q=1#f", "b"), ("magnet:?xt=urn:btih:1", "magnet:"), ("ftp://", "ftp:")],
)
def test_titles(url: str, title: str):
    assert default_title(url) == title


class TestLife:
    async def test_from_the_request_to_the_end(self, nimbus: Nimbus):
        async with open_sink() as sink, open_sink() as ears:
            await serve_plugins(
                nimbus,
                listener("getter", sink, grants=GRANTS, capabilities=["downloader"]),
                listener("ears", ears, "io.nimbus.download.*.v1", grants=GRANTS),
            )
            getter = nimbus.plugin("getter")
            made = await ask(nimbus.plugin("ears"), metadata={"sha256": "00"})
            assert (made["title"], made["provider"], made["state"]) == ("alien.mkv", "getter", "queued")
            assert (made["requestedBy"], made["position"], made["attempt"]) == ("plugin:ears", 0, 1)
            (requested,) = await sink.until(1)
            assert requested["type"] == "io.nimbus.download.requested.v1"
            assert requested["data"]["metadata"] == {"sha256": "00"}
            going = (await report(getter, made, "running", doneBytes=50, totalBytes=100, speed=10.0)).json()
            assert (going["state"], going["etaSeconds"], going["wanted"]) == ("running", 5.0, "run")
            assert going["startedAt"]
            asked = await act(await nimbus.admin(), made, "pause", root="/api")
            assert (asked.json()["state"], asked.json()["wanted"]) == ("running", "pause")
            assert (await sink.until(2))[1]["type"] == "io.nimbus.download.control.v1"
            paused = (await report(getter, made, "paused")).json()
            assert (paused["state"], paused["doneBytes"], paused.get("speed")) == ("paused", 50, None)
            resumed = (await act(nimbus.plugin("ears"), made, "resume")).json()
            assert (resumed["state"], resumed["wanted"]) == ("queued", "run")
            await report(getter, made, "running")
            done = (await report(getter, made, "completed", doneBytes=100, result={"path": "a.mkv"})).json()
            assert (done["state"], done["result"], done.get("position")) == ("completed", {"path": "a.mkv"}, None)
            assert (await report(getter, made, "completed")).status_code == 200
            problem(await report(getter, made, "running"), 409, "conflict")
            await ears.until(6)
            assert [event["type"].split(".")[3] for event in ears.events] == [
                "created",
                "started",
                "paused",
                "queued",
                "started",
                "completed",
            ]

    async def test_a_failure_can_be_tried_again(self, served: Nimbus):
        getter = served.plugin("getter")
        made = await ask(served.plugin("asker"))
        failed = (await report(getter, made, "failed", error="404 from the server", doneBytes=3)).json()
        assert (failed["error"], failed.get("position")) == ("404 from the server", None)
        again = (await act(served.plugin("asker"), made, "retry")).json()
        assert (again["state"], again["attempt"], again["doneBytes"], again.get("error")) == ("queued", 2, 0, None)
        problem(await act(served.plugin("asker"), made, "retry"), 409, "conflict")

    async def test_cancel_then_forget(self, served: Nimbus):
        asker = served.plugin("asker")
        made = await ask(asker)
        problem(await asker.delete(f"/core/v1/downloads/{made['id']}"), 409, "conflict")
        assert (await act(asker, made, "cancel")).json()["state"] == "canceled"
        assert (await asker.delete(f"/core/v1/downloads/{made['id']}")).status_code == 204
        problem(await asker.get(f"/core/v1/downloads/{made['id']}"), 404, "not-found")


class TestQueue:
    async def test_order_and_moves(self, served: Nimbus):
        asker = served.plugin("asker")
        made = [await ask(asker, title=str(number)) for number in range(4)]

        async def titles(**parameters: Any) -> list[str]:
            items = (await asker.get("/core/v1/downloads/queue", params=parameters)).json()["items"]
            return [item["title"] for item in items]

        assert await titles() == ["0", "1", "2", "3"]
        moved = await asker.patch(f"/core/v1/downloads/{made[3]['id']}", json={"position": 0})
        assert moved.json()["position"] == 0
        await asker.patch(f"/core/v1/downloads/{made[0]['id']}", json={"position": 99})
        assert await titles() == ["3", "1", "2", "0"]
        await act(asker, made[1], "cancel")
        problem(await asker.patch(f"/core/v1/downloads/{made[1]['id']}", json={"position": 0}), 409, "conflict")
        first = (await asker.get("/core/v1/downloads/queue", params={"limit": 2})).json()
        assert [item["title"] for item in first["items"]] == ["3", "2"]
        assert await titles(cursor=first["next"]) == ["0"]
        assert await titles(provider="magnets") == []
        problem(await asker.get("/core/v1/downloads/queue", params={"cursor": "x"}), 422, "validation")

    async def test_moves_while_others_move_end_and_come(self, served: Nimbus):
        """Whoever ends one meanwhile is not undone, and no two get one place."""
        asker, getter = served.plugin("asker"), served.plugin("getter")
        made = [await ask(asker, title=str(number)) for number in range(8)]
        failed, ending = made[0], made[1:5]
        assert (await report(getter, failed, "failed")).status_code == 200

        async def move(download: dict[str, Any], position: int) -> int:
            body = {"position": position}
            return int((await asker.patch(f"/core/v1/downloads/{download['id']}", json=body)).status_code)

        async def end(download: dict[str, Any]) -> int:
            return int((await report(getter, download, "completed")).status_code)

        for download in ending:
            moves, ends, others = await asyncio.gather(
                asyncio.gather(move(download, 0), move(made[7], 0), move(made[6], 2), move(made[5], 99)),
                asyncio.gather(end(download)),
                asyncio.gather(ask(asker), act(asker, failed, "retry")),
            )
            assert (moves[0] in {200, 409}, moves[1:], ends) == (True, [200] * 3, [200])
            assert others[1].status_code == 200
            assert (await report(getter, failed, "failed")).status_code == 200
        history = (await asker.get("/core/v1/downloads", params={"state": "completed"})).json()["items"]
        assert sorted(item["title"] for item in history) == [download["title"] for download in ending]
        assert [item for item in history if item.get("position") is not None] == []
        queue = (await asker.get("/core/v1/downloads/queue")).json()["items"]
        places = [item["position"] for item in queue]
        assert (len(queue), places) == (3 + len(ending), sorted(set(places)))

    async def test_history_by_state(self, served: Nimbus):
        asker = served.plugin("asker")
        made = [await ask(asker, title=str(number)) for number in range(3)]
        await act(asker, made[0], "cancel")
        await report(served.plugin("getter"), made[1], "failed", error="no")
        found = (await asker.get("/core/v1/downloads", params={"state": ["failed", "canceled"]})).json()["items"]
        assert [item["title"] for item in found] == ["1", "0"]
        page = (await asker.get("/core/v1/downloads", params={"limit": 2})).json()
        rest = (await asker.get("/core/v1/downloads", params={"limit": 2, "cursor": page["next"]})).json()
        assert [item["title"] for item in page["items"] + rest["items"]] == ["2", "1", "0"]
        problem(await asker.get("/core/v1/downloads", params={"cursor": "x"}), 422, "validation")

    async def test_a_stale_change_is_refused(self, served: Nimbus):
        asker = served.plugin("asker")
        made = await ask(asker, metadata={"a": 1})
        path, tag = f"/core/v1/downloads/{made['id']}", {"If-Match": made["etag"]}
        changed = await asker.patch(path, json={"title": "New", "metadata": {"b": 2}}, headers=tag)
        assert (changed.json()["title"], changed.json()["metadata"]) == ("New", {"a": 1, "b": 2})
        problem(await asker.patch(path, json={"title": "Old"}, headers=tag), 412, "precondition-failed")

    async def test_patches_do_not_add_up_without_end(self, served: Nimbus):
        asker = served.plugin("asker")
        path = f"/core/v1/downloads/{(await ask(asker))['id']}"
        assert (await asker.patch(path, json={"metadata": {"a": "x" * 150_000}})).status_code == 200
        body = problem(await asker.patch(path, json={"metadata": {"b": "x" * 150_000}}), 422, "validation")
        assert body["errors"][0]["path"] == "/metadata"
        assert "b" not in (await asker.get(path)).json()["metadata"]

    async def test_the_queue_has_an_end(self, served: Nimbus, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(service, "MOST_QUEUED", 1)
        await ask(served.plugin("asker"))
        answer = await served.plugin("asker").post("/core/v1/downloads", json={"url": URL})
        assert problem(answer, 413, "quota-exceeded")["quota"] == "downloads"


class TestWhoMay:
    async def test_permissions_and_scopes(self, served: Nimbus):
        made = await ask(served.plugin("asker"))
        other = served.plugin("other")
        body = problem(await other.get("/core/v1/downloads"), 403, "permission-missing")
        assert body["missing"] == "downloads:read"
        for answer in (
            await other.post("/core/v1/downloads", json={"url": URL}),
            await act(other, made, "pause"),
            await report(other, made, "running"),
        ):
            assert problem(answer, 403, "permission-missing")["missing"] == "downloads:write"
        reader = await served.with_key("downloads:read")
        assert (await reader.get(f"/api/downloads/{made['id']}")).json()["id"] == made["id"]
        assert problem(await act(reader, made, "pause", root="/api"), 403, "permission-missing")
        problem(await served.client().get("/api/downloads"), 401, "unauthenticated")

    async def test_only_its_provider_reports(self, served: Nimbus):
        made = await ask(served.plugin("asker"))
        problem(await report(served.plugin("magnets"), made, "completed"), 403, "forbidden")

    async def test_people_have_no_report(self, served: Nimbus):
        made = await ask(served.plugin("asker"))
        admin = await served.admin()
        problem(
            await admin.post(f"/api/downloads/{made['id']}/report", json={"state": "completed"}), 422, "validation"
        )


class TestProviders:
    async def test_are_listed(self, served: Nimbus):
        items = (await (await served.admin()).get("/api/downloads/providers")).json()["items"]
        assert [(item["id"], item["schemes"], item["takesAny"], item["ready"]) for item in items] == [
            ("getter", [], True, True),
            ("magnets", ["magnet"], False, True),
        ]

    async def test_are_chosen_by_address_or_named(self, served: Nimbus):
        asker = served.plugin("asker")
        assert (await ask(asker, url="magnet:?xt=urn:btih:1"))["provider"] == "magnets"
        assert (await ask(asker, provider="magnets"))["provider"] == "magnets"
        answer = await asker.post("/core/v1/downloads", json={"url": URL, "provider": "asker"})
        assert problem(answer, 422, "validation")["errors"][0]["path"] == "/provider"

    async def test_without_one_the_way_out_is_named(self, nimbus: Nimbus):
        answer = await (await nimbus.admin()).post("/api/downloads", json={"url": URL})
        assert "capability downloader" in problem(answer, 409, "conflict")["detail"]


@pytest.mark.parametrize("body", [{}, {"url": "no scheme"}, {"url": "https://a b"}, {"url": URL, "title": ""}])
async def test_bad_requests_are_named(served: Nimbus, body: dict[str, Any]):
    problem(await served.plugin("asker").post("/core/v1/downloads", json=body), 422, "validation")


@pytest.mark.parametrize("body", [{"state": "queued"}, {"state": "running", "doneBytes": -1}, {}])
async def test_bad_reports_are_named(served: Nimbus, body: dict[str, Any]):
    made = await ask(served.plugin("asker"))
    answer = await served.plugin("getter").post(f"/core/v1/downloads/{made['id']}/report", json=body)
    problem(answer, 422, "validation")


async def test_what_is_not_there(served: Nimbus):
    gone = {"id": "01a20738-fd42-720a-9485-7e805bd2de20"}
    for answer in (
        await act(served.plugin("asker"), gone, "pause"),
        await report(served.plugin("getter"), gone, "running"),
        await served.plugin("asker").patch(f"/core/v1/downloads/{gone['id']}", json={}),
        await served.plugin("asker").delete("/core/v1/downloads/nothing"),
    ):
        problem(answer, 404, "not-found")
