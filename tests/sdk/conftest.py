import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nimbus_sdk import Plugin

BASE: dict[str, Any] = {
    "manifestVersion": 1,
    "id": "sample",
    "name": "Sample",
    "version": "1.2.3",
    "runtime": {"process": {"command": ["python", "-m", "sample"]}},
    "permissions": ["media:read", "media:write"],
    "routes": [
        {"path": "/open", "auth": "none"},
        {"path": "/mine", "auth": "session"},
        {"path": "/items/{id}", "methods": ["GET", "PUT"], "auth": "apikey", "scopes": ["sample:read"]},
        {"path": "/admin/{rest:path}", "methods": ["*"], "auth": "session", "role": "admin"},
    ],
    "settings": {
        "type": "object",
        "properties": {"limit": {"type": "integer", "default": 3, "minimum": 1}, "token": {"type": "string"}},
    },
}

MakePlugin = Callable[..., Plugin]


@pytest.fixture
def make_plugin(tmp_path: Path) -> MakePlugin:
    """A plugin with the sample manifest, changed by keyword."""

    def make(**changes: Any) -> Plugin:
        path = tmp_path / "manifest.json"
        path.write_text(json.dumps({**BASE, **changes}))
        return Plugin("sample", manifest=path)

    return make
