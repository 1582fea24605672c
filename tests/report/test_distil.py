"""The section of distilling: what teachers gave, term by term, teacher by teacher."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gradus.records import Answer, Measurement, State, Verdict
from gradus.report import facts, write_report
from gradus.report.distil import Distilled, distilled

from .pages import HOSTILE
from .runs import step
from .sample import Sample

ABLATION = [
    {
        "teachers": name,
        "weight": weight,
        "accuracy": 0.9,
        "loss": 0.31,
        "student_soft_loss": soft,
        "student_agreement": 0.95,
    }
    for name, weight, soft in (("tuned", 0.7, 0.041), ("other", 0.3, 0.087), ("all", None, 0.05))
]
CHANGE = {
    "metric": "accuracy",
    "against": "both.alone",
    "difference": 0.021,
    "ci_low": 0.008,
    "ci_high": 0.034,
    "p_value": 0.002,
    "n": 400,
    "significant": True,
}


def curves(*, alone: bool = True) -> list[dict[str, Any]]:
    own = [
        {
            "stage": 0,
            "train": "all",
            "epoch": epoch,
            "step": 10 * epoch,
            "train_soft": 2.0 / epoch,
            "train_hard": 1.0 / epoch,
            "select_loss": 0.5,
        }
        for epoch in (1, 2, 4)
    ]
    other = {"stage": 1, "train": "alone: all", "epoch": 1, "step": 10, "train_soft": 99.0}
    return [*own, other] if alone else own


def measured(checkpoint: str) -> Measurement:
    return Measurement(
        metric="accuracy",
        value=0.91,
        unit="proportion",
        direction="higher",
        n=400,
        ci_low=0.88,
        ci_high=0.94,
        ci_method="wilson",
        data="news",
        split="dev.gate",
        benchmark="classify.v1",
        checkpoint=checkpoint,
    )


def run(
    folder: Path, *, change: dict[str, Any] | None = None, alone: bool = True, name: str = "tuned"
) -> Path:
    sample = Sample(folder)
    (folder / "curves").mkdir(exist_ok=True)
    for id_ in ("one", "both"):
        lines = (json.dumps(row) + "\n" for row in curves(alone=alone))
        (folder / f"curves/{id_}.jsonl").write_text("".join(lines), encoding="utf-8")
    losses = {"soft": 1.0, "hard": 0.5, "hidden": 0.0, "attention": 0.0}
    gate = Verdict(
        gate="accuracy > one",
        verdict=Answer.CLOSED,
        why="the gain is 0.1 points, p = 0.4.",
        test="McNemar",
    )
    made = []
    for id_, weights in (("one", {name: 1.0}), ("both", {name: 0.7, "other": 0.3})):
        told = {
            "weighting": "learned" if len(weights) > 1 else "one teacher",
            "weights": weights,
            "ablation": [
                {**row, "teachers": name if i == 0 else row["teachers"]}
                for i, row in enumerate(ABLATION)
            ],
        }
        known: dict[str, Any] = {"losses": losses, "teachers": told, "temperature": 2.0}
        if id_ == "both":
            known["changes"] = [CHANGE if change is None else change] if alone else []
            known |= {"alone": {"stages": []}} if alone else {}
        made.append(
            step(
                id_,
                "distil.v1",
                parents=tuple(weights),
                curves=f"curves/{id_}.jsonl",
                measurements=(measured(id_), *([measured("both.alone")] if id_ == "both" else [])),
                gates=(gate,) if id_ == "both" else (),
                facts=known,
            )
        )
    return sample.write(sample.record(State.DONE, made))


def section(folder: Path) -> dict[str, Distilled]:
    return {one.step: one for one in distilled(facts(folder))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Distilled]:
    return section(run(tmp_path_factory.mktemp("distilled") / "run"))


def test_what_the_teachers_gave_is_a_paired_difference(made: dict[str, Distilled]) -> None:
    sign, tone, text = made["both"].said[0]
    assert (sign, tone) == ("▲", "good")
    assert "accuracy +0.021" in text
    assert "[0.008, 0.034]" in text
    assert "p = 0.002" in text
    assert "n = 400" in text


def test_without_the_control_nothing_is_claimed(made: dict[str, Distilled]) -> None:
    ((_, tone, text),) = made["one"].said
    assert tone == "muted"
    assert "isn't known" in text


def test_two_teachers_that_dont_beat_one_are_said_not_to(made: dict[str, Distilled]) -> None:
    sign, tone, text = made["both"].said[1]
    assert (sign, tone) == ("✕", "bad")
    assert "2 against 1 of one" in text
    assert text.endswith("is closed: the gain is 0.1 points, p = 0.4.")


def test_terms_with_their_weights_of_the_taught_training_alone(made: dict[str, Distilled]) -> None:
    rows = {row[0].small: [cell.text for cell in row] for row in made["both"].terms.rows}
    assert list(rows) == ["soft", "hard"]
    assert rows["soft"][1:] == ["1", "2.000", "0.500"]
    assert rows["hard"][1:] == ["0.500", "1.000", "0.250"]
    chart = made["both"].chart
    assert chart is not None
    assert "99" not in str(chart[0])


def test_a_row_for_each_teacher(made: dict[str, Distilled]) -> None:
    table = made["both"].teachers
    assert [row[0].text for row in table.rows] == ["tuned", "other", "all"]
    assert "RMSE" not in table.titles
    column = table.titles.index("student's soft loss")
    assert [row[column].text for row in table.rows] == ["0.041", "0.087", "0.050"]
    assert "learned on the labels of train" in made["both"].weighting


def test_pages_show_it(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", name=HOSTILE)
    written = {path.suffix: path.read_text("utf-8") for path in write_report(folder).values()}
    assert HOSTILE not in written[".html"]
    assert '<section id="distilled">' in written[".html"]
    assert "What the teachers gave" in written[".html"]
    assert "## Distilling: both" in written[".md"]
    assert "What the teachers gave" in written[".md"]


def test_no_section_without_such_a_step(known: dict[str, Any]) -> None:
    assert distilled(known) == []
