"""Downloads from a file server on loopback, with the core of the test kit."""

import asyncio
import hashlib
import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from downloader import doing, plugin
from downloader.fetch import FetchError, Part, Progress, fetch, parse_checksum, pause_before
from downloader.names import name_for, safe_name, title_of
from downloader.throttle import Throttle
from nimbus_sdk.contracts.downloads import DOWNLOAD_CONTROL, DOWNLOAD_REQUESTED
from nimbus_sdk.testing import PluginTestClient

_spec = importlib.util.spec_from_file_location("downloader_files", Path(__file__).with_name("files.py"))
assert _spec is not None
the_files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(the_files)

FILM = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(FILM).hexdigest()


@pytest.fixture
def files() -> Iterator[Any]:
    with the_files.serve_files() as served:
        served.contents["/films/The.Wire.mkv"] = FILM
        yield served


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(doing, "files", tmp_path / "files")
    monkeypatch.setattr(doing, "parts", tmp_path / "parts")
    monkeypatch.setattr("downloader.worker.REPORT_SECONDS", 0.02)
    monkeypatch.setattr("downloader.fetch.FIRST_PAUSE", 0.01)
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Iterator[PluginTestClient]:
    with PluginTestClient(plugin) as client:
        yield client


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def queue(client: PluginTestClient, url: str, **more: Any) -> str:
    item = client.core.downloads.add(url, provider="downloader", **more)
    client.deliver(DOWNLOAD_REQUESTED, item.wire(), subject=item.id)
    return str(item.id)


def state(client: PluginTestClient, key: str) -> str:
    return str(client.core.downloads.items[key].state)


def act(client: PluginTestClient, key: str, action: str) -> None:
    answer = client.as_user("ada", role="admin").post(f"/downloads/{key}/{action}")
    assert answer.status_code == 200, answer.text
    client.deliver(DOWNLOAD_CONTROL, subject=key)


