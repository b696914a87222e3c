"""The pure readings of what an engine says."""

import io
import struct

import pytest
from nimbus_registry.runtime.advisories import advisories
from nimbus_registry.runtime.base import ExitStatus, RuntimeEvent
from nimbus_registry.runtime.containers import run_of
from nimbus_registry.runtime.docker_logs import read_lines
from nimbus_registry.runtime.docker_observe import container_stats, exit_status, hint_of, observation
from nimbus_registry.runtime.images import pinned, progress_lines


@pytest.mark.parametrize(
    ("version", "named"),
    [
        ("20.10.24+dfsg1", ["CVE-2024-29018", "CVE-2025-54410"]),
        ("23.0.10", ["CVE-2024-29018", "CVE-2025-54410"]),
        ("23.0.11", ["CVE-2025-54410"]),
        ("24.0.9", ["CVE-2024-29018", "CVE-2025-54410"]),
        ("25.0.4", ["CVE-2024-29018", "CVE-2025-54410"]),
        ("25.0.5", ["CVE-2025-54410"]),
        ("25.0.13", []),
        ("26.0.1", ["CVE-2024-32473", "CVE-2025-54410"]),
        ("26.0.2", ["CVE-2025-54410"]),
        ("27.5.1", ["CVE-2025-54410"]),
        ("28.0.0", []),
        ("29", []),
        ("", ["CVE-2024-29018", "CVE-2025-54410"]),
    ],
)
def test_old_engines(version: str, named: list[str]):
    assert [one.cve for one in advisories(version)] == named


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"ExitCode": 0}, ExitStatus(0, None)),
        ({"ExitCode": 3}, ExitStatus(3, None)),
        ({"ExitCode": 137, "OOMKilled": False}, ExitStatus(137, 9)),
        ({"ExitCode": 137, "OOMKilled": True}, ExitStatus(137, 9, out_of_memory=True)),
        ({"ExitCode": 143}, ExitStatus(143, 15)),
        ({"ExitCode": 255}, ExitStatus(255, None)),
    ],
)
def test_ends(state: dict, expected: ExitStatus):
    assert exit_status(state) == expected


def container(*, running: bool = True, address: str = "10.213.0.2") -> dict:
    return {
        "Id": "0123456789abcdef",
        "State": {"Running": running, "ExitCode": 0, "StartedAt": "2026-01-02T03:04:05.123456789Z"},
        "Config": {
            "Labels": {"io.nimbus.plugin": "sample", "io.nimbus.spec-hash": "h", "io.nimbus.port": "8000"},
        },
        "NetworkSettings": {"Networks": {"test-plugin-sample": {"NetworkID": "n1", "IPAddress": address}}},
    }


@pytest.mark.parametrize(
    ("gateways", "linked"), [([], True), ([{"n1"}], True), ([{"n1", "n2"}, {"n2"}], False), ([set()], False)]
)
def test_a_plugin_is_linked_when_every_gateway_is_on_its_network(gateways: list[set[str]], linked: bool):
    assert observation("test", container(), gateways).linked is linked


def test_a_plugin_that_fell_off_its_network_is_not_linked():
    facts = container()
    facts["NetworkSettings"]["Networks"] = {}
    found = observation("test", facts, [])
    assert (found.linked, found.upstream) == (False, None)


def test_observed_containers():
    found = observation("test", container(), [])
    assert found.upstream is not None
    assert (found.plugin_id, found.phase, found.spec_hash) == ("sample", "running", "h")
    assert (found.upstream.host, found.upstream.port) == ("10.213.0.2", 8000)
    assert found.started_at is not None
    assert found.started_at.isoformat() == "2026-01-02T03:04:05+00:00"
    assert observation("test", container(address=""), []).upstream is None
    ended = observation("test", container(running=False), [])
    assert (ended.phase, ended.upstream, ended.exit) == ("exited", None, ExitStatus(0))


