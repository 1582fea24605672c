from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.report.charts.forest import Mark, Row, close_up, row_svg, scale_of
from gradus.report.charts.lineage import lineage_svg
from gradus.report.charts.lines import Band, Series, line_chart
from gradus.report.charts.scale import nice
from gradus.report.charts.svg import shorten, tag

numbers = st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 4))


@given(st.lists(numbers, min_size=1, max_size=20), st.integers(2, 8))
def test_an_axis_holds_its_values_and_has_round_ticks(values: list[float], count: int) -> None:
    scale = nice(values, count=count)
    slack = 1e-6 + 1e-8 * (max(values) - min(values))  # what no eye can see
    assert scale.low <= min(values) + slack
    assert scale.high >= max(values) - slack
    assert 2 <= len(scale.ticks) <= 2 * count + 3
    assert len({scale.label(t) for t in scale.ticks}) == len(scale.ticks)
    steps = {round(b - a, 9) for a, b in zip(scale.ticks, scale.ticks[1:], strict=False)}
    assert len(steps) == 1
    mantissa = float(f"{steps.pop():.6e}".partition("e")[0])
    assert mantissa == pytest.approx(min((1, 2, 2.5, 5, 10), key=lambda m: abs(m - mantissa)))


@given(st.lists(numbers, min_size=2, max_size=20))
def test_positions_keep_the_order(values: list[float]) -> None:
    scale = nice(values)
    shares = [scale.share(v) for v in sorted(values)]
    assert shares == sorted(shares)
    assert all(0 <= s <= 1 for s in shares)


@given(st.text(), st.text())
def test_svg_text_is_escaped(text: str, attribute: str) -> None:
    clean = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
    text, attribute = (clean.sub("", t).replace("\r", "") for t in (text, attribute))
    root = ElementTree.fromstring(str(tag("text", text, aria_label=attribute)))
    assert (root.text or "") == text
    expected = attribute.replace("\n", " ").replace("\t", " ")
    assert root.attrib["aria-label"] == expected


def test_a_line_chart_draws_every_point_within_its_box() -> None:
    series = [Series("loss", 1, ((1, 0.9), (2, 0.4), (3, 0.2)), breaks=(2,))]
    root = ElementTree.fromstring(
        str(line_chart("t", series, [Band("head", 0, 2), Band("all", 2, 3)], "epoch"))
    )
    dots = root.findall("circle")
    assert len(dots) == 3
    assert all(0 <= float(d.attrib["cy"].rstrip("%")) <= 100 for d in dots)
    heights = [float(d.attrib["cy"].rstrip("%")) for d in dots]
    assert heights == sorted(heights)  # the loss falls: y grows downwards
    assert [len(p.attrib["points"].split()) for p in root.iter("polyline")] == [2, 1]
    assert "from 0.900 to 0.200" in root.attrib["aria-label"]


def test_a_forest_row_places_value_and_interval() -> None:
    row = Row("tuned", (Mark(0.5, 0.25, 0.75, 1, "dev.gate 0.500"),))
    scale = scale_of([Row("x", (Mark(0.5, 0.0, 1.0, 1, ""),))])
    root = ElementTree.fromstring(str(row_svg(row, scale)))
    whisker = next(e for e in root.findall("line") if "whisker" in e.attrib["class"])
    assert (whisker.attrib["x1"], whisker.attrib["x2"]) == ("25%", "75%")
    assert root.find("circle").attrib["cx"] == "50%"  # type: ignore[union-attr]  # it is there
    assert root.attrib["aria-label"] == "tuned: dev.gate 0.500"


def test_the_close_up_keeps_those_near_the_best() -> None:
    def row(label: str, value: float) -> Row:
        return Row(label, (Mark(value, value - 0.02, value + 0.02, 1, ""),))

    rows = [row("majority", 0.2), row("floor", 0.95), row("tuned", 0.97)]
    assert [r.label for r in close_up(rows, "tuned")] == ["floor", "tuned"]
    assert close_up(rows[1:], "tuned") == []
    assert close_up(rows, "absent") == []


def node(name: str, kind: str = "step") -> dict[str, object]:
    known = {"id": name, "node": kind, "kind": "finetune", "origin": {}}
    return {**known, "state": "done", "gates": ["open", "closed"], "measurement": None}


@given(st.integers(1, 12), st.data())
def test_the_lineage_draws_any_plan_without_overlap(size: int, data: st.DataObject) -> None:
    nodes = [node(f"s{i}") for i in range(size)]
    edges = [
        [f"s{p}", f"s{i}"]
        for i in range(1, size)
        for p in data.draw(st.sets(st.integers(0, i - 1), max_size=3))
    ]
    root = ElementTree.fromstring(str(lineage_svg({"nodes": nodes, "edges": edges})))
    boxes = [
        tuple(float(r.attrib[k]) for k in ("x", "y", "width", "height"))
        for r in root.iter("rect")
        if "node" in r.attrib["class"]
    ]
    assert len(boxes) == size
    assert len([p for p in root.iter("path") if p.attrib.get("class") == "arrow"]) == len(edges)
    for i, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + w <= float(root.attrib["width"])
        assert y + h <= float(root.attrib["height"])
        for x2, y2, w2, h2 in boxes[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


@given(st.text(max_size=40), st.integers(3, 20))
def test_shortened_text_fits(text: str, width: int) -> None:
    cut = shorten(text, width)
    assert cut == text or cut.endswith("\u2026")
    assert len(cut) <= width
