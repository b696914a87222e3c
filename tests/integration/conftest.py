"""The compose stack that integration tests share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.compose import ComposeStack
from tests.support.engine import ROOT, BaseImages


@pytest.fixture(scope="session")
def plugin_folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugins of the compose stack: `hello`, one without the SDK, one that attacks, and those that tests add."""
    folder = tmp_path_factory.mktemp("compose") / "plugins"
    leave_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "plugins" / "hello", folder / "hello", ignore=leave_out)
    for fixture in ("hello-node", "hostile"):
        shutil.copytree(ROOT / "tests" / "fixtures" / "plugins" / fixture, folder / fixture, ignore=leave_out)
    return folder


@pytest.fixture(scope="session")
def stack(docker_host: str, base_images: BaseImages, plugin_folders: Path) -> Iterator[ComposeStack]:
    """One compose stack that all tests share; none of them leaves a plugin enabled."""
    stack = ComposeStack(docker_host, base_images, plugins=plugin_folders)
    try:
        stack.up()
        yield stack
    finally:
        stack.discard()


@pytest.fixture
def admin(stack: ComposeStack) -> Iterator[Api]:
    """A client of the stack that is signed in as administrator."""
    with stack.api() as api:
        yield api
