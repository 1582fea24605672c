from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gradus.checkpoints import read_manifest
from gradus.data.dataset import Split
from gradus.errors import TrainingError, UsageError
from gradus.predict import load
from gradus.predict.prompt import PromptPredictor
from gradus.records import CheckpointRef
from gradus.steps.base import StepOutcome
from gradus.steps.prompt import Prompt, PromptConfig, draw_examples, label_mass
from scoring.causal import save_source

from . import tiny


def config(**options: Any) -> PromptConfig:
    given = {"model": "lm", "data": "words", "instruction": "What is it about?", **options}
    return PromptConfig.model_validate(given)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    return save_source(tmp_path_factory.mktemp("lm"), tiny.data().train.texts)


def run(folder: Path, model: CheckpointRef, **options: Any) -> tuple[StepOutcome, Any]:
    context = tiny.context(folder, model, tiny.data(), name="lm")
    return Prompt().run(config(**options), context), context


def opened(outcome: StepOutcome) -> PromptPredictor:
    assert outcome.checkpoint is not None
    predictor = load(outcome.checkpoint).predictor
    assert isinstance(predictor, PromptPredictor)
    return predictor


def test_the_example_in_the_docs_is_a_valid_step() -> None:
    raw = yaml.safe_load(Prompt.example)
    parsed = PromptConfig.model_validate(
        {k: v for k, v in raw.items() if k not in ("id", "step", "gates")}
    )
    needs = Prompt.needs(parsed)
    assert (needs.models, needs.data) == ({"model": "lm"}, {"data": "news"})
    assert {"accuracy", "log_loss", "latency_p50_ms", "size_mb"} <= Prompt.produces(parsed)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"draws": 3}, "3 draws of no examples are all the same"),
        ({"template": "{instruction} {words}"}, "{words} stands for nothing"),
        ({"shots": -1}, "greater than or equal to 0"),
        ({"content_free": []}, "at least 1 item"),
        ({"label_words": {"sport": ""}}, "at least 1 character"),
        ({"shot": 1}, "Extra inputs"),
    ],
)
def test_a_config_that_cannot_work_is_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        config(**options)


def test_zero_shot_asks_without_examples(tmp_path: Path, model: CheckpointRef) -> None:
    outcome, context = run(tmp_path, model, label_words={"money": "finance"})
    facts = outcome.facts
    select = context.data.select
    assert facts["prompt"] == (
        f"What is it about?\n\nText: {select.texts[0]}\n\nThis text is about"
    )
    assert facts["label_words"] == {"sport": "sport", "money": "finance", "music": "music"}
    assert facts["prompts"]["texts"] == len(select)
    assert facts["prompts"]["truncated_share"] == 0.0
    assert 0 < facts["label_mass"] < 1
    assert "spread" not in facts
    json.dumps(facts, allow_nan=False)
    manifest = read_manifest(outcome.checkpoint or Path())
    assert manifest.labels == context.data.labels
    assert [a.name for a in manifest.lineage] == ["lm"]


def test_contextual_calibration_makes_the_content_free_input_undecided(
    tmp_path: Path, model: CheckpointRef
) -> None:
    outcome, _ = run(tmp_path, model, shots=2)
    predictor = opened(outcome)
    np.testing.assert_allclose(np.exp(predictor.log_probs(["N/A"])), 1 / 3, rtol=1e-4)
    likelihoods = predictor.log_likelihoods(["N/A"])[0]
    shares = np.exp(likelihoods) / np.exp(likelihoods).sum()
    stated = outcome.facts["calibration"]
    assert (stated["method"], stated["inputs"]) == ("contextual", 1)
    np.testing.assert_allclose(np.exp(list(stated["offsets"].values())), shares, rtol=1e-4)


