"""``gradus scaling``: a sweep of depths from one plan, the law through them, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from gradus.cli.main import main
from gradus.cli.scaling import _span
from gradus.metrics.items import read_seen
from gradus.stats import scaling as law

DEPTHS = (1, 2, 3, 4)
PLAN: dict[str, Any] = {
    "name": "mini",
    "seed": 1,
    "corpora": {
        "tales": {
            "source": {"file": "tales.jsonl"},
            "format": "jsonl",
            "columns": {"text": "text"},
            "split": {"train": 0.5, "dev": 0.5, "test": 0.0},
        }
    },
    "measure": {"cost": False},
    "steps": [
        {"id": "tok", "step": "tokenizer", "corpus": "tales", "kind": "bytes"},
        {
            "id": "base",
            "step": "pretrain",
            "corpus": "tales",
            "tokenizer": "tok",
            "model": {"architecture": "gpt2", "layers": 1, "width": 32},
            "block": 32,
            "batch_size": 2,
            "steps": 3,
            "dtype": "float32",
            "validate": {"documents": 2, "gap_blocks": 0},
        },
        {"id": "late", "step": "tokenizer", "corpus": "tales"},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan, its corpus, and the sweep, run once."""
    made = tmp_path_factory.mktemp("scaling")
    draw = np.random.default_rng(0)
    words = ["king", "queen", "storm", "island", "ghost", "sword", "fool", "crown"]
    tales = [" ".join(draw.choice(words, 12)) for _ in range(120)]
    lines = [json.dumps({"text": tale}) for tale in tales]
    (made / "tales.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (made / "mini.yaml").write_text(yaml.safe_dump(PLAN), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.setenv("XDG_STATE_HOME", str(made / "state"))
        assert main([*command(), "--html", "page.html", "--json"]) == 0
    return made


def command(*more: str) -> list[str]:
    return ["scaling", "mini.yaml", "--depths", "4,2,1,3", "--bootstrap", "100", "--quiet", *more]


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["scaling", *arguments]) == 2
    return capsys.readouterr().err


def test_the_points_are_what_the_run_measured(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked(capsys, *command())
    record = json.loads((here / "runs/mini-scaling/run.json").read_text(encoding="utf-8"))
    steps = {step["id"]: step for step in record["steps"]}
    assert set(steps) == {"tok", *(f"base-{depth}" for depth in DEPTHS)}
    (view,) = found["scaling"]
    assert (view["on"], view["metric"]) == ("tales.dev.gate", "bits_per_byte")
    assert [point["model"] for point in view["points"]] == [f"base-{depth}" for depth in DEPTHS]
    for point, size in zip(view["points"], found["sizes"], strict=True):
        step = steps[point["model"]]
        (measured,) = [m for m in step["measurements"] if m["metric"] == "bits_per_byte"]
        assert point["value"] == pytest.approx(measured["value"])
        assert point["ci_low"] < point["value"] < point["ci_high"]
        assert point["x"] == size["flops"] == step["cost"]["flops"]
        assert size["tokens"] == step["cost"]["train_tokens"]


def test_the_law_is_the_fit_to_these_items(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fitted again from the item files; where there is no law the reason is the same."""
    found = asked(capsys, *command("--predict", "1e15"))
    (view,) = found["scaling"]
    record = json.loads((here / "runs/mini-scaling/run.json").read_text(encoding="utf-8"))
    run = here / "runs/mini-scaling"
    items = []
    for depth in DEPTHS:
        step = next(one for one in record["steps"] if one["id"] == f"base-{depth}")
        (measured,) = [m for m in step["measurements"] if m["metric"] == "bits_per_byte"]
        items.append(read_seen(run / measured["items"])[0])
    from gradus.metrics import get

    metric = get("bits_per_byte")
    x = [size["flops"] for size in found["sizes"]]
    values = [metric(one) for one in items]
    draws = law.draws_of(metric, items, draws=100, seed=0)
    again = law.fit(x, values, draws, within=metric.range, at=[1e15])
    if isinstance(again, str):
        assert (view["law"], view["why"]) == (None, again)
    else:
        assert view["law"]["exponent"] == pytest.approx(again.exponent)
        assert view["predictions"][-1]["value"] == pytest.approx(again.predictions[-1].value)


def test_the_next_depth_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (later,) = asked(capsys, *command())["next"]
    assert later["depth"] == 5
    assert later["tokens"] == 3 * 2 * 32
    # 12 N d^2 and the embeddings of 257 tokens and 32 positions; norms and biases are the rest.
    assert later["parameters"] == pytest.approx(12 * 5 * 320**2 + (257 + 32) * 320, rel=0.01)
    told = asked(capsys, *command("--next", "8", "--next", "12"))
    assert [one["depth"] for one in told["next"]] == [8, 12]
    assert any(note.startswith("depth 12 would have") for note in told["notes"])


def test_steps_of_runs_give_the_same_points(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [f"mini-scaling:base-{depth}" for depth in DEPTHS]
    given = asked(capsys, "scaling", *steps, "--bootstrap", "100")
    swept = asked(capsys, *command())
    assert given["scaling"][0]["points"] == swept["scaling"][0]["points"]
    assert given["next"] == []


def test_the_page_shows_the_chart(here: Path) -> None:
    page = (here / "page.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "bits_per_byte against training FLOPs" in page
    assert "depth 5 would have" in page


def test_the_terminal_names_every_model(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command()) == 0
    shown = capsys.readouterr().out
    assert all(f"base-{depth}" in shown for depth in DEPTHS)
    assert main(command("--markdown")) == 0
    assert "| base-4 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mini.yaml"], "a plan goes with --depths"),
        (["mini.yaml", "--depths", "1,2,3"], "needs 4 depths"),
        (["mini.yaml", "--depths", "1,2,x,3"], "whole numbers"),
        (["mini.yaml", "mini.yaml", "--depths", "1,2,3,4"], "goes with one plan"),
        (["mini-scaling:base-1", "--next", "8"], "--next goes with a plan"),
        (["mini-scaling:tok", "mini-scaling:base-1"], "doesn't say what its training computed"),
        (["mini.yaml", "--depths", "1,2,3,4", "--level", "2"], "--level"),
        (["mini.yaml", "--depths", "1,2,3,4", "--predict", "0"], "above 0"),
    ],
)
def test_refusals(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert told in refused(capsys, *arguments)


def test_what_was_measured_otherwise_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {**PLAN, "name": "other", "measure": {"cost": False, "window": 16}}
    (here / "other.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    assert main(["run", "other.yaml", "--until", "base", "--quiet"]) == 0
    capsys.readouterr()
    steps = [f"mini-scaling:base-{depth}" for depth in DEPTHS[1:]]
    assert main(["scaling", *steps, "other:base", "--bootstrap", "100"]) == 1
    assert "can't be compared: window" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(59, "59 seconds"), (600, "10 minutes"), (36_000, "10 hours"), (864_000, "10 days")],
)
def test_spans_of_time(seconds: float, told: str) -> None:
    assert _span(seconds) == told
