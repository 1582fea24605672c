from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from gradus.training.config import StageConfig
from gradus.training.pretraining import PretrainStage


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ({"steps": 2, "tokens": 3}, "not steps and tokens"),
        ({"epochs": 2, "minutes": 3}, "not epochs and minutes"),
        ({"minutes": 0}, "greater than 0"),
        ({"validate_every": 0}, "greater than or equal to 1"),
        ({"on_spike": "stop"}, "'warn', 'skip' or 'rollback'"),
        ({"on_spike": "rollback", "keep_last": 0}, "needs a snapshot"),
        ({"patience": 2, "keep_best": 0}, "needs keep_best"),
        ({"train": "head", "solver": "lbfgs"}, "leave solver out"),
        ({"floor": 1.0}, "less than 1"),
        ({"spike_window": 2}, "greater than or equal to 8"),
    ],
)
def test_what_makes_no_sense_is_refused(raw: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PretrainStage.model_validate(raw)


def test_everything_trains_at_one_rate_unless_it_says_otherwise() -> None:
    stage = PretrainStage(steps=3)
    assert (stage.train, stage.embeddings, stage.layer_lr_decay) == ("all", True, 1.0)
    assert (stage.schedule, stage.dropout, stage.keeps_best) == ("wsd", None, False)


def test_a_stage_of_fine_tuning_is_written_as_it_was() -> None:
    # Its fields are in fingerprints and stored states: a further one would train all anew.
    assert set(StageConfig.model_fields) == {
        *("train", "solver", "l2", "epochs", "steps", "optimiser", "loss", "lr", "head_lr"),
        *("layer_lr_decay", "schedule", "warmup", "weight_decay", "clip", "accumulate"),
        *("batch_size", "batch_tokens", "label_smoothing", "dropout", "patience", "keep"),
        *("average", "beta2", "embeddings"),
    }


def test_reading_a_stage_imports_nothing_heavy() -> None:
    code = "import sys, gradus.training.pretraining; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
