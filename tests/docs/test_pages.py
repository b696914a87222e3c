"""Generated pages are fresh, links lead somewhere, pictures are small."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from nimbus_gateway.plugins.ui_assets import MAX_BYTES, MAX_FILES
from nimbus_gateway.proxy.gates import MAX_CONCURRENT, MAX_QUEUED, MAX_UPLOADS
from nimbus_gateway.proxy.held import HELD_SECONDS, MOST_HELD
from nimbus_registry.catalog.risk import HIGH, LIMIT, MEDIUM, RULES
from nimbus_registry.lifecycle.upgrade import DRAIN_SECONDS
from nimbus_registry.store.installation import MOST_KEPT
from nimbus_sdk.cli.bundles import SHARED_MODULES

from tests.support.engine import ROOT

PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "sdk/README.md",
        *ROOT.glob("plugins/*/README.md"),
    )
    if path.is_file()
)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_MOST_BYTES = 300 * 1024


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _anchors(page: Path) -> set[str]:
    """Addresses of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for title in re.findall(r"^#{1,6} (.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        assert slug not in found, f"{_name(page)} has two headings with the address #{slug}"
        found.add(slug)
    return found


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    anchors = {page: _anchors(page)}
    for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        leads_to = (page.parent / file).resolve() if file else page
        assert leads_to.exists(), f"{_name(page)}: {target}"
        if anchor:
            anchors.setdefault(leads_to, set()).update(_anchors(leads_to))
            assert anchor in anchors[leads_to], f"{_name(page)}: {target}"


def test_pages_of_the_docs_link_within_the_docs() -> None:
    """MkDocs knows nothing outside its folder."""
    docs = ROOT / "docs"
    for page in docs.glob("**/*.md"):
        for target in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
            if not re.match(r"[a-z]+:|#", target):
                assert (page.parent / target.partition("#")[0]).resolve().is_relative_to(docs), (
                    f"{_name(page)}: {target}"
                )


def test_every_page_is_found_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        targets = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
        waiting += [(page.parent / target.partition("#")[0]).resolve() for target in targets if "://" not in target]
    written = {page for page in (ROOT / "docs").glob("**/*.md") if page.parent.name != "adr"}
    assert {_name(page) for page in written - seen} == set()


def test_generated_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_pictures_are_small() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*"))
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > _MOST_BYTES] == []


def test_the_guide_names_the_shared_modules_and_limits_of_the_code() -> None:
    guide = " ".join((ROOT / "docs" / "explanation" / "plugins.md").read_text(encoding="utf-8").split())
    assert all(f"`{name}`" in guide for name in SHARED_MODULES)
    assert f"{MAX_FILES} files and {MAX_BYTES // 2**20} MiB" in guide
    assert f"{MAX_CONCURRENT} requests at a time, of which {MAX_UPLOADS} may still be sending their body" in guide
    assert f"{MAX_QUEUED} more wait" in guide


def test_the_table_of_risks_is_the_code_s() -> None:
    text = (ROOT / "docs/howto/install-plugins.md").read_text(encoding="utf-8")
    table = text.partition("<!-- risk -->")[2].partition("<!-- end -->")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (\d+) \| (.+) \|$", table, re.MULTILINE)
    assert rows == [(rule.code, str(rule.points), rule.when) for rule in RULES]
    assert f"at most {LIMIT}. Below {MEDIUM} it is low,\nfrom {HIGH} on" in text


def test_the_guide_to_upgrades_has_the_code_s_limits() -> None:
    text = " ".join((ROOT / "docs/howto/install-plugins.md").read_text(encoding="utf-8").split())
    assert f"At most {MOST_HELD} wait per worker, each at most {HELD_SECONDS:.0f} seconds" in text
    assert f"within {DRAIN_SECONDS:.0f} seconds" in text
    assert MOST_KEPT == 5
