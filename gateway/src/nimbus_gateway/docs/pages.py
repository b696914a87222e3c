"""Serves the documentation page and its two files."""

from importlib.resources import files

from fastapi import APIRouter, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FOLDER = files(__package__) / "static"
_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "docs.css": "text/css",
}
_CONTENT = {name: (_FOLDER / name).read_bytes() for name in _TYPES}

router = APIRouter(include_in_schema=False)


def _answer(name: str) -> Response:
    headers = {"content-type": _TYPES[name], "content-security-policy": POLICY, "cache-control": "no-cache"}
    return Response(_CONTENT[name], headers=headers)


@router.get("/api/docs")
async def docs_page() -> Response:
    """The page."""
    return _answer("index.html")


@router.get("/api/docs/docs.js")
async def docs_script() -> Response:
    """Its script."""
    return _answer("docs.js")


@router.get("/api/docs/docs.css")
async def docs_style() -> Response:
    """Its style."""
    return _answer("docs.css")
