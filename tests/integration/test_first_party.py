"""First-party plugins together on a real Nimbus: found, downloaded, in the library, and somebody is told.

Both as processes of an embedded Nimbus, and as containers of the compose stack, in images of their own Dockerfiles.
"""

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from pyarr import SonarrAPI
from pyarr.exceptions import PyarrResourceNotFound, PyarrUnauthorizedError

from tests.support import outside_world
from tests.support.api import Api, wait_until
from tests.support.compose import ComposeStack
from tests.support.embedded import Embedded, free_port
from tests.support.engine import ROOT, BaseImages, remove_images
from tests.support.outside_world import EPISODE, FILM, OFFERED

pytestmark = pytest.mark.slow
PLUGINS = ("indexer", "downloader", "notifier", "sonarr")


def enable(api: Api, plugin_id: str) -> None:
    """Grant what it asks for, as a person does, and enable it; its image may have to be built first."""
    path = f"/api/admin/plugins/{plugin_id}/permissions"
    asked = [one["name"] for one in api.get(path).json()["requested"]]
    granted = api.http.put(path, json={"grant": asked})
    assert granted.status_code == 200, granted.text

    def serves() -> bool:
        answer = api.post(f"/api/plugins/{plugin_id}/enable", params={"wait": 30})
        assert answer.status_code in {200, 202}, answer.text
        return answer.status_code == 200

    wait_until(serves, seconds=300, what=f"{plugin_id} to serve")


@dataclass
class Site:
    """A Nimbus with all first-party plugins, and what it is connected to.

    Attributes:
        port: the compatibility port.
        outside: the address of the outside world from here.
        read: the content of a file in a plugin's data folder.
    """

    api: Api
    port: int
    outside: str
    read: Callable[[str, str], bytes]

    def ended(self, download: str) -> dict[str, Any]:
        """The download when it has come to its end."""

        def now() -> dict[str, Any] | None:
            found: dict[str, Any] = self.api.get(f"/api/downloads/{download}").json()
            return found if found["state"] in {"completed", "failed"} else None

        return wait_until(now, seconds=60, what="the download to end")

    def heard(self, path: str) -> list[Any]:
        """What the webhook (`told`) or the mail server (`mail`) got."""
        found: list[Any] = httpx.get(f"{self.outside}/{path}", timeout=20, trust_env=False).json()
        return found

    def connect(self, host: str, http: int, smtp: int) -> None:
        """Tell the indexer of the server there, the notifier of webhook and mail; give `sonarr` its port."""
        wait_until(lambda: answers(self.outside), seconds=60, what="the outside world to answer")
        server = {"name": "local", "url": f"http://{host}:{http}", "key": "secret-key"}
        hook = {"name": "home", "kind": "webhook", "url": f"http://{host}:{http}/hook", "events": ["io.nimbus.**"]}
        mailed = {
            "name": "mail",
            "kind": "email",
            "smtp_host": host,
            "smtp_port": smtp,
            "smtp_security": "none",
            "mail_from": "nimbus@example.org",
            "mail_to": ["operator@example.org"],
            "events": ["io.nimbus.download.completed.v1"],
        }
        kept = [self.api.http.put("/api/plugins/indexer/servers/local", json=server)]
        kept += [
            self.api.http.put(f"/api/plugins/notifier/targets/{one['name']}", json=one) for one in (hook, mailed)
        ]
        kept.append(self.api.http.put(f"/api/admin/compat-ports/{self.port}", json={"pluginId": "sonarr"}))
        assert [answer.status_code for answer in kept] == [200] * len(kept), [answer.text for answer in kept]
        wait_until(self.port_is_known, seconds=20, what="the port to lead to the plugin")

    def port_is_known(self) -> bool:
        """Whether workers lead the port to the plugin: each hears of it within a second, one before the other.

        Connections that are opened together come to all of them.
        """
        address = f"http://127.0.0.1:{self.port}/ping"
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda _: httpx.get(address, timeout=20, trust_env=False).status_code, range(32))
            return set(found) == {200}


@contextmanager
def as_processes(data: Path) -> Iterator[Site]:
    """An embedded Nimbus."""
    port, http, smtp = free_port(), free_port(), free_port()
    nimbus = Embedded(data, environment={"NIMBUS_COMPAT_PORTS": str(port)})
    with ExitStack() as stack:
        world = stack.enter_context(outside_world.start("127.0.0.1", http, smtp))
        stack.callback(world.terminate)
        stack.callback(nimbus.stop)
        nimbus.start()
        api = stack.enter_context(nimbus.api())
        for plugin_id in PLUGINS:
            enable(api, plugin_id)

        def read(plugin_id: str, path: str) -> bytes:
            return (data / "plugins" / plugin_id / "data" / path).read_bytes()

        site = Site(api, port, f"http://127.0.0.1:{http}", read)
        site.connect("127.0.0.1", http, smtp)
        yield site


