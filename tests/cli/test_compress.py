"""What ``gradus compress`` refuses before anything is computed, and how it shows a frontier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradus.checkpoints import save_checkpoint
from gradus.cli import compress as command
from gradus.cli.main import main
from gradus.compressing.base import Frontier, Point


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with a manifest, of a transformer with six layers."""

    def write(folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps({"num_hidden_layers": 6}))

    save_checkpoint(
        tmp_path / "tuned",
        kind="transformer",
        labels=("a", "b"),
        preprocessing={},
        parents=(),
        facts={},
        write=write,
    )
    return tmp_path / "tuned"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target", "speed"], "did you mean|known are"),
        (["--using", "prunes"], "did you mean 'prune'"),
        (["--schemes", "int8-dynamik"], "did you mean 'int8-dynamic'"),
        (["--claim", "dev.select"], "dev.select is what chooses"),
        (["--budget", "accuracy >= 0.9"], "against the parent"),
        (["--budget", "size_mb <= 0.5 * parent"], "against the parent"),
        (["--dta", "x.csv"], "no such option"),
        ([], "name them with --data"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: list[str], said: str, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    assert main(["compress", str(checkpoint), *options]) == 2
    assert re.search(said, capsys.readouterr().err)


def test_what_is_no_checkpoint_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compress", str(tmp_path), "--data", "x.csv"]) == 2
    assert "gradus.json" in capsys.readouterr().err


def test_the_datas_keys_stand_as_flags(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("text,stars\n")
    given = {
        "data": str(tmp_path / "reviews.csv"),
        "data.columns.label": "stars",
        "measure.bootstrap": 200,
    }
    found = command.wish(
        checkpoint,
        given,
        budget="f1_macro >= parent - 0.02",
        target="size",
        using="quantize, prune",
        schemes="int8-dynamic",
        claim="dev.gate",
        name="small",
        seed=None,
    )
    assert found.config["columns"] == {"label": "stars"}
    assert found.measure == {"bootstrap": 200}
    assert found.ways == ("quantize", "prune")
    assert found.schemes == ("int8-dynamic",)
    assert (found.layers, found.seed, found.claim) == (6, 0, "dev.gate")
    assert (found.budget.metric, found.budget.margin) == ("f1_macro", -0.02)


def test_a_frontier_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = (
        Point(name="original", how="as it is", value=0.9, costs={"size_mb": (90.0, 90.0, 90.0)}),
        Point(
            name="int8",
            how="int8-dynamic",
            value=0.89,
            costs={"size_mb": (20.0, None, None)},
            front=True,
        ),
    )
    found = Frontier(
        budget="accuracy >= parent - 0.01",
        target="size",
        metric="accuracy",
        unit="proportion",
        direction="higher",
        data="news",
        claim="test",
        points=points,
        refused={"mixed": "no budget"},
        recommended="int8",
        checkpoint="steps/int8/checkpoint",
    )
    command._show(found, tmp_path)
    said = capsys.readouterr().out
    assert "recommended: int8 (int8-dynamic)" in said
    assert f"checkpoint: {tmp_path / 'steps/int8/checkpoint'}" in said
    assert "left out: mixed: no budget" in said
    assert "int8*" in said
