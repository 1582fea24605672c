from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradus.errors import DataChanged, Interrupted, TrainingError
from gradus.training.config import StageConfig
from gradus.training.loop import make_loss, train

from .conftest import KeptMonitor, KilledHere, make_task

STAGES = (
    StageConfig(train="head"),
    StageConfig(train="top-1", epochs=2, lr=3e-3, batch_size=8, patience=2, average=0.9),
    StageConfig(
        train="all", epochs=1.5, lr=1e-3, batch_size=8, accumulate=2, dropout=0.3, keep="best"
    ),
)


def run(
    work: Path,
    stages: tuple[StageConfig, ...],
    *,
    family: str = "bert",
    monitor: KeptMonitor | None = None,
    task: Any = None,
    **options: Any,
) -> tuple[Any, KeptMonitor, Any]:
    """Train a fresh tiny task in `work`; returns task, monitor and outcome."""
    work.mkdir(exist_ok=True)
    monitor = monitor or KeptMonitor()
    task = task or make_task(family, monitor=monitor)
    task.monitor = monitor
    settings = {"seed": 3, "identity": {"data": "d"}, "save_seconds": 0.0, **options}
    return task, monitor, train(task, stages, work=work, monitor=monitor, **settings)


def bits(task: Any) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in task.parameters().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    assert a.keys() == b.keys()
    return all(torch.equal(a[n], b[n]) for n in a)


def test_killed_after_every_update_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, watched, outcome = run(tmp_path / "whole", STAGES)
    kills, monitor = 0, KeptMonitor(stop_after=1)
    while True:
        try:
            task, _, again = run(tmp_path / "killed", STAGES, monitor=monitor)
            break
        except KilledHere:
            kills += 1
            # Another process has another history of random numbers.
            torch.manual_seed(1000 + kills)
            np.random.seed(kills)
            rows = [*monitor.rows, {"written": "after the last save"}]
            monitor = KeptMonitor(stop_after=1)
            monitor.rows = rows
    assert kills >= 15
    assert same(bits(task), bits(whole))
    assert monitor.rows == watched.rows
    assert [dict(s) for s in again.stages] == [dict(s) for s in outcome.stages]
    assert again.cost["train_tokens"] == outcome.cost["train_tokens"]
    assert again.cost["flops"] == pytest.approx(outcome.cost["flops"])


def test_two_runs_give_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    first, _, _ = run(tmp_path / "a", STAGES)
    second, _, _ = run(tmp_path / "b", STAGES, save_seconds=1e9)
    other, _, _ = run(tmp_path / "c", STAGES, seed=4)
    assert same(bits(first), bits(second))
    assert not same(bits(first), bits(other))


