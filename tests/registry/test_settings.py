"""What an operator may have misspelt is said at the start."""

from pathlib import Path

import pytest
from nimbus_registry.settings import RegistrySettings
from pydantic import ValidationError


@pytest.mark.parametrize("memory", ["0", "5m", "1b", "lots"])
def test_no_limit_is_not_a_limit(memory: str) -> None:
    with pytest.raises(ValidationError, match="max_memory"):
        RegistrySettings(max_memory=memory)
    assert RegistrySettings(max_memory="6m").max_memory_bytes == 6 * 1024**2


def test_logins_are_a_file_with_an_object(tmp_path: Path) -> None:
    there = tmp_path / "config.json"
    assert RegistrySettings(image_credentials_file=there).image_credentials_file == there
    with pytest.raises(ValidationError, match="Is a directory"):
        RegistrySettings(image_credentials_file=tmp_path)
    there.write_text("auths: none")
    with pytest.raises(ValidationError, match="docker login"):
        RegistrySettings(image_credentials_file=there)
    there.write_text('{"auths": {}}')
    assert RegistrySettings(image_credentials_file=there).image_credentials_file == there