@pytest.mark.parametrize(
    ("action", "role", "expected"),
    [
        ("start", "plugin", RuntimeEvent("sample", "started")),
        ("die", "plugin", RuntimeEvent("sample", "exited")),
        ("destroy", "plugin", RuntimeEvent("sample", "removed")),
        ("start", "gateway", RuntimeEvent("", "gateway-changed")),
        ("exec_start: true", "plugin", None),
        ("die", "helper", None),
        ("die", None, None),
    ],
)
def test_hints(action: str, role: str | None, expected: RuntimeEvent | None):
    attributes = {"io.nimbus.plugin": "sample", **({"io.nimbus.role": role} if role else {})}
    assert hint_of({"Action": action, "Actor": {"Attributes": attributes}}) == expected


def test_stats_leave_the_file_cache_out():
    facts = {
        "memory_stats": {"usage": 100, "stats": {"total_inactive_file": 30}},
        "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 3, "tx_bytes": 4}},
    }
    stats = container_stats(facts)
    assert stats is not None
    assert (stats.memory, stats.cpu_seconds, stats.network_received, stats.network_sent) == (70, 1.5, 4, 6)
    assert container_stats({"memory_stats": {}}) is None


@pytest.mark.parametrize(
    ("reference", "digests", "expected"),
    [
        ("example/a:1", ["example/a@sha256:d"], "example/a@sha256:d"),
        ("example/a:1", ["mirror/a@sha256:d"], "sha256:id"),
        ("example/a:1", [], "sha256:id"),
        ("registry.local:5000/a:1", ["registry.local:5000/a@sha256:d"], "registry.local:5000/a@sha256:d"),
    ],
)
def test_images_are_pinned(reference: str, digests: list[str], expected: str):
    assert pinned(reference, {"Id": "sha256:id", "RepoDigests": digests}) == expected


@pytest.mark.parametrize(
    ("item", "lines"),
    [
        ({"stream": "Step 1/2 : FROM x\n"}, ["Step 1/2 : FROM x"]),
        ({"stream": "\n"}, []),
        ({"stream": "one\ntwo\n"}, ["one", "two"]),
        ({"status": "Downloading", "id": "abc", "progress": "[=> ]"}, ["abc Downloading [=> ]"]),
        ({"error": "it failed\n"}, ["it failed"]),
        ({"aux": {"ID": "sha256:1"}}, []),
    ],
)
def test_progress(item: dict, lines: list[str]):
    assert progress_lines(item) == lines


def test_log_frames():
    def frame(stream: int, text: bytes) -> bytes:
        return struct.pack(">BxxxL", stream, len(text)) + text

    class Dribble(io.BytesIO):
        def read(self, amount: int | None = -1) -> bytes:
            return super().read(min(amount or 0, 3))

    at = "2026-01-02T03:04:05.000000001Z"
    data = frame(1, f"{at} out\n".encode()) + frame(2, f"{at} \xff err\r\n".encode("latin-1")) + frame(1, b"cut")[:9]
    first, second, _ = read_lines(Dribble(data), "run")
    assert (first.stream, first.text, first.at, first.cursor) == ("stdout", "out", at, f"run:{at}")
    assert (second.stream, second.text) == ("stderr", "\ufffd err")


def listed(**changes: object) -> dict:
    network = {"NetworkID": "n", "EndpointID": "e", "IPAddress": "10.0.0.2"}
    entry = {
        "Id": "a",
        "State": "running",
        "Status": "Up 2 seconds",
        "NetworkSettings": {"Networks": {"own": network}},
    }
    return {**entry, **changes}


def test_a_run_is_the_same_while_its_list_entry_is():
    run = run_of(listed())
    assert run is not None
    assert run == run_of(listed(Status="Up 3 hours"))
    for other in (
        listed(NetworkSettings={"Networks": {"own": {"NetworkID": "n", "EndpointID": "f", "IPAddress": "10.0.0.2"}}}),
        listed(NetworkSettings={"Networks": {"own": {"NetworkID": "n", "EndpointID": "e", "IPAddress": "10.0.0.3"}}}),
        listed(Labels={"more": ""}),
    ):
        assert run_of(other) not in (None, run)


@pytest.mark.parametrize(
    "entry",
    [
        listed(State="exited"),
        listed(State="paused"),
        listed(NetworkSettings={"Networks": {}}),
        listed(NetworkSettings=None),
        listed(NetworkSettings={"Networks": {"own": {"EndpointID": ""}}}),
    ],
)
def test_a_run_that_a_list_cannot_tell_from_the_next(entry: dict):
    assert run_of(entry) is None
