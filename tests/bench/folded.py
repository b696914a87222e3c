"""Sampled stacks: read from py-spy's folded form, and summed up by the part of the gateway that spent the time."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_OURS = re.compile(r"\((?:.*/)?nimbus_gateway/([^:)]+)")
_FILE = re.compile(r"\(([^:)]+)")


EVENT_LOOP = "event loop and sockets"
"""Time in no Python function: uvloop itself, reading, writing and waiting."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack, outermost frame first, and how often it was seen."""

    frames: tuple[str, ...]
    count: int


def parse_folded(text: str) -> list[Stack]:
    """Stacks of lines such as ``main (a.py);work (b.py) 12``."""
    stacks: list[Stack] = []
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        if frames and count.isdigit():
            stacks.append(Stack(tuple(frames.split(";")), int(count)))
    return stacks


def under(stacks: Iterable[Stack], function: str) -> list[Stack]:
    """Stacks that go through a function, cut so that they begin below it; others are left out."""
    found: list[Stack] = []
    for stack in stacks:
        positions = [number for number, frame in enumerate(stack.frames) if frame.startswith(f"{function} (")]
        if positions:
            rest = stack.frames[positions[0] + 1 :]
            found.append(Stack(rest or (EVENT_LOOP,), stack.count))
    return found


def part_of(stack: Stack) -> str:
    """Who spent the time: the innermost module of the gateway on the stack, else the file at its top.

    Time within libraries and C code thus counts for the part of the gateway that called them.
    """
    for frame in reversed(stack.frames):
        ours = _OURS.search(frame)
        if ours:
            return ours[1]
    file = _FILE.search(stack.frames[-1])
    return file[1] if file else stack.frames[-1]


def shares(stacks: Sequence[Stack]) -> list[tuple[str, float]]:
    """Share of each part, the largest first."""
    counted: Counter[str] = Counter()
    for stack in stacks:
        counted[part_of(stack)] += stack.count
    total = sum(counted.values())
    return [(part, count / total) for part, count in counted.most_common()] if total else []


@dataclass
class Node:
    """A frame of the merged tree: samples in it and below, and what it called."""

    name: str
    count: int = 0
    children: dict[str, "Node"] = field(default_factory=dict)

    def depth(self) -> int:
        return 1 + max((child.depth() for child in self.children.values()), default=0)


def merge(stacks: Iterable[Stack], *, least: float = 0.0) -> Node:
    """One tree of all stacks; frames with less than the share `least` of all samples are dropped."""
    root = Node("all")
    for stack in stacks:
        root.count += stack.count
        node = root
        for frame in stack.frames:
            node = node.children.setdefault(frame, Node(frame))
            node.count += stack.count
    _prune(root, least * root.count)
    return root


def _prune(node: Node, least: float) -> None:
    node.children = {name: child for name, child in node.children.items() if child.count >= least}
    for child in node.children.values():
        _prune(child, least)
