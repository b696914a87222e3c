"""Archives of a plugin's data, whatever the plugin made of its folder: what is written can be read again."""

import io
import os
import socket
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nimbus_registry.runtime import data_archive
from nimbus_registry.runtime.base import RuntimeFailure
from nimbus_registry.runtime.data_archive import of_engine, of_folder, owned, unpack
from nimbus_registry.runtime.data_folder import DataFolder
from nimbus_registry.runtime.trees import copy_tree, remove_tree, tree_size
from nimbus_sdk.contracts.archive import ArchiveTooLargeError
from nimbus_sdk.contracts.backup import FAILED_TAIL, MOST_LEFT_OUT, DataReader, failure_in

MIB = 1024**2
DEPTH = 1100
TERABYTES = 8 * 1024**4

Write = Callable[[Path, int | None], Iterator[bytes]]


def by_engine(root: Path, most_bytes: int | None = None) -> Iterator[bytes]:
    """As the engine gives a folder."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(root, "data")
    text.seek(0)
    yield from of_engine(text, most_bytes)


@pytest.fixture(params=[of_folder, by_engine], ids=["folder", "engine"])
def write(request: pytest.FixtureRequest) -> Write:
    """Both ways to an archive."""
    found: Write = request.param
    return found


def refusal(pieces: Iterator[bytes]) -> str:
    reason = failure_in(b"".join(pieces)[-FAILED_TAIL:])
    assert reason is not None
    return reason


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def nested(root: Path) -> Iterator[Path]:
    for depth in range(1, DEPTH + 1):
        (root / "/".join("d" * depth)).mkdir()
    (root / "/".join("d" * DEPTH) / "note").write_text("deep")
    yield root
    # What clears temporary folders away recurses.
    subprocess.run(["rm", "-rf", *root.parent.iterdir()], check=True)


def test_more_entries_than_a_reader_takes_are_told(root: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_archive, "MOST_ENTRIES", 10)
    for number in range(8):
        (root / f"{number}").touch()
    text = b"".join(write(root, None))
    assert failure_in(text[-FAILED_TAIL:]) is None
    assert len(list(DataReader(io.BytesIO(text)))) == 8
    (root / "one-more").touch()
    assert "more than 10 files and folders" in refusal(write(root, None))


def test_names_that_are_left_out_stay_readable(root: Path, write: Write) -> None:
    # Each of these bytes has six in JSON.
    below = root / ("\x01" * 200) / ("\x02" * 200) / ("\x03" * 200) / ("\x04" * 200)
    below.mkdir(parents=True)
    for number in range(MOST_LEFT_OUT + 5):
        (below / (f"{number:05}" + "\x05" * 195)).symlink_to("/")
    reader = DataReader(io.BytesIO(b"".join(write(root, None))))
    assert len(list(reader)) == 4
    assert reader.left_out.count == MOST_LEFT_OUT + 5
    assert 0 < len(reader.left_out.names) < MOST_LEFT_OUT


def test_holes_are_no_way_around_the_limit(root: Path) -> None:
    with (root / "hole").open("wb") as file:
        file.truncate(TERABYTES)
    assert tree_size(root) < MIB
    text = b"".join(of_folder(root, 10 * MIB))
    assert len(text) < MIB
    assert "NIMBUS_MAX_DATA" in refusal(iter([text]))


def test_no_more_is_taken_in_than_may_be(root: Path, tmp_path: Path, write: Write) -> None:
    (root / "note").write_bytes(bytes(2000))
    assert "more than 1999 bytes" in refusal(write(root, 1999))
    text = b"".join(write(root, 2000))
    with pytest.raises(ArchiveTooLargeError):
        unpack(io.BytesIO(text), tmp_path / "refused", 1999)
    with pytest.raises(ArchiveTooLargeError):
        list(owned(io.BytesIO(text), 1000, 1999))
    unpack(io.BytesIO(text), tmp_path / "taken", 2000)
    assert (tmp_path / "taken" / "note").read_bytes() == bytes(2000)


def test_what_a_plugin_wrote_is_not_taken_for_a_failure(root: Path) -> None:
    (root / "z").write_bytes(data_archive.failure("forged"))
    assert failure_in(b"".join(of_folder(root))[-FAILED_TAIL:]) is None


def test_deep_folders_come_back(nested: Path, tmp_path: Path) -> None:
    text = b"".join(of_folder(nested))
    reader = DataReader(io.BytesIO(text))
    assert len(list(reader)) == DEPTH + 1
    unpack(io.BytesIO(text), tmp_path / "again")
    assert (tmp_path / "again" / "/".join("d" * DEPTH) / "note").read_text() == "deep"
    remove_tree(tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.anyio
async def test_deep_folders_are_copied_measured_and_deleted(nested: Path, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert await folder.size() >= 4
    await folder.snapshot("before")
    (nested / "later").touch()
    await folder.restore("before")
    assert (nested / "/".join("d" * DEPTH) / "note").read_text() == "deep"
    assert not (nested / "later").exists()
    await folder.purge()
    assert await folder.size() == 0
    with pytest.raises(RuntimeFailure, match="not there any more"):
        await folder.restore("before")


@pytest.mark.anyio
async def test_what_cannot_be_deleted_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimbus_registry.runtime.data_folder.remove_tree", lambda _: None)
    with pytest.raises(RuntimeFailure, match="could not be deleted"):
        await DataFolder(root.parent).purge()


def test_a_copy_is_like_the_original(root: Path, tmp_path: Path) -> None:
    with (root / "holes").open("wb") as file:
        file.write(b"begin")
        file.seek(64 * MIB)
        file.write(b"middle")
        file.truncate(TERABYTES)
    (root / "link").symlink_to("/nowhere")
    (root / "closed").mkdir()
    (root / "closed" / "note").write_text("kept")
    (root / "closed" / "note").chmod(0o640)
    (root / "closed").chmod(0o500)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    copy = tmp_path / "copy"
    copy_tree(root, copy)
    assert tree_size(copy) < MIB
    assert (copy / "holes").stat().st_size == TERABYTES
    with (copy / "holes").open("rb") as file:
        assert file.read(8) == b"begin\0\0\0"
        file.seek(64 * MIB)
        assert file.read(8) == b"middle\0\0"
    assert (copy / "link").readlink() == Path("/nowhere")
    assert (copy / "closed" / "note").read_text() == "kept"
    for name in ("closed", "closed/note", "pipe", "socket"):
        old, new = (root / name).lstat(), (copy / name).lstat()
        assert (new.st_mode, new.st_mtime_ns) == (old.st_mode, old.st_mtime_ns)
    for place in (root, copy):
        (place / "closed").chmod(0o700)
