"""Builds a run folder of real records and item files with plausible random numbers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradus.metrics.base import Predictions
from gradus.metrics.items import write_items
from gradus.records import Measurement, RunRecord, State, StepRecord

from .plan import ENVIRONMENT, MODELS, PLAN

TOPICS = ("business", "entertainment", "politics", "sport", "tech")
SENTENCES = {
    "business": "The company said that profits rose by {n}% in the quarter, ahead of forecasts.",
    "entertainment": "The film took {n} million at the box office in its opening weekend.",
    "politics": "Ministers will face {n} questions on the bill when the house returns on Monday.",
    "sport": "The captain scored in minute {n} to settle a match that had seemed lost.",
    "tech": "The new phone stores {n} hours of video and is sold without a contract.",
}
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
                ci_high=high
                if wilson_here
                else min(value + half, 1.0 if unit != "nats" else math.inf),
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
            "about": "Five topics of the news, with a small encoder: <how far> 100 % of it goes.",
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
