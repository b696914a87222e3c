"""The two pictures of the report as SVG text: bars that compare, and a flame graph. Small, without scripts."""

from collections.abc import Sequence
from html import escape

from tests.bench.folded import Node

_FONT = "font-family='system-ui,sans-serif' font-size='12'"
_INK, _PAPER, _OURS, _OTHERS = "#1f2933", "#ffffff", "#3366cc", "#b8c2cc"


def bars(title: str, groups: Sequence[tuple[str, Sequence[tuple[str, float]]]], *, highlight: str) -> str:
    """Horizontal bars in groups, each group to a scale of its own; the bar named `highlight` stands out."""
    label, width, row, gap = 190, 420, 20, 34
    lines: list[str] = []
    y = 44
    for heading, entries in groups:
        lines.append(f"<text x='12' y='{y}' font-weight='600'>{escape(heading)}</text>")
        y += 10
        longest = max((value for _, value in entries), default=1.0) or 1.0
        for name, value in entries:
            colour = _OURS if name == highlight else _OTHERS
            long = max(1.0, width * value / longest)
            lines.append(
                f"<text x='{label - 8}' y='{y + 14}' text-anchor='end'>{escape(name)}</text>"
                f"<rect x='{label}' y='{y + 3}' width='{long:.1f}' height='{row - 6}' fill='{colour}'/>"
                f"<text x='{label + long + 6:.1f}' y='{y + 14}'>{value:.3g}</text>"
            )
            y += row
        y += gap - 10
    head = f"<text x='12' y='20' font-weight='600' font-size='14'>{escape(title)}</text>"
    return _document(label + width + 70, y, head + "".join(lines))


def flame(title: str, root: Node, *, width: int = 1200) -> str:
    """A flame graph: callers at the bottom, width is time. Hovering a frame names it in full."""
    row = 17
    height = root.depth() * row + 44
    shapes: list[str] = []

    def draw(node: Node, left: float, level: int) -> None:
        wide = width * node.count / root.count
        y = height - 10 - (level + 1) * row
        name = escape(node.name, quote=False)
        share = 100 * node.count / root.count
        room = int(wide / 6.4) - 1
        text = escape(node.name[:room], quote=False) if room >= 3 else ""
        shapes.append(
            f"<g><title>{name}: {share:.1f}%</title>"
            f"<rect x='{left:.1f}' y='{y}' width='{wide:.1f}' height='{row - 1}' fill='{_colour(node.name)}'/>"
            + (f"<text x='{left + 3:.1f}' y='{y + 12}'>{text}</text>" if text else "")
            + "</g>"
        )
        for child in sorted(node.children.values(), key=lambda one: one.name):
            draw(child, left, level + 1)
            left += width * child.count / root.count

    if root.count:
        draw(root, 0.0, 0)
    head = f"<text x='12' y='20' font-weight='600' font-size='14'>{escape(title)}</text>"
    return _document(width, height, f"{head}<g font-size='10.5'>{''.join(shapes)}</g>")


def _colour(frame: str) -> str:
    """The gateway's own frames stand out; libraries keep one colour each."""
    if "nimbus_gateway/" in frame:
        return "#f2a65a"
    for part, colour in (
        ("structlog", "#c9b6e4"),
        ("logging", "#c9b6e4"),
        ("json", "#c9b6e4"),
        ("uvicorn", "#9fd3c7"),
    ):
        if part in frame:
            return colour
    return "#d9dfe5"


def _document(width: float, height: float, body: str) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' {_FONT} fill='{_INK}'>"
        f"<rect width='100%' height='100%' fill='{_PAPER}'/>{body}</svg>\n"
    )
