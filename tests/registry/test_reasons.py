"""The sentences about a plugin: what it says of itself is shown as text, whatever it holds."""

import pytest
from nimbus_registry.lifecycle import reasons
from nimbus_registry.runtime.base import ExitStatus
from nimbus_sdk.contracts.control import ProbeResult


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e4 \u4e2d \U0001f600", "plain \u00e4 \u4e2d \U0001f600"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x9b31mb\x00\x07\x7f", "a31mb"),
        ("fdp\u202etxt\u2066x\u2069\u200f", "fdptxtx"),
        ("lone \ud800", "lone "),
    ],
)
def test_what_steers_a_screen_is_taken_out(text: str, shown: str) -> None:
    assert reasons.clean(text) == shown


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            ProbeResult(ok=False, hop="http", detail="the plugin did not answer within 2 s"),
            "The plugin's health check failed: the plugin did not answer within 2 s.",
        ),
        (
            ProbeResult(ok=False, hop="handshake", status=200, detail="GET /_nimbus/health must answer JSON"),
            "The plugin's health check failed: GET /_nimbus/health must answer JSON.",
        ),
        (ProbeResult(ok=False, status=503), "The plugin's health check failed: it answered 503."),
        (ProbeResult(ok=False), "The plugin's health check failed: it gave no answer."),
    ],
)
def test_a_failed_health_check_is_told_in_a_sentence(result: ProbeResult, said: str) -> None:
    assert reasons.unhealthy(result, 1, given_up=False).message == said


@pytest.mark.parametrize(
    "result",
    [
        None,
        ProbeResult(ok=False, hop="connect", detail="refused"),
        ProbeResult(ok=False, hop="http", status=503, detail="Not yet."),
    ],
)
def test_a_start_that_took_too_long_names_the_setting_that_bounds_it(result: ProbeResult | None) -> None:
    for setting in ("runtime.timeouts.start", "NIMBUS_UPGRADE_TIMEOUT"):
        assert f"within 20 s ({setting})" in reasons.not_healthy(result, 20.0, 8000, setting=setting).message


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (ExitStatus(137, 9, out_of_memory=True), "out-of-memory", "more memory than its limit and was killed while"),
        (ExitStatus(out_of_memory=True), "out-of-memory", "more memory than its limit"),
        (ExitStatus(137, 9), "exited", "was ended by signal SIGKILL while it was running."),
        (ExitStatus(143, 15), "exited", "was ended by signal SIGTERM"),
        (ExitStatus(3), "exited", "ended with exit code 3 while it was running."),
        (
            ExitStatus(3, out_of_memory=True),
            "exited",
            "exit code 3, after a process of its own had been killed for lack of memory, while it was running.",
        ),
        (None, "vanished", "was removed from outside"),
    ],
)
def test_ends_are_told_apart(status: ExitStatus | None, code: str, words: str) -> None:
    reason = reasons.ended(status, after_ready=True, port=8000)
    assert (reason.code, reason.hop) == (code, "exit")
    assert words in reason.message
    from_outside = "signal SIGKILL" in reason.message or "signal SIGTERM" in reason.message
    assert ("disable the plugin to have it stay stopped" in (reason.hint or "")) is from_outside
    assert ("runs out of memory" in (reason.hint or "")) is ("signal SIGKILL" in reason.message)
    assert ("NIMBUS_MAX_MEMORY" in (reason.hint or "")) is (status is not None and status.out_of_memory)


def test_a_plugin_that_is_given_up_is_told_with_how_often_it_failed() -> None:
    said = reasons.unhealthy(ProbeResult(ok=False, status=503), 3, given_up=True).message
    assert said == "The plugin's health check failed 3 times in a row: it answered 503; it is started again."
