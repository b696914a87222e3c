"""Searching Newznab and Torznab servers that the tests run on loopback."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest
from indexer import plugin
from indexer.newznab import Release, ServerError, call_url, document, releases
from indexer.ranking import merged, ranked, words_of
from nimbus_sdk.testing import PluginTestClient

KEY = "secret-key"


def item(
    title: str, guid: str, link: str, *, size: int = 1000, seeders: int | None = None, attributes: str = ""
) -> str:
    more = f'<torznab:attr name="seeders" value="{seeders}"/>' if seeders is not None else ""
    return (
        f"<item><title>{title}</title><guid>{guid}</guid><link>{link}</link>"
        f"<pubDate>Thu, 26 Nov 2026 10:00:00 +0000</pubDate><enclosure url='{link}' length='{size}' type='x'/>"
        '<newznab:attr name="category" value="2000"/><newznab:attr name="category" value="2040"/>'
        f"{more}{attributes}</item>"
    )


def feed(*items: str) -> bytes:
    return (
        '<?xml version="1.0"?><rss xmlns:newznab="http://www.newznab.com/DTD/2010/feeds/attributes/" '
        'xmlns:torznab="http://torznab.com/schemas/2015/feed"><channel>' + "".join(items) + "</channel></rss>"
    ).encode()


@dataclass
class Indexer:
    """A server that knows one key."""

    url: str = ""
    items: list[str] = field(default_factory=list)
    raw: bytes | None = None
    delay: float = 0.0
    calls: list[dict[str, list[str]]] = field(default_factory=list)


@contextmanager
def indexer_server() -> Iterator[Indexer]:
    served = Indexer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            words = parse_qs(parts.query)
            served.calls.append(words)
            time.sleep(served.delay)
            if parts.path != "/api":
                body, status = b"nothing here", 404
            elif served.raw is not None:
                body, status = served.raw, 200
            elif words["t"] == ["caps"]:
                body, status = b'<caps><server title="Test Indexer"/></caps>', 200
            elif words.get("apikey") != [KEY]:
                body, status = b'<error code="100" description="Incorrect user credentials"/>', 200
            else:
                wanted = words.get("q", [""])[0].casefold()
                body, status = feed(*[one for one in served.items if wanted in one.casefold()]), 200
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield served
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.fixture
def servers() -> Iterator[list[Indexer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(indexer_server()) for _ in range(2)]


@pytest.fixture
def client() -> Iterator[PluginTestClient]:
    with PluginTestClient(plugin) as client:
        yield client


def store(client: PluginTestClient, name: str, url: str, *, key: str = KEY, **more: Any) -> Any:
    answer = client.as_user("ada", role="admin").put(
        f"/servers/{name}", json={"name": name, "url": url, "key": key, **more}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestSearch:
    def test_servers_are_merged_and_the_best_is_first(self, client: PluginTestClient, servers: list[Indexer]) -> None:
        first, second = servers
        first.items = [
            item("Metropolis 1927 720p", "1", "https://x.test/1?apikey=hidden"),
            item("Metropolis 1927 CAM", "2", "https://x.test/2", seeders=900),
        ]
        second.items = [
            item("Metropolis.1927.720p", "9", "https://y.test/9", size=1005),
            item("Metropolis 1927 1080p", "8", "magnet:?xt=urn:btih:00", seeders=4),
            item("Nosferatu 1922", "7", "https://y.test/7"),
        ]
        store(client, "one", first.url, priority=1, categories=[2000])
        store(client, "two", f"{second.url}/api", kind="torznab")
        answer = client.as_api_key("script", scopes=("indexer:read",)).get("/search", params={"q": "metropolis"})
        found = answer.json()
        assert [one["title"] for one in found["items"]] == [
            "Metropolis 1927 1080p",
            "Metropolis 1927 720p",
            "Metropolis 1927 CAM",
        ]
        assert (found["items"][1]["server"], found["items"][1]["also"]) == ("one", ["two"])
        assert found["items"][1]["categories"] == [2000, 2040]
        assert [(one["name"], one["found"], one["error"]) for one in found["servers"]] == [
            ("one", 2, None),
            ("two", 2, None),
        ]
        assert first.calls[-1]["cat"] == ["2000"]
        assert KEY not in answer.text
        assert "hidden" not in answer.text

    def test_a_server_that_fails_keeps_nobody_from_answering(
        self, client: PluginTestClient, servers: list[Indexer]
    ) -> None:
        first, second = servers
        first.items = [item("Metropolis", "1", "https://x.test/1")]
        second.delay = 3.0
        client.core.config["timeout"] = 1
        store(client, "good", first.url)
        store(client, "slow", second.url)
        store(client, "gone", "http://127.0.0.1:1")
        store(client, "wrong-key", first.url, key="bad")
        store(client, "off", first.url, enabled=False)
        found = client.as_user().get("/search").json()
        errors = {one["name"]: one["error"] for one in found["servers"]}
        assert [one["title"] for one in found["items"]] == ["Metropolis"]
        assert errors["good"] is None
        assert "within 1 s" in errors["slow"]
        assert "cannot be reached" in errors["gone"]
        assert "Incorrect user credentials" in errors["wrong-key"]
        assert "off" not in errors

    def test_a_series_is_asked_for_by_season(self, client: PluginTestClient, servers: list[Indexer]) -> None:
        store(client, "one", servers[0].url)
        params = {"q": "wire", "kind": "tvsearch", "season": 1, "episode": 2, "cat": [5000, 5040]}
        assert client.as_user().get("/search", params=params).status_code == 200
        call = servers[0].calls[-1]
        assert (call["t"], call["season"], call["ep"], call["cat"]) == (["tvsearch"], ["1"], ["2"], ["5000,5040"])

    def test_the_newest_are_a_feed(self, client: PluginTestClient, servers: list[Indexer]) -> None:
        servers[0].items = [item("Tom &amp; Jerry", "1", "https://x.test/1?apikey=hidden")]
        store(client, "one", servers[0].url)
        answer = client.as_user().get("/rss")
        root = ET.fromstring(answer.content)
        assert [one.findtext("title") for one in root.iter("item")] == ["Tom & Jerry"]
        assert "hidden" not in answer.text
        assert client.anonymous().get("/rss").status_code == 401


class TestGrab:
    def test_a_release_is_handed_to_a_downloader(self, client: PluginTestClient, servers: list[Indexer]) -> None:
        client.core.downloads.add_provider("downloader")
        servers[0].items = [item("Metropolis", "1", "https://x.test/1?apikey=hidden")]
        store(client, "one", servers[0].url)
        user = client.as_user()
        [release] = user.get("/search").json()["items"]
        made = user.post(f"/releases/{release['id']}/grab", json={"metadata": {"kind": "movie", "year": 1927}})
        assert (made.status_code, made.json()["provider"]) == (201, "downloader")
        assert "hidden" not in made.text
        [queued] = client.core.downloads.items.values()
        assert (queued.url, queued.title) == ("https://x.test/1?apikey=hidden", "Metropolis")
        assert queued.metadata == {"kind": "movie", "year": 1927, "release": "Metropolis", "indexer": "one"}

    def test_without_a_downloader_it_says_so(self, client: PluginTestClient, servers: list[Indexer]) -> None:
        servers[0].items = [item("Metropolis", "1", "https://x.test/1")]
        store(client, "one", servers[0].url)
        [release] = client.as_user().get("/search").json()["items"]
        refused = client.as_user().post(f"/releases/{release['id']}/grab", json={})
        assert (refused.status_code, "No enabled plugin" in refused.text) == (409, True)
        assert client.as_user().post(f"/releases/{'0' * 32}/grab", json={}).status_code == 404
        assert client.as_api_key("k", scopes=("indexer:read",)).post(f"/releases/{'0' * 32}/grab").status_code == 403


class TestServers:
    def test_a_server_is_tried(self, client: PluginTestClient, servers: list[Indexer]) -> None:
        admin = client.as_user("ada", role="admin")
        assert store(client, "one", servers[0].url)["has_key"] is True
        assert admin.post("/servers/one/test").json() == {
            "ok": True,
            "detail": "Test Indexer answers and takes the key.",
        }
        store(client, "one", servers[0].url, key="bad")
        assert "Incorrect user credentials" in admin.post("/servers/one/test").json()["detail"]
        store(client, "one", f"{servers[0].url}/elsewhere")
        assert "404" in admin.post("/servers/one/test").json()["detail"]
        assert admin.post("/servers/none/test").status_code == 404

    def test_keys_are_kept_and_never_shown(self, client: PluginTestClient) -> None:
        admin = client.as_user("ada", role="admin")
        store(client, "one", "https://x.test")
        answer = admin.put("/servers/one", json={"name": "one", "url": "https://y.test"})
        assert (answer.json()["has_key"], client.core.config["keys"]) == (True, {"one": KEY})
        assert KEY not in admin.get("/servers").text
        assert admin.delete("/servers/one").status_code == 204
        assert (client.core.config["servers"], client.core.config["keys"]) == ([], {})
        assert admin.delete("/servers/one").status_code == 404
        assert admin.put("/servers/one", json={"name": "two", "url": "https://y.test"}).status_code == 422
        assert client.as_user("bob").get("/servers").status_code == 403

    def test_its_page_is_part_of_it(self, client: PluginTestClient) -> None:
        assert {"web/main.js", "web/main.css"} <= set(client.ui_files())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"<html><body>hello", "no XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><rss>&a;</rss>', "document type"),
        (b'<error code="910" description="API disabled"/>', "API disabled"),
        (b"", "no XML"),
    ],
)
def test_what_is_no_answer(text: bytes, words: str) -> None:
    with pytest.raises(ServerError, match=words):
        document(text)


def test_odd_items_do_no_harm() -> None:
    odd = (
        "<item/>",
        "<item><title>no address</title></item>",
        "<item><title>bad</title><link>javascript:alert(1)</link></item>",
        "<item><title>fine</title><link>https://x.test/1</link><pubDate>yesterday</pubDate><size>many</size></item>",
    )
    [one] = releases("s", feed(*odd))
    assert (one.title, one.published, one.size) == ("fine", None, None)


@pytest.mark.parametrize("digits", [16, 400, 5000])
def test_numbers_and_times_that_cannot_be_do_no_harm(digits: int) -> None:
    """Python refuses to read the longest, and cannot compare the others with a share of them."""
    number = "9" * digits
    [one] = releases(
        "s",
        feed(
            f"<item><title>odd</title><link>https://x.test/1</link><size>{number}</size>"
            "<pubDate>Fri, 31 Dec 9999 23:00:00 -0200</pubDate>"
            f'<newznab:attr name="category" value="{number}"/><torznab:attr name="seeders" value="{number}"/></item>'
        ),
    )
    assert (one.size, one.published, one.categories, one.seeders) == (None, None, (), None)
    [again] = merged([one, one], {})
    assert again.release is one


def test_addresses_of_calls() -> None:
    assert call_url("https://x.test/", "k y", {"t": "caps"}) == "https://x.test/api?t=caps&apikey=k+y"
    assert call_url("https://x.test/sub/api", "", {"t": "caps"}) == "https://x.test/sub/api?t=caps"


def test_ranking_is_by_words_not_by_parts_of_words() -> None:
    titles = ["Camelot 1080p", "Film CAM 1080p", "Film 2160p", "Film"]
    found = [Release(str(number), "s", title, "https://x.test") for number, title in enumerate(titles)]
    best = [one.release.title for one in ranked(merged(found, {}), ["2160p", "1080p"], ["cam"])]
    assert best == ["Film 2160p", "Camelot 1080p", "Film", "Film CAM 1080p"]
    assert words_of("The.Wire_S01-E02") == ("the", "wire", "s01", "e02")
