"""A comparison as a page, as Markdown and in words; the charts of differences and of scale."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gradus.report.charts.forest import DISC, RING, Mark, Row, plot
from gradus.report.charts.scaling import Point, across, scaling_chart
from gradus.report.compare import (
    compare_html,
    compare_markdown,
    differences,
    disagreement_lines,
    notes,
    scaling_said,
    sentences,
)

from .pages import Page, unmarked

HOSTILE = "</script><img src=x onerror=alert(1)> {{ 7 * 7 }}"


def pair(first: str, second: str, difference: float, p: float, **changed: Any) -> dict[str, Any]:
    significant = p <= 0.05
    ahead = first if difference > 0 else second
    return {
        "metric": "accuracy",
        "unit": "proportion",
        "direction": "higher",
        "first": first,
        "second": second,
        "n": 200,
        "first_value": 0.7 + difference,
        "second_value": 0.7,
        "difference": difference,
        "ci_low": difference - 0.05,
        "ci_high": difference + 0.05,
        "ci_method": "Tango's score interval",
        "test": "exact McNemar",
        "p_value": p / 2,
        "p_holm": p,
        "only_first": 30,
        "only_second": 10,
        "significant": significant,
        "better": ahead if significant else None,
        "detectable": 0.0789,
        "power": 0.8,
        "n_needed": None if significant else 1234,
        "note": "",
        **changed,
    }


def measurement(name: str, value: float) -> dict[str, Any]:
    return {
        "metric": "accuracy",
        "value": value,
        "unit": "proportion",
        "direction": "higher",
        "n": 200,
        "ci_low": value - 0.04,
        "ci_high": value + 0.04,
        "checkpoint": name,
        "data": "news",
        "split": "test",
        "benchmark": "classify.v1",
    }


def item(text: str) -> dict[str, Any]:
    return {
        "id": "ab12",
        "text": text,
        "left_out": 0,
        "truth": "sport",
        "first": "sport",
        "second": "tech",
        "first_probability": 0.9,
        "second_probability": None,
        "difference": 0.75,
    }


@pytest.fixture
def known() -> dict[str, Any]:
    view = {
        "on": "news.test",
        "axis": "parameters",
        "metric": "accuracy",
        "unit": "proportion",
        "direction": "higher",
        "n": 200,
        "level": 0.95,
        "points": [
            {"model": f"m{i}", "x": 10.0**i, "value": v, "ci_low": v - 0.1, "ci_high": v + 0.1}
            for i, v in enumerate((0.5, 0.7, 0.8, 0.85))
        ],
        "law": {
            "limit": 0.9,
            "factor": -0.4,
            "exponent": 0.301,
            "exponent_low": 0.2,
            "exponent_high": 0.5,
            "explained": 0.99,
            "points": 4,
        },
        "why": None,
        "curve": [
            {"x": 10.0**i, "value": v, "ci_low": v - 0.05, "ci_high": v + 0.05}
            for i, v in enumerate((0.5, 0.7, 0.8, 0.85))
        ],
        "predictions": [{"x": 1e5, "value": 0.888, "ci_low": 0.8, "ci_high": 0.95}],
    }
    disagreement = {
        "first": "a",
        "second": "b",
        "unit": "probability of the true label",
        "n": 200,
        "items": [item(HOSTILE), item("A plain text")],
    }
    place = {
        "on": "news.test",
        "benchmark": "classify.v1",
        "models": ["a", "b"],
        "measurements": [measurement("a", 0.8), measurement("b", 0.7)],
        "pairs": [
            pair("a", "b", 0.1, 0.001),
            pair("a", "b", -0.2, 0.3, metric="log_loss", unit="nats", direction="lower"),
        ],
        "refused": [{"first": "a", "second": "b", "metric": "ece", "why": "bins differ"}],
        "disagreements": [disagreement],
        "notes": ["a and b share 200 of 210 and 200 items"],
    }
    return {
        "format": 1,
        "gradus": "0.1",
        "made": "2026-01-02T03:04:05+00:00",
        "models": ["a", "b"],
        "level": 0.95,
        "power": 0.8,
        "places": [place],
        "scaling": [view],
        "notes": [],
    }


def test_page_and_markdown_hold_every_number(known: dict[str, Any]) -> None:
    page, text = Page(compare_html(known)), unmarked(compare_markdown(known))
    for said in ("+0.100 [0.050, 0.150]", "−0.200", "0.079", "1,234", "bins differ", "0.001"):
        assert said in page.text.replace("\n", " "), said
        assert said in text, said
    for said in (*sentences(known), *notes(known), scaling_said(known["scaling"][0])):
        assert said in page.text
        assert said in text
    assert page.open == []
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert HOSTILE in page.text


def test_the_page_asks_for_nothing_and_names_its_pictures(known: dict[str, Any]) -> None:
    page = Page(compare_html(known))
    policy = next(a for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in str(policy["content"])
    drawn = [a for t, a in page.tags if t == "svg" and a.get("role") == "img"]
    assert len(drawn) == 3
    assert all(a["aria-label"] for a in drawn)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert {str(a["href"])[1:] for t, a in page.tags if t == "a"} <= set(ids)


def test_a_view_of_scale_alone_has_its_own_title(known: dict[str, Any]) -> None:
    page = Page(compare_html({**known, "places": []}))
    assert "accuracy against parameters, news.test" in page.text
    none = {**known["scaling"][0], "law": None, "why": "3 distinct x", "curve": []}
    assert scaling_said(none) == "No power law: 3 distinct x."
    loose = {**known["scaling"][0], "law": {**known["scaling"][0]["law"], "exponent_low": 0.02}}
    assert "which hardly determine it" in scaling_said(loose)
    assert "hardly" not in scaling_said(known["scaling"][0])
    assert "No power law" in Page(compare_html({**known, "scaling": [none]})).text


def test_the_better_model_stands_first_in_the_sentence(known: dict[str, Any]) -> None:
    def said(*pairs: dict[str, Any]) -> str:
        return sentences({**known, "places": [{**known["places"][0], "pairs": list(pairs)}]})[0]

    assert said(pair("a", "b", -0.1, 0.01)) == (
        "By accuracy on news.test, b is better than a (+0.100 [0.050, 0.150], p = 0.010)."
    )
    assert said(pair("a", "b", 0.02, 0.5)).endswith(
        "a and b can't be told apart (+0.020 [−0.030, 0.070], p = 0.500)."
    )
    three = (pair("a", "b", 0.1, 0.01), pair("a", "c", 0.02, 0.5), pair("b", "c", 0.01, 0.6))
    assert "a is better than b" in said(*three)
    assert said(*three).endswith("; 2 pairs can't be told apart.")
    assert "none of 2 pairs" in said(*three[1:])


def test_uncorrected_p_values_stand_only_beside_others(known: dict[str, Any]) -> None:
    rows = known["places"][0]["pairs"]
    assert "p" in differences(rows).titles
    alone = [{**row, "p_value": row["p_holm"]} for row in rows]
    assert "p" not in differences(alone).titles


def test_disagreements_as_lines(known: dict[str, Any]) -> None:
    ((title, lines),) = disagreement_lines(known["places"][0])
    assert title == "a and b disagree most on"
    assert lines[1] == (
        "truth: sport; a: sport (0.900); b: tech; +0.750 in probability of the true label",
        "A plain text",
    )


def test_zero_is_ruled_through_every_row_of_differences() -> None:
    rows = [
        Row("a − b", (Mark(0.2, 0.1, 0.3, DISC, ""),)),
        Row("c − d", (Mark(0.3, 0.2, 0.4, RING, ""),)),
    ]
    drawn = plot("accuracy", rows, rule=0.0)
    places = set()
    for _, svg in drawn.rows:
        rule = next(
            e for e in ElementTree.fromstring(str(svg)).findall("line") if e.get("class") == "rule"
        )
        places.add(rule.get("x1"))
    assert places == {"0%"}  # the axis begins at zero, which no interval reaches
    assert 'class="mark m3"' in str(drawn.rows[0][1])
    assert "rule" not in str(plot("accuracy", rows).rows[0][1])


def test_the_scaling_chart_places_points_by_their_logarithm() -> None:
    points = [Point(10.0**i, i / 4, i / 4 - 0.1, i / 4 + 0.1, f"m{i}") for i in range(4)]
    points.append(Point(1e5, 1.0, 0.9, 1.1, "predicted", measured=False))
    root = ElementTree.fromstring(str(scaling_chart("t", points, [], "parameters")))
    xs = [float(c.attrib["cx"].rstrip("%")) for c in root.findall("circle")]
    steps = [b - a for a, b in pairwise(xs)]
    assert steps == pytest.approx([steps[0]] * 3, abs=1e-3)
    ys = [float(c.attrib["cy"].rstrip("%")) for c in root.findall("circle")]
    assert ys == sorted(ys, reverse=True)
    assert len([e for e in root.findall("line") if "whisker" in e.attrib["class"]]) == 5
    assert root.attrib["aria-label"] == "t: m0; m1; m2; m3; predicted"


def test_zero_stands_apart_on_a_logarithmic_axis() -> None:
    axis = across([0, 1, 2, 4, 8])
    shares = [axis.share(x) for x in (0, 1, 2, 4, 8)]
    assert shares == sorted(shares)
    assert shares[1] - shares[0] == pytest.approx(0.1)
    assert axis.ticks[0] == 0
    assert all(0 <= s <= 1 for s in shares)
    assert across([5.0]).share(5.0) == pytest.approx(0.5)


def test_a_runs_report_draws_its_changes(news: Path, known: dict[str, Any]) -> None:
    from gradus.report import facts, write_report
    from gradus.report.sections import change_plots

    told = facts(news)
    plots = change_plots(told)
    main = told["main"]["metric"]
    assert plots[0].title == main
    changes = [c for s in told["steps"] for c in s["changes"] if c["metric"] == main]
    assert len(plots[0].rows) == len(changes) > 0
    page = write_report(news)["html"].read_text(encoding="utf-8")
    assert f"Change in {main} against the step before" in page
    rules = re.findall(r'class="rule"', page)
    assert len(rules) == sum(len(p.rows) for p in plots)
    apart = {**changes[0], "data": "lambada"}
    told["steps"][0]["changes"] = [apart, {**apart, "difference": None}]
    last = next(p for p in change_plots(told) if p.title.startswith("lambada."))
    assert (last.title, len(last.rows)) == (f"lambada.{main}", 1)
