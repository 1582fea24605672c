"""Writers in a run: measured beside people, gated, not asked twice, shown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import gradus
from gradus.errors import CheckpointError, UsageError
from gradus.metrics.items import read_items
from gradus.metrics.writings import Writings
from gradus.plan import plan_from_dict
from gradus.records import Answer, Measurement, RunRecord, State
from gradus.report.gather import facts
from gradus.report.html import html
from gradus.report.markdown import markdown
from gradus.report.writing import writings
from gradus.runner import writing
from gradus.testing.world import write_causal, write_encoder
from gradus.writing.features.base import Feature, FeatureContext, Need
from gradus.writing.records import Writing, read_samples

PEOPLE = ("Mary", "John", "The king", "A girl", "My dog")


def tale(number: int) -> str:
    rng = np.random.default_rng(number)
    who, other = rng.choice(PEOPLE, 2, replace=False)
    count = int(rng.integers(2, 90))
    return (
        f"{who} came to the old town with {count} coins. {other} saw it and was <b>glad</b>. "
        f"They went to the gate by night, and {who} gave {other} the coins. Tale {number}."
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    torch.set_num_threads(1)
    texts = [tale(n) for n in range(160)]
    rows = (json.dumps({"text": text}) for text in texts)
    (folder / "tales.jsonl").write_text("\n".join(rows) + "\n")
    write_causal(folder / "lm", texts)
    write_causal(folder / "other", texts[:40])
    write_encoder(folder / "encoder", texts)
    return folder


STEP: Mapping[str, Any] = {
    "id": "written",
    "step": "sample",
    "writers": ["lm", "other"],
    "prompts": {"corpus": "tales", "number": 12, "characters": 40, "then": 80},
    "decoding": {"temperature": 1.0, "max_tokens": 24},
}


def ran(world: Path, place: Path, *later: Mapping[str, Any], **step: Any) -> RunRecord:
    plan = plan_from_dict(
        {
            "name": "wrote",
            "seed": 1,
            "corpora": {
                "tales": {
                    "source": {"file": "tales.jsonl"},
                    "split": {"train": 0.4, "dev": 0.5, "test": 0.1},
                }
            },
            "models": {n: {"folder": n} for n in ("lm", "other", "encoder")},
            "steps": [{**STEP, **step}, *later],
            "measure": {"bootstrap": 100},
        },
        folder=world,
    )
    return gradus.run(plan, runs_dir=place)


def found(record: RunRecord, metric: str, writer: str) -> Measurement:
    for m in record.step("written").measurements:
        if (m.metric, m.checkpoint) == (metric, writer):
            return m
    raise KeyError(metric)


def test_each_writer_is_measured_and_people_beside(world: Path, tmp_path: Path) -> None:
    record = ran(world, tmp_path, gates=["distinct_2 >= human - 2", "distinct_2 > 5"])
    step = record.step("written")
    assert record.state is State.CLOSED
    assert [gate.verdict for gate in step.gates] == [Answer.OPEN, Answer.CLOSED]
    assert step.gates[0].n == 12
    samples = read_samples(record.checkpoint("written"))
    for writer in ("lm", "other", "human"):
        m = found(record, "distinct_2", writer)
        items, texts = read_items(Path(record.run) / str(m.items))
        assert isinstance(items, Writings)
        assert texts == [one.text for one in samples.of(writer)]
        assert (m.n, m.data, m.split, m.benchmark) == (12, "written", "", "written.v1")
        assert m.value is not None
        assert m.ci_low is not None
        assert m.ci_low <= m.value
    # No model of the plan was seen by what needs none.
    assert not any(m.metric == "reference_perplexity" for m in step.measurements)


def test_prompts_come_from_dev_gate_and_people_go_on_as_there(world: Path, tmp_path: Path) -> None:
    record = ran(world, tmp_path)
    people = read_samples(record.checkpoint("written")).of("human")
    tales = [tale(n) for n in range(160)]
    assert all(any(t.startswith(one.prompt + one.text) for t in tales) for one in people)
    from gradus.data.corpora import open_corpus

    (place,) = (p for p in (Path(record.run) / "corpora" / "tales").iterdir() if p.is_dir())
    corpus = open_corpus(place)
    gate = {t[:30] for t in corpus.splits["dev.gate"].texts()}
    assert {one.prompt[:30] for one in people} <= gate


def test_several_texts_a_prompt_are_drawn_together(world: Path, tmp_path: Path) -> None:
    record = ran(world, tmp_path, each=3, gates=["broken_sentences <= human + 2"])
    m = found(record, "distinct_2", "other")
    assert m.n == 36
    assert found(record, "distinct_2", "human").n == 12
    items, _ = read_items(Path(record.run) / str(m.items))
    groups = items.groups()
    assert groups is not None
    assert np.bincount(groups).tolist() == [3] * 12
    assert (m.contract["texts_each"], m.unit) == ("3", "proportion")
    # How varied three times as many texts are says nothing beside people's.
    held = {row["metric"] for row in record.step("written").facts["written"]["against"]}
    assert "repetition" in held, held
    assert held.isdisjoint({"distinct_1", "distinct_2", "distinct_3", "self_bleu", "entropy"})
    assert record.step("written").gates[0].verdict is Answer.OPEN


def test_another_gate_asks_nobody_again(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ran(world, tmp_path, reference="lm", embedder="encoder", training="tales")
    measured = {(m.metric, m.checkpoint): m.value for m in first.step("written").measurements}
    assert {"reference_perplexity", "coherence", "novelty_4", "divergence"} <= {
        metric for metric, _ in measured
    }

    def nobody(*_: Any, **__: Any) -> Any:
        raise AssertionError("a model was asked again")

    monkeypatch.setattr("gradus.generation.open", nobody)
    monkeypatch.setattr("gradus.scoring.open", nobody)
    monkeypatch.setattr(writing, "checked", nobody)
    gates = ["reference_perplexity > 1", "reference_perplexity <= 100 * human"]
    again = ran(world, tmp_path, reference="lm", embedder="encoder", training="tales", gates=gates)
    step = again.step("written")
    assert step.state is State.REUSED
    assert [gate.verdict for gate in step.gates] == [Answer.OPEN, Answer.OPEN]
    assert {(m.metric, m.checkpoint): m.value for m in step.measurements} == measured


def test_a_reference_is_a_plain_perplexity(world: Path, tmp_path: Path) -> None:
    record = ran(world, tmp_path, reference="lm")
    m = found(record, "reference_perplexity", "human")
    assert m.value is not None
    assert 1 < m.value < 5000
    assert m.contract["reference"].startswith("lm ")


def test_differences_to_people_are_facts_of_the_step(world: Path, tmp_path: Path) -> None:
    written = ran(world, tmp_path).step("written").facts["written"]
    assert written["writers"] == ["lm", "other", "human"]
    rows = {(row["checkpoint"], row["metric"]): row for row in written["against"]}
    assert {writer for writer, _ in rows} == {"lm", "other"}
    assert all(row["against"] == "human" for row in rows.values())
    assert len(written["shown"]) == writing.SHOWN
    assert list(written["shown"][0]["texts"]) == ["lm", "other", "human"]


def test_the_report_shows_texts_as_text_and_measures_of_all(world: Path, tmp_path: Path) -> None:
    record = ran(world, tmp_path)
    known = facts(Path(record.run))
    (one,) = writings(known)
    assert one.table.titles[-3:] == ("lm", "other", "human")
    assert len(one.texts) == writing.SHOWN
    page, plain = html(known), markdown(known)
    assert "<b>" not in page
    assert "&lt;b&gt;glad&lt;/b&gt;" in page
    assert "## Writing: written" in plain
    assert known["main"] is None


def test_what_a_step_says_of_the_samples_is_measured(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that leaves columns is measured by the metrics that take them, writer by writer."""
    from gradus import registry
    from gradus.checkpoints import save_checkpoint
    from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome
    from gradus.writing.records import write_columns

    class SaysConfig(StepConfig):
        of: str

    class Says(Step):
        """Says 4 of people's texts, 2 of the last writer's, nothing of the other's."""

        Config: ClassVar[type[StepConfig]] = SaysConfig
        summary = "says how good texts are"
        example = ""

        @classmethod
        def needs(cls, config: Any) -> Needs:
            return Needs(models={"of": config.of}, takes={"of": ("samples",)})

        @classmethod
        def produces(cls, config: Any) -> frozenset[str]:
            return frozenset({"panel_fluency"})

        def run(self, config: Any, context: StepContext) -> StepOutcome:
            samples = read_samples(Path(context.models[config.of].path))
            said = {one.id: 4.0 for one in samples.of("human")}
            said |= {one.id: 2.0 + 0.1 * (i % 2) for i, one in enumerate(samples.of("other"))}
            save_checkpoint(
                context.out / "checkpoint", kind="ratings", labels=(), preprocessing={},
                parents=(), facts={}, write=lambda f: write_columns(f, {"panel_fluency": said}),
            )  # fmt: skip
            return StepOutcome(checkpoint=context.out / "checkpoint")

    entries = {**registry.entries("steps"), "says.v1": "says:Says"}
    load = registry.load
    monkeypatch.setattr(registry, "entries", _with(registry.entries, "steps", entries))
    monkeypatch.setattr(
        registry, "load", lambda s, n: Says if (s, n) == ("steps", "says.v1") else load(s, n)
    )
    later = {"id": "said", "step": "says", "of": "written", "gates": ["panel_fluency < human"]}
    record = ran(world, tmp_path, later)
    step = record.step("said")
    values = {m.checkpoint: m.value for m in step.measurements if m.metric == "panel_fluency"}
    assert values["human"] == pytest.approx(4.0)
    assert values["other"] == pytest.approx(2.05)
    assert values["lm"] is None
    assert step.gates[0].verdict is Answer.OPEN
    agreement = step.facts["written"]["agreement"]
    assert {row["score"] for row in agreement} == {"panel_fluency"}
    assert "distinct_2" in {row["measure"] for row in agreement}
    (one,) = writings(facts(Path(record.run)))
    assert one.agreement
    assert "panel_fluency" in [str(row[0]) for row in one.table.rows]


def _with(entries: Any, section: str, more: Mapping[str, str]) -> Any:
    return lambda name: more if name == section else entries(name)


def test_a_model_that_isnt_one_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        ran(world, tmp_path, writers=["encoder"])


@dataclass
class _Gives(Feature):
    """Gives what it is told to."""

    given: Mapping[str, np.ndarray]
    name: ClassVar[str] = "gives.v1"
    summary: ClassVar[str] = "gives what it is told to"
    needs: ClassVar[tuple[Need, ...]] = ()
    columns: ClassVar[tuple[str, ...]] = ("x",)

    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        return self.given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"y": np.ones(2)}, "other columns than it declares: x, y"),
        ({"x": np.ones(3)}, r"shape \(3,\) for 2 texts"),
        ({"x": np.array([1.0, math.inf])}, "no infinities"),
    ],
)
def test_a_feature_that_breaks_its_word(given: Mapping[str, np.ndarray], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        writing.checked(_Gives, given, 2)
