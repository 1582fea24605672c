"""The lineage: models and steps in layers from left to right, an arrow from each parent."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from markupsafe import Markup

from gradus.report.charts.svg import shorten, tag
from gradus.report.format import count, interval, number
from gradus.report.tables import STATES, VERDICTS

WIDTH, HEIGHT, GAP_Y, MARGIN = 172, 74, 16, 4
WHOLE, NARROWEST, WIDEST = 920, 46, 230  # pixels: of the graph on a wide page, between layers
LANE = 18

Node = dict[str, Any]


def lineage_svg(lineage: dict[str, Any]) -> Markup:
    """The graph at its natural size; the page lets it scroll sideways where it is wider."""
    nodes = {n["id"]: n for n in lineage["nodes"]}
    edges = [(a, b) for a, b in lineage["edges"] if a in nodes and b in nodes]
    layers, chains = _layers(nodes, edges)
    spots, width, height = _places(layers, nodes)
    drawn = [_arrow(chain, spots) for chain in chains]
    drawn += [_box(node, *spots[name]) for name, node in nodes.items()]
    return tag(
        "svg",
        _head(),
        *drawn,
        class_="lineage",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=_describe(nodes, edges),
    )


def _describe(nodes: dict[str, Node], edges: list[tuple[str, str]]) -> str:
    told = []
    for name, node in nodes.items():
        if node["node"] != "step":
            continue
        parents = [nodes[a]["kind"] if a.startswith("data:") else a for a, b in edges if b == name]
        gates = [
            f"{count(node['gates'].count(v), 'gate')} {v}" for v in VERDICTS if v in node["gates"]
        ]
        source = f" from {', '.join(parents)}" if parents else ""
        told.append(f"{name}{source}: {', '.join([node['state'], *gates])}")
    return "Lineage. " + "; ".join(told)


def _layers(
    nodes: dict[str, Node], edges: list[tuple[str, str]]
) -> tuple[list[list[str]], list[list[str]]]:
    """Names by layer, ordered to keep arrows short, and each arrow's way through the layers.

    An arrow over several layers gets a lane in each layer between, so that it passes no box.
    """
    parents: dict[str, list[str]] = {name: [] for name in nodes}
    for a, b in edges:
        parents[b].append(a)
    depth: dict[str, int] = {}
    for name in nodes:  # parents come before their steps in a plan
        least = 1 if nodes[name]["node"] == "step" else 0
        depth[name] = max([least, *(depth.get(p, 0) + 1 for p in parents[name])])
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for name, d in depth.items():
        layers[d].append(name)
    chains = []
    for a, b in edges:
        lanes = [f"{a}\0{b}\0{d}" for d in range(depth[a] + 1, depth[b])]
        for d, lane in enumerate(lanes, start=depth[a] + 1):
            layers[d].append(lane)
        chains.append([a, *lanes, b])
    kept = [layer for layer in layers if layer]
    _order(kept, chains)
    return kept, chains


def _order(layers: list[list[str]], chains: list[list[str]]) -> None:
    """Sort each layer by the mean position of its neighbours, forward and back, four times."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for chain in chains:
        for a, b in pairwise(chain):
            before.setdefault(b, []).append(a)
            after.setdefault(a, []).append(b)

    def sweep(order: list[list[str]], fixed: list[list[str]], near: dict[str, list[str]]) -> None:
        for layer, other in zip(order, fixed, strict=True):
            place = {name: i / max(1, len(other) - 1) for i, name in enumerate(other)}
            own = {name: i / max(1, len(layer) - 1) for i, name in enumerate(layer)}

            def mean(
                name: str, place: dict[str, float] = place, own: dict[str, float] = own
            ) -> float:
                seen = [place[x] for x in near.get(name, ()) if x in place]
                return sum(seen) / len(seen) if seen else own[name]

            layer.sort(key=mean)

    for _ in range(4):
        sweep(layers[1:], layers[:-1], before)
        sweep(layers[-2::-1], layers[:0:-1], after)


