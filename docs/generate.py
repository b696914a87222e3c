"""Write the reference pages that follow from the code: `python docs/generate.py`, or `make docs`.

`manifest.md`, `http-api.md` and `configuration.md` are written whole; in `sdk.md` only the signatures between
`<!-- signatures … -->` and `<!-- end -->`. With `--check` nothing is written, and the exit status is 1 when a page
is stale.
"""

# ruff: noqa: INP001 - a script beside the pages, not a module of a package

import argparse
import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
REFERENCE = DOCS / "reference"

# What the settings and the API say must not depend on the environment of whoever runs this.
for name in [key for key in os.environ if key.startswith("NIMBUS_")]:
    del os.environ[name]
sys.path.insert(0, str(DOCS))

from generator import configuration, http_api, manifest, sdk  # noqa: E402 - after the environment is clean


def pages() -> dict[Path, str]:
    """Every generated page with the text it should have."""
    sdk_page = REFERENCE / "sdk.md"
    return {
        REFERENCE / "manifest.md": manifest.page(REFERENCE / "manifest.schema.json"),
        REFERENCE / "http-api.md": http_api.page(),
        REFERENCE / "configuration.md": configuration.page(ROOT),
        sdk_page: sdk.with_signatures(sdk_page.read_text(encoding="utf-8")),
    }


def stale() -> list[Path]:
    """Pages whose text is not what the code says."""
    return [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Write the generated reference pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    if parser.parse_args().check:
        found = stale()
        for path in found:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run `make docs`\n")
        return 1 if found else 0
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