def test_batch_calibration_reads_texts_of_train(tmp_path: Path, model: CheckpointRef) -> None:
    outcome, context = run(tmp_path, model, calibration="batch", calibration_texts=8)
    predictor = opened(outcome)
    likelihoods = np.exp(predictor.log_likelihoods(context.data.train.sample(8).texts))
    mean = (likelihoods / likelihoods.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(np.exp(predictor.prompt.calibration.offsets), mean, rtol=1e-4)
    assert outcome.facts["calibration"]["inputs"] == 8


def test_without_calibration_nothing_is_taken_out(tmp_path: Path, model: CheckpointRef) -> None:
    outcome, _ = run(tmp_path, model, calibration="none", score="mean")
    predictor = opened(outcome)
    assert predictor.prompt.calibration.offsets == ()
    likelihoods = predictor.log_likelihoods(["the cup"])[0]
    lengths = [len(option) for option in predictor.encoder.options]
    assert max(lengths) > 1
    odds = np.exp(likelihoods / lengths)
    np.testing.assert_allclose(
        np.exp(predictor.log_probs(["the cup"]))[0], odds / odds.sum(), rtol=1e-6
    )


def test_the_spread_is_over_draws_and_the_checkpoint_is_the_first(
    tmp_path: Path, model: CheckpointRef
) -> None:
    outcome, context = run(tmp_path / "five", model, shots=3, draws=5)
    spread = outcome.facts["spread"]
    assert spread["texts"] == len(context.data.select)
    assert len(spread["accuracy"]) == 5
    assert len(set(spread["accuracy"])) > 1
    assert spread["mean"] == pytest.approx(np.mean(spread["accuracy"]))
    assert spread["sd"] == pytest.approx(np.std(spread["accuracy"], ddof=1))
    assert (spread["min"], spread["max"]) == (min(spread["accuracy"]), max(spread["accuracy"]))
    assert [r["accuracy"] for r in context.monitor.rows] == spread["accuracy"]
    first, _ = run(tmp_path / "one", model, shots=3)
    assert opened(outcome).prompt == opened(first).prompt
    rows = opened(outcome).log_probs(context.data.select.texts)
    assert (rows.argmax(axis=1) == context.data.select.labels).mean() == spread["accuracy"][0]


def test_finished_draws_are_not_drawn_again(
    tmp_path: Path, model: CheckpointRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = run(tmp_path / "whole", model, shots=2, draws=4)
    context = tiny.context(tmp_path / "killed", model, tiny.data(), name="lm")
    settings = config(shots=2, draws=4)
    asked: list[int] = []
    plain = PromptPredictor.log_probs

    class Killed(BaseException):
        pass

    def counted(self: PromptPredictor, texts: Any, **more: Any) -> np.ndarray:
        if len(asked) == 2:
            raise Killed
        asked.append(len(texts))
        return plain(self, texts, **more)

    monkeypatch.setattr(PromptPredictor, "log_probs", counted)
    with pytest.raises(Killed):
        Prompt().run(settings, context)
    context.monitor.rows.append({"draw": 3, "accuracy": -1.0})  # a row that was not yet kept
    asked.clear()
    resumed = Prompt().run(settings, context)
    assert len(asked) == 2
    assert resumed.facts == whole.facts
    assert [r["draw"] for r in context.monitor.rows] == [1, 2, 3, 4]
    assert read_manifest(resumed.checkpoint or Path()).digest == (
        read_manifest(whole.checkpoint or Path()).digest
    )


def test_draws_of_another_config_are_not_taken_over(tmp_path: Path, model: CheckpointRef) -> None:
    context = tiny.context(tmp_path, model, tiny.data(), name="lm")
    Prompt().run(config(shots=2, draws=2), context)
    other = Prompt().run(config(shots=3, draws=2), replace(context, out=tmp_path / "other"))
    fresh, _ = run(tmp_path / "fresh", model, shots=3, draws=2)
    assert other.facts == fresh.facts


def test_what_does_not_fit_is_said(tmp_path: Path, model: CheckpointRef) -> None:
    outcome, context = run(tmp_path, model, shots=6, context=70)
    counts = outcome.facts["prompts"]
    assert counts["lost_examples"] > 0
    assert counts["examples_lost"] >= counts["lost_examples"]
    assert any(f"lost {counts['examples_lost']} examples" in n for n in context.monitor.notes)
    outcome, context = run(tmp_path / "short", model, context=52, max_tokens=100)
    counts = outcome.facts["prompts"]
    assert counts["shortened_for_context"] > 0
    assert any("even without examples" in note for note in context.monitor.notes)


def test_examples_are_cut_and_labelled(tmp_path: Path, model: CheckpointRef) -> None:
    outcome, context = run(tmp_path, model, shots=4, example_tokens=2, max_tokens=3)
    prompt = opened(outcome).prompt
    train = context.data.train
    known = dict(zip(train.ids, train.texts, strict=True))
    for (text, label), fact in zip(prompt.examples, outcome.facts["examples"], strict=True):
        assert known[fact["id"]].startswith(text)
        assert len(text) < len(known[fact["id"]])
        assert label == fact["label"]
        assert label == context.data.labels[train.labels[train.ids.index(fact["id"])]]
    assert outcome.facts["prompts"]["truncated_share"] > 0.5


def test_a_small_train_split_gives_all_it_has(tmp_path: Path, model: CheckpointRef) -> None:
    data = replace(tiny.data(), train=tiny.data().train.take([0, 1]))
    context = tiny.context(tmp_path, model, data, name="lm")
    outcome = Prompt().run(config(shots=5), context)
    assert outcome.facts["shots"] == 2
    assert context.monitor.notes == [  # type: ignore[attr-defined]  # the test's own monitor
        "train has 2 texts, so 2 examples are shown instead of 5"
    ]


def test_words_for_a_label_that_is_not_there_are_refused(
    tmp_path: Path, model: CheckpointRef
) -> None:
    with pytest.raises(UsageError, match="no such label"):
        run(tmp_path, model, label_words={"tech": "technology"})


def test_a_step_without_data_says_so(tmp_path: Path, model: CheckpointRef) -> None:
    context = replace(tiny.context(tmp_path, model, tiny.data(), name="lm"), data=None)
    with pytest.raises(TrainingError, match="a prompt needs data"):
        Prompt().run(config(), context)


def made_split(labels: list[int]) -> Split:
    ids = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(len(labels))]
    gold = np.array(labels, dtype=np.int64)
    return Split(texts=[f"text {row}" for row in range(len(labels))], labels=gold, ids=ids)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=30),
    st.integers(0, 12),
    st.integers(0, 2**63 - 1),
)
def test_examples_are_distinct_and_as_balanced_as_train_allows(
    labels: list[int], shots: int, seed: int
) -> None:
    rows = draw_examples(made_split(labels), 4, shots, (seed, 0))
    assert len(rows) == len(set(rows)) == min(shots, len(labels))
    there, shown = Counter(labels), Counter(labels[row] for row in rows)
    most = max(shown.values(), default=0)
    for label in range(4):
        # A label that is shown less often by two or more has no further text.
        assert shown[label] >= most - 1 or shown[label] == there[label]


def test_examples_depend_on_seed_and_draw_but_not_on_the_order_of_rows() -> None:
    labels = [row % 4 for row in range(40)]
    split = made_split(labels)
    backwards = split.take(list(range(39, -1, -1)))
    first = [split.ids[row] for row in draw_examples(split, 4, 6, (5, 0))]
    assert first == [backwards.ids[row] for row in draw_examples(backwards, 4, 6, (5, 0))]
    others = [(5, 1), (6, 0), (7, 0)]
    drawn = {tuple(split.ids[row] for row in draw_examples(split, 4, 6, seed)) for seed in others}
    assert len(drawn | {tuple(first)}) == 4


def test_words_within_words_are_counted_once() -> None:
    likelihoods = np.log([[0.3, 0.1, 0.2]])
    assert label_mass(likelihoods, [(1,), (1, 2), (3,)]) == pytest.approx(0.5)
    assert label_mass(likelihoods, [(1,), (2,), (3,)]) == pytest.approx(0.6)
