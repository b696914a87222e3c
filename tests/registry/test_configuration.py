"""Plugins whose settings are missing or do not fit, in a running registry with a runtime in memory."""

from typing import Any

import pytest
from nimbus_registry.gateway_client import GatewayRefusedError
from nimbus_registry.lifecycle import reasons
from nimbus_registry.runtime.base import ExitStatus
from nimbus_sdk.contracts.problem import FieldProblem

from tests.registry.conftest import Registry, World
from tests.registry.test_install import install, put_image
from tests.registry.test_upgrade import NEW, OLD, PIN, ask, running, served, shape

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SCHEMA = {"type": "object", "properties": {"token": {"type": "string", "x-secret": True}}, "required": ["token"]}
LACKS = [FieldProblem(path="/token", message="a value: it is required")]
UNFIT = [FieldProblem(path="/servers/0", message="a value that fits the schema")]


async def found(registry: Registry, world: World, **changes: Any) -> None:
    world.folder.add(settings=SCHEMA, **changes)
    assert (await registry.client.post("/v1/plugins/scan")).status_code == 200


async def configured(registry: Registry) -> None:
    registry.gateway.unfit.clear()
    answer = await registry.client.post("/v1/plugins/hello/configured", json={"cause": "user:tester"})
    assert answer.status_code == 204, answer.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (LACKS, "Its settings need attention: token is missing."),
        (UNFIT, "Its settings need attention: servers/0 does not fit its schema."),
        (
            [*LACKS, *UNFIT, FieldProblem(path="/url", message="a value: it is required")],
            "Its settings need attention: token and url are missing and servers/0 does not fit its schema.",
        ),
    ],
)
def test_it_names_the_settings(fields: list[FieldProblem], message: str) -> None:
    reason = reasons.needs_configuration(fields)
    assert (reason.code, reason.hop, reason.message, reason.fields) == (
        "needs-configuration",
        "config",
        message,
        fields,
    )


async def test_it_serves_and_says_what_it_needs(world: World) -> None:
    async with world.registry() as registry:
        registry.gateway.unfit["hello"] = LACKS
        await found(registry, world)
        assert (await registry.ask("enable")).status_code == 200
        shown = await registry.plugin()
        assert (shown["state"], shown["reason"]["code"]) == ("degraded", "needs-configuration")
        assert [one["path"] for one in shown["reason"]["fields"]] == ["/token"]
        run = served(registry).upstream
        assert run is not None
        await configured(registry)
        await registry.until_state("ready")
        assert served(registry).upstream == run
        assert world.engine.started == 1
        assert (await registry.plugin()).get("reason") is None


async def test_it_goes_on_without_being_told_too(world: World) -> None:
    async with world.registry() as registry:
        registry.gateway.unfit["hello"] = UNFIT
        await found(registry, world)
        assert (await registry.ask("enable")).status_code == 200
        await registry.until_state("degraded")
        registry.gateway.unfit.clear()
        await registry.until_state("ready")


async def test_a_registry_that_starts_anew_asks_again(world: World) -> None:
    async with world.registry() as registry:
        await found(registry, world)
        assert (await registry.ask("enable")).status_code == 200
        await registry.until_state("ready")
    async with world.registry() as registry:
        registry.gateway.unfit["hello"] = LACKS
        await registry.until_state("degraded")
        assert (await registry.plugin())["reason"]["code"] == "needs-configuration"


@pytest.mark.usefixtures("fast")
async def test_one_without_a_schema_is_not_asked_about(world: World) -> None:
    async with world.registry() as registry:
        world.folder.add()
        await registry.client.post("/v1/plugins/scan")
        assert (await registry.ask("enable")).status_code == 200
        probes = registry.gateway.probes
        await registry.until(lambda: registry.gateway.probes > probes + 2)
        assert registry.gateway.checks == 0


async def test_a_gateway_that_cannot_say_changes_nothing(world: World) -> None:
    async with world.registry() as registry:
        registry.gateway.settings_down = True
        await found(registry, world)
        assert (await registry.ask("enable")).status_code == 200
        assert (await registry.plugin())["state"] == "ready"


