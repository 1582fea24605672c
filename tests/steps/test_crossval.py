"""Cross-validation: what is predicted out of fold, what is concluded, what the checkpoint is."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from scipy import stats

from gradus.checkpoints import open_checkpoint, read_manifest
from gradus.crossval.partition import groups_of, partition
from gradus.errors import DataError, TrainingError, UsageError
from gradus.predict import load
from gradus.steps.base import StepOutcome
from gradus.steps.crossval import Crossval, CrossvalConfig
from gradus.testing import World
from gradus.testing.world import ListeningMonitor, default_rows

WAYS = {
    "words": {"step": "baseline"},
    "letters": {"step": "baseline", "analyzer": "char", "ngrams": [1, 1], "C": 0.1},
}
CONFIG = {"data": "news", "folds": 3, "repeats": 2, "scheme": "stratified", "configurations": WAYS}


def rows_of(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out / "out-of-fold.parquet").to_pylist()
    return rows


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def done(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[StepOutcome, Path]:
    out = tmp_path_factory.mktemp("done") / "out"
    return world.run("crossval", CONFIG, out), out


def test_every_item_of_train_is_predicted_once(
    world: World, done: tuple[StepOutcome, Path]
) -> None:
    _, out = done
    rows, train = rows_of(out), world.dataset.splits["train"]
    seen = Counter((r["configuration"], r["repeat"], r["seed"], r["id"]) for r in rows)
    assert set(seen.values()) == {1}
    assert len(seen) == 2 * 2 * len(train)
    assert {r["id"] for r in rows} == set(train.ids)
    texts = dict(zip(train.ids, train.texts, strict=True))
    assert all(texts[r["id"]] == r["text"] for r in rows)


def test_values_and_tests_are_those_of_the_predictions(done: tuple[StepOutcome, Path]) -> None:
    outcome, out = done
    facts, table = outcome.facts, {}
    for row in rows_of(out):
        key = (row["configuration"], row["repeat"], row["fold"])
        table.setdefault(key, []).append(row["gold"] == row["predicted"])
    for one in facts["configurations"]:
        values = [np.mean(table[one["name"], c["repeat"], c["fold"]]) for c in facts["cells"]]
        assert [v[0] for v in one["values"]] == pytest.approx(values)
        assert one["value"] == pytest.approx(np.mean(values))
    first, second = (np.array([row[0] for row in one["values"]]) for one in facts["configurations"])
    gaps = first - second
    (test,) = facts["tests"]
    assert test["naive"]["p_value"] == pytest.approx(stats.ttest_rel(first, second).pvalue)
    trained = np.mean([c["train"] + c["select"] for c in facts["cells"]])
    factor = 1 / 6 + np.mean([c["held"] for c in facts["cells"]]) / trained
    t = gaps.mean() / np.sqrt(factor * gaps.var(ddof=1))
    assert test["p_value"] == pytest.approx(2 * stats.t.sf(abs(t), 5))
    assert facts["winner"] == "words"
    assert test["difference"] > 0
    json.dumps(dict(facts), allow_nan=False)


def test_the_checkpoint_is_the_best_trained_on_all(
    world: World, done: tuple[StepOutcome, Path], tmp_path: Path
) -> None:
    outcome, _ = done
    assert outcome.checkpoint is not None
    alone = world.run("baseline", {"data": "news"}, tmp_path / "alone")
    assert alone.checkpoint is not None
    assert read_manifest(outcome.checkpoint).digest == read_manifest(alone.checkpoint).digest
    of_folds = sum(one["seconds"] for one in outcome.facts["configurations"])
    assert outcome.cost["train_seconds"] > of_folds  # the training on all is in it


def test_what_is_done_is_found_again(world: World, tmp_path: Path) -> None:
    """A third configuration trains nothing of the first two; weights of folds don't stay."""
    out = tmp_path / "out"
    world.run("crossval", {**CONFIG, "repeats": 1}, out)
    held = sorted((out / "inner").glob("*/held-*.parquet"))
    stamps = {path: path.stat().st_mtime_ns for path in held}
    assert len(held) == 2 * 3
    weights = list((out / "inner").glob("*/checkpoint/gradus.json"))
    assert len(weights) == 1  # the one trained on all
    shutil.rmtree(out / "work")
    more = {**WAYS, "triples": {"step": "baseline", "ngrams": [1, 3]}}
    outcome = world.run("crossval", {**CONFIG, "repeats": 1, "configurations": more}, out)
    assert {path: path.stat().st_mtime_ns for path in held} == stamps
    assert len(outcome.facts["tests"]) == 3
    assert len(list((out / "inner").glob("*/held-*.parquet"))) == 3 * 3


