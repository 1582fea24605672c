"""Steps inside a step: found again, stopped and continued to the same bits, shared caches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.checkpoints import read_manifest
from gradus.data.redrawn import redrawn, rows_digest
from gradus.errors import TrainingError, UnknownName, UsageError
from gradus.predict import load
from gradus.runner.inner import InnerRuns
from gradus.runner.monitor import RunMonitor
from gradus.steps.base import StepContext
from gradus.steps.inner import Boundary
from gradus.testing.world import World
from gradus.training import activations

HEAD = {"train": "head", "epochs": 2, "lr": 1e-2}
TOP = {"train": "top-1", "epochs": 1, "lr": 1e-3, "dropout": 0.1}


def step(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "step": "finetune",
        "model": "encoder",
        "data": "news",
        "stages": list(stages or [HEAD]),
        **more,
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"))
    made.model("encoder")
    return made


def runs_in(folder: Path, world: World, *, shared: bool = True) -> InnerRuns:
    data = world.dataset.for_training()
    (folder / "outer" / "work").mkdir(parents=True, exist_ok=True)
    context = StepContext(
        id="outer",
        seed=7,
        out=folder / "outer",
        work=folder / "outer" / "work",
        models={"encoder": world.model("encoder")},
        data=data,
        monitor=RunMonitor(folder / "curves.jsonl", data, _Silent()),
        dtype="float32",
        threads=1,
        datasets={"news": data},
        run=folder,
    )
    return InnerRuns(outer=context, measure={}, root=folder / "inner")


class _Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def test_scores_are_those_of_the_checkpoint_on_dev_select(tmp_path: Path, world: World) -> None:
    found = runs_in(tmp_path, world).run("one", step(), metrics=["log_loss"], costs=True)
    assert found.checkpoint is not None
    assert found.items is not None
    select = world.dataset.splits["dev.select"]
    says = load(Path(found.checkpoint.path)).predictor.log_probs(list(select.texts))
    assert found.scores["accuracy"] == np.mean(says.argmax(1) == select.labels)
    gold = says[np.arange(len(select)), select.labels]
    assert found.scores["log_loss"] == pytest.approx(-gold.mean(), abs=1e-6)
    assert list(found.items.ids) == list(select.ids)
    assert found.costs["size_mb"] > 0 < found.costs["latency_p50_ms"]


def test_what_is_done_is_found_again_under_any_name(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = runs_in(tmp_path, world).run("one", step())
    monkeypatch.setattr("gradus.steps.finetune.Finetune.run", None)
    again = runs_in(tmp_path, world).run("two", step())
    assert again.folder == first.folder
    assert again.scores == first.scores
    assert (again.name, again.curve) == ("two", first.curve)


def test_stopped_and_continued_gives_the_bits_of_one_that_was_not(
    tmp_path: Path, world: World
) -> None:
    config = step(HEAD, TOP, {"train": "all", "steps": 3, "lr": 1e-3})
    straight = runs_in(tmp_path / "a", world).run("x", config)
    asked: list[Boundary] = []

    def until(last: int) -> Any:
        def go_on(boundary: Boundary) -> bool:
            asked.append(boundary)
            return boundary.stage < last

        return go_on

    stopped = runs_in(tmp_path / "b", world).run("x", config, boundary=until(1))
    assert stopped.paused is not None
    assert (stopped.paused.stage, stopped.paused.stages) == (1, 3)
    assert stopped.checkpoint is None
    assert 0 <= stopped.scores["accuracy"] <= 1
    once_more = runs_in(tmp_path / "b", world).run("x", config, boundary=until(2))
    assert once_more.paused is not None
    assert once_more.paused.stage == 2
    ended = runs_in(tmp_path / "b", world).run("x", config, boundary=until(9))
    assert [b.stage for b in asked] == [1, 1, 2, 2], "each boundary again after a stop, none twice"
    assert ended.paused is None
    assert ended.checkpoint is not None
    assert straight.checkpoint is not None
    assert ended.checkpoint.digest == straight.checkpoint.digest
    assert ended.scores == straight.scores
    assert ended.curve == straight.curve


def test_frozen_activations_and_tokens_are_computed_once(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[str] = []
    compute = activations.Activations._compute

    def counted(self: Any, tokens: Any, wanted: Any) -> Any:
        filled.append("x")
        return compute(self, tokens, wanted)

    monkeypatch.setattr(activations.Activations, "_compute", counted)
    runs = runs_in(tmp_path, world)
    first = runs.run("one", step())
    assert len(filled) == 2, "train and dev.select"
    assert runs.tokens
    known = {key: len(of) for key, of in runs.tokens.items()}
    second = runs.run("two", step({**HEAD, "lr": 3e-3}))
    assert len(filled) == 2
    assert {key: len(of) for key, of in runs.tokens.items()} == known
    alone = runs_in(tmp_path / "alone", world).run("two", step({**HEAD, "lr": 3e-3}))
    assert second.checkpoint is not None
    assert alone.checkpoint is not None
    assert second.checkpoint.digest == alone.checkpoint.digest != first.fingerprint


def test_texts_that_are_prepared_otherwise_share_no_activations(
    tmp_path: Path, world: World
) -> None:
    """The data, the weights and the lengths are the same; what the weights read isn't."""
    other = step(prepare=[{"name": "template", "text": "sport {text}"}])
    runs = runs_in(tmp_path / "together", world)
    runs.run("one", step())
    together = runs.run("two", other)
    alone = runs_in(tmp_path / "alone", world).run("two", other)
    assert together.checkpoint is not None
    assert alone.checkpoint is not None
    assert together.checkpoint.digest == alone.checkpoint.digest


