"""The outermost application: what gets a line in the access log."""

import logging

import pytest
from nimbus_gateway.access_log import NAME, AccessLog
from nimbus_gateway.edge import Edge
from nimbus_gateway.settings import Settings

pytestmark = pytest.mark.anyio


async def logged(tmp_path, path, status, listener="public"):
    """The lines that one request leaves, on the level that is usual."""
    lines = []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ignore(_message):
        """The client."""

    log = AccessLog(Settings(data_dir=tmp_path, log_format="json"), lines.append)
    before = logging.getLogger(NAME).level
    logging.getLogger(NAME).setLevel(logging.INFO)
    try:
        await Edge(app, log, listener=listener)(
            {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "state": {}}, None, ignore
        )
        log.flush()
    finally:
        logging.getLogger(NAME).setLevel(before)
    return lines


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/readyz", 503)])
async def test_what_is_asked_every_few_seconds_leaves_no_line(tmp_path, path, status):
    assert await logged(tmp_path, path, status) == []


@pytest.mark.parametrize(("path", "status"), [("/readyz", 500), ("/api/session", 200), ("/api/session", 503)])
async def test_everything_else_leaves_one(tmp_path, path, status):
    (line,) = await logged(tmp_path, path, status)
    assert f'"status": {status}' in line


async def test_a_scrape_leaves_no_line_and_what_fails_beside_it_does(tmp_path):
    assert await logged(tmp_path, "/internal/v1/probe", 503, listener="management") != []
    assert await logged(tmp_path, "/metrics", 200, listener="management") == []
