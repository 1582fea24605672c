"""Language models on benchmarks: what is measured, what isn't asked twice, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradus
from gradus import scoring
from gradus.errors import CheckpointError, DataError, PlanError
from gradus.metrics.items import read_items
from gradus.records import Answer, RunRecord, State
from gradus.report.gather import facts
from gradus.report.html import html
from gradus.report.markdown import markdown
from gradus.runner.monitor import Quiet
from gradus.scoring.load import load_causal_lm
from gradus.scoring.seam import encode_pair
from gradus.sources import locate_weights
from gradus.testing.world import World
from gradus.training.models import load_tokenizer
from scoring.causal import plain_log_likelihood

from .toy_benchmark import make_models, plan, suite, texts, toys, write

__all__ = ["toys"]
pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    torch.set_num_threads(1)
    make_models(folder)
    write(folder / "toy.jsonl")
    return folder


def value(record: RunRecord, metric: str, checkpoint: str, data: str = "toy") -> Any:
    for m in record.step("suite").measurements:
        if (m.metric, m.checkpoint, m.data) == (metric, checkpoint, data):
            return m
    raise KeyError(metric)


class Listening(Quiet):
    """Keeps what it is told; stops the run after so many reports of progress."""

    def __init__(self, stop: int | None = None) -> None:
        self.notes: list[str] = []
        self.seen: list[tuple[float, float, str]] = []
        self._stop = stop

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, done: float, total: float, text: str) -> None:
        self.seen.append((done, total, text))
        if self._stop is not None and len(self.seen) >= self._stop:
            raise KeyboardInterrupt


def test_numbers_are_those_of_a_plain_forward_pass(world: Path, tmp_path: Path) -> None:
    record = gradus.run(plan(world, suite(world)), runs_dir=tmp_path)
    for name in ("base", "other"):
        ref = locate_weights(name, {"folder": str(world / name)}, world)
        model, tokenizer = load_causal_lm(ref), load_tokenizer(ref)
        expected = []
        for text in texts(24):
            context, _, last = text.rpartition(" ")
            expected.append(
                plain_log_likelihood(model, *encode_pair(tokenizer, context, f" {last}"))
            )
        found = value(record, "target_perplexity", name)
        items, shown = read_items(Path(record.run) / found.items)
        np.testing.assert_allclose(items.nats, expected, rtol=1e-4, atol=1e-4)
        assert shown == texts(24)
        assert found.value == pytest.approx(np.exp(-np.mean(expected)), rel=1e-4)
        assert (found.benchmark, found.data, found.split, found.n) == ("toy.v1", "toy", "", 24)
        assert found.contract["dtype"] == "float32"
        assert {"backend", "tokenizer", "file", "format", "case"} <= found.contract.keys()
        assert "limit" not in found.contract
    said = facts(Path(record.run))["headline"]["brought"]
    assert len(said) == 1
    assert said[0].startswith("toy, accuracy: base 0.")
    assert "], other 0." in said[0]


def test_the_contract_says_limit_options_and_dtype(world: Path, tmp_path: Path) -> None:
    benchmarks = [
        {"toy": {"path": str(world / "toy.jsonl"), "limit": 5}},
        {"small": {"benchmark": "toy", "path": str(world / "toy.jsonl"), "case": "lower"}},
    ]
    step = suite(world, benchmarks=benchmarks, models=["base"], dtype="bfloat16")
    record = gradus.run(plan(world, step), runs_dir=tmp_path)
    first, second = value(record, "accuracy", "base"), value(record, "accuracy", "base", "small")
    assert (first.n, second.n) == (5, 24)
    assert first.contract["limit"] == "the first 5"
    assert (first.contract["case"], second.contract["case"]) == ("as it is", "lower")
    assert first.contract["dtype"] == second.contract["dtype"] == "bfloat16"


def test_gates_compare_on_the_same_items(world: Path, tmp_path: Path) -> None:
    gates = [
        "toy.accuracy >= 0",
        "accuracy <= base + 1",
        "toy.target_perplexity < 1000 * base",
        "surely toy.accuracy >= 0.99",
    ]
    record = gradus.run(plan(world, suite(world, *gates)), runs_dir=tmp_path)
    verdicts = record.step("suite").gates
    assert [v.verdict for v in verdicts] == [Answer.OPEN, Answer.OPEN, Answer.OPEN, Answer.CLOSED]
    assert verdicts[1].n == 24
    assert record.state is State.CLOSED


def test_a_model_that_only_a_gate_names_is_asked_too(world: Path, tmp_path: Path) -> None:
    step = suite(world, "toy.accuracy <= base + 1", models=["other"])
    record = gradus.run(plan(world, step), runs_dir=tmp_path)
    assert record.state is State.DONE
    assert value(record, "accuracy", "base").n == 24


def test_nothing_is_asked_twice(world: Path, tmp_path: Path) -> None:
    def kept() -> dict[str, int]:
        found = (tmp_path / "toys" / "benchmarks").glob("*/taken.json")
        return {p.parent.name: p.stat().st_mtime_ns for p in found}

    gradus.run(plan(world, suite(world, models=["base"])), runs_dir=tmp_path)
    first = kept()
    listening = Listening()
    changed = plan(world, suite(world, "accuracy >= 0"), {**suite(world), "id": "again"})
    gradus.run(changed, runs_dir=tmp_path, reporter=listening)
    assert {text for *_, text in listening.seen} == {"other on toy"}
    assert len(kept()) == 2
    assert first.items() <= kept().items()
    assert not list((tmp_path / "toys" / "benchmarks").rglob("journal*"))

    write(tmp_path / "more.jsonl", 12)
    listening = Listening()
    step = suite(world, benchmarks=[{"toy": str(tmp_path / "more.jsonl")}], models=["base"])
    gradus.run(plan(world, step), runs_dir=tmp_path, reporter=listening)
    assert {text for *_, text in listening.seen} == {"base on toy"}
    assert len(kept()) == 3


def test_interrupted_it_goes_on(world: Path, tmp_path: Path) -> None:
    step = suite(world, models=["base"], max_batch_tokens=32)
    whole = gradus.run(plan(world, step), runs_dir=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        gradus.run(plan(world, step), runs_dir=tmp_path / "cut", reporter=Listening(stop=2))
    (journal,) = (tmp_path / "cut" / "toys" / "benchmarks").glob("*/journal.jsonl")
    assert 0 < len(journal.read_text().splitlines()) < 30
    listening = Listening()
    record = gradus.run(plan(world, step), runs_dir=tmp_path / "cut", reporter=listening)
    assert "base on toy: going on where it was interrupted" in listening.notes
    assert not journal.exists()
    one, two = (r.step("suite") for r in (whole, record))
    items = [
        read_items(Path(r.run) / s.measurements[0].items)[0]
        for r, s in ((whole, one), (record, two))
    ]
    np.testing.assert_allclose(items[0].nats, items[1].nats, rtol=1e-5)
    tokens = [s.facts["benchmarks"][0]["tokens"] for s in (one, two)]
    assert 0 < tokens[1] < tokens[0]


def test_a_broken_file_is_told_before_a_model_is_opened(world: Path, tmp_path: Path) -> None:
    whole = (world / "toy.jsonl").read_text()
    (tmp_path / "cut.jsonl").write_text(whole[:-20])
    benchmarks = [
        {"toy": str(world / "toy.jsonl")},
        {"cut": {"benchmark": "toy", "path": str(tmp_path / "cut.jsonl")}},
    ]
    listening = Listening()
    with pytest.raises(DataError, match=r"cut\.jsonl, line 24: ends early"):
        gradus.run(
            plan(world, suite(world, benchmarks=benchmarks)), runs_dir=tmp_path, reporter=listening
        )
    assert not listening.seen
    (tmp_path / "cut.jsonl").write_text("")
    with pytest.raises(DataError, match="holds nothing"):
        gradus.run(plan(world, suite(world, benchmarks=benchmarks)), runs_dir=tmp_path)
    (tmp_path / "cut.jsonl").unlink()
    with pytest.raises(
        PlanError, match=r"steps.suite.benchmarks\[1\].cut.path: the file .* doesn't exist"
    ):
        gradus.run(plan(world, suite(world, benchmarks=benchmarks)), runs_dir=tmp_path)


def test_what_speaks_no_words_is_refused(world: Path, tmp_path: Path) -> None:
    made = World(tmp_path)
    models = {
        "encoder": {"folder": str(made.model("encoder").path)},
        "tuned": {"folder": str(made.model("tuned").path)},
        "base": {"folder": str(world / "base")},
    }
    listening = Listening()
    step = suite(world, models=["base", "tuned"])
    with pytest.raises(CheckpointError, match="'tuned' was trained to label texts"):
        gradus.run(plan(world, step, models=models), runs_dir=tmp_path, reporter=listening)
    assert not listening.seen
    with pytest.raises(CheckpointError, match="causal language model"):
        gradus.run(plan(world, suite(world, models=["encoder"]), models=models), runs_dir=tmp_path)


@pytest.mark.parametrize(
    ("head", "says"),
    [("BertForMaskedLM", "sees both sides"), ("BertForSequenceClassification", "gives labels")],
)
def test_a_head_of_another_kind_is_told_by_its_name(
    world: Path, tmp_path: Path, head: str, says: str
) -> None:
    made = Path(World(tmp_path).model("encoder").path)
    config = json.loads((made / "config.json").read_text())
    names = {"id2label": {"0": "good", "1": "bad"}, "label2id": {"good": 0, "bad": 1}}
    changed = {**config, **names, "architectures": [head]}
    (made / "config.json").write_text(json.dumps(changed))
    models = {"base": {"folder": str(world / "base")}, "encoder": {"folder": str(made)}}
    listening = Listening()
    with pytest.raises(CheckpointError, match=says):
        gradus.run(
            plan(world, suite(world, models=["base", "encoder"]), models=models),
            runs_dir=tmp_path,
            reporter=listening,
        )
    assert not listening.seen


def test_the_report_shows_published_figures_as_such(world: Path, tmp_path: Path) -> None:
    record = gradus.run(plan(world, suite(world)), runs_dir=tmp_path)
    known = facts(Path(record.run))
    assert known["final"] == []
    (change,) = [
        row for row in known["steps"][0]["benchmark_changes"] if row["metric"] == "accuracy"
    ]
    assert (change["checkpoint"], change["against"], change["n"]) == ("other", "base", 24)
    for page in (html(known), markdown(known)):
        assert "Benchmarks" in page
        assert "published: GPT-2 117M" in page
        assert "0.460" in page
        assert "Radford et al. 2019" in page
    told = json.loads((Path(record.run) / "report.json").read_text())
    (row, _) = told["steps"][0]["benchmarks"]
    assert row["published"][0]["source"].startswith("Radford")
    assert row["tokens_per_second"] > 0


def test_in_python(world: Path, tmp_path: Path) -> None:
    found = gradus.evaluate(
        world / "base", {"toy": world / "toy.jsonl"}, limit=6, runs_dir=tmp_path
    )
    assert {m.metric for m in found} == {"accuracy", "target_perplexity"}
    assert {(m.checkpoint, m.n) for m in found} == {("base", 6)}
    with pytest.raises(PlanError, match="did you mean 'toy'"):
        gradus.evaluate(world / "base", {"tooy": world / "toy.jsonl"}, runs_dir=tmp_path)


def test_a_model_is_opened_once_for_all_its_benchmarks(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    really = scoring.open

    def spying(ref: Any, **options: Any) -> Any:
        opened.append(ref.name)
        return really(ref, **options)

    monkeypatch.setattr(scoring, "open", spying)
    lower = {"benchmark": "toy", "path": str(world / "toy.jsonl"), "case": "lower"}
    benchmarks = [{"toy": str(world / "toy.jsonl")}, {"lower": lower}]
    record = gradus.run(plan(world, suite(world, benchmarks=benchmarks)), runs_dir=tmp_path)
    assert opened == ["base", "other"]
    places = [(m.data, m.checkpoint) for m in record.step("suite").measurements]
    assert list(dict.fromkeys(places)) == [
        ("toy", "base"), ("toy", "other"), ("lower", "base"), ("lower", "other"),
    ]  # fmt: skip


def test_a_score_of_the_plans_own_is_taken_on_benchmarks(world: Path, tmp_path: Path) -> None:
    score = {"scores": {"both": {"combine": "accuracy - 0.001 * target_perplexity"}}}
    step = suite(world, "both >= -1000", models=["base"])
    record = gradus.run(plan(world, step, **score), runs_dir=tmp_path)
    accuracy, perplexity, both = (
        value(record, metric, "base") for metric in ("accuracy", "target_perplexity", "both")
    )
    assert both.value == pytest.approx(accuracy.value - 0.001 * perplexity.value)
    assert record.step("suite").gates[0].verdict is Answer.OPEN
