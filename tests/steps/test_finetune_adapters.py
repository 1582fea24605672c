"""Fine-tuning with adapters through the step: save, predict, compress, go on, resume."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gradus import registry
from gradus.checkpoints import hash_file, open_checkpoint, read_manifest, verify
from gradus.errors import CheckpointError, TrainingError
from gradus.parity import Bounds, Parity
from gradus.predict.transformer import TransformerPredictor
from gradus.records import Answer, CheckpointRef
from gradus.steps.finetune import Finetune, FinetuneConfig
from gradus.steps.quantize import Quantize, QuantizeConfig
from gradus.training.state import STATE

from . import tiny

ADAPTERS: dict[str, Any] = {
    "lora": {"name": "lora", "rank": 4},
    "dora": {"name": "lora", "rank": 4, "dora": True},
    "ia3": "ia3",
    "prompt-tuning": {"name": "prompt-tuning", "tokens": 4},
    "prefix-tuning": {"name": "prefix-tuning", "tokens": 4},
}
WEIGHTS = ("lora", "dora", "ia3")
STAGES = [{"train": "head"}, {"train": "adapter", "epochs": 2, "lr": 1e-2, "batch_size": 8}]


def config(adapter: Any, **options: Any) -> FinetuneConfig:
    given = {"model": "encoder", "data": "words", "stages": STAGES, "max_tokens": 28, **options}
    return FinetuneConfig.model_validate({**given, "adapter": adapter})


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    return tiny.source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, encoder: CheckpointRef
) -> dict[str, tuple[Any, CheckpointRef]]:
    """Outcome and checkpoint of each adapter."""
    found = {}
    for name, adapter in ADAPTERS.items():
        folder = tmp_path_factory.mktemp(name)
        outcome = Finetune().run(config(adapter), tiny.context(folder, encoder, tiny.data(n=120)))
        assert outcome.checkpoint is not None
        found[name] = (outcome, open_checkpoint(outcome.checkpoint, name="adapted"))
    return found


def files(folder: Path) -> dict[str, str]:
    """SHA-256 of every weight file of a checkpoint."""
    return {
        p.relative_to(folder).as_posix(): hash_file(p)
        for p in sorted(folder.rglob("*.safetensors"))
    }


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_the_checkpoint_holds_untouched_weights_and_what_was_learned(
    made: Any, encoder: CheckpointRef, name: str
) -> None:
    from safetensors.torch import load_file

    outcome, ref = made[name]
    folder = Path(ref.path)
    verify(folder)
    before, after = (load_file(Path(p) / "model.safetensors") for p in (encoder.path, folder))
    assert before.keys() == after.keys()
    assert all((before[key] == after[key]).all() for key in before)
    learned = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert sum(t.numel() for t in learned.values()) == outcome.facts["adapter_parameters"]
    assert 0 < outcome.facts["adapter_share"] < 0.5
    assert outcome.facts["packed"]
    assert [s["train"] for s in outcome.facts["stages"]] == ["head", "adapter"]
    assert read_manifest(folder).size_bytes == sum(
        p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.name != "gradus.json"
    )


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_it_predicts_what_training_saw(made: Any, name: str) -> None:
    outcome, ref = made[name]
    texts = tiny.data(n=120)
    predictor = TransformerPredictor.open(ref)
    rows = predictor.log_probs(texts.select.texts)
    last = outcome.facts["stages"][-1]
    gold = rows[np.arange(len(rows)), texts.select.labels]
    assert (rows.argmax(1) == texts.select.labels).mean() == pytest.approx(last["select_accuracy"])
    assert -gold.mean() == pytest.approx(last["select_loss"], abs=1e-5)
    first = outcome.facts["stages"][0]["select_loss"]
    assert last["select_loss"] != pytest.approx(first, abs=1e-4)


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_peft_loads_it_onto_the_base(made: Any, encoder: CheckpointRef, name: str) -> None:
    """Hidden states of ``PeftModel.from_pretrained`` are those that Gradus classifies by."""
    import peft
    import torch
    from transformers import AutoModel, AutoTokenizer

    from gradus.training import models
    from gradus.training.backbone import Backbone

    _, ref = made[name]
    base = AutoModel.from_pretrained(encoder.path, add_pooling_layer=False)
    theirs = peft.PeftModel.from_pretrained(base, str(Path(ref.path) / "adapter")).eval()
    tokenizer = AutoTokenizer.from_pretrained(ref.path)
    backbone = Backbone(models.load_model(ref))
    for text in tiny.data().select.texts[:5]:
        ids = tokenizer(text, return_tensors="pt").input_ids
        tokens = models.encode(tokenizer, [text], 28)
        with torch.inference_mode():
            expected = theirs(input_ids=ids).last_hidden_state[0, -ids.shape[1] :]
            found = backbone.run(tokens.batch([0]))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", WEIGHTS)
def test_merged_it_holds_no_adapter_and_says_the_same(
    made: Any, encoder: CheckpointRef, tmp_path: Path, name: str
) -> None:
    adapter = ADAPTERS[name] if isinstance(ADAPTERS[name], dict) else {"name": ADAPTERS[name]}
    texts = tiny.data(n=120)
    outcome = Finetune().run(
        config({**adapter, "merge": True}), tiny.context(tmp_path, encoder, texts)
    )
    assert outcome.checkpoint is not None
    assert not (outcome.checkpoint / "adapter").exists()
    facts = outcome.facts
    assert facts["merge_flips"] == 0
    assert 0 < facts["merge_max_difference"] < facts["merge_threshold"] == 1e-3
    assert facts["merge_rows"] == len(texts.select)
    merged = TransformerPredictor.open(open_checkpoint(outcome.checkpoint))
    apart = TransformerPredictor.open(made[name][1])
    np.testing.assert_allclose(
        merged.log_probs(texts.select.texts), apart.log_probs(texts.select.texts), atol=1e-4
    )


def test_a_merge_that_moves_the_outputs_closes_a_gate(
    encoder: CheckpointRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradus.training.adapters import adapt

    monkeypatch.setattr(adapt, "LARGEST_DIFFERENCE", 1e-12)
    context = tiny.context(tmp_path, encoder, tiny.data())
    outcome = Finetune().run(config({"name": "lora", "merge": True}), context)
    (found,) = (Parity.from_json(raw) for raw in outcome.facts["parity"])
    (verdict,) = found.verdicts()
    assert verdict.gate == "merge: max_logit <= 1e-12"
    assert verdict.verdict is Answer.CLOSED
    assert found.under(Bounds(max_logit=1e-3)).holds


def quantized(ref: CheckpointRef, folder: Path) -> Any:
    context = tiny.context(folder, ref, tiny.data(), name="adapted")
    return Quantize().run(QuantizeConfig(model="adapted", data="words"), context)


@pytest.mark.parametrize("name", WEIGHTS)
def test_unmerged_it_compresses_to_int8(made: Any, tmp_path: Path, name: str) -> None:
    from gradus.predict import load

    _, ref = made[name]
    outcome = quantized(ref, tmp_path)
    texts = tiny.data().select.texts
    small, whole = load(outcome.checkpoint), load(ref)
    np.testing.assert_allclose(small.predict_proba(texts), whole.predict_proba(texts), atol=0.05)


@pytest.mark.parametrize("name", ["prompt-tuning", "prefix-tuning"])
def test_virtual_tokens_are_not_compressed(made: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=f"'adapted' has virtual tokens .{name}"):
        quantized(made[name][1], tmp_path)


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_the_same_adapter_trains_further(made: Any, tmp_path: Path, name: str) -> None:
    """It begins where it ended: at no rate its files stay as they were, at some rate they don't."""
    _, ref = made[name]
    for rate, same in ((1e-30, True), (1e-2, False)):
        stages = [{"train": "adapter", "steps": 2, "lr": rate, "weight_decay": 0.0}]
        context = tiny.context(tmp_path / str(rate), ref, tiny.data(n=120))
        again = Finetune().run(config(ADAPTERS[name], stages=stages), context)
        assert any("trains further" in note for note in again.notes)
        assert again.facts["head_kept"]
        assert again.checkpoint is not None
        assert (files(again.checkpoint) == files(Path(ref.path))) is same


