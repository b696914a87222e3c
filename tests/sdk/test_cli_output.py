"""What the command line prints of plugins' texts."""

import io

import pytest
from nimbus_sdk.cli.output import Terminal, harmless, one_line
from nimbus_sdk.nimbus_client import NimbusClient
from rich.markup import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, tab\tand äöü €", "plain, tab\tand äöü €"),
        ("\x1b[1;32mgreen\x1b[0m", "green"),
        ("\x1b[2Jcleared", r"\x1b[2Jcleared"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("over\rwritten", r"over\rwritten"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_a_terminal_obeys_nothing_of_it(text: str, shown: str) -> None:
    assert harmless(text) == shown
    printed = io.StringIO()
    Terminal(file=printed, force_terminal=True, color_system=None, soft_wrap=True).print(escape(text))
    assert printed.getvalue().rstrip("\n").expandtabs() == shown.expandtabs()


def test_a_line_of_a_log_stays_one_line() -> None:
    assert one_line("said\n2026-01-01T00:00:00 forged") == "said↵2026-01-01T00:00:00 forged"


@pytest.mark.parametrize("url", ["http://admin:secret@nimbus.local:8080", "http://admin@nimbus.local"])
def test_an_address_with_a_password_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="use a key, or sign in") as refused:
        NimbusClient(url)
    assert "secret" not in str(refused.value)
