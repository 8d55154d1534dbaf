"""A hook of mkdocs: mermaid's flowcharts as SVG.

A code host draws them itself. A site would need mermaid's script, 3 MB that the theme fetches from another host while
one reads, so what docs/ has of mermaid's language is drawn here: `flowchart LR`, nodes with and without a label, `-->`
and `<-->` between groups of nodes that `&` joins.
"""

import re
from collections import defaultdict
from html import escape
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NODE = re.compile(r'(\w+)(?:\["([^"]+)"\])?')
CHARACTER, HEIGHT, PADDING, ROW, GAP = 7.4, 30, 11, 46, 44  # of a chart, in pixels
SWEEPS = 8  # that put the rows in order
STYLE = 'class="flowchart" role="img" xmlns="http://www.w3.org/2000/svg"'
ARROWS = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 Z"/></marker></defs>'
)


class Edge(NamedTuple):
    """From one node to another, or both ways."""

    start: str
    end: str
    both: bool


def on_page_markdown(markdown: str, **_: object) -> str:
    """Draw the flowcharts of a page."""
    return FENCE.sub(lambda found: draw(*parse(found[1])), markdown)


def parse(text: str) -> tuple[dict[str, str], list[Edge]]:
    """The label of every node, and the edges.

    Raises:
        ValueError: a line that is of another part of mermaid's language.
    """
    first, *lines = [line.strip() for line in text.splitlines() if line.strip()]
    if first != "flowchart LR":
        raise ValueError(f"a diagram of mermaid's begins with {first!r}; only 'flowchart LR' can be drawn")
    labels: dict[str, str] = {}
    edges = []
    for line in lines:
        groups = re.split(r" (<?-->) ", line)
        nodes = [[NODE.fullmatch(node.strip()) for node in group.split("&")] for group in groups[0::2]]
        for found in (found for group in nodes for found in group):
            if found is None:
                raise ValueError(f"a flowchart has the line {line!r}, which cannot be drawn")
            labels[found[1]] = found[2] or labels.get(found[1], found[1])
        for arrow, (starts, ends) in zip(groups[1::2], pairwise(nodes), strict=True):
            edges += [Edge(a[1], b[1], arrow == "<-->") for a in starts for b in ends if a and b]
    return labels, edges


def columns(labels: dict[str, str], edges: list[Edge]) -> dict[str, int]:
    """The column of every node: behind all that lead to it, or where nothing does, before the first that it leads to.

    Raises:
        ValueError: edges that lead in a circle.
    """
    column = dict.fromkeys(labels, 0)
    for _ in labels:
        for edge in edges:
            column[edge.end] = max(column[edge.end], column[edge.start] + 1)
    if any(column[edge.end] <= column[edge.start] for edge in edges):
        raise ValueError("a flowchart has a circle, which cannot be drawn")
    for node in labels:
        ends = [column[edge.end] for edge in edges if edge.start == node]
        if ends and not any(edge.end == node for edge in edges):
            column[node] = min(ends) - 1
    return column


def chains(column: dict[str, int], edges: list[Edge]) -> list[list[tuple[str, ...]]]:
    """The places that each edge passes, one in every column: nodes at its ends, and where it runs between others."""
    found = []
    for edge in edges:
        between = [(edge.start, edge.end, str(number)) for number in range(column[edge.start] + 1, column[edge.end])]
        found.append([(edge.start,), *between, (edge.end,)])
    return found


def rows(column: dict[str, int], ways: list[list[tuple[str, ...]]]) -> dict[tuple[str, ...], float]:
    """How far down every place stands, in rows: near the mean of those it is joined to, so that few edges cross."""
    of_column: dict[int, list[tuple[str, ...]]] = defaultdict(list)
    joined = defaultdict(list)
    for node, number in column.items():
        of_column[number].append((node,))
    for way in ways:
        for number, place in enumerate(way[1:-1], start=column[way[0][0]] + 1):
            of_column[number].append(place)
        for one, other in pairwise(way):
            joined[one].append(other)
            joined[other].append(one)
    row = {place: i - len(places) / 2 for places in of_column.values() for i, place in enumerate(places)}
    for sweep in range(SWEEPS):
        for number in sorted(of_column, reverse=sweep % 2 == 1):
            wanted = {place: fmean([row[other] for other in joined[place]]) for place in of_column[number]}
            places = sorted(wanted, key=lambda place: wanted[place])
            centre = sum(wanted.values()) / len(wanted)
            row |= {place: centre + i - (len(places) - 1) / 2 for i, place in enumerate(places)}
    return row


def draw(labels: dict[str, str], edges: list[Edge]) -> str:
    """A chart as SVG, in the colours of the page."""
    column = columns(labels, edges)
    ways = chains(column, edges)
    row = rows(column, ways)
    top = min(row.values())
    width = {node: CHARACTER * len(label) + 2 * PADDING for node, label in labels.items()}
    lefts, right = [], 1.0
    for number in range(max(column.values()) + 1):
        lefts.append(right)
        right += max(width[node] for node in labels if column[node] == number) + GAP
    middle = {place: 1 + HEIGHT / 2 + ROW * (value - top) for place, value in row.items()}
    widest = [max(width[node] for node in labels if column[node] == number) for number in range(len(lefts))]
    parts = [ARROWS]
    for edge, way in zip(edges, ways, strict=True):
        x, y = lefts[column[edge.start]] + width[edge.start], middle[way[0]]
        path = [f"M{x:.0f},{y:.0f}"]
        for number, place in enumerate(way[1:], start=column[edge.start] + 1):
            x_end, y_end = lefts[number], middle[place]
            path.append(f"C{x + GAP / 2:.0f},{y:.0f} {x_end - GAP / 2:.0f},{y_end:.0f} {x_end:.0f},{y_end:.0f}")
            x, y = x_end, y_end
            if len(place) > 1:  # straight on, through the column
                x += widest[number]
                path.append(f"L{x:.0f},{y:.0f}")
        start = ' marker-start="url(#arrow)"' if edge.both else ""
        parts.append(f'<path class="edge" d="{" ".join(path)}"{start} marker-end="url(#arrow)"/>')
    for node, label in labels.items():
        x, y = lefts[column[node]], middle[(node,)]
        parts.append(f'<rect x="{x:.0f}" y="{y - HEIGHT / 2:.0f}" width="{width[node]:.0f}" height="{HEIGHT}" rx="4"/>')
        parts.append(f'<text x="{x + width[node] / 2:.0f}" y="{y + 4.5:.0f}">{escape(label)}</text>')
    size = f"{right - GAP + 1:.0f} {max(middle.values()) + HEIGHT / 2 + 1:.0f}"
    described = "; ".join(f"{labels[edge.start]} to {labels[edge.end]}" for edge in edges)
    return f'<svg {STYLE} viewBox="0 0 {size}" aria-label="{escape(described)}">{"".join(parts)}</svg>'