@pytest.mark.usefixtures("fast")
async def test_a_schema_that_cannot_be_checked_by_is_said_once_and_asked_about_again_after_a_change(
    world: World,
) -> None:
    async with world.registry() as registry:
        registry.gateway.settings_refused = GatewayRefusedError("The schema takes too long.", later=False)
        await found(registry, world)
        assert (await registry.ask("enable")).status_code == 200
        shown = await registry.plugin()
        assert (shown["state"], shown["reason"]["code"]) == ("degraded", "settings-unjudged")
        assert shown["reason"]["message"] == "Its settings could not be checked. The schema takes too long."
        probes, checks = registry.gateway.probes, registry.gateway.checks
        await registry.until(lambda: registry.gateway.probes > probes + 2)
        assert registry.gateway.checks == checks
        registry.gateway.settings_refused = None
        await configured(registry)
        await registry.until_state("ready")
        assert (await registry.plugin()).get("reason") is None


@pytest.mark.usefixtures("fast")
async def test_what_was_wrong_with_a_schema_is_not_said_of_the_next_version(world: World) -> None:
    settings = {"settings": SCHEMA}
    async with world.registry() as registry:
        registry.gateway.settings_refused = GatewayRefusedError("The schema takes too long.", later=False)
        put_image(registry, OLD, PIN[OLD], **shape("1.0.0", **settings))
        put_image(registry, NEW, PIN[NEW], **shape("2.0.0", **settings))
        assert (await install(registry, image=OLD, grant=["media:read"])).status_code == 201
        assert (await registry.ask("enable")).status_code == 200
        assert (await registry.plugin())["reason"]["code"] == "settings-unjudged"
        registry.gateway.settings_refused = GatewayRefusedError("Too many wait.", later=True)
        assert (await ask(registry, "upgrade", image=NEW)).status_code == 200
        await registry.until_state("ready")
        registry.gateway.unfit["hello"] = LACKS
        registry.gateway.settings_refused = None
        await registry.until_state("degraded")
        assert (await registry.plugin())["reason"]["code"] == "needs-configuration"


@pytest.mark.usefixtures("fast")
async def test_a_schema_at_fault_does_not_explain_an_end(world: World) -> None:
    async with world.registry() as registry:
        registry.gateway.settings_refused = GatewayRefusedError("The schema takes too long.", later=False)
        await found(registry, world)
        assert (await registry.ask("enable")).status_code == 200
        registry.runtime.crash("hello", ExitStatus(137, 9, out_of_memory=True))
        ended = await registry.until_went_through("backoff")
        assert "NIMBUS_MAX_MEMORY" in ended["reason"]["hint"]


@pytest.mark.usefixtures("fast")
async def test_a_gateway_with_no_turn_for_it_is_asked_again(world: World) -> None:
    async with world.registry() as registry:
        registry.gateway.unfit["hello"] = LACKS
        registry.gateway.settings_refused = GatewayRefusedError("Too many wait.", later=True)
        await found(registry, world)
        assert (await registry.ask("enable")).status_code == 200
        assert (await registry.plugin())["state"] == "ready"
        registry.gateway.settings_refused = None
        await registry.until_state("degraded")
        assert (await registry.plugin())["reason"]["code"] == "needs-configuration"


async def test_one_that_does_not_start_without_them_says_so_and_starts_when_they_are_there(world: World) -> None:
    async with world.registry() as registry:
        registry.gateway.unfit["hello"] = LACKS
        registry.runtime.exits_at_once["hello"] = ExitStatus(code=1)
        await found(registry, world)
        answer = await registry.ask("enable")
        assert answer.status_code == 409
        reason = answer.json()["plugin"]["reason"]
        assert reason["code"] == "exited"
        assert "token is missing" in reason["hint"]
        assert [one["path"] for one in reason["fields"]] == ["/token"]
        record = registry.context.ledger.records["hello"]
        await registry.until(lambda: record.state == "backoff")
        record.retry_at += 3600  # by itself it would not be tried again before the test ends
        registry.runtime.exits_at_once.clear()
        await configured(registry)
        await registry.until_state("ready")


async def test_a_version_that_needs_more_settings_is_changed_to_and_says_so(world: World) -> None:
    async with running(world, settings=SCHEMA) as registry:
        registry.gateway.unfit["hello"] = LACKS
        answer = await ask(registry, "upgrade", image=NEW)
        assert answer.status_code == 200, answer.text
        shown = answer.json()["plugin"]
        assert (shown["version"], shown["state"]) == ("2.0.0", "degraded")
        assert shown["reason"]["code"] == "needs-configuration"
        await configured(registry)
        await registry.until_state("ready")
        assert shape("2.0.0")["version"] == (await registry.plugin())["version"]


async def test_of_a_plugin_that_is_not_here(world: World) -> None:
    async with world.registry() as registry:
        answer = await registry.client.post("/v1/plugins/nobody/configured", json={"cause": "user:tester"})
        assert answer.status_code == 404