@contextmanager
def as_containers(folder: Path, docker_host: str, images: BaseImages, engine: docker.DockerClient) -> Iterator[Site]:
    """The compose stack, which builds the plugins' images; the outside world is beyond their ways out."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    mark = f"nimbus-test-{secrets.token_hex(4)}"
    for plugin_id in PLUGINS:
        shutil.copytree(ROOT / "plugins" / plugin_id, folder / plugin_id, ignore=leave_out)
        manifest = json.loads((folder / plugin_id / "manifest.json").read_text())
        manifest["runtime"]["image"] = f"{mark}-{plugin_id}:1"  # one of an earlier run would not be built anew
        (folder / plugin_id / "manifest.json").write_text(json.dumps(manifest))
    port = free_port()
    environment = {
        "NIMBUS_COMPAT_PORTS": str(port),
        "COMPOSE_FILE": f"{ROOT / 'docker-compose.yml'}:{ROOT / 'deploy' / 'compose' / 'compat-ports.yml'}",
    }
    nimbus = ComposeStack(docker_host, images, plugins=folder, environment=environment)
    with ExitStack() as stack:
        stack.callback(remove_images, engine, mark)
        stack.callback(nimbus.discard)
        nimbus.up()
        api = stack.enter_context(nimbus.api())
        for plugin_id in PLUGINS:
            enable(api, plugin_id)
        # A way out lets nobody in and holds nobody else, but it leads to the host, as to anything outside.
        host, http, smtp = way_out(engine, nimbus.project, "indexer"), free_port(), free_port()
        world = stack.enter_context(outside_world.start(host, http, smtp))
        stack.callback(world.terminate)

        def read(plugin_id: str, path: str) -> bytes:
            found = container(engine, nimbus.project, plugin_id).exec_run(["cat", f"/data/{path}"])
            assert found.exit_code == 0, found.output
            content: bytes = found.output
            return content

        site = Site(api, port, f"http://{host}:{http}", read)
        site.connect(host, http, smtp)
        yield site


def answers(url: str) -> bool:
    """Whether something is served there."""
    try:
        return httpx.get(f"{url}/told", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def way_out(engine: docker.DockerClient, instance: str, plugin_id: str) -> str:
    """The host's address on the network by which a plugin reaches out."""
    for name, facts in container(engine, instance, plugin_id).attrs["NetworkSettings"]["Networks"].items():
        if not engine.networks.get(name).attrs["Internal"]:
            return str(facts["Gateway"])
    raise AssertionError(f"{plugin_id} has no way out")


def container(engine: docker.DockerClient, instance: str, plugin_id: str) -> Any:
    """The one container of a plugin."""
    labels = [f"io.nimbus.instance={instance}", f"io.nimbus.plugin={plugin_id}"]
    [found] = engine.containers.list(filters={"label": labels})
    return found


