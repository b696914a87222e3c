"""What a backup file is refused for, byte by byte. No gateway needed."""

import hashlib
import io
import json
import tarfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nimbus_gateway.backups.file import Part, Spool, file_chunks, file_size, sums, with_sums
from nimbus_gateway.backups.verify import Verified, kv_entries, verified
from nimbus_gateway.core.kv.service import KvLimits
from nimbus_gateway.errors import BackupRefusedError, QuotaExceededError
from nimbus_sdk.contracts.archive import END, ArchiveError, ArchiveReader, Entry, header, name_problem, padding

from tests.gateway.support import manifest

LIMITS = KvLimits(keys=100, size=10_000)
LEFT = b'{"count": 0, "names": []}'


def data(*entries: tuple[Entry, bytes], end: bytes = END) -> bytes:
    whole = [(Entry("data", folder=True), b""), *entries, (Entry("left-out.json", len(LEFT)), LEFT)]
    return b"".join(header(entry) + content + padding(len(content)) for entry, content in whole) + end


def head(**changes: Any) -> bytes:
    document = {
        "format": 1,
        "pluginId": "hello",
        "name": "Hello",
        "version": "1.0.0",
        "createdAt": "2026-11-26T21:00:00Z",
        "nimbus": "0.1.0",
        "source": "folder:hello",
        "manifest": manifest("hello").wire(),
        "data": True,
    }
    return json.dumps({**document, **changes}).encode()


def parts(**changes: bytes) -> list[Part]:
    found = {
        "backup.json": head(),
        "settings.json": b'{"greeting": "Hi"}',
        "kv.jsonl": b'{"key":"a","value":1}\n{"key":"b/c","value":null}\n',
        "data.tar": data((Entry("data/notes.txt", 5), b"notes")),
    } | {name.replace("_", "."): text for name, text in changes.items()}
    return [Part(name, text) for name, text in found.items() if text]


def whole(*given: Part, summed: bool = True) -> bytes:
    chosen = list(given) or parts()
    return b"".join(file_chunks(with_sums(chosen) if summed else chosen, 1_800_000_000))


def checked(text: bytes) -> Verified:
    return verified(io.BytesIO(text), "hello", LIMITS)


def refusal(text: bytes) -> str:
    with pytest.raises(BackupRefusedError) as caught:
        checked(text)
    assert str(caught.value.detail).endswith("Nothing was changed.")
    return str(caught.value.detail)


def test_a_whole_one_is_read() -> None:
    text = whole()
    assert len(text) == file_size(with_sums(parts()))
    found = checked(text)
    assert (found.head.version, found.settings, found.keys) == ("1.0.0", {"greeting": "Hi"}, 2)
    assert (found.files, found.data_bytes) == (1, 5)
    entries = [(entry.key, entry.value) for entry in kv_entries(io.BytesIO(text), found.kv)]
    assert entries == [("a", 1), ("b/c", None)]
    with tarfile.open(fileobj=io.BytesIO(text)) as plain:
        listed = plain.extractfile("SHA256SUMS")
        assert listed is not None
        assert hashlib.sha256(head()).hexdigest().encode() in listed.read()


WHOLE = whole()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(place: int, change: int) -> None:
    text = bytearray(WHOLE)
    text[place] ^= change
    refusal(bytes(text))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_one_that_ends_too_early_is_found(length: int) -> None:
    refusal(WHOLE[:length])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3000))
def test_noise_is_refused_in_words(text: bytes) -> None:
    refusal(text)


def test_something_after_the_end_is_found() -> None:
    assert "after its end" in refusal(WHOLE + b"\0")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backup_json": head(pluginId="other")}, "of the plugin 'other'"),
        ({"backup_json": head(format=2)}, "format is 2"),
        ({"backup_json": head(version=None)}, "wrong at version"),
        ({"backup_json": b"{"}, "no JSON"),
        ({"data_tar": b""}, "differ about whether there are data"),
        ({"settings_json": b"[]"}, "no object"),
        ({"settings_json": b'{"a": NaN}'}, "no number"),
        ({"settings_json": b'{"a b": 1}'}, "impossible name"),
        ({"settings_json": b'{"a": "\\u0000"}'}, "cannot be kept"),
        ({"kv_jsonl": b'{"key":"b","value":1}\n{"key":"a","value":1}\n'}, "not in order"),
        ({"kv_jsonl": b'{"key":"a","value":1}\n{"key":"a","value":1}\n'}, "there twice"),
        ({"kv_jsonl": b'{"key":"../a","value":1}\n'}, "wrong at key"),
        ({"kv_jsonl": b'{"key":"a","value":1}'}, "does not end"),
        ({"unknown_bin": b"x"}, "'unknown.bin' is not expected there"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, bytes], words: str) -> None:
    assert words in refusal(whole(*parts(**changes)))


