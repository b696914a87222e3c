"""Names of files, from what strangers say. Pure."""

import re
from email.message import Message
from pathlib import Path
from urllib.parse import unquote, urlsplit

LONGEST = 200
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')


def safe_name(wanted: str) -> str:
    """A name that stays in its folder on any file system; `download` when nothing is left."""
    name = _FORBIDDEN.sub("_", wanted).strip(" .")
    while len(name.encode()) > LONGEST:
        stem, dot, ending = name.rpartition(".")
        name = f"{stem[:-1]}{dot}{ending}" if dot and len(ending) < 10 and stem else name[:-1]  # noqa: PLR2004
    return name or "download"


def name_for(url: str, disposition: str | None) -> str:
    """The file's name by `Content-Disposition` (RFC 6266), else by the last part of the address."""
    if disposition:
        message = Message()
        message["content-disposition"] = disposition
        found = message.get_filename()
        if found:
            return safe_name(found.replace("\\", "/").rpartition("/")[2])
    return safe_name(unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]))


def title_of(name: str) -> str:
    """What people call a file: without its ending, dots and underscores as spaces."""
    stem = Path(name).stem if re.search(r"\.[A-Za-z0-9]{1,5}$", name) else name
    return " ".join(re.sub(r"[._]+", " ", stem).split()) or name
