"""From rows of ratings to estimates, facts and columns."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from gradus.errors import DataError
from gradus.panel.records import PREFERENCE, Rating
from gradus.panel.results import estimate
from gradus.writing.records import Samples, Writing, write_columns

GOOD = {"early": 2.0, "late": 3.2, "human": 4.2}


def samples(prompts: int = 12) -> Samples:
    return Samples(
        Writing.of(writer=writer, prompt=f"opening {i}", text=f"{writer} goes on {i}")
        for writer in ("human", "early", "late")
        for i in range(prompts)
    )


def likert(given: Samples, criteria: tuple[str, ...] = ("fluency",)) -> list[Rating]:
    """Three raters, one of them a point more lenient."""
    draw = np.random.default_rng(1)
    rows = []
    for rater, severity in (("rater-1", 0.0), ("rater-2", 1.0), ("rater-3", 0.0)):
        for writing in given.writings:
            for criterion in criteria:
                latent = GOOD[writing.writer] - 0.4 + severity + 0.5 * draw.normal()
                value = int(np.clip(round(latent), 1, 5))
                rows.append(
                    Rating(
                        rater=rater,
                        writing=writing.id,
                        criterion=criterion,
                        value=value,
                        seconds=4.0,
                    )
                )
    return rows


def pairs(given: Samples) -> list[Rating]:
    draw = np.random.default_rng(2)
    rows = []
    by = {name: given.of(name) for name in given.writers}
    for rater in ("rater-1", "rater-2", "rater-3"):
        for number in range(len(given.prompts)):
            for one, other in (("early", "late"), ("late", "human"), ("human", "early")):
                apart = GOOD[one] - GOOD[other] + draw.normal()
                value = 0 if abs(apart) < 0.3 else 1 if apart > 0 else 2
                pair = (by[one][number].id, by[other][number].id)
                rows.append(Rating(rater=rater, pair=pair, criterion=PREFERENCE, value=value))
    return rows


def check(rater: str, passed: bool) -> Rating:
    return Rating(
        rater=rater,
        writing="check-1",
        criterion="fluency",
        value=5 if passed else 3,
        check=True,
        expected=5,
    )


def test_likert_from_rows_to_facts() -> None:
    given = samples()
    criteria = ("fluency", "coherence")
    found = estimate(likert(given, criteria), given, mode="likert", criteria=criteria)
    json.dumps(found.facts, allow_nan=False)
    assert list(found.facts["criteria"]) == list(criteria)
    told = found.facts["criteria"]["fluency"]
    assert [*told["writers"]] == ["early", "late", "human"]
    for name, row in told["writers"].items():
        assert row["low"] < row["value"] < row["high"]
        assert row["value"] == pytest.approx(GOOD[name] - 0.1, abs=0.4)
        assert row["ratings"] == 36
    assert told["raters"]["rater-2"]["leniency"]["value"] > 0.3
    assert 0.3 < told["alpha"]["low"] < told["alpha"]["value"] < told["alpha"]["high"] <= 1
    against = {(row["writer"], row["other"]): row for row in told["differences"]}
    assert against["early", "human"]["high"] < 0
    assert len(against) == 3
    assert found.facts["raters"]["rater-1"]["median_seconds"] == 4.0
    assert found.notes == ()


def test_columns_are_scores_without_leniencies(tmp_path: object) -> None:
    given = samples(4)
    rows = [
        Rating(rater=rater, writing=one.id, criterion="fluency", value=3 + more)
        for rater, more in (("a", -1), ("b", 1))
        for one in given.writings
        # One text was read by the lenient rater alone.
        if not (rater == "a" and one == given.of("late")[0])
    ]
    found = estimate(rows, given, mode="likert", criteria=("fluency",))
    assert list(found.columns) == ["panel_fluency"]
    assert list(found.columns["panel_fluency"].values()) == pytest.approx([3.0] * 12)
    assert found.arrays("late")["panel_fluency"] == pytest.approx([3.0] * 4)


def test_what_nobody_rated_is_none_in_columns_and_facts() -> None:
    given = samples(4)
    rows = [row for row in likert(given) if row.writing not in {w.id for w in given.of("human")}]
    found = estimate(rows, given, mode="likert", criteria=("fluency", "accuracy"))
    told = found.facts["criteria"]["fluency"]["writers"]["human"]
    assert told == {"value": None, "low": None, "high": None}
    assert found.columns["panel_fluency"][given.of("human")[0].id] is None
    assert np.isnan(found.arrays("human")["panel_fluency"]).all()
    assert "nobody answered about accuracy" in found.notes
    assert "accuracy" not in found.facts["criteria"]


def test_columns_can_be_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    given = samples(4)
    found = estimate(likert(given), given, mode="likert", criteria=("fluency",))
    write_columns(tmp_path_factory.mktemp("panel"), found.columns)


def test_pairs_from_rows_to_facts() -> None:
    given = samples()
    found = estimate(pairs(given), given, mode="pairs", criteria=(PREFERENCE,))
    json.dumps(found.facts, allow_nan=False)
    told = found.facts["criteria"][PREFERENCE]
    strengths = [told["writers"][name]["value"] for name in ("early", "late", "human")]
    assert strengths == sorted(strengths)
    assert sum(strengths) == pytest.approx(0)
    assert told["writers"]["human"]["low"] > 0
    assert 0 < told["ties"] < 0.5
    assert told["first"]["low"] < 0 < told["first"]["high"]
    assert list(found.columns) == ["panel_wins"]
    human = found.arrays("human")["panel_wins"]
    assert human.mean() == pytest.approx(told["wins"]["human"]["value"])
    everyone = [value for value in found.columns["panel_wins"].values() if value is not None]
    assert np.mean(everyone) == pytest.approx(0.5)


def test_pairs_shown_the_other_way_round_say_the_same() -> None:
    given = samples()
    rows = pairs(given)
    turned = [
        replace(row, pair=(row.pair[1], row.pair[0]), value={0: 0, 1: 2, 2: 1}[int(row.value)])
        if row.pair and row.rater == "rater-2"
        else row
        for row in rows
    ]
    one = estimate(rows, given, mode="pairs", criteria=(PREFERENCE,))
    two = estimate(turned, given, mode="pairs", criteria=(PREFERENCE,))
    assert one.columns == two.columns
    # Which of the two was called the first in the table moves nothing.
    alphas = [found.facts["criteria"][PREFERENCE]["alpha"]["value"] for found in (one, two)]
    assert alphas[0] == pytest.approx(alphas[1])


def test_careless_raters_are_left_out_and_named() -> None:
    given = samples(6)
    rows = [
        *likert(given),
        check("rater-1", True),
        check("rater-2", False),
        check("rater-3", False),
        check("rater-3", True),
    ]
    found = estimate(rows, given, mode="likert", criteria=("fluency",))
    assert any("rater-2 answered 0 of 1 questions" in note for note in found.notes)
    assert found.facts["raters"]["rater-2"]["left_out"] is True
    assert list(found.facts["criteria"]["fluency"]["raters"]) == ["rater-1", "rater-3"]


def test_one_rater_is_said_to_be_one() -> None:
    given = samples(6)
    rows = [row for row in likert(given) if row.rater == "rater-1"]
    found = estimate(rows, given, mode="likert", criteria=("fluency",))
    assert any("one rater" in note for note in found.notes)
    assert found.facts["criteria"]["fluency"]["alpha"]["value"] is None
    assert math.isfinite(found.facts["criteria"]["fluency"]["writers"]["late"]["low"])


def test_intervals_stay_on_the_scale() -> None:
    given = samples(6)
    points = {"rater-1": 1, "rater-2": 3, "rater-3": 5}
    rows = [
        Rating(rater=rater, writing=one.id, criterion="fluency", value=value)
        for rater, value in points.items()
        for one in given.writings
    ]
    told = estimate(rows, given, mode="likert", criteria=("fluency",)).facts["criteria"]["fluency"]
    # Raters who differ by everything say nothing of a writer's quality.
    assert {(of["low"], of["high"]) for of in told["writers"].values()} == {(1, 5)}
    assert all(-4 <= row["low"] <= row["high"] <= 4 for row in told["differences"])


def test_ratings_of_something_else_are_refused() -> None:
    given = samples(2)
    foreign = Rating(rater="a", writing="0" * 16, criterion="fluency", value=3)
    with pytest.raises(DataError, match="isn't among the samples"):
        estimate([foreign], given, mode="likert", criteria=("fluency",))
    with pytest.raises(DataError, match="the mode is pairs"):
        estimate(likert(given), given, mode="pairs", criteria=(PREFERENCE,))
    with pytest.raises(DataError, match="no ratings"):
        estimate([], given, mode="likert", criteria=("fluency",))
