"""A sample run with a pretraining step, as `tests.report.runs` has of fine-tuning.

    python -m tests.report.pretrained FOLDER

writes it with its report, to look at.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from gradus.records import Measurement, State

from .runs import step
from .sample import Sample

TOKENS, EVERY, UPDATES = 4096, 100, 2000
WROTE = (
    "thr eeo  snt\n aeh",
    "the and the son the sore\nAnd me the",
    "What is the father of the world,\nAnd I shall be the king.",
    "But soft, what light is this that in the east\nHath made my heart a stranger to my eyes?",
)


def rows(prompt: str = "ROMEO:", said: str | None = None) -> list[dict[str, Any]]:
    """The curves: a point every 25 updates, a validation every 100, two spikes, a gap that widens.

    From 1,500 updates on the gap is wider than at its narrowest; `said` stands in every sample.
    """
    found: list[dict[str, Any]] = []
    for update in range(25, UPDATES + 1, 25):
        known = {"stage": 0, "train": "all", "epoch": update / 1000, "step": update}
        known |= {"tokens": update * TOKENS, "lr": 1e-3 * (1 - update / UPDATES)}
        train = 1.1 + 3.2 * math.exp(-update / 300)
        if update in (525, 1225):
            done = {"spike": "skipped"} if update == 525 else {"spike": "rolled back"}
            to = {} if update == 525 else {"spike_to_step": 1200}
            found.append({**known, **done, "spike_loss": 4.5, "spike_usual": train, **to})
        row = {**known, "train_loss": train, "tokens_per_second": 4000.0 + update % 7}
        if update % EVERY == 0:
            gap = 0.02 + max(0, update - 1300) / 5000
            row |= {"select_loss": train + gap, "select_bits_per_byte": (train + gap) / 3.1}
            row |= {"select_token_perplexity": math.exp(train + gap), "gap": gap}
            row |= {"gap_low": gap - 0.02, "gap_high": gap + 0.02, "gap_warned": int(update > 1450)}
            row |= {"gap_p": 0.004 if update > 1450 else 0.4}
            row |= {f"select_bits_per_byte{{domain=play {i}}}": 1 + i / 10 for i in range(6)}
        found.append(row)
        if update % 500 == 0:
            text = said or f"{WROTE[update // 500 - 1]} ({update})"
            found.append({**known, "prompt": prompt, "sample": text})
            found.append({**known, "zero_lambada.accuracy": update / 10_000})
    return found


def pretrained_run(folder: Path, curves: list[dict[str, Any]] | None = None) -> Path:
    """A run of one pretraining step, done."""
    sample = Sample(folder)
    path = folder / "curves/base.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in curves or rows()), encoding="utf-8")
    bits = Measurement(
        metric="bits_per_byte",
        value=1.9012,
        unit="bits",
        direction="lower",
        n=3,
        ci_low=1.85,
        ci_high=1.95,
        ci_method="bootstrap",
        data="plays",
        split="dev.gate",
        benchmark="corpus.v1",
        checkpoint="base",
    )
    base = step(
        "base",
        "pretrain.v1",
        parents=("tok",),
        curves="curves/base.jsonl",
        measurements=(bits,),
        facts={"gap_test": "paired bootstrap over blocks", "kept": [{"step": 2000, "why": "last"}]},
        cost={
            "train_seconds": 2000.0,
            "train_tokens": TOKENS * UPDATES,
            "tokens_per_second": 4096.0,
            "flops": 5.8e14,
            "ceiling_share": 0.72,
            "validation_seconds": 50.0,
            "probe_seconds": 14.0,
            "checkpoint_seconds": 6.0,
        },
    )
    return sample.write(sample.record(State.DONE, [base]))


if __name__ == "__main__":
    from gradus.report import write_report

    for path in write_report(pretrained_run(Path(sys.argv[1]))).values():
        print(path)
