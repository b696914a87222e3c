"""What `nimbus backup create` says of a backup that has not everything."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from nimbus_sdk.cli import system_backup
from nimbus_sdk.contracts.system_backup import PluginInBackup, SystemBackup
from typer.testing import CliRunner

runner = CliRunner()


class Backups:
    """A Nimbus whose backup has what a test says."""

    made: SystemBackup

    def __init__(self, _: object) -> None: ...

    def make(self, _: str, **__: object) -> SystemBackup:
        return self.made

    def download(self, _: str, file: IO[bytes], **__: object) -> int:
        return file.write(b"the file")

    def delete(self, _: str) -> None: ...


@pytest.fixture
def create(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    @contextmanager
    def client() -> Iterator[None]:
        yield

    monkeypatch.setattr(system_backup, "client", client)
    monkeypatch.setattr(system_backup, "SystemBackups", Backups)
    monkeypatch.setenv("NIMBUS_BACKUP_PASSPHRASE", "a long passphrase")
    return lambda *more: runner.invoke(system_backup.app, ["create", "-o", str(tmp_path / "all.tar"), *more])


@pytest.mark.parametrize("problem", [None, "It did not stop."])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_data_that_are_missing_fail_the_command(
    create: Any, tmp_path: Path, problem: str | None, more: tuple[str, ...]
) -> None:
    films = PluginInBackup(id="films", version="1.0.0", enabled=True, data=problem is None, problem=problem)
    Backups.made = SystemBackup.model_validate(
        {"id": "b1", "origin": "made", "state": "ready", "createdAt": "2026-01-01T00:00:00Z"}
    ).model_copy(update={"plugins": [films], "remarks": ["One secret is left out."]})
    found = create(*more)
    assert found.exit_code == (1 if problem else 0), found.output
    assert (tmp_path / "all.tar").read_bytes() == b"the file"
    assert "One secret is left out." in found.output
    assert ("It did not stop." in found.output) is (problem is not None)