def test_what_a_stage_has_changed_below_is_not_shared(tmp_path: Path, world: World) -> None:
    runs = runs_in(tmp_path, world)
    runs.run("one", step({"train": "all", "steps": 2, "lr": 1e-3}, HEAD))
    assert not [place for place in runs.folder().iterdir() if place.is_dir()]


def test_a_draw_has_its_own_stable_place(tmp_path: Path, world: World) -> None:
    data = world.dataset.for_training()
    rows = list(range(0, len(data.train), 2))
    fold = redrawn(data, train=data.train.take(rows), select=data.train.take([1, 3, 5]))
    same = redrawn(data, train=data.train.take(rows[::-1]), select=data.train.take([5, 1, 3]))
    assert fold.digest == same.digest
    assert list(fold.train.ids) == sorted(fold.train.ids)
    other = redrawn(data, train=data.train.take(rows))
    flipped = replace(fold.train, labels=fold.train.labels[::-1].copy())
    digests = {fold.digest, other.digest, redrawn(data, train=flipped).digest, rows_digest(data)}
    assert len(digests) == 4
    runs = runs_in(tmp_path, world)
    drawn, whole = runs.run("fold", step(), data=fold), runs.run("whole", step())
    assert drawn.fingerprint != whole.fingerprint
    assert drawn.items is not None
    assert list(drawn.items.ids) == list(fold.select.ids)
    assert runs.run("again", step(), data=same).folder == drawn.folder


def test_dropped_weights_leave_scores_and_are_made_again_where_asked_for(
    tmp_path: Path, world: World
) -> None:
    runs = runs_in(tmp_path, world)
    first = runs.run("one", step())
    assert first.checkpoint is not None
    digest = first.checkpoint.digest
    runs.drop(first)
    told = runs.run("one", step(), weights=False)
    assert told.checkpoint is None
    assert told.scores == first.scores
    made = runs.run("one", step())
    assert made.checkpoint is not None
    assert made.checkpoint.digest == digest
    taken = runs.adopt(made, tmp_path / "outer")
    assert read_manifest(taken).digest == digest
    with pytest.raises(UsageError, match="no weights"):
        runs.adopt(told, tmp_path / "outer")


def test_records_are_json_and_seeds_are_told_apart(tmp_path: Path, world: World) -> None:
    runs = runs_in(tmp_path, world)
    runs.run("one", step())
    runs.run("two", step(), seed=8)
    runs.run("three", step(HEAD, TOP), boundary=lambda _: False)
    rows = json.loads(json.dumps(runs.records(), allow_nan=False))
    assert [row["name"] for row in rows] == ["one", "two", "three"]
    assert len({row["fingerprint"] for row in rows}) == 3
    assert [row["state"] for row in rows] == ["done", "done", "paused"]
    assert rows[0]["cost"]["train_tokens"] > 0
    for row in rows:
        assert (tmp_path / row["curves"]).is_file()


def test_errors_are_the_steps_own(tmp_path: Path, world: World) -> None:
    runs = runs_in(tmp_path, world)
    with pytest.raises(UsageError, match="stages"):
        runs.run("one", step({"train": "nothing"}))
    with pytest.raises(TrainingError):
        runs.run("two", step({"train": "all", "epochs": 3, "lr": 1e30, "clip": None}))