def test_another_adapter_or_none_merges_the_one_before(made: Any, tmp_path: Path) -> None:
    _, ref = made["lora"]
    texts = tiny.data(n=120)
    still = [{"train": "head", "steps": 1, "lr": 1e-12, "weight_decay": 0.0}]
    expected = TransformerPredictor.open(ref).log_probs(texts.select.texts)
    for name, adapter in (("plain", None), ("other", "ia3")):
        context = tiny.context(tmp_path / name, ref, texts)
        outcome = Finetune().run(config(adapter, stages=still), context)
        assert any("lora.v1) was merged first" in note for note in outcome.notes)
        assert outcome.checkpoint is not None
        assert (outcome.checkpoint / "adapter").exists() is (adapter is not None)
        found = TransformerPredictor.open(open_checkpoint(outcome.checkpoint))
        np.testing.assert_allclose(found.log_probs(texts.select.texts), expected, atol=1e-4)


@pytest.mark.parametrize("adapter", [None, "lora", {"name": "prompt-tuning", "tokens": 5}])
def test_virtual_tokens_of_the_checkpoint_before_must_be_kept(
    made: Any, tmp_path: Path, adapter: Any
) -> None:
    context = tiny.context(tmp_path, made["prompt-tuning"][1], tiny.data())
    stages = [{"train": "head"}]
    with pytest.raises(TrainingError, match=r"virtual tokens \(prompt-tuning.*the same adapter"):
        Finetune().run(config(adapter, stages=stages), context)


