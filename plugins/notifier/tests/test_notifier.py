"""Events in, notifications out: against an HTTP server and a mail server on loopback."""

import base64
import hashlib
import hmac
import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nimbus_sdk.testing import PluginTestClient
from notifier import plugin
from notifier.outbox import pause
from notifier.targets import DEFAULT_EVENTS
from notifier.templates import render, texts

_spec = importlib.util.spec_from_file_location("notifier_sinks", Path(__file__).with_name("sinks.py"))
assert _spec is not None
sinks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sinks)

CREATED = "io.nimbus.media.created.v1"
FILM = {"kind": "movie", "title": "Metropolis", "year": 1927}


@pytest.fixture
def client() -> Iterator[PluginTestClient]:
    with PluginTestClient(plugin) as client:
        yield client


@pytest.fixture
def hook() -> Iterator[Any]:
    with sinks.http_sink() as sink:
        yield sink


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.outbox.FIRST_PAUSE", 0.01)


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def store(client: PluginTestClient, name: str, kind: str, *, secret: str | None = None, **more: Any) -> Any:
    body = {"name": name, "kind": kind, **more} | ({} if secret is None else {"secret": secret})
    answer = client.as_user("ada", role="admin").put(f"/targets/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def history(client: PluginTestClient) -> list[dict[str, Any]]:
    return client.as_user("ada", role="admin").get("/history").json()["items"]


def states(client: PluginTestClient) -> list[str]:
    return [entry["state"] for entry in history(client)]


class TestTemplates:
    @pytest.mark.parametrize(
        ("template", "text"),
        [
            ("New: {data.title} ({data.year})", "New: Metropolis (1927)"),
            ("{data.nothing} {data.title}  {data.nothing} x", "Metropolis x"),
            ("{data.list.1} {data.list.9}", "b"),
            ("{data.__class__} {data.title.upper} {", "{"),
            ("{data.list}", '["a", "b"]'),
            ("{not closed {type}", "{not closed t"),
        ],
    )
    def test_paths_become_what_is_there(self, template: str, text: str) -> None:
        assert render(template, {"type": "t", "data": {**FILM, "list": ["a", "b"]}}) == text

    def test_pauses_grow_and_end(self) -> None:
        assert [pause(n, None, 1.0) for n in (1, 2, 3, 8)] == [5, 15, 45, 900]
        assert pause(1, 7.0, 1.0) == 7.0


DOWNLOAD = {"title": "Metropolis", "provider": "downloader", "error": "the disk is full"}
USER = {"username": "ada", "role": "admin"}


@pytest.mark.parametrize(
    ("kind", "data", "title", "text"),
    [
        ("media.updated", FILM, "Changed: Metropolis", "movie Metropolis 1927 was changed."),
        ("download.completed", DOWNLOAD, "Downloaded: Metropolis", "downloader has fetched Metropolis."),
        ("download.failed", DOWNLOAD, "Download failed: Metropolis", "downloader: the disk is full"),
        ("user.created", USER, "New user: ada", "ada has an account as admin."),
        ("schedule.finished", {}, "io.nimbus.schedule.finished.v1", "s"),
    ],
)
def test_what_is_said_when_nobody_wrote_a_template(kind: str, data: dict[str, Any], title: str, text: str) -> None:
    document = {"type": f"io.nimbus.{kind}.v1", "subject": "s", "data": data}
    assert texts(document, "", "") == (title, text)


class TestDelivery:
    def test_a_webhook_is_told_and_signed(self, client: PluginTestClient, hook: Any) -> None:
        secret = "whsec_" + base64.b64encode(b"key" * 8).decode()
        store(client, "home", "webhook", url=f"{hook.url}/x", secret=secret)
        client.deliver(CREATED, FILM, subject="m1", event_id="e1")
        until(lambda: states(client) == ["sent"])
        [(path, headers, raw)], [body] = hook.received, hook.bodies()
        assert (path, body["title"]) == ("/x", "New: Metropolis")
        assert body["message"] == "movie Metropolis 1927 is in the library."
        assert (body["event"]["id"], body["event"]["data"]) == ("e1", FILM)
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
        digest = hmac.digest(b"key" * 8, signed, hashlib.sha256)
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"

    def test_discord_and_ntfy_get_what_they_take(self, client: PluginTestClient, hook: Any) -> None:
        store(client, "friends", "discord", secret=f"{hook.url}/api/webhooks/1/token", title="@everyone {data.title}")
        store(client, "phone", "ntfy", url=hook.url, topic="films", priority=5, secret="tk_1", message="{data.year}")
        client.deliver(CREATED, FILM)
        until(lambda: states(client) == ["sent", "sent"])
        by_path = {
            path: (headers, body) for (path, headers, _), body in zip(hook.received, hook.bodies(), strict=True)
        }
        headers, discord = by_path["/api/webhooks/1/token"]
        assert discord["embeds"][0]["title"] == "@everyone Metropolis"
        assert discord["allowed_mentions"] == {"parse": []}
        headers, ntfy = by_path["/"]
        assert ntfy == {"topic": "films", "title": "New: Metropolis", "message": "1927", "priority": 5}
        assert headers["authorization"] == "Bearer tk_1"

    def test_mail_is_sent(self, client: PluginTestClient) -> None:
        with sinks.mail_sink() as mail:
            store(
                client,
                "mail",
                "email",
                smtp_host="127.0.0.1",
                smtp_port=mail.port,
                smtp_security="none",
                mail_from="nimbus@example.org",
                mail_to=["ada@example.org"],
                title="{data.title}",
            )
            client.deliver(CREATED, {**FILM, "title": "Metro\r\nBcc: eve@example.org"})
            until(lambda: states(client) == ["sent"])
            [message] = mail.messages
        head = message.split("\r\n\r\n")[0].splitlines()
        assert "Subject: Metro Bcc: eve@example.org" in head
        assert not [line for line in head if line.startswith("Bcc:")]
        assert "To: ada@example.org" in head

    def test_filters_and_patterns_choose(self, client: PluginTestClient, hook: Any) -> None:
        store(
            client, "films", "webhook", url=hook.url, events=["io.nimbus.media.*.v1"], filters={"data.kind": "mov*"}
        )
        store(client, "off", "webhook", url=hook.url, enabled=False)
        for data in (FILM, {"kind": "episode", "title": "E"}):
            client.deliver(CREATED, data)
        client.deliver("io.nimbus.user.created.v1", {"kind": "movie"})
        until(lambda: states(client) == ["sent"])
        assert [body["title"] for body in hook.bodies()] == ["New: Metropolis"]
        assert "io.nimbus.media.created.v1" in DEFAULT_EVENTS

    def test_an_event_that_comes_twice_is_told_once(self, client: PluginTestClient, hook: Any) -> None:
        store(client, "home", "webhook", url=hook.url)
        for _ in range(3):
            client.deliver(CREATED, FILM, event_id="e1")
        until(lambda: states(client) == ["sent"])
        assert len(hook.received) == 1


@pytest.mark.usefixtures("quick")
class TestFailures:
    def test_it_is_tried_again(self, client: PluginTestClient, hook: Any) -> None:
        hook.answers = [(503, {}), (429, {"retry-after": "0"})]
        store(client, "home", "webhook", url=hook.url)
        client.deliver(CREATED, FILM)
        until(lambda: states(client) == ["sent"])
        [entry] = history(client)
        assert (entry["attempts"], len(hook.received)) == (3, 3)
        assert len({headers.get("webhook-id") for _, headers, _ in hook.received}) == 1

    def test_it_is_given_up_and_sent_again_by_hand(self, client: PluginTestClient, hook: Any) -> None:
        hook.answers = [(410, {})]
        store(client, "home", "webhook", url=hook.url)
        client.deliver(CREATED, FILM)
        until(lambda: states(client) == ["failed"])
        [entry] = history(client)
        assert "410" in entry["error"]
        path = entry["key"].removeprefix("outbox/")
        assert client.as_user("ada", role="admin").post(f"/history/{path}/retry").json()["state"] == "waiting"
        until(lambda: states(client) == ["sent"])
        assert client.as_user("ada", role="admin").post(f"/history/{'0' * 32}/home/retry").status_code == 404

    def test_eight_attempts_are_enough(self, client: PluginTestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("notifier.outbox.LONGEST_PAUSE", 0.01)
        store(client, "home", "webhook", url="http://127.0.0.1:1")
        client.deliver(CREATED, FILM)
        until(lambda: states(client) == ["failed"])
        assert history(client)[0]["attempts"] == 8

    def test_one_that_is_down_holds_up_nobody(self, client: PluginTestClient, hook: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr("notifier.outbox.FIRST_PAUSE", 60.0)
        store(client, "down", "webhook", url="http://127.0.0.1:1")
        store(client, "home", "webhook", url=hook.url)
        client.deliver(CREATED, FILM)
        client.deliver(CREATED, {**FILM, "title": "Nosferatu"})
        until(lambda: sorted(states(client)) == ["sent", "sent", "waiting", "waiting"])

    def test_what_waits_is_sent_after_a_restart(self, hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("notifier.outbox.FIRST_PAUSE", 600.0)  # however slow the machine is, it waits at the end
        hook.answers = [(503, {})]
        with PluginTestClient(plugin) as first:
            store(first, "home", "webhook", url=hook.url)
            first.deliver(CREATED, FILM)
            until(lambda: [entry["attempts"] for entry in history(first)] == [1])
            [entry] = history(first)
        assert (entry["state"], len(hook.received)) == ("waiting", 1)
        first.core.kv[entry["key"]] = {**entry, "next_attempt": entry["created"]}  # it is due meanwhile
        second = PluginTestClient(plugin)
        second.core.kv, second.core.config = first.core.kv, first.core.config
        with second:
            until(lambda: states(second) == ["sent"])
            assert [entry["attempts"] for entry in history(second)] == [2]
        assert len(hook.received) == 2

    def test_a_mail_server_that_refuses_for_good(self, client: PluginTestClient) -> None:
        with sinks.mail_sink() as mail:
            mail.refuse = 554
            more = {"smtp_security": "none", "mail_from": "a@example.org", "mail_to": ["b@example.org"]}
            store(client, "mail", "email", smtp_host="127.0.0.1", smtp_port=mail.port, **more)
            client.deliver(CREATED, FILM)
            until(lambda: states(client) == ["failed"])
        assert "554" in history(client)[0]["error"]

    def test_too_many_make_nimbus_wait(self, client: PluginTestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("notifier.outbox.MOST_WAITING", 0)
        with pytest.raises(AssertionError, match=r"503.*notifications wait"):
            client.deliver(CREATED, FILM)


class TestManagement:
    def test_secrets_are_stored_and_never_shown(self, client: PluginTestClient) -> None:
        made = store(client, "phone", "ntfy", url="https://ntfy.example", topic="t", secret="tk_hidden")
        assert made["has_secret"] is True
        assert client.core.config["secrets"] == {"phone": "tk_hidden"}
        store(client, "phone", "ntfy", url="https://ntfy.example", topic="other")  # the secret stays
        shown = client.as_user("ada", role="admin").get("/targets").text
        assert "tk_hidden" not in shown
        assert '"has_secret":true' in shown
        assert client.as_user("ada", role="admin").delete("/targets/phone").status_code == 204
        assert (client.core.config["targets"], client.core.config["secrets"]) == ([], {})
        assert client.as_user("ada", role="admin").delete("/targets/phone").status_code == 404

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"name": "x", "kind": "webhook"}, "needs url"),
            ({"name": "x", "kind": "email"}, "smtp_host and mail_from and mail_to"),
            ({"name": "x", "kind": "webhook", "url": "ftp://h"}, "pattern"),
            ({"name": "x", "kind": "webhook", "url": "http://h", "events": ["a..b"]}, "pattern"),
            ({"name": "y", "kind": "webhook", "url": "http://h"}, "'y'"),
        ],
    )
    def test_what_does_not_fit_is_said(self, client: PluginTestClient, body: dict[str, Any], words: str) -> None:
        answer = client.as_user("ada", role="admin").put("/targets/x", json=body)
        assert (answer.status_code, words in answer.text) == (422, True), answer.text

    def test_a_test_says_what_the_receiver_said(self, client: PluginTestClient, hook: Any) -> None:
        store(client, "home", "webhook", url=hook.url)
        admin = client.as_user("ada", role="admin")
        assert admin.post("/targets/home/test").json() == {"ok": True, "detail": "The receiver took it."}
        hook.answers = [(401, {})]
        refused = admin.post("/targets/home/test").json()
        assert (refused["ok"], "401" in refused["detail"]) == (False, True)
        assert admin.post("/targets/none/test").status_code == 404
        store(client, "chat", "discord")
        assert "Discord webhook" in admin.post("/targets/chat/test").json()["detail"]
        assert states(client) == []

    @pytest.mark.parametrize(("method", "path"), [("GET", "/targets"), ("GET", "/history"), ("PUT", "/targets/x")])
    def test_it_is_for_administrators(self, client: PluginTestClient, method: str, path: str) -> None:
        assert client.anonymous().request(method, path).status_code == 401
        assert client.as_user("bob").request(method, path).status_code == 403

    def test_its_page_is_part_of_it(self, client: PluginTestClient) -> None:
        assert b"export default" in client.ui_files()["web/main.js"]