def test_training_from_cached_activations_is_training_without_them(
    tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradus.training import activations

    stages = (StageConfig(train="top-1", steps=6, lr=3e-3, batch_size=8, dropout=0.0),)
    cached, rows, _ = run(tmp_path / "a", stages, family=family)
    assert list((tmp_path / "a").glob("activations-train-2-*.bin"))
    monkeypatch.setattr(activations.Activations, "get", lambda *_: None)
    task = make_task(family)
    from gradus.training import stage as stage_module

    plain = stage_module.Shared.features

    def uncached(self: Any, tokens: Any, batch: Any) -> torch.Tensor:
        object.__setattr__(self, "low", 0)
        return plain(self, tokens, batch)

    monkeypatch.setattr(stage_module.Shared, "features", uncached)
    direct, direct_rows, _ = run(tmp_path / "b", stages, family=family, task=task)
    for (name, a), b in zip(bits(cached).items(), bits(direct).values(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4, msg=name)
    assert direct_rows.rows[-1]["select_loss"] == pytest.approx(
        rows.rows[-1]["select_loss"], abs=1e-5
    )


@pytest.mark.parametrize(
    ("stage", "moved"),
    [
        (StageConfig(train="head", lr=0.1, steps=2), {"head"}),
        (StageConfig(train="top-1", steps=2), {"head", "layer.2"}),
        (StageConfig(train="all", steps=2), {"head", "layer.0", "layer.1", "layer.2"}),
        (StageConfig(train=("layer.1",), steps=2), {"layer.1"}),
        (
            StageConfig(train=("/LayerNorm/",), steps=2),
            {"embeddings", "layer.0", "layer.1", "layer.2"},
        ),
    ],
)
def test_what_is_frozen_keeps_its_bits(tmp_path: Path, stage: StageConfig, moved: set[str]) -> None:
    before = bits(make_task())
    task, _, _ = run(tmp_path / "w", (stage,))
    groups = {**task.backbone.groups.group_of, "head.weight": "head", "head.bias": "head"}
    for name, after in bits(task).items():
        if groups[name] not in moved:
            assert torch.equal(after, before[name]), name
    changed = {groups[n] for n, after in bits(task).items() if not torch.equal(after, before[n])}
    assert moved <= changed


def test_frozen_layers_have_no_dropout(tmp_path: Path) -> None:
    task = make_task()
    seen: dict[int, set[bool]] = {}
    for k, layer in enumerate(task.backbone.groups.layers):
        layer.register_forward_hook(
            lambda module, *_, k=k: seen.setdefault(k, set()).add(module.training)
        )
    run(tmp_path / "w", (StageConfig(train=("layer.1",), steps=1),), task=task)
    assert seen[0] == seen[2] == {False}
    assert True in seen[1]


def test_early_stopping_restores_the_best_weights(tmp_path: Path) -> None:
    stage = StageConfig(train="all", epochs=9, lr=0.3, batch_size=8, patience=2, warmup=0.0)
    monitor = KeptMonitor()
    task, _, outcome = run(tmp_path / "w", (StageConfig(train="head"), stage), monitor=monitor)
    evaluated = [r for r in monitor.rows if r["stage"] == 1 and "select_loss" in r]
    merits = [task.merit(r) for r in evaluated]
    facts = outcome.stages[1]
    assert facts["stopped_early"]
    assert len(evaluated) == merits.index(max(merits)) + 3
    assert (facts["select_accuracy"], -facts["select_loss"]) == max(merits)
    parts = []
    for row in range(len(task.select)):
        batch = task.select.batch([row])
        with torch.inference_mode():
            parts.append(task.outputs(task.features(task.backbone.run(batch), batch.layout)))
    again = task.evaluate(torch.cat(parts))
    assert again["select_loss"] == pytest.approx(facts["select_loss"], abs=1e-5)


def test_a_stage_learns(tmp_path: Path) -> None:
    stage = StageConfig(train="all", epochs=30, lr=5e-3, batch_size=8, dropout=0.0)
    _, monitor, _ = run(tmp_path / "w", (StageConfig(train="head"), stage))
    assert monitor.rows[-1]["train_loss"] < 0.75 * monitor.rows[0]["train_loss"] + 0.35


def test_the_loss_is_torchs_smoothed_cross_entropy() -> None:
    task = make_task()
    with torch.no_grad():
        task.head.weight.normal_()
    batch = task.train.batch(range(7))
    features = task.features(task.backbone.run(batch), batch.layout)
    logits = 2.0 * features @ task.head.weight.T + task.head.bias
    expected = torch.nn.CrossEntropyLoss(label_smoothing=0.2)(
        logits, task.labels[torch.from_numpy(batch.rows)]
    )
    loss = make_loss(StageConfig(label_smoothing=0.2), task)
    got = task.loss(features, batch, loss) / task.weight(batch)
    torch.testing.assert_close(got, expected)


def test_accumulated_batches_are_one_large_batch(tmp_path: Path) -> None:
    common = {"train": "all", "epochs": 1, "lr": 1e-3, "dropout": 0.0}
    small, _, _ = run(tmp_path / "a", (StageConfig(**common, batch_size=10, accumulate=4),))
    large, _, _ = run(tmp_path / "b", (StageConfig(**common, batch_size=40),))
    for a, b in zip(bits(small).values(), bits(large).values(), strict=True):
        torch.testing.assert_close(a, b, atol=3e-5, rtol=1e-3)


def test_batches_bounded_by_tokens_train_too(tmp_path: Path) -> None:
    stage = StageConfig(train="top-1", epochs=2, batch_tokens=30)
    task, _, outcome = run(tmp_path / "w", (stage,))
    assert outcome.cost["train_tokens"] == 2 * task.train.total
    assert outcome.stages[0]["epochs"] == 2


def test_the_average_takes_the_weights_place(tmp_path: Path) -> None:
    plain = StageConfig(train="top-1", steps=5, lr=1e-2, batch_size=8, dropout=0.0)
    last, _, _ = run(tmp_path / "a", (plain,))
    smooth, _, _ = run(tmp_path / "b", (plain.model_copy(update={"average": 0.9}),))
    name = "head.weight"
    assert not torch.equal(bits(last)[name], bits(smooth)[name])
    start = bits(make_task())[name]
    assert (bits(smooth)[name] - start).norm() < (bits(last)[name] - start).norm()


def test_a_loss_that_is_not_finite_names_the_batch_and_keeps_the_state(tmp_path: Path) -> None:
    class Poisoned(KeptMonitor):
        def progress(self, done: float, total: float, text: str = "") -> None:
            super().progress(done, total, text)
            if self.updates == 3:
                with torch.no_grad():
                    task.head.weight.fill_(torch.nan)

    monitor = Poisoned()
    task = make_task(monitor=monitor)
    stage = StageConfig(train="top-1", epochs=2, lr=2e-3, batch_size=8, warmup=0.0)
    with pytest.raises(TrainingError) as raised:
        run(tmp_path / "w", (stage,), task=task, monitor=monitor)
    message = str(raised.value)
    for part in (
        "stage 1",
        "train: top-1",
        "epoch 1",
        "update 4",
        "item-",
        "loss is nan",
        "lower lr",
    ):
        assert part in message
    kept = json.loads((tmp_path / "w" / "failed-batch.json").read_text())
    assert len(kept["ids"]) == 8
    row = int(kept["ids"][0].removeprefix("item-"))
    offsets = task.train.offsets
    assert kept["token_ids"][0] == task.train.ids[offsets[row] : offsets[row + 1]].tolist()
    resumed, _, _ = run(tmp_path / "w", (stage,))
    clean, _, _ = run(tmp_path / "clean", (stage,))
    assert same(bits(resumed), bits(clean))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops_and_training_goes_on(tmp_path: Path, number: int) -> None:
    class Signalling(KeptMonitor):
        def progress(self, done: float, total: float, text: str = "") -> None:
            super().progress(done, total, text)
            if self.updates == 4:
                os.kill(os.getpid(), number)

    stage = StageConfig(train="top-1", epochs=2, batch_size=8)
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="run the plan again"):
        run(tmp_path / "w", (stage,), monitor=Signalling(), save_seconds=1e9)
    assert signal.getsignal(number) is before
    resumed, _, _ = run(tmp_path / "w", (stage,), save_seconds=1e9)
    clean, _, _ = run(tmp_path / "clean", (stage,))
    assert same(bits(resumed), bits(clean))


def test_other_data_or_settings_are_noticed(tmp_path: Path) -> None:
    stage = StageConfig(train="top-1", epochs=2, batch_size=8)
    with pytest.raises(KilledHere):
        run(tmp_path / "w", (stage,), monitor=KeptMonitor(stop_after=3))
    with pytest.raises(DataChanged, match="put the data back"):
        run(tmp_path / "w", (stage,), identity={"data": "other"})
    changed, _, _ = run(tmp_path / "w", (stage.model_copy(update={"lr": 1e-3}),))
    clean, _, _ = run(tmp_path / "clean", (stage.model_copy(update={"lr": 1e-3}),))
    assert same(bits(changed), bits(clean))


def test_two_stages_share_one_cache(tmp_path: Path) -> None:
    head = StageConfig(train="head", lr=1e-2, epochs=1)
    _, _, _ = run(tmp_path / "w", (StageConfig(train="head"), head))
    assert len(list((tmp_path / "w").glob("activations-train-3-*.bin"))) == 1


def test_no_examples_is_said(tmp_path: Path) -> None:
    from gradus.training.packing import Tokens

    task = make_task()
    task.train = Tokens([])
    with pytest.raises(TrainingError, match="no examples"):
        run(tmp_path / "w", STAGES, task=task)