class TestWork:
    def test_a_file_is_fetched_checked_and_put_into_the_library(
        self, client: PluginTestClient, files: Any, folder: Path
    ) -> None:
        metadata = {"checksum": f"sha256:{SHA256}", "kind": "episode", "year": 2002}
        key = queue(client, f"{files.url}/films/The.Wire.mkv", metadata=metadata)
        until(lambda: state(client, key) == "completed")
        assert (folder / "files" / "The.Wire.mkv").read_bytes() == FILM
        [item] = client.core.media.items.values()
        assert (item.kind, item.title, item.year, item.created_by) == (
            "episode",
            "The Wire",
            2002,
            "plugin:downloader",
        )
        done = client.core.downloads.items[key]
        assert done.result == {
            "path": "files/The.Wire.mkv",
            "size": len(FILM),
            "sha256": SHA256,
            "mediaId": item.id,
        }
        assert list((folder / "parts").iterdir()) == []

    def test_the_item_that_it_is_for_gets_the_file(self, client: PluginTestClient, files: Any) -> None:
        item = client.core.media.add("episode", "The Target", metadata={"seasonNumber": 1})
        metadata = {"mediaId": item.id, "kind": "episode", "release": "The.Wire.S01E01"}
        key = queue(client, f"{files.url}/films/The.Wire.mkv", metadata=metadata)
        until(lambda: state(client, key) == "completed")
        [found] = client.core.media.items.values()
        assert (found.id, found.metadata["seasonNumber"], found.metadata["release"]) == (
            item.id,
            1,
            "The.Wire.S01E01",
        )
        assert found.metadata["file"]["size"] == len(FILM)
        assert client.core.downloads.items[key].result["mediaId"] == item.id

    def test_an_item_that_is_gone_is_made_anew(self, client: PluginTestClient, files: Any) -> None:
        gone = client.core.media.add("episode", "The Target")
        del client.core.media.items[gone.id]
        key = queue(client, f"{files.url}/films/The.Wire.mkv", metadata={"mediaId": gone.id, "kind": "episode"})
        until(lambda: state(client, key) == "completed")
        [found] = client.core.media.items.values()
        assert client.core.downloads.items[key].result["mediaId"] == found.id

    def test_two_files_with_one_name_are_both_kept(self, client: PluginTestClient, files: Any, folder: Path) -> None:
        client.core.config["add_to_library"] = False
        keys = [queue(client, f"{files.url}/films/The.Wire.mkv") for _ in range(2)]
        until(lambda: [state(client, key) for key in keys] == ["completed", "completed"])
        assert sorted(path.name for path in (folder / "files").iterdir()) == ["The.Wire (2).mkv", "The.Wire.mkv"]
        assert client.core.media.items == {}

    def test_pause_resume_and_cancel(self, client: PluginTestClient, files: Any, folder: Path) -> None:
        files.hold = threading.Event()
        key = queue(client, f"{files.url}/films/The.Wire.mkv")
        until(lambda: client.core.downloads.items[key].done_bytes == len(FILM) // 2)  # all that the server gives
        assert client.as_user("bob").get("/downloads").json()["items"][0]["state"] == "running"
        act(client, key, "pause")
        until(lambda: state(client, key) == "paused")
        act(client, key, "resume")
        files.hold.set()
        until(lambda: state(client, key) == "completed")
        assert files.requests[-1][1] == f"bytes={len(FILM) // 2}-"
        files.hold.clear()
        other = queue(client, f"{files.url}/films/The.Wire.mkv")
        until(lambda: client.core.downloads.items[other].done_bytes > 0)
        act(client, other, "cancel")
        until(lambda: state(client, other) == "canceled")
        assert list((folder / "parts").iterdir()) == []

    def test_what_was_running_is_gone_on_with_after_a_restart(self, folder: Path, files: Any) -> None:
        files.hold = threading.Event()
        with PluginTestClient(plugin) as first:
            key = queue(first, f"{files.url}/films/The.Wire.mkv")
            until(lambda: first.core.downloads.items[key].done_bytes == len(FILM) // 2)
        assert state(first, key) == "running"
        files.hold.set()
        second = PluginTestClient(plugin)
        second.core.downloads = first.core.downloads
        with second:
            until(lambda: state(second, key) == "completed")
        assert files.requests[-1][1] == f"bytes={len(FILM) // 2}-"
        assert (folder / "files" / "The.Wire.mkv").read_bytes() == FILM

    def test_as_many_at_a_time_as_the_operator_allows(self, client: PluginTestClient, files: Any) -> None:
        client.core.config["parallel"] = 1
        files.hold = threading.Event()
        keys = [queue(client, f"{files.url}/films/The.Wire.mkv") for _ in range(3)]
        until(lambda: state(client, keys[0]) == "running")
        assert [state(client, key) for key in keys] == ["running", "queued", "queued"]
        act(client, keys[2], "first")
        files.hold.set()
        until(lambda: {state(client, key) for key in keys} == {"completed"})
        done = [client.core.downloads.items[key].started_at for key in keys]
        assert done[2] < done[1]

    @pytest.mark.parametrize(
        ("path", "metadata", "words"),
        [
            ("/nothing", {}, "404"),
            ("/films/The.Wire.mkv", {"checksum": f"md5:{'0' * 32}"}, "damaged"),
            ("/films/The.Wire.mkv", {"checksum": "crc:1"}, "no checksum"),
        ],
    )
    def test_a_failure_says_why(
        self, client: PluginTestClient, files: Any, path: str, metadata: dict[str, str], words: str
    ) -> None:
        key = queue(client, files.url + path, metadata=metadata)
        until(lambda: state(client, key) == "failed")
        assert words in str(client.core.downloads.items[key].error)

    def test_a_file_that_is_too_large_is_refused(self, client: PluginTestClient, files: Any) -> None:
        client.core.config["max_bytes"] = 1000
        key = queue(client, f"{files.url}/films/The.Wire.mkv")
        until(lambda: state(client, key) == "failed")
        assert "max_bytes" in str(client.core.downloads.items[key].error)

    def test_a_library_that_refuses_ends_it(self, client: PluginTestClient, files: Any) -> None:
        client.core.permissions.discard("media:write")
        key = queue(client, f"{files.url}/films/The.Wire.mkv")
        until(lambda: state(client, key) == "failed")
        assert "media:write" in str(client.core.downloads.items[key].error)
        assert len(files.requests) == 1


class TestRoutes:
    def test_administrators_add(self, client: PluginTestClient, files: Any) -> None:
        admin = client.as_user("ada", role="admin")
        made = admin.post(
            "/downloads", json={"url": f"{files.url}/films/The.Wire.mkv", "checksum": f"sha256:{SHA256}"}
        )
        assert (made.status_code, made.json()["provider"]) == (201, "downloader")
        until(lambda: state(client, made.json()["id"]) == "completed", 15)
        assert client.as_user("bob").post("/downloads", json={"url": "https://x.test/"}).status_code == 403
        assert admin.post("/downloads", json={"url": "ftp://x.test/"}).status_code == 422
        assert "no checksum" in admin.post("/downloads", json={"url": "https://x.test/", "checksum": "x"}).text
        assert admin.post(f"/downloads/{'0' * 36}/pause").status_code == 404

    def test_its_page_is_part_of_it(self, client: PluginTestClient) -> None:
        assert {"web/main.js", "web/main.css"} <= set(client.ui_files())


class TestFetch:
    """The resuming itself, without the plugin around it."""

    async def fetch(self, files: Any, folder: Path, **more: Any) -> Any:
        async with httpx.AsyncClient() as http:
            options = {"checksum": None, "most_bytes": 2**30, "pause": lambda attempts: 0.0, **more}
            progress = more.pop("progress", Progress())
            options["progress"] = progress
            part, throttle = Part(folder, "a"), Throttle(time.monotonic)
            return await fetch(http, f"{files.url}/films/The.Wire.mkv", part, throttle=throttle, **options)

    def test_a_broken_line_is_gone_on_with(self, files: Any, tmp_path: Path) -> None:
        files.break_after, progress = [100_000, 200_000], Progress()
        found = asyncio.run(self.fetch(files, tmp_path, progress=progress))
        assert progress == Progress(len(FILM), len(FILM), received=len(FILM))
        assert (found.sha256, found.name) == (SHA256, "The.Wire.mkv")
        assert [wanted for _, wanted in files.requests] == [None, "bytes=100000-", "bytes=300000-"]

    def test_a_file_that_changed_is_fetched_from_its_start(self, files: Any, tmp_path: Path) -> None:
        files.break_after = [100_000]
        with pytest.raises(FetchError):
            asyncio.run(self.fetch(files, tmp_path, most_bytes=10**7, pause=_give_up))
        files.etag, files.contents["/films/The.Wire.mkv"] = '"2"', FILM[::-1]
        found = asyncio.run(self.fetch(files, tmp_path))
        assert found.path.read_bytes() == FILM[::-1]

    def test_without_ranges_or_validators_nothing_is_mixed(self, files: Any, tmp_path: Path) -> None:
        files.ranges, files.break_after = False, [100_000]
        assert asyncio.run(self.fetch(files, tmp_path)).sha256 == SHA256
        Part(tmp_path, "a").discard()
        files.ranges, files.etag, files.break_after = True, None, [100_000]
        assert asyncio.run(self.fetch(files, tmp_path)).sha256 == SHA256
        assert files.requests[-1][1] is None

    def test_what_is_whole_is_not_fetched_again(self, files: Any, tmp_path: Path) -> None:
        asyncio.run(self.fetch(files, tmp_path))
        progress = Progress()
        found = asyncio.run(self.fetch(files, tmp_path, progress=progress))
        assert (found.sha256, found.size) == (SHA256, len(FILM))
        assert (progress.done, progress.received) == (len(FILM), 0), "what was here is no speed"

    def test_what_passes_is_tried_again_and_what_does_not_is_not(self, files: Any, tmp_path: Path) -> None:
        files.statuses = [503, 429]
        assert asyncio.run(self.fetch(files, tmp_path)).sha256 == SHA256
        Part(tmp_path, "a").discard()
        files.statuses, files.requests = [403], []
        with pytest.raises(FetchError, match="403"):
            asyncio.run(self.fetch(files, tmp_path))
        assert len(files.requests) == 1
        files.statuses, files.requests = [503] * 20, []
        with pytest.raises(FetchError, match="503"):
            asyncio.run(self.fetch(files, tmp_path))
        assert len(files.requests) == 6

    def test_the_speed_limit_holds(self) -> None:
        async def take() -> float:
            throttle = Throttle(time.monotonic)
            throttle.rate = 1_000_000
            began = time.monotonic()
            for _ in range(10):
                await throttle.take(100_000)
            return time.monotonic() - began

        assert asyncio.run(take()) >= 0.7

    def test_pauses_grow(self) -> None:
        assert 0.6 < pause_before(1) < 1.4
        assert 40 < pause_before(20) < 80


def _give_up(attempts: int) -> float:
    raise FetchError("the test gives up")


@pytest.mark.parametrize(
    ("wanted", "safe"),
    [
        ("../../etc/passwd", "_etc_passwd"),
        ("a\x00b:c?.mkv", "a_b_c_.mkv"),
        ("...", "download"),
        ("", "download"),
        ("x" * 300 + ".mkv", "x" * 196 + ".mkv"),
    ],
)
def test_names_stay_in_their_folder(wanted: str, safe: str) -> None:
    assert safe_name(wanted).lstrip("._") == safe.lstrip("._")
    assert "/" not in safe_name(wanted)


@pytest.mark.parametrize(
    ("url", "disposition", "name"),
    [
        ("https://x.test/a/b%20c.mkv?d=e", None, "b c.mkv"),
        ("https://x.test/", None, "download"),
        ("https://x.test/get", 'attachment; filename="film.mkv"', "film.mkv"),
        ("https://x.test/get", "attachment; filename*=UTF-8''fil%C3%A9.mkv", "filé.mkv"),
        ("https://x.test/get", 'attachment; filename="../x.mkv"', "x.mkv"),
    ],
)
def test_names_come_from_the_server_or_the_address(url: str, disposition: str | None, name: str) -> None:
    assert name_for(url, disposition) == name


def test_titles_are_for_people() -> None:
    assert [title_of(name) for name in ("The.Wire_S01.mkv", "plain", "v1.2")] == ["The Wire S01", "plain", "v1"]


@pytest.mark.parametrize("text", ["sha256:xyz", "sha256:", "sha3:00", "0" * 64])
def test_what_is_no_checksum(text: str) -> None:
    with pytest.raises(FetchError, match="no checksum"):
        parse_checksum(text)
