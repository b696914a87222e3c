"""The call of the core that the doctor makes: which hop fails is told apart."""

import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from nimbus_registry.runtime import core_call
from nimbus_registry.runtime.core_reach import reach_of


class _Core(http.server.BaseHTTPRequestHandler):
    status = HTTPStatus.OK

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == core_call.PATH else HTTPStatus.IM_A_TEAPOT)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def core() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Core) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_core_that_answers(core: str) -> None:
    assert core_call.call_core(core) == {"ok": True, "hop": "http", "detail": None}


def test_as_a_program_of_its_own(core: str) -> None:
    """Docker runs the text of the file with nothing else at hand."""
    done = subprocess.run(
        [sys.executable, "-I", core_call.__file__, core], capture_output=True, check=True, timeout=20
    )
    assert reach_of(core, done.stdout.decode()).ok


def test_a_core_that_refuses(core: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Core, "status", HTTPStatus.SERVICE_UNAVAILABLE)
    found = reach_of(core, json.dumps(core_call.call_core(core)))
    assert (found.ok, found.hop, found.detail) == (False, "http", "GET /core/v1/keys answered 503")


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = reach_of("x", json.dumps(core_call.call_core(f"http://127.0.0.1:{port}")))
    assert (found.ok, found.hop) == (False, "connect")


def test_an_unknown_name() -> None:
    assert core_call.call_core("http://nowhere.invalid:8081")["hop"] == "dns"


@pytest.mark.parametrize("said", ["", "not json", "[]", "{}", '{"ok": true}'])
def test_anything_else_that_is_printed_is_no_result(said: str) -> None:
    assert reach_of("http://core", said).hop == "untried"