def raw(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content), link
    return info.tobuf(tarfile.GNU_FORMAT) + content + padding(len(content))


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (raw("data/../../etc/cron.d/x", content=b"x"), "not a plain path"),
        (raw("/etc/passwd", content=b"x"), "not a relative path"),
        (raw("data/./x", content=b"x"), "not a plain path"),
        (raw("data//x", content=b"x"), "not a plain path"),
        (raw("other/x", content=b"x"), "in no folder"),
        (raw("data/none/x", content=b"x"), "in no folder"),
        (raw("data/x", content=b"1") + raw("data/x", content=b"2"), "there twice"),
        (raw("data/x", content=b"1") + raw("data/x/y", content=b"2"), "in no folder"),
        (raw("data/x", tarfile.SYMTYPE, link="/etc/passwd"), "neither a file nor a folder"),
        (raw("data/x", tarfile.LNKTYPE, link="data/y"), "neither a file nor a folder"),
        (raw("data/x", tarfile.CHRTYPE), "neither a file nor a folder"),
        (raw("data/x", tarfile.BLKTYPE), "neither a file nor a folder"),
        (raw("data/x", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (raw("data/x", tarfile.GNUTYPE_SPARSE), "neither a file nor a folder"),
        (raw("data/x", tarfile.CONTTYPE), "neither a file nor a folder"),
        (raw("data/x", tarfile.XHDTYPE, b"25 path=../../../etc/passwd\n"), "neither a file nor a folder"),
        (raw("././@LongLink", tarfile.GNUTYPE_LONGNAME, b"x" * 9000), "name is too long"),
    ],
)
def test_hostile_entries_are_refused(inside: bytes, words: str) -> None:
    text = header(Entry("data", folder=True)) + inside + END
    assert words in refusal(whole(*parts(data_tar=text)))


def test_a_claimed_size_is_not_believed() -> None:
    text = header(Entry("data", folder=True)) + header(Entry("data/x", 2**40)) + END
    assert "ends too early" in refusal(whole(*parts(data_tar=text)))
    reader = ArchiveReader(io.BytesIO(header(Entry("x", 2**40))), most_bytes=1000)
    with pytest.raises(ArchiveError, match="more than 1000 bytes"):
        list(reader)


def test_too_many_entries_are_refused() -> None:
    text = b"".join(header(Entry(f"{number}")) for number in range(5)) + END
    with pytest.raises(ArchiveError, match="more than 4 entries"):
        list(ArchiveReader(io.BytesIO(text), most_entries=4))


def test_checksums_are_compared() -> None:
    lying = [*parts(), Part("SHA256SUMS", sums([(part.name, "0" * 64) for part in parts()]))]
    assert "checksum of backup.json" in refusal(whole(*lying, summed=False))
    assert "not all of its entries" in refusal(whole(*parts(), summed=False))


def test_more_keys_than_may_be_kept_are_refused() -> None:
    lines = b"".join(json.dumps({"key": f"k{number:04}", "value": 1}).encode() + b"\n" for number in range(101))
    with pytest.raises(QuotaExceededError, match="100 entries"):
        checked(whole(*parts(kv_jsonl=lines)))
    large = json.dumps({"key": "a", "value": "x" * 10_001}).encode() + b"\n"
    with pytest.raises(QuotaExceededError, match="10000 bytes"):
        checked(whole(*parts(kv_jsonl=large)))


@given(st.text(max_size=40).filter(lambda name: name_problem(name) is None and "/" not in name))
def test_every_name_that_is_allowed_comes_back(name: str) -> None:
    text = header(Entry(name, 3)) + b"abc" + padding(3) + END
    reader = ArchiveReader(io.BytesIO(text))
    assert [(entry.name, reader.content(10)) for entry in reader] == [(name, b"abc")]


def test_a_spool_knows_what_is_in_it() -> None:
    spool = Spool(io.BytesIO())
    for piece in (b"ab", b"", b"c"):
        spool.write(piece)
    assert (spool.size, spool.sha256) == (3, hashlib.sha256(b"abc").hexdigest())
    assert b"".join(spool.chunks()) == b"abc"