def _places(
    layers: list[list[str]], nodes: dict[str, Node]
) -> tuple[dict[str, tuple[float, float]], int, int]:
    """The left middle of each box and lane, and the size of the whole."""
    heights = [
        sum(HEIGHT if name in nodes else LANE for name in layer) + GAP_Y * (len(layer) - 1)
        for layer in layers
    ]
    tallest = max(heights, default=HEIGHT)
    room = (WHOLE - 2 * MARGIN - len(layers) * WIDTH) // max(1, len(layers) - 1)
    gap = min(WIDEST, max(NARROWEST, room))
    spots: dict[str, tuple[float, float]] = {}
    for i, layer in enumerate(layers):
        y = MARGIN + (tallest - heights[i]) / 2
        for name in layer:
            size = HEIGHT if name in nodes else LANE
            spots[name] = (MARGIN + i * (WIDTH + gap), y + size / 2)
            y += size + GAP_Y
    width = 2 * MARGIN + max(1, len(layers)) * (WIDTH + gap) - gap
    return spots, width, tallest + 2 * MARGIN


def _head() -> Markup:
    path = tag("path", d="M0 0L8 4L0 8Z", class_="head")
    marker = tag(
        "marker",
        path,
        id="arrow",
        viewBox="0 0 8 8",
        refX=7,
        refY=4,
        markerWidth=8,
        markerHeight=8,
        orient="auto",
    )
    return tag("defs", marker)


def _arrow(chain: list[str], spots: dict[str, tuple[float, float]]) -> Markup:
    x, y = spots[chain[0]]
    path = f"M{x + WIDTH} {y:g}"
    x += WIDTH
    for i, name in enumerate(chain[1:], start=1):
        next_x, next_y = spots[name]
        last = i == len(chain) - 1
        end = next_x - 2 if last else next_x
        middle = (x + end) / 2
        path += f"C{middle:g} {y:g} {middle:g} {next_y:g} {end:g} {next_y:g}"
        x, y = end, next_y
        if not last:
            x += WIDTH
            path += f"H{x:g}"
    return tag("path", d=path, class_="arrow", marker_end="url(#arrow)")


def _box(node: Node, x: float, middle: float) -> Markup:
    y = middle - HEIGHT / 2
    if node["node"] != "step":
        return _source(node, x, y)
    sign, tone = STATES.get(node["state"], ("", ""))
    lines = [
        tag("title", f"{node['id']}: {node['kind']}, {node['state']}"),
        tag("rect", x=x, y=y, width=WIDTH, height=HEIGHT, rx=8, class_=f"node {tone}"),
        tag("rect", x=x, y=y + 10, width=4, height=HEIGHT - 20, rx=2, class_=f"edge {tone}"),
        tag(
            "text",
            shorten(node["id"], 20 - 3 * min(5, len(node["gates"]))),
            x=x + 14,
            y=y + 22,
            class_="name",
        ),
        tag("text", f"{node['kind']} · {sign} {node['state']}", x=x + 14, y=y + 39, class_="kind"),
    ]
    m = node["measurement"]
    if m is not None and m["value"] is not None:
        bounds = interval(m["ci_low"], m["ci_high"], m["unit"])
        value = tag("tspan", number(m["value"], m["unit"]), class_="value")
        lines.append(tag("text", value, f" {bounds}", x=x + 14, y=y + 59, class_="kind"))
    return tag("g", *lines, *_badges(node["gates"], x + WIDTH, y))


def _badges(gates: list[str], right: float, top: float) -> list[Markup]:
    """The gates' signs in a row at the upper right corner, at most five."""
    parts = []
    shown = gates[:5]
    for i, verdict in enumerate(shown):
        sign, tone = VERDICTS.get(verdict, ("", ""))
        x = right - 14 - 19 * (len(shown) - 1 - i)
        parts.append(
            tag(
                "g",
                tag("title", f"gate {i + 1}: {verdict}"),
                tag("circle", cx=x, cy=top + 17, r=8, class_=f"badge {tone}"),
                tag("text", sign, x=x, y=top + 21, text_anchor="middle", class_=f"sign {tone}"),
            )
        )
    return parts


def _source(node: Node, x: float, y: float) -> Markup:
    name = node["kind"] if node["node"] == "data" else node["id"]
    origin = node.get("origin") or {}
    told = next((str(v) for k, v in origin.items() if k != "version"), "")
    data = "corpus" if node.get("corpus") else "data set"
    kind = data if node["node"] == "data" else f"model · {node['kind']}".rstrip(" ·")
    return tag(
        "g",
        tag("title", f"{name}: {kind} {told}".strip()),
        tag("rect", x=x, y=y + 6, width=WIDTH, height=HEIGHT - 12, rx=31, class_="node source"),
        tag("text", shorten(name, 20), x=x + 20, y=y + 29, class_="name"),
        tag("text", shorten(kind, 24), x=x + 20, y=y + 45, class_="kind"),
        tag("text", shorten(told, 22), x=x + 20, y=y + 59, class_="kind"),
    )
