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
import yaml
from pydantic import ValidationError

from gradus.checkpoints import hash_file, open_checkpoint, read_manifest, verify
from gradus.predict.transformer import TransformerPredictor
from gradus.records import CheckpointRef
from gradus.steps.finetune import Finetune, FinetuneConfig
from gradus.training.state import STATE

from . import tiny

STAGES = [
    {"train": "head"},
    {"train": "top-1", "epochs": 2, "lr": 1e-3, "batch_size": 8},
    {"train": "all", "epochs": 2, "lr": 1e-3, "patience": 1, "batch_size": 8},
]


def config(**options: Any) -> FinetuneConfig:
    given = {"model": "encoder", "data": "words", "stages": STAGES, **options}
    return FinetuneConfig.model_validate(given)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    return tiny.source(tmp_path_factory.mktemp("source"))


def weights(folder: Path) -> dict[str, str]:
    """SHA-256 of every weight file of a checkpoint."""
    return {p.name: hash_file(p) for p in sorted(folder.glob("*.safetensors"))}


def test_the_example_in_the_docs_is_a_valid_step() -> None:
    raw = yaml.safe_load(Finetune.example)
    step = {k: v for k, v in raw.items() if k not in ("id", "step", "gates")}
    parsed = FinetuneConfig.model_validate(step)
    assert [s.label for s in parsed.stages] == ["head", "top-2", "all"]
    needs = Finetune.needs(parsed)
    assert (needs.models, needs.data) == ({"model": "encoder"}, {"data": "news"})
    assert {"accuracy", "f1_macro", "latency_p50_ms"} <= Finetune.produces(parsed)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"objective": "clasify"}, "did you mean 'classify'"),
        ({"objective": {"name": "classify", "pool": "mean"}}, "Extra inputs"),
        ({"stages": []}, "at least 1 item"),
        ({"stages": [{"train": "topp"}]}, "none of head, top-N, all"),
        ({"max_tokens": 0}, "greater than or equal to 2"),
        ({"dtype": "float16"}, "'auto', 'float32' or 'bfloat16'"),
        ({"learning_rate": 1}, "Extra inputs"),
    ],
)
def test_faults_of_a_config_are_said(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        config(**options)


def test_stages_may_be_left_out_and_take_the_steps_batch_size() -> None:
    left_out = FinetuneConfig.model_validate({"model": "m", "data": "d", "batch_size": 7})
    head, everything = left_out.staged()
    assert head.solved
    assert everything.batch_size == 7
    assert FinetuneConfig.model_validate({"model": "m", "data": "d", "stages": None}).stages


def test_it_learns_saves_and_predicts(encoder: CheckpointRef, tmp_path: Path) -> None:
    texts = tiny.data(n=300)
    context = tiny.context(tmp_path, encoder, texts)
    stages = [STAGES[0], STAGES[1], {**STAGES[2], "lr": 5e-3, "epochs": 3}]
    outcome = Finetune().run(config(stages=stages), context)
    assert outcome.checkpoint is not None
    verify(outcome.checkpoint)
    manifest = read_manifest(outcome.checkpoint)
    assert manifest.kind == "transformer"
    assert manifest.labels == texts.labels
    assert manifest.preprocessing["max_tokens"] == 32
    assert manifest.preprocessing["pooling"] == "mean"
    assert [a.name for a in manifest.lineage] == ["encoder"]
    assert [s["train"] for s in outcome.facts["stages"]] == ["head", "top-1", "all"]
    assert outcome.cost["train_tokens"] > 0
    assert len(outcome.cost["stage_seconds"]) == 3
    predictor = TransformerPredictor.open(open_checkpoint(outcome.checkpoint))
    right = predictor.log_probs(texts.select.texts).argmax(1) == texts.select.labels
    last = outcome.facts["stages"][-1]["select_accuracy"]
    assert right.mean() == pytest.approx(last)
    assert last > 0.9
    assert not any("second" in key for row in context.monitor.rows for key in row)


def test_fine_tuned_again_the_head_stays_and_the_lineage_grows(
    encoder: CheckpointRef, tmp_path: Path
) -> None:
    texts = tiny.data()
    first = tiny.context(tmp_path / "first", encoder, texts)
    made = Finetune().run(config(stages=STAGES[:1]), first)
    assert made.checkpoint is not None
    parent = open_checkpoint(made.checkpoint, name="first")

    same = tiny.context(tmp_path / "same", parent, texts)
    still = [{"train": ["layer.1"], "steps": 1, "lr": 1e-12, "weight_decay": 0.0}]
    again = Finetune().run(config(stages=still), same)
    assert again.facts["head_kept"]
    assert any("head was kept" in note for note in again.notes)
    assert again.checkpoint is not None
    name = "head.safetensors"
    assert hash_file(again.checkpoint / name) == hash_file(made.checkpoint / name)
    lineage = read_manifest(again.checkpoint).lineage
    assert [(a.name, a.generation) for a in lineage] == [("first", 1), ("encoder", 2)]

    read = tiny.context(tmp_path / "read", parent, texts)
    otherwise = Finetune().run(config(stages=STAGES[:1], pooling="first"), read)
    assert not otherwise.facts["head_kept"]
    assert otherwise.facts["pooling"] == "first"

    other = tiny.context(tmp_path / "other", parent, tiny.data(("music", "money")))
    renewed = Finetune().run(config(stages=STAGES[:1]), other)
    assert not renewed.facts["head_kept"]
    assert any("a new head was made" in note for note in renewed.notes)


def test_two_runs_write_the_same_bits(encoder: CheckpointRef, tmp_path: Path) -> None:
    folders = []
    for name in ("a", "b"):
        outcome = Finetune().run(config(), tiny.context(tmp_path / name, encoder, tiny.data()))
        assert outcome.checkpoint is not None
        folders.append(outcome.checkpoint)
    assert weights(folders[0]) == weights(folders[1])
    assert read_manifest(folders[0]).digest == read_manifest(folders[1]).digest


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
given = {{"model": "encoder", "data": "words", "stages": {stages!r}}}
config = FinetuneConfig.model_validate(given)
Finetune().run(config, tiny.context(Path(sys.argv[1]), ref, tiny.data(n=600)))
"""


def killed_after_a_save(command: list[str], state: Path, draw: random.Random) -> bool:
    """Kill the process a random moment after it has saved; False when it ended before."""

    def stamp() -> int:
        return state.stat().st_mtime_ns if state.exists() else 0

    before = stamp()
    process = subprocess.Popen(command)
    while process.poll() is None and stamp() in (0, before):
        time.sleep(0.005)
    time.sleep(draw.uniform(0.0, 0.3))
    ended = process.poll() is not None
    if not ended:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return not ended


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bits(
    encoder: CheckpointRef, tmp_path: Path
) -> None:
    stages = [STAGES[0], {**STAGES[1], "epochs": 8}, {**STAGES[2], "epochs": 8, "patience": 8}]
    script = KILLED.format(
        tests=str(Path(__file__).parents[1]),
        source=encoder.path,
        digest=encoder.digest,
        stages=stages,
    )
    command = [sys.executable, "-c", script]
    subprocess.run([*command, str(tmp_path / "whole")], check=True)
    state = tmp_path / "killed" / "work" / STATE
    draw, kills = random.Random(0), 0
    while kills < 5 and killed_after_a_save([*command, str(tmp_path / "killed")], state, draw):
        kills += 1
    subprocess.run([*command, str(tmp_path / "killed")], check=True)
    assert kills >= 1
    whole, killed = (tmp_path / n / "out" / "checkpoint" for n in ("whole", "killed"))
    verify(killed)
    assert weights(whole) == weights(killed)
    texts = tiny.data().select.texts
    rows = [TransformerPredictor.open(open_checkpoint(f)).log_probs(texts) for f in (whole, killed)]
    assert np.array_equal(rows[0], rows[1])
