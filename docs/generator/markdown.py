"""The little Markdown that the generated pages are made of."""

from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `make docs`. Change the code it comes from, not this page. -->"


def cell(text: str) -> str:
    """Text fit for a table: one line, no bar that ends the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, as lines."""
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    return [*lines, *(f"| {' | '.join(cell(value) for value in row)} |" for row in rows)]


def code(text: str) -> str:
    """Inline code; nothing for an empty text."""
    return f"`{text}`" if text else ""


def anchor(title: str) -> str:
    """The address of a heading within its page, as GitHub and MkDocs make it for plain titles."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")
