"""Every call of the core, one by one, in seven cases: it works, and it is refused without its permission, for another
plugin's data, with bad input, in a conflict, beyond a quota, and while the database is away; without a token anyway.

`CALLS` names each pair. Where a case cannot come up, the reason stands in its place. A call that is added to the core
and not to this table fails the first test.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from nimbus_gateway.core.call_rate import CallRate
from nimbus_gateway.core.downloads import service as downloads
from nimbus_gateway.core.events.quota import EventQuota
from nimbus_gateway.core.media.quota import MediaQuota
from nimbus_gateway.errors import DatabaseUnavailableError

from tests.gateway.core.sinks import eventually, serve_plugins
from tests.gateway.support import Nimbus, plugin, problem

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

GRANTS = ("media:read", "media:write", "downloads:*", "events:publish")
MOVIE = {"kind": "movie", "title": "Alien"}
URL = {"url": "https://files.test/a.mkv"}
BAD = {"nothing": "of the kind"}
MARK = "what only the first plugin knows"
STALE = {"If-Match": '"0"'}

OWN = "about the plugin itself, which needs no permission"
SHARED = "shared by all who have the permission"
READS = "changes nothing that could be in conflict"
NO_INPUT = "takes no input besides the address, which finds something or not"
CALLS_ONLY = "keeps nothing more, so that only calls are counted"


@dataclass(frozen=True)
class Refused:
    """A request that is refused: the call's own, besides what is said here."""

    status: int
    kind: str
    path: str | None = None
    body: Any = None
    query: dict[str, str] | None = None
    headers: dict[str, str] | None = None
    quota: str | None = None


MISSPELT = Refused(422, "validation", query={"limitt": "1"})


@dataclass(frozen=True)
class Nothing:
    """The other plugin gets an answer, and in it nothing of the first plugin's."""

    status: int = 200


@dataclass(frozen=True)
class Call:
    """One call that works, and what it is in the other cases; text says why there is no such case.

    Attributes:
        path: `{media}`, `{download}`, … stand for what the plugin has made before.
        permission: the one that is missing in the answer.
        other: the same call by a plugin that has every permission and none of the data.
        bad: what is wrong is named.
        conflict: somebody was faster, or the state does not allow it.
        quota: every call counts as one; this is what it keeps besides.
        away: why the call needs no database.
    """

    method: str
    path: str
    body: Any = None
    permission: str = OWN
    other: Refused | Nothing | str = SHARED
    bad: Refused | str = NO_INPUT
    conflict: Refused | str = READS
    quota: Refused | str = CALLS_ONLY
    away: str | None = None
    token: bool = True


def _bad(body: Any = None, *, query: dict[str, str] | None = None) -> Refused:
    return Refused(422, "validation", body=body, query=query)


_STALE = Refused(412, "precondition-failed", headers=STALE)
_ABSENT = Refused(404, "not-found")
_TOO_LONG = {"capability": "x" * 201}

