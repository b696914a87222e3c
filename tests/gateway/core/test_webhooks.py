"""Webhooks: signed, delivered like every event, and kept out of the operator's network."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from nimbus_gateway.core.events import queue
from nimbus_gateway.core.events.tables import WebhookRow
from nimbus_gateway.core.webhooks.addresses import RefusedAddressError, may_reach, resolved
from sqlmodel import select

from tests.gateway.core.sinks import Sink, eventually, open_sink, subscription
from tests.gateway.support import Nimbus, problem, running_nimbus

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PATH = "/api/admin/webhooks"
MEDIA = {"kind": "movie", "title": "Alien"}


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(queue, "LONGEST_BACKOFF", 0.05)


@pytest.fixture
async def open_nimbus(tmp_path: Path, database_url: str) -> AsyncIterator[Nimbus]:
    """A worker whose webhooks may go to loopback addresses."""
    async with running_nimbus(tmp_path, database_url, webhook_private_addresses=True) as found:
        yield found


async def hook(nimbus: Nimbus, sink: Sink, *patterns: str) -> dict[str, Any]:
    body = {"name": "Sink", "url": f"http://127.0.0.1:{sink.port}/hook?a=1", "patterns": list(patterns)}
    answer = await (await nimbus.admin()).post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def headers_of(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").strip().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::10.1.2.3", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),  # what a name server of a network without IPv4 makes of 93.184.216.34
        ("2002:7f00:1::", False),
        ("2002:5db8:d822::1", False),
        ("::7f00:1", False),
        ("::93.184.216.34", False),
        ("fec0::1", False),
    ],
)
def test_addresses(address: str, fine: bool):
    assert may_reach(address) is fine


class TestDelivery:
    async def test_is_signed_so_that_others_libraries_believe_it(self, open_nimbus: Nimbus):
        async with open_sink() as sink:
            made = await hook(open_nimbus, sink, "io.nimbus.media.*.v1")
            await open_nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            (event,) = await sink.until(1)
            assert event["data"]["title"] == "Alien"
            assert sink.heads[0].startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
            headers = headers_of(sink.heads[0])
            assert headers["host"] == f"127.0.0.1:{sink.port}"
            assert headers["webhook-id"] == event["id"]
            verified = standardwebhooks.Webhook(made["secret"]).verify(sink.bodies[0].decode(), headers)
            assert verified == event
            with pytest.raises(standardwebhooks.WebhookVerificationError):
                standardwebhooks.Webhook(made["secret"]).verify(sink.bodies[0].decode() + " ", headers)

    async def test_is_retried_and_ends_with_410(self, open_nimbus: Nimbus):
        async with open_sink() as sink:
            statuses = iter([500, 204, 410])

            async def answer(_: dict[str, Any]) -> int:
                return next(statuses)

            sink.answer = answer
            made = await hook(open_nimbus, sink, "**")
            for _ in range(2):
                await open_nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            await sink.until(3)
            assert sink.ids[0] == sink.ids[1] != sink.ids[2]

            async def unsubscribed() -> bool:
                return (await subscription(open_nimbus, made["subscriber"]))["status"] == "unsubscribed"

            await eventually(unsubscribed)
            sink.answer = Sink._fine
            admin = await open_nimbus.admin()
            await admin.patch(f"{PATH}/{made['id']}", json={"enabled": True})
            await open_nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            await sink.until(4)

    async def test_what_is_switched_off_gets_nothing(self, open_nimbus: Nimbus):
        async with open_sink() as sink:
            made = await hook(open_nimbus, sink, "io.nimbus.media.**")
            admin = await open_nimbus.admin()
            changed = await admin.patch(f"{PATH}/{made['id']}", json={"enabled": False, "name": "Off"})
            assert (changed.json()["enabled"], changed.json()["name"]) == (False, "Off")
            await open_nimbus.plugin("hello").post("/core/v1/media", json=MEDIA)
            assert (await subscription(open_nimbus, made["subscriber"]))["lag"] == 0
            assert sink.events == []

    async def test_private_addresses_are_not_gone_to(self, nimbus: Nimbus):
        async with open_sink() as sink:
            made = await hook(nimbus, sink, "io.nimbus.media.**")
            answer = (await (await nimbus.admin()).post(f"{PATH}/{made['id']}/test")).json()
            assert answer["outcome"] == "failed"
            assert "NIMBUS_WEBHOOK_PRIVATE_ADDRESSES" in answer["detail"]
            assert sink.events == []

    async def test_a_name_cannot_change_between_the_look_and_the_call(
        self, nimbus: Nimbus, monkeypatch: pytest.MonkeyPatch
    ):
        loop = asyncio.get_running_loop()
        answers = iter([["93.184.216.34", "127.0.0.1"], ["93.184.216.34"], ["127.0.0.1"]])

        async def resolve(host: str, port: int, **_: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(answers)]

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        with pytest.raises(RefusedAddressError, match=r"127\.0\.0\.1"):
            await resolved("rebound.test", 80, private=False)  # each of them is looked at
        # What is connected to is the address that was looked at: the name is not asked for again.
        assert await resolved("rebound.test", 80, private=False) == "93.184.216.34"
        with pytest.raises(RefusedAddressError):
            await resolved("rebound.test", 80, private=False)


class TestManagement:
    async def test_the_record_does_not_show_what_an_address_holds(self, nimbus: Nimbus):
        admin = await nimbus.admin()
        url = "https://me:pass@hooks.test:8443/services/T0/hunter2?token=hunter3"
        body = {"name": "Chat", "url": url, "patterns": ["**"]}
        made = (await admin.post(PATH, json=body)).json()
        await admin.patch(f"{PATH}/{made['id']}", json={"url": f"{url}&again=1", "name": "Talk"})
        await admin.delete(f"{PATH}/{made['id']}")
        items = (await admin.get("/api/admin/audit")).json()["items"]
        noted = [item["detail"] for item in items if item["action"].startswith("webhook.")]
        assert [detail["url"] for detail in noted] == ["https://hooks.test:8443/…"] * 3
        assert noted[1]["name"] == "Talk"
        assert "hunter" not in str(items)
        assert "pass" not in str(noted)

    async def test_the_secret_is_shown_once_and_sealed(self, open_nimbus: Nimbus):
        async with open_sink() as sink:
            made = await hook(open_nimbus, sink, "**")
            admin = await open_nimbus.admin()
            listed = await admin.get(PATH)
            assert [item["id"] for item in listed.json()["items"]] == [made["id"]]
            assert "secret" not in listed.text
            async with open_nimbus.state.database.read() as session:
                row = (await session.exec(select(WebhookRow))).one()
            assert made["secret"] not in row.secret
            renewed = (await admin.post(f"{PATH}/{made['id']}/secret")).json()
            assert renewed["secret"] != made["secret"]
            assert (await admin.post(f"{PATH}/{made['id']}/test")).json() == {"outcome": "done", "detail": ""}
            (event,) = await sink.until(1)
            verified = standardwebhooks.Webhook(renewed["secret"]).verify(
                sink.bodies[0].decode(), headers_of(sink.heads[0])
            )
            assert verified["type"] == event["type"] == "io.nimbus.webhook.test.v1"

    async def test_a_test_says_why_it_failed(self, open_nimbus: Nimbus):
        admin = await open_nimbus.admin()
        body = {"name": "x", "url": "http://127.0.0.1:1/", "patterns": ["**"]}
        made = (await admin.post(PATH, json=body)).json()
        answer = (await admin.post(f"{PATH}/{made['id']}/test")).json()
        assert answer["outcome"] == "failed"
        assert "ConnectError" in answer["detail"]

    async def test_deleting_forgets_all(self, open_nimbus: Nimbus):
        async with open_sink() as sink:
            made = await hook(open_nimbus, sink, "**")
            admin = await open_nimbus.admin()
            assert (await admin.delete(f"{PATH}/{made['id']}")).status_code == 204
            problem(await admin.delete(f"{PATH}/{made['id']}"), 404, "not-found")
            items = (await admin.get("/api/admin/events/subscriptions")).json()["items"]
            assert made["subscriber"] not in {item["subscriber"] for item in items}

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"url": "ftp://x"}, "/url"),
            ({"url": "https://"}, "/url"),
            ({"url": "http://a b"}, "/url"),
            ({"url": "https://:99999/"}, "/url"),
            ({"patterns": []}, "/patterns"),
            ({"patterns": ["a..b"]}, "/patterns/0"),
            ({"patterns": ["**", "a." * 16 + "a"]}, "/patterns/1"),
            ({"name": ""}, "/name"),
        ],
    )
    async def test_bad_input_is_named(self, nimbus: Nimbus, change: dict[str, Any], path: str):
        body = {"name": "x", "url": "https://example.org/", "patterns": ["**"], **change}
        answer = await (await nimbus.admin()).post(PATH, json=body)
        assert problem(answer, 422, "validation")["errors"][0]["path"] == path

    async def test_is_for_administrators(self, nimbus: Nimbus):
        problem(await (await nimbus.user()).get(PATH), 403, "forbidden")