def test_a_corrected_label_is_seen_in_the_fold_that_held_it_out(tmp_path: Path) -> None:
    """What that fold was trained on is the same, so its predictions were there already."""
    world, out = World(tmp_path), tmp_path / "out"
    config = {**CONFIG, "scheme": "hash", "repeats": 1, "refit": "none"}
    world.run("crossval", config, out)
    train = world.dataset.splits["train"]
    item, before = train.ids[4], {row["gold"] for row in rows_of(out) if row["id"] == train.ids[4]}
    labels = train.labels.copy()
    labels[4] = (labels[4] + 1) % len(world.dataset.labels)
    splits = {**world.dataset.splits, "train": dataclasses.replace(train, labels=labels)}
    world.__dict__["dataset"] = dataclasses.replace(world.dataset, splits=splits)
    shutil.rmtree(out / "work")
    world.run("crossval", config, out)
    after = {row["gold"] for row in rows_of(out) if row["id"] == item}
    assert len(before) == len(after) == 1
    assert before != after


def test_an_ensemble_of_the_folds(world: World, tmp_path: Path) -> None:
    config = {**CONFIG, "repeats": 1, "refit": "ensemble"}
    outcome = world.run("crossval", config, tmp_path / "out")
    assert outcome.checkpoint is not None
    manifest = read_manifest(outcome.checkpoint)
    assert manifest.kind == "ensemble"
    texts = world.dataset.splits["test"].texts[:7]
    members = [load(outcome.checkpoint / "members" / str(i)).predict_proba(texts) for i in range(3)]
    assert load(outcome.checkpoint).predict_proba(texts) == pytest.approx(np.mean(members, axis=0))
    assert not np.allclose(members[0], members[1])
    none = world.run("crossval", {**config, "refit": "none"}, tmp_path / "none")
    assert none.checkpoint is None


def test_seeds_are_told_from_folds(world: World, tmp_path: Path) -> None:
    """A step without randomness gives the same with every seed: no variance is the seeds'."""
    config = {**CONFIG, "repeats": 1, "seeds_per_fold": 2, "refit": "none"}
    facts = world.run("crossval", config, tmp_path / "out").facts
    for one in facts["configurations"]:
        assert [len(row) for row in one["values"]] == [2, 2, 2]
        assert one["components"]["seeds"] == 0.0
        assert one["components"]["folds"] >= 0.0
    assert facts["item_tests"][0]["n"] == facts["items"]


def test_planted_faults_are_listed(tmp_path: Path) -> None:
    """One label in twelve is changed; what is listed is mostly they, and most of them are."""
    rng, rows = random.Random(3), default_rows()
    others = sorted({label for _, label in rows})
    faulty, changed = set(), []
    for text, label in rows:
        if rng.random() < 1 / 12:
            faulty.add(text)
            label = rng.choice([other for other in others if other != label])
        changed.append((text, label))
    world, out = World(tmp_path, changed), tmp_path / "out"
    config = {
        "data": "news",
        "folds": 5,
        "repeats": 3,
        "scheme": "stratified",
        "refit": "none",
        "configurations": {"words": {"step": "baseline"}},
        "doubts": 2,
    }
    facts = world.run("crossval", config, out).facts
    lines = [json.loads(line) for line in (out / "doubts.jsonl").read_text("utf-8").splitlines()]
    planted = faulty & set(world.dataset.splits["train"].texts)
    found = {line["text"] for line in lines}
    assert len(found & planted) / len(planted) >= 0.75
    assert len(found & planted) / len(found) >= 0.75
    assert [line["margin"] for line in lines] == sorted(line["margin"] for line in lines)
    assert facts["doubts"]["found"] == len(lines)
    assert facts["doubts"]["listed"] == lines[:2]
    assert facts["tests"] == []


def test_numbers_have_no_doubtful_labels(tmp_path: Path) -> None:
    world = World(tmp_path, target="number")
    config = {"data": "news", "folds": 3, "configurations": {"ridge": {"step": "baseline"}}}
    outcome = world.run("crossval", config, tmp_path / "out")
    assert "one label an item" in outcome.facts["doubts"]["why_not"]
    assert outcome.facts["metric"] == "spearman"
    assert not (tmp_path / "out" / "doubts.jsonl").exists()
    with pytest.raises(DataError, match="use 'scheme: hash'"):
        world.run("crossval", {**config, "scheme": "stratified"}, tmp_path / "quotas")


def test_spans_cannot_be_averaged(tmp_path: Path) -> None:
    world = World(tmp_path, target="spans")
    config = {**CONFIG, "scheme": "hash", "refit": "ensemble"}
    with pytest.raises(TrainingError, match="write 'refit: all'"):
        world.run("crossval", config, tmp_path / "out")


def test_folds_part_train_and_keep_groups(world: World) -> None:
    data = world.dataset.for_training()
    groups = groups_of(data.train, data.name, None, near_duplicates=True)
    assert groups is not None
    assert 3 < len(set(groups)) < len(data.train)
    folds = partition(
        data, folds=3, repeats=2, scheme="stratified", select=0.2, seed=1, groups=groups
    )
    for fold in folds:
        parts = [fold.train, fold.select, fold.held]
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(data.train)))
        named = [{groups[row] for row in part} for part in parts]
        assert sum(map(len, named)) == len(set.union(*named))
    with pytest.raises(DataError, match=r"columns: \{keep: \[author\]\}"):
        groups_of(data.train, data.name, "author", near_duplicates=False)


