"""Copies of a plugin's folder, one a version."""

import json
import os
from pathlib import Path

import pytest
from nimbus_registry.runtime import source_copies
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.source_copies import SourceCopies, version_in


def lay(folder: Path, version: str, program: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({"version": version}))
    (folder / "server.py").write_text(program or f"print({version!r})")
    return folder


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return lay(tmp_path / "plugin", "1.0.0")


@pytest.fixture
def copies(tmp_path: Path) -> SourceCopies:
    return SourceCopies(tmp_path / "versions")


def test_the_folder_is_what_its_own_version_runs_from(copies: SourceCopies, live: Path) -> None:
    copies.keep("1.0.0", live)
    assert copies.source_of("1.0.0", live) == live


def test_another_version_runs_from_its_copy(copies: SourceCopies, live: Path) -> None:
    copies.keep("1.0.0", live)
    lay(live, "2.0.0")
    source = copies.source_of("1.0.0", live)
    assert source != live
    assert (source / "server.py").read_text() == "print('1.0.0')"
    assert version_in(source) == "1.0.0"


def test_without_a_copy_it_is_said_what_the_folder_holds(copies: SourceCopies, live: Path) -> None:
    with pytest.raises(RuntimeFailure, match=r"holds version 1\.0\.0, and nothing of 0\.9\.0 is kept"):
        copies.source_of("0.9.0", live)


def test_a_folder_that_says_no_version_is_taken_as_it_is(copies: SourceCopies, live: Path) -> None:
    (live / "manifest.json").write_text("{")
    assert copies.source_of("1.0.0", live) == live


def test_a_copy_follows_its_version_and_no_other(copies: SourceCopies, live: Path) -> None:
    copies.keep("1.0.0", live)
    lay(live, "1.0.0", "print('mended')")
    copies.keep("1.0.0", live)
    lay(live, "2.0.0")
    copies.keep("1.0.0", live)
    assert (copies.source_of("1.0.0", live) / "server.py").read_text() == "print('mended')"


def test_what_is_made_anew_is_left_out_and_links_stay_links(copies: SourceCopies, live: Path, tmp_path: Path) -> None:
    (live / "node_modules").mkdir()
    (live / "node_modules" / "large.js").write_text("1")
    (live / "elsewhere").symlink_to(tmp_path)
    copies.keep("1.0.0", live)
    lay(live, "2.0.0")
    source = copies.source_of("1.0.0", live)
    assert sorted(path.name for path in source.iterdir()) == ["elsewhere", "manifest.json", "server.py"]
    assert (source / "elsewhere").is_symlink()


def test_a_large_folder_is_not_copied(
    copies: SourceCopies, live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_copies, "MOST_BYTES", 10)
    copies.keep("1.0.0", live)
    assert not (tmp_path / "versions").exists()


def test_the_oldest_copies_go(copies: SourceCopies, live: Path, tmp_path: Path) -> None:
    for number in range(source_copies.MOST_KEPT + 2):
        lay(live, f"1.0.{number}")
        copies.keep(f"1.0.{number}", live)
        os.utime(tmp_path / "versions" / f"1.0.{number}", (number, number))
    lay(live, "2.0.0")
    copies.keep("2.0.0", live)
    kept = sorted(path.name for path in (tmp_path / "versions").iterdir())
    assert len(kept) == source_copies.MOST_KEPT
    assert {"2.0.0", "1.0.7"} <= set(kept)
    assert "1.0.0" not in kept
