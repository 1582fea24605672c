"""What a step's result depends on, as one SHA-256. Unchanged means that the step is reused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gradus import hardware
from gradus.data.dataset import Dataset
from gradus.records import CheckpointRef, StepSpec
from gradus.runner import parity

if TYPE_CHECKING:
    from gradus.data.corpora import Corpus


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def of_step(
    spec: StepSpec,
    *,
    seed: int,
    models: Mapping[str, CheckpointRef],
    data: Dataset | None,
    dtype: str,
    corpora: Mapping[str, Corpus] | None = None,
    others: Mapping[str, Dataset] | None = None,
    answers: str = "",
    prompts: str = "",
    level: float | None = None,
    timing: Mapping[str, Any] | None = None,
) -> str:
    """The fingerprint of a step.

    It covers the resolved config, the seed, the digests of the checkpoints and of the splits that
    a step may see (train and dev.select: a new test row retrains nothing), the versions of Gradus,
    torch and transformers, dtype and threads. `others` are the data sets beyond the first,
    `answers` the digest of what people said, `prompts` that of what models shall write to, `level`
    that of the tests that a step takes itself, `timing` the settings of timings that it chooses by.
    What a hand-off may stray (`gradus.runner.parity`) isn't in it, as gates aren't.
    """
    read = {
        name: {s: corpus.split_digests[s] for s in ("train", "dev.select")}
        for name, corpus in (corpora or {}).items()
    }
    beside = {
        name: [{s: one.split_digests[s] for s in ("train", "dev.select")}, list(one.labels)]
        for name, one in (others or {}).items()
    }
    return digest(
        {
            "kind": spec.kind,
            "config": parity.without(spec.config),
            "seed": seed,
            "models": {name: [ref.kind, ref.digest] for name, ref in models.items()},
            "data": None
            if data is None
            else {s: data.split_digests[s] for s in ("train", "dev.select")},
            "labels": None if data is None else list(data.labels),
            **({"corpora": read} if read else {}),
            **({"others": beside} if beside else {}),
            **({"answers": answers} if answers else {}),
            **({"prompts": prompts} if prompts else {}),
            **({} if level is None else {"level": level}),
            **({} if timing is None else {"timing": timing}),
            "versions": {
                name: hardware.version(name) for name in ("gradus-lm", "torch", "transformers")
            },
            "dtype": dtype,
            "threads": hardware.threads(),
        }
    )


def timing(measure: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings of measuring, those that timings depend on beside texts and machine."""
    return {
        "dtype": str(measure.get("dtype", "float32")),
        "texts": int(measure.get("latency_texts", 50)),
        "repeats": int(measure.get("latency_repeats", 5)),
    }


def step_seed(seed: int, step_id: str, repeat: int = 0) -> int:
    """A step's own seed, below 2**31: another step before it doesn't change its draws.

    The first `repeat`, 0, has the seed of a step that isn't repeated, so that asking for several
    seeds later does the first of them no second time.
    """
    mark = [seed, step_id, repeat] if repeat else [seed, step_id]
    return int(digest(mark)[:8], 16) % 2**31
