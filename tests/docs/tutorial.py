"""Pages whose fenced blocks can be carried out, and the terminal that does it."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.embedded import PASSWORD, Embedded
from tests.support.engine import ROOT

TUTORIAL = ROOT / "docs" / "tutorial" / "first-plugin.md"

_FENCE = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]*)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its title and its text. `line` is where it begins on the page."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    assert text.count("\n```") == 2 * len(_FENCE.findall(text)), f"a fence of {page.name} is not understood"
    return [
        Block(found["language"], found["title"] or "", found["text"], text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


class Session:
    """The newcomer's second terminal."""

    def __init__(self, checkout: Path, nimbus: Embedded) -> None:
        self.done: set[str] = set()
        self._checkout = checkout
        self._nimbus = nimbus
        self._prelude = ""
        self._output = ""

    def carry_out(self, block: Block) -> None:
        """Do what a block says; fails with the block's place on the page."""
        match block.language, block.title:
            case "sh", "first terminal":
                assert block.text == "make run\n"
                self.done.add("make run")
            case "sh", "second terminal":
                self._prelude = self._with_this_nimbus(block.text)
                self.done.add("prelude")
            case "sh", "" | "fails":
                self._run(block, fails=block.title == "fails")
            case "text", "output":
                assert block.text.strip() in self._output, f"line {block.line}: the output was\n{self._output}"
                self.done.add("output")
            case "json", "answer":
                assert json.loads(self._output) == json.loads(block.text), f"line {block.line}: {self._output}"
                self.done.add("answer")
            case _, path if path.startswith("plugins/"):
                file = self._checkout / path
                assert file.is_file(), f"line {block.line}: {path} is not one that `nimbus plugin new` made"
                file.write_text(block.text, encoding="utf-8")
                self.done.add("file")
            case language, title:
                pytest.fail(f"line {block.line}: nobody knows what to do with a {language} block titled {title!r}")

    def _with_this_nimbus(self, prelude: str) -> str:
        text, urls = re.subn(r"NIMBUS_URL=\S+", f"NIMBUS_URL={self._nimbus.url}", prelude)
        text, passwords = re.subn(r"NIMBUS_PASSWORD='[^']*'", f"NIMBUS_PASSWORD='{PASSWORD}'", text)
        assert (urls, passwords) == (1, 1)
        return text

    def _run(self, block: Block, *, fails: bool) -> None:
        done = subprocess.run(
            ["bash", "-c", f"{self._prelude}\nset -euo pipefail\n{block.text}"],
            cwd=self._checkout,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self._output = done.stdout
        said = f"line {block.line}: {block.text}ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert (done.returncode != 0) is fails, said
        self.done.add("refusal" if fails else "command")