@pytest.fixture(scope="module", params=["processes", pytest.param("containers", marks=pytest.mark.engine)])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same site in both ways."""
    folder = tmp_path_factory.mktemp("site")
    if request.param == "processes":
        with as_processes(folder / "data") as site:
            yield site
        return
    parts = [request.getfixturevalue(name) for name in ("docker_host", "base_images", "engine")]
    with as_containers(folder / "plugins", *parts) as site:
        yield site


def test_what_is_found_comes_into_the_library_and_somebody_is_told(site: Site) -> None:
    api = site.api
    searched = api.get("/api/plugins/indexer/search", params={"q": "metropolis"}).json()
    assert searched["servers"][0]["error"] is None, searched
    release = next(one for one in searched["items"] if one["title"].startswith("Metropolis"))
    checksum = f"sha256:{hashlib.sha256(FILM).hexdigest()}"
    metadata = {"checksum": checksum, "kind": "movie", "title": "Metropolis", "year": 1927}
    asked = api.post(f"/api/plugins/indexer/releases/{release['id']}/grab", json={"metadata": metadata})
    assert asked.status_code == 201, asked.text
    assert asked.json()["provider"] == "downloader"
    done = site.ended(asked.json()["id"])
    assert done["state"] == "completed", done
    [item] = api.get("/api/media", params={"kind": "movie"}).json()["items"]
    assert (item["title"], item["year"], item["id"]) == ("Metropolis", 1927, done["result"]["mediaId"])
    assert item["createdBy"] == "plugin:downloader"
    assert site.read("downloader", done["result"]["path"]) == FILM

    def told() -> list[Any] | None:
        found = site.heard("told")
        titles, types = {one["title"] for one in found}, {one["event"]["type"] for one in found}
        return found if "New: Metropolis" in titles and "io.nimbus.download.completed.v1" in types else None

    found = wait_until(told, seconds=60, what="the webhook to be told")
    new = next(one for one in found if one["title"] == "New: Metropolis")
    assert new["event"]["data"]["id"] == item["id"]
    wait_until(lambda: any("Metropolis" in one for one in site.heard("mail")), seconds=60, what="the e-mail")


def test_a_client_of_sonarr_adds_a_series_and_gets_its_episode(site: Site) -> None:
    """With `pyarr`, which knows nothing of Nimbus: search, download, library, notification and back to the client."""
    api, address = site.api, f"http://127.0.0.1:{site.port}"
    made = api.post("/api/admin/api-keys", json={"name": "pyarr", "scopes": ["sonarr:read", "sonarr:write"]})
    assert made.status_code == 201, made.text
    key = made.json()["key"]
    with pytest.raises(PyarrUnauthorizedError):
        SonarrAPI(address, "nbk_wrong").get_system_status()
    sonarr = SonarrAPI(address, key)
    assert sonarr.get_system_status()["appName"] == "Sonarr"
    assert sonarr.get_health() == []
    profile = next(one for one in sonarr.get_quality_profile() if one["name"] == "HD-1080p")
    [folder] = sonarr.get_root_folder()
    tag = sonarr.create_tag("drama")
    wanted = {"title": "The Wire", "tvdbId": 79126, "year": 2002, "tags": [tag["id"]], "seasons": []}
    series = sonarr.add_series(wanted, profile["id"], 1, folder["path"], search_for_missing_episodes=True)

    def searched() -> dict[str, Any] | None:
        [command] = sonarr.get_command()
        return command if command["status"] in {"completed", "failed"} else None

    command = wait_until(searched, seconds=60, what="the search")
    assert (command["status"], command["message"]) == ("completed", "1 report downloaded"), command
    grabbed = sonarr.get_history()["records"][-1]
    assert (grabbed["eventType"], grabbed["sourceTitle"]) == ("grabbed", OFFERED["/e.mkv"][0])
    assert grabbed["seriesId"] == series["id"]
    done = site.ended(grabbed["downloadId"])
    assert done["state"] == "completed", done

    [episode] = sonarr.get_episode(series["id"], series=True)
    assert (episode["seasonNumber"], episode["episodeNumber"], episode["hasFile"]) == (1, 1, True)
    [file] = sonarr.get_episode_file(series["id"], series=True)
    assert (file["size"], file["quality"]["quality"]["name"]) == (len(EPISODE), "WEBDL-1080p")
    assert sonarr.get_history()["records"][0]["eventType"] == "downloadFolderImported"
    assert sonarr.get_queue()["totalRecords"] == 0
    assert sonarr.get_series(series["id"])["statistics"]["percentOfEpisodes"] == 100
    assert sonarr.lookup_series("wire")[0]["id"] == series["id"]
    [item] = api.get("/api/media", params={"kind": "episode"}).json()["items"]
    assert (item["id"], item["createdBy"]) == (done["result"]["mediaId"], "plugin:sonarr")
    wait_until(lambda: any("S01E01" in one for one in site.heard("mail")), seconds=60, what="the e-mail")

    def heard() -> bool:
        return any((one["event"].get("data") or {}).get("id") == grabbed["downloadId"] for one in site.heard("told"))

    wait_until(heard, seconds=60, what="the webhook to be told")

    series["monitored"] = False
    assert sonarr.upd_series(series)["monitored"] is False
    sonarr.del_series(series["id"])
    with pytest.raises(PyarrResourceNotFound):
        sonarr.get_series(series["id"])
    assert api.get("/api/media", params={"kind": "series"}).json()["items"] == []


def test_the_port_shows_the_plugins_routes_alone(site: Site) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in site.api.http.cookies.items())
    with httpx.Client(base_url=f"http://127.0.0.1:{site.port}", trust_env=False) as nobody:
        assert nobody.get("/ping").json() == {"status": "OK"}
        assert nobody.get("/api/v3/series").status_code == 401
        assert nobody.get("/api/v3/series", headers={"Cookie": cookie}).status_code == 401
        assert [nobody.get(path).status_code for path in ("/", "/api/plugins", "/healthz", "/core/v1/self")] == [
            404
        ] * 4
        detail = site.api.plugin("sonarr")
        assert detail["compatPorts"] == [site.port]
        path = f"/api/admin/compat-ports/{site.port}"
        assert site.api.http.delete(path).status_code == 204
        # Every worker hears of it within a second, and the one behind this connection need not be the first.
        wait_until(lambda: nobody.get("/ping").status_code == 404, seconds=10, what="the port to be free")
        assert nobody.get("/ping").json()["type"] == "/problems/compat-port-unmapped"
        assert site.api.http.put(path, json={"pluginId": "sonarr"}).status_code == 200
        wait_until(lambda: nobody.get("/ping").status_code == 200, seconds=10, what="the port to lead to the plugin")