@pytest.mark.parametrize("near", [False, True])
def test_copies_stay_together_whatever_their_authors(world: World, near: bool) -> None:
    """And items without an author are no group of their own."""
    train = world.dataset.for_training().train
    n = len(train)
    authors = [*(f"a{row // 3}" for row in range(n)), *(f"b{row // 6}" for row in range(n))]
    both = dataclasses.replace(
        train.take([*range(n), *range(n)]),
        ids=[*train.ids, *(f"{name}-1" for name in train.ids)],
        columns={"author": [*authors[: n // 2], *[""] * (n - n // 2), *authors[n:]]},
    )
    groups = groups_of(both, "news", "author", near_duplicates=near)
    assert groups is not None
    assert groups[:n] == groups[n:]
    some = dataclasses.replace(train, columns={"author": ["a", "a", " ", *[""] * (n - 3)]})
    alone = groups_of(some, "news", "author", near_duplicates=False)
    assert alone == ["a", "a", *train.ids[2:]]


def test_groups_are_drawn_as_wholes(world: World, tmp_path: Path) -> None:
    config = {**CONFIG, "repeats": 1, "near_duplicates": True, "refit": "none"}
    facts = world.run("crossval", config, tmp_path / "out").facts
    assert facts["groups"] < facts["items"]
    assert "groups are independent" in facts["item_tests_assume"]
    assert facts["item_tests"][0]["p_value"] is not None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metric": "acuracy"}, "did you mean 'accuracy'"),
        ({"configurations": {}}, "at least 1 item"),
        ({"configurations": {"a": {"step": "baseline", "data": "other"}}}, "trained on folds of"),
        ({"configurations": {"a": {"step": "evaluate", "models": ["x"]}}}, "makes no model"),
        ({"configurations": {"a": {"step": "baseline", "ngrms": [1, 2]}}}, "ngrms"),
        ({"folds": 1}, "greater than or equal to 2"),
        ({"select": 0.9}, "less than or equal to 0.5"),
    ],
)
def test_faults_of_the_config(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CrossvalConfig.model_validate({**CONFIG, **change})


def test_what_it_needs_and_produces() -> None:
    config = CrossvalConfig.model_validate(
        {
            **CONFIG,
            "configurations": {
                "floor": {"step": "baseline"},
                "tuned": {"step": "finetune", "model": "encoder", "stages": [{"train": "head"}]},
            },
        }
    )
    needs = Crossval.needs(config)
    assert dict(needs.data) == {"data": "news"}
    assert dict(needs.models) == {"configurations.tuned.model": "encoder"}
    assert "accuracy" in Crossval.produces(config)
    assert Crossval.produces(config.model_copy(update={"refit": "none"})) == frozenset()


@pytest.mark.slow
def test_a_search_inside_each_fold(world: World, tmp_path: Path) -> None:
    """Nested: each fold searches by its own select part, and its held-out part has no say."""
    pytest.importorskip("optuna")
    search = {
        "step": "tune",
        "inner": {"step": "baseline", "C": {"choice": [0.01, 10.0]}},
        "sampler": "grid",
        "objectives": "log_loss",
    }
    config = {
        "data": "news",
        "folds": 3,
        "scheme": "stratified",
        "select": 0.3,
        "metric": "log_loss",
        "configurations": {"searched": search, "fixed": {"step": "baseline", "C": 0.01}},
    }
    outcome = world.run("crossval", config, tmp_path / "out")
    searched, fixed = outcome.facts["configurations"]
    assert outcome.facts["winner"] == "searched"
    assert searched["value"] < fixed["value"]
    assert [row["chosen"] for row in outcome.facts["chosen"]] == ["C 10.0"] * 3
    assert outcome.checkpoint is not None
    assert read_manifest(outcome.checkpoint).kind == "linear"


def test_a_model_that_has_seen_the_folds_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its lineage: the plan names a folder, and the data a name that says nothing."""
    head = {"stages": [{"train": "head"}]}
    half = {"model": "encoder", "data": "news", "sample": 0.5, **head}
    outcome = world.run("finetune", half, tmp_path / "first")
    assert outcome.checkpoint is not None
    world.put("before", open_checkpoint(outcome.checkpoint, name="before"))
    ways = {"again": {"step": "finetune", "model": "before", **head}}
    config = {**CONFIG, "repeats": 1, "refit": "none", "configurations": ways}
    with pytest.raises(UsageError, match=r"'before' was trained on about 50% of the items"):
        world.run("crossval", config, tmp_path / "refused")
    assert not (tmp_path / "refused" / "inner").exists()
    notes = list[str]()
    monkeypatch.setattr(ListeningMonitor, "note", lambda _, text: notes.append(text))
    world.run("crossval", {**config, "seen_items": "as last year"}, tmp_path / "allowed")
    (told,) = [note for note in notes if "50%" in note]
    assert told.endswith("which flatters it; the plan says: as last year")
