"""What the registry makes of the gateway's answers: a refusal is one, not silence."""

import httpx
import pytest
from nimbus_registry.gateway_client import GatewayClient, GatewayRefusedError, GatewayUnreachableError
from nimbus_sdk.contracts.control import SettingsCheck
from nimbus_sdk.contracts.problem import Problem
from structlog.testing import capture_logs

pytestmark = pytest.mark.anyio

CHECK = SettingsCheck.model_validate({"pluginId": "hello", "schema": {"type": "object"}})


def answering(*answers: httpx.Response) -> GatewayClient:
    left = iter(answers)
    return GatewayClient("http://gateway", "secret", transport=httpx.MockTransport(lambda _: next(left)))


def problem(status: int, detail: str | None = "The schema takes too long.") -> httpx.Response:
    body = Problem(type="/problems/x", title="Not like this", status=status, detail=detail)
    return httpx.Response(status, json=body.wire())


@pytest.mark.parametrize(("status", "later"), [(409, False), (429, True)])
async def test_a_refusal_says_why_and_that_the_gateway_is_there(status: int, later: bool) -> None:
    client = answering(problem(status))
    with capture_logs() as logged, pytest.raises(GatewayRefusedError) as refused:
        await client.check_settings(CHECK, timeout=1)
    assert (str(refused.value), refused.value.later, logged) == ("The schema takes too long.", later, [])
    await client.close()


async def test_a_refusal_ends_its_silence() -> None:
    client = answering(problem(503), problem(409, detail=None))
    with capture_logs() as logged:
        with pytest.raises(GatewayUnreachableError, match="it answered 503") as silent:
            await client.check_settings(CHECK, timeout=1)
        with pytest.raises(GatewayRefusedError, match="Not like this"):
            await client.check_settings(CHECK, timeout=1)
    assert not isinstance(silent.value, GatewayRefusedError)
    assert [entry["event"] for entry in logged] == [
        "the gateway does not answer; plugins keep their state until it does",
        "the gateway answers again",
    ]
    await client.close()


async def test_a_refusal_without_a_problem_is_no_answer_of_the_gateway() -> None:
    client = answering(httpx.Response(409, text="<html>"))
    with pytest.raises(GatewayUnreachableError) as odd:
        await client.check_settings(CHECK, timeout=1)
    assert not isinstance(odd.value, GatewayRefusedError)
    await client.close()