CALLS: dict[str, Call] = {
    "self_get": Call("GET", "/self", other=Nothing(), away="answered from memory"),
    "keys_list": Call("GET", "/keys", other="public", away="answered from memory", token=False),
    "config_list": Call("GET", "/config", other=Nothing()),
    "config_get": Call("GET", "/config/greeting", other=Nothing(), bad=Refused(404, "not-found", "/config/nothing")),
    "config_set": Call(
        "PUT",
        "/config/greeting",
        {"value": "Hi"},
        other=Nothing(),
        bad=_bad({"value": 7}),
        conflict=_STALE,
        quota="bounded by the manifest's schema and 256 KiB a value, so that only calls are counted",
    ),
    "config_delete": Call("DELETE", "/config/greeting", other=Nothing(204), conflict=_STALE),
    "kv_list": Call("GET", "/kv", other=Nothing(), bad=_bad(query={"limit": "0"})),
    "kv_usage": Call("GET", "/kv-usage", other=Nothing()),
    "kv_get": Call("GET", "/kv/here", other=_ABSENT),
    "kv_put": Call(
        "PUT",
        "/kv/here",
        {"value": 1},
        other=Nothing(),
        bad=_bad(BAD),
        conflict=_STALE,
        quota=Refused(413, "quota-exceeded", "/kv/more", quota="kv-keys"),
    ),
    "kv_delete": Call("DELETE", "/kv/here", other=Nothing(204), conflict=_STALE),
    "events_publish": Call(
        "POST",
        "/events",
        {"events": [{"type": "plugin.full.x"}]},
        "events:publish",
        other=Refused(422, "validation"),
        bad=_bad({"events": []}),
        conflict="an event with a known id is kept once, and the answer is the same",
        quota=Refused(413, "quota-exceeded", quota="events"),
    ),
    "logs_add": Call(
        "POST",
        "/logs",
        {"entries": [{"message": "x"}]},
        other=Nothing(202),
        bad=_bad({"entries": []}),
        conflict="lines are only added",
        quota="the oldest lines go, so that only calls are counted",
    ),
    "schedules_list": Call("GET", "/schedules", other=Nothing()),
    "schedules_run": Call(
        "POST", "/schedules/sweep/run", other=_ABSENT, conflict=Refused(409, "conflict", "/schedules/busy/run")
    ),
    "schedules_runs": Call("GET", "/schedules/sweep/runs", other=_ABSENT, bad=_bad(query={"cursor": "x"})),
    "plugins_find": Call(
        "GET",
        "/plugins",
        other="the list is the same for all",
        bad=_bad(query=_TOO_LONG),
        away="answered from memory",
    ),
    "media_list": Call("GET", "/media", permission="media:read", bad=_bad(query={"year": "x"})),
    "media_changes": Call("GET", "/media/changes", permission="media:read", bad=_bad(query={"after": "-1"})),
    "media_bulk": Call(
        "POST",
        "/media/bulk",
        {**MOVIE, "externalId": "x"},
        "media:write",
        bad="a line that is wrong fails by itself: test_lines_that_fail_hold_up_no_others",
        conflict="each line is brought to what it says, and the later one counts",
        quota="a line beyond it fails by itself: test_a_plugin_makes_so_many_items_only",
    ),
    "media_create": Call(
        "POST",
        "/media",
        MOVIE,
        "media:write",
        bad=_bad(BAD),
        conflict=Refused(409, "conflict", body={**MOVIE, "externalId": "taken"}),
        quota=Refused(413, "quota-exceeded", quota="media"),
    ),
    "media_get": Call("GET", "/media/{media}", permission="media:read"),
    "media_update": Call(
        "PATCH", "/media/{media}", {"year": 1979}, "media:write", bad=_bad({"year": "x"}), conflict=_STALE
    ),
    "media_delete": Call("DELETE", "/media/{media}", permission="media:write", conflict=_STALE),
    "downloads_list": Call("GET", "/downloads", permission="downloads:read", bad=_bad(query={"state": "x"})),
    "downloads_queue": Call("GET", "/downloads/queue", permission="downloads:read", bad=_bad(query={"limit": "x"})),
    "downloads_providers": Call(
        "GET", "/downloads/providers", permission="downloads:read", away="answered from memory"
    ),
    "downloads_create": Call(
        "POST",
        "/downloads",
        URL,
        "downloads:write",
        bad=_bad(BAD),
        conflict=Refused(409, "conflict", body={"url": "magnet:?xt=urn:btih:0"}),
        quota=Refused(413, "quota-exceeded", quota="downloads"),
    ),
    "downloads_get": Call("GET", "/downloads/{download}", permission="downloads:read"),
    "downloads_update": Call(
        "PATCH", "/downloads/{download}", {"title": "x"}, "downloads:write", bad=_bad({"title": ""}), conflict=_STALE
    ),
    "downloads_act": Call(
        "POST",
        "/downloads/{download}/pause",
        permission="downloads:write",
        conflict=Refused(409, "conflict", "/downloads/{ended}/pause"),
    ),
    "downloads_report": Call(
        "POST",
        "/downloads/{download}/report",
        {"state": "running"},
        "downloads:write",
        other=Refused(403, "forbidden"),
        bad=_bad({"state": "flying"}),
        conflict=Refused(409, "conflict", "/downloads/{ended}/report"),
    ),
    "downloads_delete": Call(
        "DELETE",
        "/downloads/{ended}",
        permission="downloads:write",
        conflict=Refused(409, "conflict", "/downloads/{download}"),
    ),
}


def operations(app: Any) -> set[str]:
    paths = app.openapi()["paths"].values()
    return {operation["operationId"] for path in paths for operation in path.values()}


async def test_the_table_is_whole(nimbus: Nimbus):
    assert operations(nimbus.core_app) == set(CALLS)


