"""What bench/finetune.py trains on: a data set, our objective for it, and the Trainer's model."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from common import ROOT, shared_data

MAX_TOKENS = 128
# What the Trainer's loss passes over: special tokens and all but the first token of a word.
IGNORED = -100


@dataclass(frozen=True, kw_only=True)
class Case:
    """One comparison.

    Attributes:
        data: train, and the held-out texts in the place of dev.select.
        metric: what is held out for, as our monitor calls it.
        config: of our step, beside model, data and stages.
        stages: of our step; None for the default ones.
        model: the Trainer's model class in transformers, `outputs` its number of labels.
        encode: texts, words and labels of a split to the Trainer's rows.
        collate: the collator's class in transformers.
        score: from the Trainer's logits and label ids on the held-out rows to the metric.
        targets: (value of the metric, ratio aimed at).
    """

    data: Any
    metric: str
    config: dict[str, Any]
    stages: Any
    model: str
    outputs: int
    encode: Callable[[Any, Any], list[dict[str, Any]]]
    collate: str
    score: Callable[[np.ndarray, np.ndarray], float]
    targets: tuple[tuple[float, float], ...]


def banking77(quick: bool) -> Case:
    """77 intents; `quick` keeps every third label."""
    from gradus.data.dataset import Split, TrainingData

    rows = {
        name: list(csv.DictReader((shared_data() / f"banking77.{name}.csv").open(encoding="utf-8")))
        for name in ("train", "test")
    }
    labels = sorted({r["category"] for r in rows["train"]})
    labels = labels[::3] if quick else labels
    index = {label: i for i, label in enumerate(labels)}

    def split(name: str) -> Split:
        kept = [r for r in rows[name] if r["category"] in index]
        gold = np.array([index[r["category"]] for r in kept])
        return Split(texts=[r["text"] for r in kept], labels=gold, ids=_ids(kept, "text"))

    def encode(part: Split, tokenizer: Any) -> list[dict[str, Any]]:
        ids = tokenizer(list(part.texts), truncation=True, max_length=MAX_TOKENS)["input_ids"]
        pairs = zip(ids, part.labels, strict=True)
        return [{"input_ids": i, "labels": int(y), "length": len(i)} for i, y in pairs]

    train = split("train")
    return Case(
        data=TrainingData(
            name="banking77",
            labels=tuple(labels),
            train=train,
            select=split("test"),
            digest=hashlib.sha256("\n".join(train.texts).encode()).hexdigest(),
        ),
        metric="accuracy",
        config={"max_tokens": MAX_TOKENS},
        stages=None,
        model="AutoModelForSequenceClassification",
        outputs=len(labels),
        encode=encode,
        collate="DataCollatorWithPadding",
        score=lambda logits, gold: float((logits.argmax(-1) == gold).mean()),
        targets=((0.92, 8.0), (0.93, 2.0)),
    )


def conll2003(quick: bool) -> Case:
    """Names in news, testb held out; `quick` keeps every tenth sentence."""
    from gradus import api
    from gradus.data.dataset import TrainingData
    from gradus.data.tags import spans_of, write_tags

    plan = yaml.safe_load((ROOT / "plans" / "ner-conll2003.yaml").read_text(encoding="utf-8"))
    given = plan["data"]["conll2003"]
    for source in given["source"].values():
        source["file"] = source["file"].replace("${data}", str(shared_data()))
    whole = api.load_data(given, seed=1, name="conll2003")
    step = next(s for s in plan["steps"] if s["id"] == "tuned")
    train, held_out = whole.splits["train"], whole.splits["test"]
    if quick:
        train, held_out = train.sample(len(train) // 10), held_out.sample(len(held_out) // 10)
    letters = [f"{letter}-{label}" for label in whole.labels for letter in "BI"]
    tags = ["O", *letters]

    def encode(part: Any, tokenizer: Any) -> list[dict[str, Any]]:
        rows = []
        for text, words, spans in zip(part.texts, part.words, part.labels, strict=True):
            coded = tokenizer(
                [text[a:b] for a, b in words],
                is_split_into_words=True,
                truncation=True,
                max_length=MAX_TOKENS,
            )
            starts = {start: i for i, (start, _) in enumerate(words)}
            ends = {end: i + 1 for i, (_, end) in enumerate(words)}
            held = [(starts[s.start], ends[s.end], s.label) for s in spans]
            gold = write_tags(held, len(words), "iob2")
            of = coded.word_ids()
            first = [w is not None and w != v for w, v in zip(of, [None, *of], strict=False)]
            ids = [
                tags.index(gold[w]) if is_first else IGNORED
                for w, is_first in zip(of, first, strict=True)
            ]
            rows.append(
                {"input_ids": coded["input_ids"], "labels": ids, "length": len(coded["input_ids"])}
            )
        return rows

    def score(logits: np.ndarray, gold: np.ndarray) -> float:
        said = logits.argmax(-1)
        hits = both = 0
        for row, true in zip(said, gold, strict=True):
            kept = true != IGNORED
            one, two = (set(spans_of([tags[i] for i in of[kept]])) for of in (row, true))
            hits += len(one & two)
            both += len(one) + len(two)
        return 2 * hits / both

    return Case(
        data=TrainingData(
            name="conll2003",
            labels=whole.labels,
            train=train,
            select=held_out,
            digest=whole.digest,
            target="spans",
        ),
        metric="span_f1",
        config={"max_tokens": MAX_TOKENS, "objective": step["objective"]},
        stages=step["stages"],
        model="AutoModelForTokenClassification",
        outputs=len(tags),
        encode=encode,
        collate="DataCollatorForTokenClassification",
        score=score,
        targets=((0.86, 2.0),),
    )


def _ids(rows: Sequence[dict[str, Any]], name: str) -> list[str]:
    return [hashlib.sha256(row[name].encode()).hexdigest() for row in rows]


CASES: dict[str, Callable[[bool], Case]] = {"banking77": banking77, "conll2003": conll2003}
