"""Small pure parts of sign-in, and the secrets that are kept in files."""

from datetime import UTC, datetime, timedelta

import pytest
from nimbus_gateway.auth.login_limit import WINDOW, address_subject, wait_seconds
from nimbus_gateway.auth.users import username_key
from nimbus_gateway.core.config.sealing import SealBrokenError, SecretBox
from nimbus_gateway.secret_files import read_or_create

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        ([], None),
        ([1, 2], None),
        ([1, 2, 3], WINDOW.total_seconds() - 3),
        ([1, 2, 3, 600], WINDOW.total_seconds() - 3),
        ([899.9, 2, 1], 1),
    ],
)
def test_how_long_to_wait(ages: list[float], expected: float | None):
    assert wait_seconds([NOW - timedelta(seconds=age) for age in ages], 3, NOW) == expected


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.1", "address:192.0.2.1"),
        ("::ffff:192.0.2.1", "address:192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "address:2001:db8:1:2::/64"),
        ("", "address:"),
    ],
)
def test_what_an_address_counts_as(address: str, subject: str):
    assert address_subject(address) == subject


@pytest.mark.parametrize(("one", "other"), [("Ada", "aDA"), ("ﬁn", "FIN"), ("Straße", "STRASSE"), ("é", "e\u0301")])
def test_names_that_are_the_same(one: str, other: str):
    assert username_key(one) == username_key(other)


def test_secret_files_are_made_once_and_private(tmp_path):
    path = tmp_path / "deep" / "secret"
    assert read_or_create(path, "first\n") == "first"
    assert read_or_create(path, "second\n") == "first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["secret"]


def test_sealed_secrets_open_only_in_their_place(tmp_path):
    box = SecretBox.from_file(tmp_path / "key")
    sealed = box.seal({"a": [1, None]}, "hello/token")
    assert "a" not in sealed or box.seal({"a": [1, None]}, "hello/token") != sealed
    assert SecretBox.from_file(tmp_path / "key").open(sealed, "hello/token") == {"a": [1, None]}
    for wrong in (lambda: box.open(sealed, "other/token"), lambda: box.open("AAAA", "x"), lambda: box.open("é", "x")):
        with pytest.raises(SealBrokenError):
            wrong()
    with pytest.raises(SealBrokenError):
        SecretBox.from_file(tmp_path / "another").open(sealed, "hello/token")


def test_a_damaged_key_file_is_named(tmp_path):
    (tmp_path / "key").write_text("nonsense")
    with pytest.raises(ValueError, match="holds no key"):
        SecretBox.from_file(tmp_path / "key")
