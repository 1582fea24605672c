"""Quality against cost, from a plan's last evaluation and from what gradus compress keeps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gradus.compressing.base import Frontier, Point
from gradus.errors import DataError
from gradus.records import Answer, Verdict
from gradus.report import facts, write_report
from gradus.report.frontier import FILE, frontiers, shown, undominated

from .pages import HOSTILE, Page, read, unmarked


def point(name: str, value: float | None, size: float, **more: Any) -> Point:
    costs = {"size_mb": (size, size, size), "latency_p50_ms": (size / 10, size / 20, size / 5)}
    return Point(name=name, how=f"how {name}", value=value, costs=costs, **more)


VERDICT = Verdict(
    gate="accuracy >= parent - 0.01", verdict=Answer.OPEN, why="at most 0.004 lost", n=400
)
FOUND = Frontier(
    budget="accuracy >= parent - 0.01",
    target="size",
    metric="accuracy",
    unit="proportion",
    direction="higher",
    data="news",
    claim="test",
    points=(
        point("original", 0.90, 90.0),
        point("small", 0.895, 20.0, verdict=VERDICT, within=True, front=True),
        point("tiny", 0.70, 5.0),
        point("worse", 0.60, 30.0),
        point("undefined", None, 1.0),
    ),
    refused={"odd": f"it can't be made {HOSTILE}"},
    recommended="small",
    checkpoint="steps/small/checkpoint",
)


@pytest.fixture
def own(news: Path, tmp_path: Path) -> Path:
    """A copy of the news run to write into."""
    return Path(shutil.copytree(news, tmp_path / "news"))


def test_a_plan_that_compresses_has_a_frontier(known: dict[str, Any], tmp_path: Path) -> None:
    group = known["final"][0]
    sizes = [m for s in known["steps"] for m in s["measurements"] if m["metric"] == "size_mb"]
    grown = {**known, "final": [{**group, "measurements": [*group["measurements"], *sizes]}]}
    (found,) = frontiers(tmp_path, grown)
    told = {m["checkpoint"]: m["value"] for m in sizes if m["checkpoint"] in group["checkpoints"]}
    assert len(told) >= 2
    assert {p["name"]: p["costs"]["size_mb"][0] for p in found["points"]} == told
    assert found["recommended"] is None


def test_what_nothing_beats_in_both() -> None:
    points = json.loads(json.dumps(FOUND.to_json()))["points"]
    assert undominated(points, "size_mb", "higher") == {"original", "small", "tiny"}
    assert undominated(points, "size_mb", "lower") == {"worse", "tiny"}
    assert undominated(points, "throughput_texts_s", "higher") == set()


def test_the_recommendation_is_told_on_page_and_in_markdown(own: Path) -> None:
    (own / FILE).write_text(json.dumps(FOUND.to_json()), encoding="utf-8")
    write_report(own)
    for told in (Page(read(own, "html")).text, unmarked(read(own, "md"))):
        assert "Recommended: small" in told
        assert "at most 0.004 lost" in told
        for found in FOUND.points:
            assert found.how in told
    page = read(own, "html")
    assert HOSTILE not in page
    assert "accuracy against size, MB" in page
    (one,) = shown(facts(own))
    assert [title for title, _ in one.charts] == [
        "accuracy against size, MB",
        "accuracy against latency, ms",
    ]


def test_without_a_recommendation_that_is_said(own: Path) -> None:
    raw = {**FOUND.to_json(), "recommended": None}
    (own / FILE).write_text(json.dumps(raw), encoding="utf-8")
    (one,) = shown(facts(own))
    assert one.said.startswith("Nothing is recommended")


@pytest.mark.parametrize("text", ["{", "[1]", "{}"])
def test_a_broken_file_is_refused(own: Path, text: str) -> None:
    (own / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=FILE):
        facts(own)


def test_there_and_back_as_json() -> None:
    assert Frontier.from_json(json.loads(json.dumps(FOUND.to_json()))) == FOUND
