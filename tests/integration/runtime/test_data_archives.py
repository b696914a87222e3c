"""The data of a plugin as an archive and back, of every runtime that keeps any."""

import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from nimbus_registry.runtime.base import Runtime, RuntimeFailure
from nimbus_registry.runtime.threads import Feed
from nimbus_sdk.contracts.archive import END, ArchiveError, Entry, header, padding
from nimbus_sdk.contracts.backup import DataReader

from tests.integration.runtime.harness import SECRETS, Harness, eventually, running, silent

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


NOTES = b"what the plugin kept"


def archive(*entries: tuple[Entry, bytes]) -> bytes:
    """An archive of data."""
    left = b'{"count": 0, "names": []}'
    whole = [(Entry("data", folder=True, mode=0o700), b""), *entries, (Entry("left-out.json", len(left)), left)]
    return b"".join(header(entry) + content + padding(len(content)) for entry, content in whole) + END


def deep() -> bytes:
    name = "data/" + "/".join(["folder-" + "x" * 60] * 3)
    parents = ["/".join(name.split("/")[: count + 2]) for count in range(3)]
    folders = [(Entry(one, folder=True, mode=0o750), b"") for one in parents]
    big = bytes(range(256)) * 4000
    return archive(
        *folders,
        (Entry(f"{name}/{'ä' * 60}.bin", len(big), mode=0o640, modified=1_700_000_000), big),
        (Entry("data/notes.txt", len(NOTES), modified=1_600_000_000), NOTES),
    )


async def pieces(text: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(text), 10_000):
        yield text[start : start + 10_000]


async def exported(runtime: Runtime, image: str | None, name: str = "backup") -> bytes:
    async with aclosing(runtime.export_copy("sample", name, image)) as found:
        return b"".join([piece async for piece in found])


def contents(text: bytes) -> dict[str, tuple[int, int, bytes]]:
    found, reader = {}, DataReader(io.BytesIO(text))
    for entry in reader:
        body = b"".join(reader.chunks())
        found[entry.name] = (entry.mode, 0 if entry.folder else entry.modified, body)
    return found


async def test_data_go_in_and_come_out_as_they_were(runtime: Runtime, harness: Harness) -> None:
    spec = harness.spec(data=True)
    await runtime.ensure(spec, SECRETS, silent)
    image = (await running(runtime)).image
    await runtime.stop("sample", 5)
    await runtime.remove("sample")
    await runtime.import_copy("sample", "incoming", Feed(pieces(deep())), image)
    await runtime.restore("sample", "incoming", image)
    await runtime.drop_snapshot("sample", "incoming")
    # The plugin's own user reads and writes what was put there.
    await runtime.ensure(spec, SECRETS, silent)
    upstream = (await running(runtime)).upstream
    assert upstream is not None
    await eventually(lambda: harness.fetch(upstream))
    await runtime.stop("sample", 5)
    await runtime.snapshot("sample", "backup", image)
    text = await exported(runtime, image)
    assert contents(text) == contents(deep())
    with tarfile.open(fileobj=io.BytesIO(text)) as plain:
        assert {one.uid for one in plain} == {0}
    await runtime.remove("sample")
    await runtime.purge_data("sample")
    with pytest.raises(RuntimeFailure, match="not there any more"):
        await exported(runtime, image)
    assert await harness.residue("sample") == []


@pytest.mark.parametrize(
    "broken",
    [
        deep()[:-600],
        deep()[:1500],
        b"",
        b"no archive at all" * 100,
        archive((Entry("data/../../../tmp/escaped", 2), b"no")),
        archive((Entry("elsewhere", 2), b"no")),
    ],
    ids=["no-end", "cut", "empty", "text", "traversal", "beside"],
)
async def test_a_broken_archive_leaves_nothing(runtime: Runtime, harness: Harness, broken: bytes) -> None:
    spec = harness.spec(data=True)
    await runtime.ensure(spec, SECRETS, silent)
    image = (await running(runtime)).image
    with pytest.raises(ArchiveError):
        await runtime.import_copy("sample", "incoming", Feed(pieces(broken)), image)
    with pytest.raises(RuntimeFailure, match="not there any more"):
        await exported(runtime, image, "incoming")
    await runtime.remove("sample")
    await runtime.purge_data("sample")
    assert await harness.residue("sample") == []