def test_costs_are_measured_again_with_other_settings(tmp_path: Path, world: World) -> None:
    runs = runs_in(tmp_path, world)
    first = runs.run("one", step(), costs=True, weights=False)
    assert runs.run("one", step(), costs=True, weights=False).costs == first.costs
    runs.measure = {"latency_texts": 3, "latency_repeats": 7}
    other = runs.run("one", step(), costs=True, weights=False)
    assert other.costs["latency_p50_ms"] != first.costs["latency_p50_ms"]
    assert other.costs["size_mb"] == first.costs["size_mb"]
    runs.drop(other)
    assert runs.run("one", step(), costs=True, weights=False).costs == other.costs
    # Nothing is there that could be timed: it is made once more.
    runs.measure = {"latency_texts": 4}
    third = runs.run("one", step(), costs=True, weights=False)
    assert third.checkpoint is not None
    assert other.checkpoint is not None
    assert third.checkpoint.digest == other.checkpoint.digest
    assert third.costs["latency_p50_ms"] > 0


def test_what_fails_says_what_it_took(tmp_path: Path, world: World) -> None:
    runs = runs_in(tmp_path, world)
    broken = step(HEAD, {"train": "all", "steps": 3, "lr": 1e30, "clip": None})
    assert runs.taken("one", broken) == {}
    with pytest.raises(TrainingError):
        runs.run("one", broken)
    alone = runs.run("two", step())
    taken = runs.taken("one", broken)
    assert taken["train_tokens"] > alone.cost["train_tokens"], "the second stage's before its fall"
    assert taken["train_seconds"] > 0
    assert runs.taken("two", step())["train_tokens"] == alone.cost["train_tokens"]
    known = runs.known("one", broken)
    assert known is not None
    assert known.cost["train_tokens"] == taken["train_tokens"]


def test_a_metric_that_the_data_are_not_measured_by_is_named(tmp_path: Path, world: World) -> None:
    with pytest.raises(UnknownName, match="unknown metric 'spearman'"):
        runs_in(tmp_path, world).run("one", step(), metrics=["spearman"])


@pytest.mark.parametrize("stage", [HEAD, TOP], ids=["features", "hidden states"])
def test_folds_and_the_whole_compute_each_text_once(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, stage: dict[str, Any]
) -> None:
    computed: list[int] = []
    compute = activations.Activations._compute

    def counted(self: Any, tokens: Any, wanted: Any) -> Any:
        computed.append(len(wanted))
        return compute(self, tokens, wanted)

    monkeypatch.setattr(activations.Activations, "_compute", counted)
    data = world.dataset.for_training()
    rows = np.arange(len(data.train))
    runs, found = runs_in(tmp_path / "together", world), []
    for number in range(3):
        held, rest = rows[rows % 3 == number], rows[rows % 3 != number]
        fold = redrawn(
            data,
            train=data.train.take(rest[4:].tolist()),
            select=data.train.take(rest[:4].tolist()),
        )
        found.append((fold, held, runs.run(f"fold-{number}", step(stage), data=fold)))
        runs.forget()
    assert sum(computed) == len(data.train), "each when the first fold asks that has it"
    runs.run("whole", step(stage))
    assert sum(computed) == len(data.train) + len(data.select)
    for number, (fold, held, result) in enumerate(found):
        alone = runs_in(tmp_path / str(number), world).run("x", step(stage), data=fold)
        assert result.checkpoint is not None
        assert alone.checkpoint is not None
        texts = [data.train.texts[row] for row in held]
        ours, theirs = (load(Path(r.checkpoint.path)).predict_proba(texts) for r in (result, alone))  # type: ignore[union-attr]  # said above
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_what_was_seen_of_dev_counts_at_once_however_it_ends(tmp_path: Path, world: World) -> None:
    told: list[tuple[str, int]] = []

    def inner() -> InnerRuns:
        runs = runs_in(tmp_path, world)
        runs.outer.monitor.looked = lambda mark, scored: told.append((mark, scored))
        return runs

    config = step(HEAD, TOP)
    resting = inner()
    rests = resting.run("x", config, boundary=lambda _: False)
    assert [mark for mark, _ in told] == [rests.fingerprint]
    assert told[0][1] >= 1
    assert resting.outer.monitor.configurations == [rests.fingerprint]
    diverging = inner()
    with pytest.raises(TrainingError):
        diverging.run("y", step(HEAD, {**TOP, "lr": 1e30, "clip": None}))
    assert len(told) == 2
    assert told[1][1] >= 1, "its head was scored before the rest diverged"
    # Another process, which only asks what there is, as a search that goes on does.
    later = inner()
    assert later.known("x", config) is not None
    assert later.outer.monitor.configurations == [rests.fingerprint]
    assert later.outer.monitor.scored == told[0][1]


def test_data_with_a_dev_select_of_their_own_are_no_look(tmp_path: Path, world: World) -> None:
    runs = runs_in(tmp_path, world)
    data = world.dataset.for_training()
    own = replace(data, select=data.train)
    runs.run("x", step(), data=own)
    assert runs.outer.monitor.configurations == []
