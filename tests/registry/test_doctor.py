"""The doctor: a table of what is found and which hop it names, and the walk in a running registry."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from nimbus_registry.lifecycle import reasons
from nimbus_registry.lifecycle.doctor import HOPS, Facts, diagnose
from nimbus_registry.runtime.base import CoreReach, ExitStatus, Observation, Prepared, RuntimeFailure
from nimbus_sdk.contracts.control import ProbeResult
from nimbus_sdk.contracts.inspection import Diagnosis, DoctorCheck
from nimbus_sdk.contracts.plugin_api import Health, HealthCheck
from nimbus_sdk.contracts.snapshot import Reason, Upstream

from tests.registry.conftest import Folder, World

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = Observation("hello", "running", "a", "run-1", Upstream(host="10.0.0.2", port=8000), started_at=NOW)
WELL = Facts(
    plugin_id="hello",
    state="ready",
    reason=None,
    wanted=True,
    port=8000,
    image=Prepared(ready=True, message="The image is here."),
    run=RUN,
    probe=ProbeResult(ok=True, status=200, health=Health(status="ok")),
    reach=CoreReach(ok=True, url="http://nimbus-core:8081"),
    token_known=True,
    asked=["media:read"],
    granted=["media:read"],
)
BROKEN = replace(
    WELL, state="backoff", run=replace(RUN, phase="exited", exit=ExitStatus(code=3)), probe=None, reach=None
)


def failed(hop: str, code: str = "x") -> Reason:
    return Reason(code=code, hop=hop, message=f"{hop} broke.", hint="Mend it.", log_tail=["last words"])


CASES = {
    "an invalid manifest": (replace(WELL, has_manifest=False, problems=2, run=None, state="invalid"), "manifest"),
    "no image": (replace(WELL, image=Prepared(ready=False, message="No image.", hint="Build."), run=None), "image"),
    "a build that failed": (
        replace(BROKEN, image=Prepared(ready=False, message="No."), reason=failed("image")),
        "image",
    ),
    "ended by itself": (replace(BROKEN, reason=failed("exit", "exited")), "container"),
    "removed from outside": (replace(WELL, run=None, probe=None), "container"),
    "an engine that does not answer": (
        replace(WELL, run=None, unknown={"container": "The engine is away."}),
        "container",
    ),
    "no address": (replace(WELL, run=replace(RUN, upstream=None), probe=None), "dns"),
    "not on the gateway's network": (replace(WELL, run=replace(RUN, linked=False)), "dns"),
    "a name that nobody knows": (replace(WELL, probe=ProbeResult(ok=False, hop="dns", detail="unknown")), "dns"),
    "a closed port": (replace(WELL, probe=ProbeResult(ok=False, hop="connect", detail="refused")), "tcp"),
    "a gateway that is away": (replace(WELL, probe=None, gateway_error="it answered 500"), "tcp"),
    "unhealthy": (
        replace(WELL, probe=ProbeResult(ok=False, hop="http", status=503, detail="answered 503")),
        "health",
    ),
    "no health at all at its start": (replace(BROKEN, reason=failed("http")), "health"),
    "another contract": (
        replace(WELL, probe=ProbeResult(ok=True, status=200, health=Health(status="ok", contract=[9]))),
        "contract",
    ),
    "not the contract's form": (
        replace(WELL, probe=ProbeResult(ok=False, hop="handshake", detail="no JSON")),
        "contract",
    ),
    "a hook that failed": (replace(BROKEN, reason=failed("init")), "init"),
    "a core that it does not find": (
        replace(WELL, reach=CoreReach(ok=False, url="http://nimbus-core:8081", hop="dns", detail="unknown")),
        "callback",
    ),
    "a token of another run": (replace(WELL, token_known=False), "callback"),
    "a way out that is missing": (
        replace(WELL, granted=["media:read", "network:egress"], run=replace(RUN, egress=False)),
        "permissions",
    ),
}


def check(found: Diagnosis, hop: str) -> DoctorCheck:
    return next(check for check in found.checks if check.hop == hop)


@pytest.mark.parametrize(("facts", "hop"), CASES.values(), ids=CASES)
def test_names_the_first_hop_that_fails(facts: Facts, hop: str) -> None:
    found = diagnose(facts, at=NOW)
    assert (found.first_failed, found.healthy) == (hop, False)
    assert [check.hop for check in found.checks] == list(HOPS)
    assert hop in found.summary
    assert check(found, hop).message.endswith(".")
    later = found.checks[HOPS.index(hop) + 1 :]
    assert "failed" not in {check.status for check in later}


@pytest.mark.parametrize("case", [case for case in CASES if case != "an invalid manifest"])
def test_every_failure_says_what_to_do(case: str) -> None:
    found = diagnose(CASES[case][0], at=NOW)
    assert found.first_failed is not None
    assert check(found, found.first_failed).hint


def test_a_gateway_without_a_way_is_not_believed_about_what_it_heard() -> None:
    answered = ProbeResult(ok=False, hop="http", status=400, detail="GET /_nimbus/health answered 400")
    found = diagnose(replace(WELL, run=replace(RUN, linked=False), probe=answered), at=NOW)
    assert found.first_failed == "dns"
    assert {check(found, hop).status for hop in ("tcp", "health", "contract")} == {"skipped"}


def test_all_is_well() -> None:
    found = diagnose(WELL, at=NOW)
    assert found.healthy
    assert {check.status for check in found.checks} == {"passed"}
    assert found.summary == "Every hop works."


def test_one_that_is_still_starting_is_not_said_to_serve() -> None:
    found = diagnose(replace(WELL, state="starting", run=None, probe=None, reach=None), at=NOW)
    assert check(found, "container").status == "warning"
    assert found.summary.startswith("It does not serve yet. One thing to look at, container:")


def test_a_disabled_plugin_has_nothing_wrong() -> None:
    found = diagnose(replace(WELL, wanted=False, state="disabled", run=None, probe=None, reach=None), at=NOW)
    assert found.healthy
    assert check(found, "tcp").status == "skipped"
    assert "switched off" in found.summary


def test_a_degraded_plugin_tells_its_own_reasons() -> None:
    health = Health(status="degraded", checks=[HealthCheck(name="indexer", status="degraded", detail="slow")])
    found = diagnose(replace(WELL, state="degraded", probe=ProbeResult(ok=True, status=200, health=health)), at=NOW)
    assert found.healthy
    assert check(found, "health").status == "warning"
    assert "indexer: slow" in found.summary


def test_hops_before_the_broken_one_worked_at_the_last_attempt() -> None:
    found = diagnose(replace(BROKEN, reason=failed("init")), at=NOW)
    assert check(found, "tcp").message == "It worked at the last attempt."
    assert found.log_tail == ["last words"]


def test_a_permission_that_was_not_granted_is_named() -> None:
    found = diagnose(replace(WELL, asked=["media:read", "media:write"]), at=NOW)
    assert found.healthy
    assert "media:write" in check(found, "permissions").message


def test_quarantine_says_how_to_go_on() -> None:
    left = reasons.left_alone(failed("exit"))
    found = diagnose(replace(BROKEN, state="quarantined", reason=left), at=NOW)
    assert "restart it" in (check(found, "container").hint or "")


@pytest.mark.anyio
@pytest.mark.slow
class TestInARegistry:
    async def test_of_a_plugin_that_is_well(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            assert (await registry.ask("enable")).status_code == 200
            registry.runtime.lines["hello"] = ["serving"]
            answer = await registry.client.get("/v1/plugins/hello/doctor")
            assert answer.status_code == 200
            found = answer.json()
            assert (found["healthy"], found["summary"]) == (True, "Every hop works.")
            assert found["logTail"] == ["serving"]

    async def test_of_one_whose_port_closed(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            assert (await registry.ask("enable")).status_code == 200
            registry.gateway.health["hello"] = ProbeResult(ok=False, hop="connect", detail="connection refused")
            found = (await registry.client.get("/v1/plugins/hello/doctor")).json()
            assert found["firstFailed"] == "tcp"

    async def test_with_gateway_and_engine_away(self, world: World, folder: Folder) -> None:
        folder.add()
        async with world.registry() as registry:
            assert (await registry.ask("enable")).status_code == 200
            registry.gateway.down = True
            assert (await registry.client.get("/v1/plugins/hello/doctor")).json()["firstFailed"] == "tcp"
            registry.runtime.down = RuntimeFailure("engine", "engine-unreachable", "The engine is away.")
            found = (await registry.client.get("/v1/plugins/hello/doctor")).json()
            assert found["firstFailed"] == "container"
            assert "The engine is away." in found["summary"]

    async def test_of_an_unknown_plugin(self, world: World) -> None:
        async with world.registry() as registry:
            assert (await registry.client.get("/v1/plugins/nope/doctor")).status_code == 404
