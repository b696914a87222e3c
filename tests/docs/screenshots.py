"""The pictures of README and docs, taken anew: ``python -m tests.docs.screenshots``.

They show what the tutorial makes, beside the first-party plugins, in a real embedded Nimbus. Needs Chromium and the
dashboard's Node modules.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.docs.tutorial import TUTORIAL, Session, blocks
from tests.support.embedded import PASSWORD, Embedded
from tests.support.engine import ROOT

IMAGES = ROOT / "docs" / "images"
FILMS = (("Nosferatu", 1922), ("Metropolis", 1927), ("Stalker", 1979))


def main() -> None:
    """Write every picture into ``docs/images``."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "checkout"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "plugins", checkout / "plugins", ignore=ignored)
        (checkout / ".nimbus").mkdir()
        (checkout / ".venv").symlink_to(Path(sys.prefix))
        nimbus = Embedded(Path(folder) / "data", plugins=checkout / "plugins")
        nimbus.start()
        try:
            _take(nimbus, checkout)
        finally:
            nimbus.stop()


def _take(nimbus: Embedded, checkout: Path) -> None:
    session = Session(checkout, nimbus)
    for block in blocks(TUTORIAL):
        if "/enable" in block.text:
            break
        session.carry_out(block)
    with nimbus.api() as api:
        api.enable("hello")
        api.enable("watchlist")
        for title, year in FILMS:
            added = api.post("/api/plugins/watchlist/films", json={"title": title, "year": year})
            assert added.status_code == 201, added.text
    IMAGES.mkdir(exist_ok=True)
    environment = {**os.environ, "NIMBUS_URL": nimbus.url, "NIMBUS_PASSWORD": PASSWORD, "IMAGES": str(IMAGES)}
    subprocess.run(["node", str(Path(__file__).with_suffix(".mjs"))], env=environment, check=True, timeout=180)


if __name__ == "__main__":
    main()
