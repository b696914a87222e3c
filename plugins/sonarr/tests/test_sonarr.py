"""The API over a library and downloads in memory. `tests/integration` has a client that others wrote."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from nimbus_sdk.testing import PluginTestClient
from sonarr import plugin
from sonarr.profiles import PROFILES, profile_resource, quality_of
from sonarr.searching import choose
from sonarr.shows import belongs, key_of, numbering

ROOT = "/api/v3"


@pytest.fixture
def client() -> Iterator[PluginTestClient]:
    with PluginTestClient(plugin) as client:
        yield client


def key(client: PluginTestClient) -> Any:
    return client.as_api_key(scopes=["sonarr:read", "sonarr:write"])


def add(client: PluginTestClient, title: str = "The Wire", **more: Any) -> Any:
    body = {"title": title, "tvdbId": 79126, "qualityProfileId": 4, "rootFolderPath": "/tv", "year": 2002, **more}
    answer = key(client).post(f"{ROOT}/series", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def episode(client: PluginTestClient, number: int, title: str, **metadata: Any) -> str:
    series = next(item for item in client.core.media.items.values() if item.kind == "series")
    known = {"seasonNumber": 1, "episodeNumber": number, **metadata}
    return client.core.media.add("episode", title, parent_id=series.id, metadata=known).id


class TestSeries:
    def test_add_show_change_remove(self, client: PluginTestClient) -> None:
        made = add(client, seasons=[{"seasonNumber": 1, "monitored": True}], tags=[2])
        assert (made["title"], made["tvdbId"], made["path"], made["monitored"]) == (
            "The Wire",
            79126,
            "/tv/The Wire",
            True,
        )
        assert key(client).get(f"{ROOT}/series/{made['id']}").json() == made
        assert [one["id"] for one in key(client).get(f"{ROOT}/series?tvdbId=79126").json()] == [made["id"]]
        changed = key(client).put(f"{ROOT}/series", json={**made, "monitored": False, "overview": "A city."})
        assert changed.status_code == 202, changed.text
        assert (changed.json()["monitored"], changed.json()["overview"], changed.json()["tags"]) == (
            False,
            "A city.",
            [2],
        )
        assert key(client).delete(f"{ROOT}/series/{made['id']}?deleteFiles=false").status_code == 200
        assert key(client).get(f"{ROOT}/series/{made['id']}").status_code == 404
        assert client.core.media.items == {}

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"tvdbId": 79126}, "SeriesExistsValidator"),
            ({"tvdbId": 1, "qualityProfileId": 99}, "QualityProfileExistsValidator"),
            ({"tvdbId": 0}, "SeriesExistsValidator"),
        ],
    )
    def test_refusals_have_the_apis_own_form(
        self, client: PluginTestClient, change: dict[str, int], code: str
    ) -> None:
        add(client)
        body = {"title": "The Wire", "qualityProfileId": 1, **change}
        answer = key(client).post(f"{ROOT}/series", json=body)
        assert answer.status_code == 400
        assert answer.json()[0]["errorCode"] == code

    def test_lookup_by_title_and_number(self, client: PluginTestClient) -> None:
        made = add(client)
        for term in ("the wire", "tvdb:79126"):
            found = key(client).get(f"{ROOT}/series/lookup", params={"term": term}).json()
            assert [one["id"] for one in found] == [made["id"]]
        assert key(client).get(f"{ROOT}/series/lookup", params={"term": "nothing"}).json() == []

    def test_what_others_put_into_the_library_is_shown(self, client: PluginTestClient) -> None:
        client.core.media.add("series", "Oz", metadata={"seasons": "nonsense", "tvdbId": "also"})
        client.core.media.add("episode", "Without a series")
        [found] = key(client).get(f"{ROOT}/series").json()
        assert (found["title"], found["tvdbId"], found["seasons"]) == ("Oz", 0, [])

    @pytest.mark.parametrize(("scopes", "method", "status"), [(["sonarr:read"], "POST", 403), ([], "GET", 403)])
    def test_scopes(self, client: PluginTestClient, scopes: list[str], method: str, status: int) -> None:
        answer = client.as_api_key(scopes=scopes).request(method, f"{ROOT}/series", json={"title": "x"})
        assert answer.status_code == status


class TestEpisodes:
    def test_with_and_without_a_file(self, client: PluginTestClient) -> None:
        series = add(client)
        episode(client, 1, "The Target", file={"path": "files/a.mkv", "size": 7}, release="The.Wire.S01E01.1080p.WEB")
        episode(client, 2, "The Detail", airDateUtc="2002-06-09T02:00:00Z")
        first, second = key(client).get(f"{ROOT}/episode?seriesId={series['id']}").json()
        assert (first["hasFile"], first["episodeFile"]["quality"]["quality"]["name"]) == (True, "WEBDL-1080p")
        assert (second["hasFile"], second["episodeFileId"], second["airDate"]) == (False, 0, "2002-06-09")
        shown = key(client).get(f"{ROOT}/series/{series['id']}").json()
        assert shown["statistics"]["percentOfEpisodes"] == 50.0
        assert shown["statistics"]["sizeOnDisk"] == 7
        [file] = key(client).get(f"{ROOT}/episodefile?seriesId={series['id']}").json()
        assert key(client).get(f"{ROOT}/episodefile/{file['id']}").json()["path"] == "files/a.mkv"
        assert key(client).get(f"{ROOT}/episodefile/{second['id']}").status_code == 404
        [missing] = key(client).get(f"{ROOT}/wanted/missing?includeSeries=True").json()["records"]
        assert (missing["title"], missing["series"]["title"]) == ("The Detail", "The Wire")
        days = {"start": "2002-06-08", "end": "2002-06-10"}
        [aired] = key(client).get(f"{ROOT}/calendar", params=days).json()
        assert aired["id"] == second["id"]

    def test_unmonitored_ones_are_not_missing(self, client: PluginTestClient) -> None:
        series = add(client)
        episode(client, 1, "The Target")
        [one] = key(client).get(f"{ROOT}/episode?seriesId={series['id']}").json()
        answer = key(client).put(f"{ROOT}/episode/monitor", json={"episodeIds": [one["id"]], "monitored": False})
        assert [item["monitored"] for item in answer.json()] == [False]
        assert key(client).get(f"{ROOT}/wanted/missing").json()["totalRecords"] == 0

    def test_numbers_stay_and_are_never_shared(self, client: PluginTestClient) -> None:
        series = add(client)
        for number in range(1, 6):
            episode(client, number, f"Episode {number}")
        path = f"{ROOT}/episode?seriesId={series['id']}"
        found = [one["id"] for one in key(client).get(path).json()]
        assert len({series["id"], *found}) == 6
        assert [one["id"] for one in key(client).get(path).json()] == found
        assert key(client).get(f"{ROOT}/episode/{series['id']}").status_code == 404
        assert key(client).get(f"{ROOT}/series/987654").status_code == 404


class TestLists:
    def test_tags(self, client: PluginTestClient) -> None:
        made = key(client).post(f"{ROOT}/tag", json={"label": "kids"})
        assert made.status_code == 201
        number = made.json()["id"]
        assert key(client).post(f"{ROOT}/tag", json={"label": "Kids"}).json()["id"] == number
        series = add(client, tags=[number])
        assert key(client).get(f"{ROOT}/tag/detail").json()[0]["seriesIds"] == [series["id"]]
        assert key(client).put(f"{ROOT}/tag/{number}", json={"label": "children"}).status_code == 202
        assert key(client).get(f"{ROOT}/tag").json() == [{"id": number, "label": "children"}]
        assert key(client).delete(f"{ROOT}/tag/{number}").status_code == 200
        assert key(client).get(f"{ROOT}/tag/{number}").status_code == 404

    def test_root_folders(self, client: PluginTestClient) -> None:
        number = key(client).post(f"{ROOT}/rootfolder", json={"path": "/tv"}).json()["id"]
        add(client)
        folders = key(client).get(f"{ROOT}/rootfolder").json()
        assert [(one["path"], one["seriesCount"]) for one in folders] == [("/library/series", 0), ("/tv", 1)]
        assert key(client).delete(f"{ROOT}/rootfolder/{number}").status_code == 200
        assert key(client).delete(f"{ROOT}/rootfolder/1").status_code == 409

    def test_profiles(self, client: PluginTestClient) -> None:
        names = [one["name"] for one in key(client).get(f"{ROOT}/qualityprofile").json()]
        assert names == [one.name for one in PROFILES]
        assert key(client).get(f"{ROOT}/qualityprofile/99").status_code == 404
        assert profile_resource(PROFILES[3])["cutoff"] == 7
        assert key(client).get(f"{ROOT}/languageprofile").json()[0]["id"] == 1


class TestSystem:
    def test_status_and_ping(self, client: PluginTestClient) -> None:
        status = key(client).get(f"{ROOT}/system/status").json()
        assert (status["appName"], status["packageAuthor"]) == ("Sonarr", "Nimbus")
        assert client.anonymous().get("/ping").json() == {"status": "OK"}

    def test_health_says_what_is_missing(self, client: PluginTestClient) -> None:
        found = {one["source"]: one["message"] for one in key(client).get(f"{ROOT}/health").json()}
        assert "downloads" in found["DownloadClientCheck"]
        assert "indexer" in found["IndexerSearchCheck"]


def indexer(found: list[str], grabbed: list[dict[str, Any]], error: str | None = None) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            grabbed.append({"route": request.url.path, **json.loads(request.content)})
            return httpx.Response(201, json={})
        items = [{"id": str(place), "title": title} for place, title in enumerate(found)]
        return httpx.Response(200, json={"items": items, "servers": [{"name": "local", "error": error}]})

    return answer


def done(client: PluginTestClient, name: str, **body: Any) -> Any:
    given = key(client).post(f"{ROOT}/command", json={"name": name, **body})
    assert given.status_code == 201, given.text
    deadline = time.monotonic() + 10
    while True:
        command = key(client).get(f"{ROOT}/command/{given.json()['id']}").json()
        if command["status"] in {"completed", "failed"}:
            return command
        assert time.monotonic() < deadline, command


class TestCommands:
    def test_a_series_is_searched_and_its_episodes_grabbed(self, client: PluginTestClient) -> None:
        grabbed: list[dict[str, Any]] = []
        titles = ["Wire.S01E09.1080p", "The.Wire.S01E01.720p.WEB", "The.Wire.S01E01.1080p.WEB", "The Wire 1x02 1080p"]
        client.core.plugins.add("indexer", indexer(titles, grabbed))
        series = add(client)
        command = done(client, "SeriesSearch", seriesId=series["id"])
        assert (command["status"], command["message"]) == ("completed", "2 reports downloaded")
        assert [one["title"] for one in grabbed] == titles[2:]
        episodes = key(client).get(f"{ROOT}/episode?seriesId={series['id']}").json()
        assert [(one["seasonNumber"], one["episodeNumber"]) for one in episodes] == [(1, 1), (1, 2)]
        items = {item.id for item in client.core.media.items.values() if item.kind == "episode"}
        assert {one["metadata"]["mediaId"] for one in grabbed} == items

    def test_what_has_a_file_or_is_not_wanted_is_left(self, client: PluginTestClient) -> None:
        grabbed: list[dict[str, Any]] = []
        titles = [f"The.Wire.S0{season}E01.1080p" for season in (1, 2)] + ["The.Wire.S01E02.1080p"]
        client.core.plugins.add("indexer", indexer(titles, grabbed))
        add(client, seasons=[{"seasonNumber": 2, "monitored": False}])
        episode(client, 1, "The Target", file={"path": "a"})
        episode(client, 2, "The Detail", monitored=False)
        assert done(client, "MissingEpisodeSearch")["message"] == "0 reports downloaded"
        assert done(client, "RssSync")["message"] == "0 reports downloaded"
        assert grabbed == []

    def test_why_it_failed_is_said(self, client: PluginTestClient) -> None:
        series = add(client)
        command = done(client, "SeriesSearch", seriesId=series["id"])
        assert command["status"] == "failed"
        assert "indexer" in command["message"]
        client.core.plugins.add("indexer", indexer([], [], error="wrong key"))
        assert done(client, "SeasonSearch", seriesId=series["id"], seasonNumber=1)["message"] == "local: wrong key"
        assert "seriesId" in done(client, "SeriesSearch")["message"]

    def test_unknown_ones_are_refused(self, client: PluginTestClient) -> None:
        assert key(client).post(f"{ROOT}/command", json={"name": "Backup"}).status_code == 400
        assert done(client, "RefreshSeries")["status"] == "completed"


class TestReleases:
    @pytest.mark.parametrize(
        ("title", "place"),
        [("The.Wire.S01E02.1080p", (1, 2)), ("The Wire 1x02", (1, 2)), ("A 1920x1080 film", None), ("x", None)],
    )
    def test_numbering(self, title: str, place: tuple[int, int] | None) -> None:
        assert numbering(title) == place

    @pytest.mark.parametrize(
        ("release", "belonging"),
        [
            ("The.Wire.S01E01", True),
            ("The Wire 2002 S01E01", True),
            ("The.Wire.Tap.S01E01", False),
            ("Not.The.Wire.S01E01", False),
        ],
    )
    def test_only_the_series_own(self, release: str, *, belonging: bool) -> None:
        assert belongs(release, "The Wire") is belonging

    @pytest.mark.parametrize(
        ("title", "name"),
        [
            ("x.1080p.WEB-DL", 3),
            ("x.720p.BluRay", 6),
            ("x.2160p", 16),
            ("x.DVDRip", 2),
            ("x.480p.WEB", 8),
            ("x", 0),
        ],
    )
    def test_quality(self, title: str, name: int) -> None:
        assert quality_of(title) == name

    def test_the_profile_decides(self, client: PluginTestClient) -> None:
        add(client, qualityProfileId=3)
        [series] = client.core.media.items.values()
        releases = [{"id": "1", "title": "The.Wire.S01E01.1080p"}, {"id": "2", "title": "The.Wire.S01E01.720p"}]
        assert choose(series, releases)[1, 1]["id"] == "2"
        assert key_of("The Wire!") == "thewire"