def test_too_few_positions_say_how_many_are_left(encoder: CheckpointRef, tmp_path: Path) -> None:
    context = tiny.context(tmp_path, encoder, tiny.data())
    with pytest.raises(TrainingError, match=r"32 positions: set max_tokens: 22"):
        Finetune().run(config({"name": "prompt-tuning", "tokens": 10}), context)


def test_what_is_left_out_is_the_adapters_to_say_and_stays_so_when_read_again() -> None:
    plain = FinetuneConfig.model_validate({"model": "m", "data": "d", "adapter": "lora"})
    head, adapter = plain.stages
    usual = registry.load("adapters", "lora").stage
    assert head.solved
    assert adapter.train == "adapter"
    assert {key: getattr(adapter, key) for key in usual} == dict(usual)
    again = FinetuneConfig.model_validate(plain.model_dump(mode="json"))
    assert again == plain
    staged = config("ia3", stages=[{"train": "top-1", "lr": 0.5, "steps": 3}]).stages[0]
    assert (staged.lr, staged.steps, staged.epochs, staged.weight_decay) == (0.5, 3, None, 0.0)


@pytest.mark.parametrize(
    ("adapter", "options", "why"),
    [
        ("lara", {}, "did you mean 'lora'"),
        ({"name": "lora", "rang": 3}, {}, "Extra inputs"),
        (None, {}, "stage 2 trains an adapter, and the step has none"),
        ("lora", {"stages": [{"train": "all", "embeddings": True}]}, "stage 1: embeddings: true"),
    ],
)
def test_faults_are_said_before_anything_is_computed(
    adapter: Any, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        config(adapter, **options)


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_two_runs_write_the_same_bits(
    made: Any, encoder: CheckpointRef, tmp_path: Path, name: str
) -> None:
    context = tiny.context(tmp_path, encoder, tiny.data(n=120))
    outcome = Finetune().run(config(ADAPTERS[name]), context)
    assert outcome.checkpoint is not None
    assert files(outcome.checkpoint) == files(Path(made[name][1].path))
    assert read_manifest(outcome.checkpoint).digest == made[name][1].digest


class Stopped(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_stopped_and_gone_on_with_it_ends_with_the_same_bits(
    made: Any, encoder: CheckpointRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from gradus.training import loop

    class Stopping(tiny.KeptMonitor):
        calls = 0

        def progress(self, done: float, total: float, text: str = "") -> None:
            self.calls += "adapter" in text
            if self.calls == 5:
                raise Stopped

    monkeypatch.setitem(loop.train.__kwdefaults__, "save_seconds", 0.0)
    import dataclasses

    context = tiny.context(tmp_path, encoder, tiny.data(n=120))
    with pytest.raises(Stopped):
        Finetune().run(config(ADAPTERS[name]), dataclasses.replace(context, monitor=Stopping()))
    assert (tmp_path / "work" / STATE).exists()
    outcome = Finetune().run(config(ADAPTERS[name]), context)
    assert outcome.checkpoint is not None
    assert files(outcome.checkpoint) == files(Path(made[name][1].path))


def test_what_lies_below_the_adapters_lowest_layer_is_computed_once(
    encoder: CheckpointRef, tmp_path: Path
) -> None:
    """Hidden states are cached where the top layer alone trains, and not for another adapter."""
    texts = tiny.data(n=40)
    for rank, caches in ((2, 1), (3, 2)):
        context = tiny.context(tmp_path, encoder, texts)
        stages = [{"train": "top-1", "steps": 2, "lr": 1e-3}]
        Finetune().run(config({"name": "lora", "rank": rank}, stages=stages), context)
        assert len(list((tmp_path / "work").glob("activations-train-1-*.bin"))) == caches
        for made in (tmp_path / "out").iterdir():
            made.rename(tmp_path / f"rank-{rank}")


def test_frozen_weights_cost_less_than_trained_ones(encoder: CheckpointRef, tmp_path: Path) -> None:
    """4 operations a frozen weight and token, 6 a trained one (Kaplan et al. 2020)."""
    from safetensors.torch import load_file

    stages = [{"train": "all", "steps": 3, "lr": 1e-3, "batch_size": 8, "embeddings": False}]
    found = {}
    for name, adapter in (("whole", None), ("lora", ADAPTERS["lora"])):
        context = tiny.context(tmp_path / name, encoder, tiny.data(n=24))
        found[name] = Finetune().run(config(adapter, stages=stages), context)
    weights = load_file(Path(encoder.path) / "model.safetensors")
    inner = sum(t.numel() for n, t in weights.items() if "layer." in n)
    own = found["lora"].facts["adapter_parameters"]
    tokens = found["lora"].cost["train_tokens"]
    assert found["whole"].cost["train_tokens"] == tokens
    assert found["whole"].cost["flops"] == 6 * inner * tokens
    assert found["lora"].cost["flops"] == (4 * inner + 6 * own) * tokens


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from steps import tiny
from gradus.records import CheckpointRef
from gradus.steps.finetune import Finetune, FinetuneConfig
from gradus.training import loop
loop.train.__kwdefaults__["save_seconds"] = 0.2
ref = CheckpointRef(name="encoder", kind="transformer", path={source!r}, digest={digest!r})
given = {{"model": "encoder", "data": "words", "stages": {stages!r}, "adapter": "lora"}}
config = FinetuneConfig.model_validate(given)
Finetune().run(config, tiny.context(Path(sys.argv[1]), ref, tiny.data(n=600)))
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits(
    encoder: CheckpointRef, tmp_path: Path
) -> None:
    stages = [{"train": "head"}, {"train": "adapter", "epochs": 12, "batch_size": 8}]
    script = KILLED.format(
        tests=str(Path(__file__).parents[1]),
        source=encoder.path,
        digest=encoder.digest,
        stages=stages,
    )
    command = [sys.executable, "-c", script]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    state, draw, kills = tmp_path / "killed" / "work" / STATE, random.Random(0), 0
    for _ in range(4):
        before = state.stat().st_mtime_ns if state.exists() else 0
        process = subprocess.Popen([*command, str(tmp_path / "killed")])
        while process.poll() is None and (not state.exists() or state.stat().st_mtime_ns == before):
            time.sleep(0.005)
        time.sleep(draw.uniform(0.0, 0.3))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    assert kills >= 1
    whole, killed = (tmp_path / n / "out" / "checkpoint" for n in ("whole", "killed"))
    verify(killed)
    assert files(whole) == files(killed)
