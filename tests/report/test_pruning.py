"""The section of pruning: its table, its charts, and that both renderers show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradus.records import Measurement, State, StepRecord
from gradus.report import facts, write_report
from gradus.report.pruning import SHOWN, Pruning, pruning

from .pages import HOSTILE
from .runs import step
from .sample import Sample


def measured(checkpoint: str, metric: str, value: float, unit: str) -> Measurement:
    return Measurement(
        metric=metric,
        value=value,
        unit=unit,
        direction="higher" if metric == "accuracy" else "lower",
        n=200,
        ci_low=value * 0.97,
        ci_high=value * 1.03,
        data="news",
        split="dev.gate",
        benchmark="classify.v1" if metric == "accuracy" else "cost.v1",
        checkpoint=checkpoint,
    )


def counts(layers: int, heads: int, units: int, flops: float) -> dict[str, Any]:
    return {
        "layers": layers,
        "parameters": 22_700_000,
        "matrix_parameters": 10_600_000,
        "nonzero": 10_600_000,
        "sparsity": 0.0,
        "tokens_per_text": 12.0,
        "flops_per_text": flops,
        "sizes": [{"heads": heads, "units": units}] * layers,
        "select_loss": 0.41,
        "select_accuracy": 0.93,
    }


def pruned(name: str, parent: str, **said: Any) -> StepRecord:
    told: dict[str, Any] = {
        "parent": parent,
        "what": ["heads", "units"],
        "methods": ["michel", "taylor"],
        "amount": 0.5,
        "pattern": "unstructured",
        "kept_layers": [0, 1, 2],
        "before": counts(3, 12, 1536, 4e8),
        "after": counts(3, 6, 768, 1e8),
        "rounds": [
            {"amount": 0.4375, "select_loss": 0.9, "select_accuracy": 0.81},
            {"amount": 0.5, "select_loss": 0.7, "select_accuracy": 0.85},
        ],
        "stages": [{"stage": 0, "train": "all"}],
        "sensitivity": [
            {
                "what": what,
                "method": "michel",
                "texts": 128,
                "baseline": 0.3,
                "amounts": [0.25, 0.5],
                "loss": [[0.31, 0.32, 0.4], [0.33, 0.38, 0.9]],
            }
            for what in ("heads", "units")
        ],
        "dtype": "float32",
        **said,
    }
    taken = [("accuracy", 0.9, "proportion"), ("latency_p50_ms", 4.2, "ms"), ("size_mb", 70, "MB")]
    return step(
        name,
        "prune.v1",
        parents=(parent,),
        measurements=tuple(measured(name, *one) for one in taken),
        facts=told,
    )


def run(folder: Path, *steps: StepRecord, parent: str = "tuned") -> Path:
    sample = Sample(folder)
    taken = [("accuracy", 0.93, "proportion"), ("latency_p50_ms", 8.1, "ms"), ("size_mb", 91, "MB")]
    before = step(
        parent,
        "finetune.v1",
        measurements=tuple(measured(parent, *one) for one in taken),
    )
    return sample.write(sample.record(State.DONE, [before, *steps]))


def found(folder: Path) -> Pruning:
    section = pruning(facts(folder))
    assert section is not None
    return section


def cells(section: Pruning) -> dict[str, dict[str, str]]:
    titles = section.table.titles
    return {
        row[0].text: {t: c.text for t, c in zip(titles, row, strict=True)}
        for row in section.table.rows
    }


def test_parent_and_children_stand_in_one_table(tmp_path: Path) -> None:
    zeros = {
        "what": ["weights"],
        "methods": ["wanda"],
        "pattern": "2:4",
        "after": {**counts(3, 12, 1536, 4e8), "sparsity": 0.5},
    }
    rows = cells(found(run(tmp_path, pruned("small", "tuned"), pruned("sparse", "tuned", **zeros))))
    assert list(rows) == ["tuned", "small", "sparse"]
    assert (rows["tuned"]["heads"], rows["small"]["heads"]) == ("36", "18")
    assert (rows["tuned"]["units"], rows["small"]["units"]) == ("4,608", "2,304")
    assert rows["sparse"]["zeros among the layers' weights"] == "50%"
    assert rows["small"]["million operations a text"] == "100"
    assert "4.2" in rows["small"]["latency_p50_ms"]
    assert "91" in rows["tuned"]["size_mb"]
    assert "90" in rows["small"]["accuracy"]


def test_each_step_says_what_went_and_what_each_layer_bears(tmp_path: Path) -> None:
    zeros = {"what": ["weights"], "methods": ["magnitude"], "amount": 0.7, "sensitivity": []}
    section = found(run(tmp_path, pruned("small", "tuned"), pruned("sparse", "tuned", **zeros)))
    small, sparse = section.steps
    assert "heads (by michel) and units (by taylor) of tuned went" in small.said
    assert "75% fewer operations" in small.said
    assert "as many operations" in sparse.said
    assert [of.table.rows[2][2].text for of in small.sensitivity] == ["0.900", "0.900"]
    chart = str(small.sensitivity[0].chart[0])
    assert chart.count("<polyline") == 3  # two amounts, and the whole model
    assert [row[0].text for row in small.rounds.rows] == [
        "before",
        "round 1, not trained yet",
        "round 2, not trained yet",
        "at the end",
    ]
    assert [row[0].text for row in small.layers.rows] == ["0", "1", "2"]


def test_layers_that_went_hold_nothing(tmp_path: Path) -> None:
    said = {
        "what": ["layers"],
        "methods": ["removal"],
        "kept_layers": [0, 2],
        "after": counts(2, 12, 1536, 2.7e8),
        "sensitivity": [
            {
                "what": "layers",
                "method": "removal",
                "texts": 9,
                "baseline": 0.3,
                "amounts": [1.0],
                "loss": [[1.0, 0.4, 0.9]],
            }
        ],
    }
    (shown,) = found(run(tmp_path, pruned("short", "tuned", **said))).steps
    assert [row[2].text for row in shown.layers.rows] == ["12", "0", "12"]
    assert shown.sensitivity[0].table.titles == ("layer", "nats, without the layer")


def test_both_renderers_show_it_and_nothing_that_a_name_says_is_markup(tmp_path: Path) -> None:
    folder = run(tmp_path, pruned("small", HOSTILE), parent=HOSTILE)
    written = write_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    plain = (folder / "report.md").read_text(encoding="utf-8")
    assert written
    assert '<section id="pruned">' in page
    assert '<a href="#pruned">' in page
    assert HOSTILE not in page
    assert "## Pruning" in plain
    assert "Loss when heads of one layer alone go, on 128 texts of train" in plain
    # What the section shows isn't told again among what steps recorded.
    for name in SHOWN:
        assert f"{name.replace('_', ' ')}:" not in plain


@pytest.mark.parametrize("state", [State.FAILED, State.SKIPPED])
def test_a_step_that_didn_t_get_there_has_no_section(state: State, tmp_path: Path) -> None:
    assert pruning(facts(run(tmp_path))) is None
    bare = StepRecord(id="small", step="prune.v1", state=state, parents=("tuned",))
    assert pruning(facts(run(tmp_path / "again", bare))) is None