@asynccontextmanager
async def away(nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The database does not answer."""

    @asynccontextmanager
    async def refuse() -> AsyncIterator[None]:
        raise DatabaseUnavailableError("The database does not answer; try again in a moment.", retry_after=2)
        yield

    with monkeypatch.context() as patch:
        patch.setattr(nimbus.state.database, "read", refuse)
        patch.setattr(nimbus.state.database, "write", refuse)
        yield


@dataclass(frozen=True)
class Asking:
    """Sends a call as a plugin, with what the first plugin has made."""

    nimbus: Nimbus
    call: Call
    made: dict[str, str]

    async def by(self, name: str, change: Refused | None = None) -> httpx.Response:
        call = self.call
        path = (change.path if change else None) or call.path
        body = change.body if change and change.body is not None else call.body
        return await self.nimbus.plugin(name).request(
            call.method,
            "/core/v1" + path.format(**self.made),
            json=body,
            params=change.query if change else None,
            headers=change.headers if change else None,
        )


@pytest.fixture
async def made(nimbus: Nimbus) -> dict[str, str]:
    """What the plugin `full` has made; `bare` has no permission at all, and `stranger` no data."""
    jobs = [{"id": name, "cron": "0 3 * * *"} for name in ("sweep", "busy")]
    await serve_plugins(
        nimbus,
        plugin("full", grants=GRANTS, capabilities=["downloader:https"], schedules=jobs),
        plugin("bare", grants=()),
        plugin("stranger", grants=GRANTS),
    )
    full = nimbus.plugin("full")
    found = {}
    taken = {**MOVIE, "externalId": "taken"}
    for name, path, body in (
        ("media", "media", taken),
        ("download", "downloads", URL),
        ("ended", "downloads", URL),
    ):
        answer = await full.post(f"/core/v1/{path}", json=body)
        assert answer.status_code == 201, answer.text
        found[name] = answer.json()["id"]
    await full.post(f"/core/v1/downloads/{found['ended']}/cancel")
    await full.put("/core/v1/kv/here", json={"value": MARK})
    await full.put("/core/v1/config/greeting", json={"value": MARK})

    async def known() -> bool:
        return (await full.post("/core/v1/schedules/busy/run")).status_code != 404

    await eventually(known)
    return found


async def untouched(nimbus: Nimbus) -> None:
    """What the first plugin keeps for itself is as it was."""
    full = nimbus.plugin("full")
    assert (await full.get("/core/v1/kv/here")).json()["value"] == MARK
    assert (await full.get("/core/v1/config/greeting")).json()["value"] == MARK
    assert (await full.get("/core/v1/schedules/sweep/runs")).json()["items"] == []


async def refused_to_others(asking: Asking) -> None:
    call = asking.call
    if call.token:
        problem(await asking.by("nobody"), 401, "unauthenticated")
        problem(await asking.by("nobody", MISSPELT), 401, "unauthenticated")
    if call.permission != OWN:
        refused = problem(await asking.by("bare"), 403, "permission-missing")
        assert refused["missing"] == call.permission
    match call.other:
        case Refused(status, kind):
            problem(await asking.by("stranger"), status, kind)
        case Nothing(status):
            answer = await asking.by("stranger")
            assert (answer.status_code, MARK in answer.text) == (status, False), answer.text


async def refused_as_it_is(asking: Asking) -> None:
    call = asking.call
    if isinstance(call.bad, Refused):
        found = problem(await asking.by("full", call.bad), call.bad.status, call.bad.kind)
        if call.bad.query:
            assert found["errors"][0]["path"] in call.bad.query
        elif call.bad.body is not None:
            assert found["errors"][0]["path"].startswith("/")
    [unknown] = problem(await asking.by("full", MISSPELT), MISSPELT.status, MISSPELT.kind)["errors"]
    assert unknown["path"] == "limitt"
    assert "parameter" in unknown["message"]
    if isinstance(call.conflict, Refused):
        problem(await asking.by("full", call.conflict), call.conflict.status, call.conflict.kind)


async def refused_beyond_quotas(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    call, state = asking.call, asking.nimbus.state
    if call.token:
        with monkeypatch.context() as patch:
            patch.setattr(state, "plugin_calls", CallRate(1))
            state.plugin_calls.take("full")
            answer = await asking.by("full")
            assert problem(answer, 429, "rate-limited")["quota"] == "calls"
            assert 0 < int(answer.headers["retry-after"]) <= 60
    if isinstance(call.quota, Refused):
        with monkeypatch.context() as patch:
            patch.setattr(state, "settings", state.settings.model_copy(update={"kv_keys": 1}))
            patch.setattr(state, "event_quota", EventQuota(0, 1000))
            patch.setattr(state, "media_quota", MediaQuota(1))
            patch.setattr(downloads, "MOST_QUEUED", 1)
            found = problem(await asking.by("full", call.quota), call.quota.status, call.quota.kind)
            assert found["quota"] == call.quota.quota


@pytest.mark.parametrize("name", CALLS)
async def test_one_by_one(nimbus: Nimbus, made: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch):
    call = CALLS[name]
    asking = Asking(nimbus, call, made)
    await refused_to_others(asking)
    await refused_as_it_is(asking)
    await refused_beyond_quotas(asking, monkeypatch)
    async with away(nimbus, monkeypatch):
        answer = await asking.by("full")
        if call.away is None:
            problem(answer, 503, "database-unavailable")
            assert answer.headers["retry-after"] == "2"
        else:
            assert answer.status_code == 200
    await untouched(nimbus)
    good = await asking.by("full")
    assert good.status_code in {200, 201, 202, 204}, good.text
