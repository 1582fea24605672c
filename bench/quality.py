"""Quality on real data: the plans that ship, over several seeds.

BBC news, BANKING77 and CoNLL-2003 through the stages of plans/news.yaml, plans/banking77.yaml and
plans/ner-conll2003.yaml, BANKING77 with LoRA as plans/lora-banking77.yaml has it, Chinese hotel
reviews with the small model and beside it the floor of plans/hotel-zh.yaml, all measured on test;
zero-shot BBC news with SmolLM2-135M as plans/news.yaml prompts it, over train and dev together. A
ratio is the error of the stated figure, or of the floor in the same run, divided by ours.

    python bench/quality.py --json             over an hour on 2 cores
    python bench/quality.py --only conll2003   one case: any key of `AIMS`
    python bench/quality.py --quick --json     one seed, solved heads, 200 prompts
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import yaml

from common import ROOT, Result, finish, parser, say, shared_data

AIMS = {
    "news": 0.97,
    "banking77": 0.943,
    "lora-banking77": 0.937,
    "conll2003": 0.87,
    "hotel-zh": 0.901,
    "zero-shot": 0.70,
}
# Where the plan isn't called as its data, and where it isn't measured by its accuracy.
PLANS = {"conll2003": "ner-conll2003"}
METRICS = {"conll2003": "span_f1"}
# Where the data aren't called as the case, and where the step isn't called tuned.
DATA = {"lora-banking77": "banking77", "hotel-zh": "hotel"}
STEPS = {"lora-banking77": "lora"}
# Where the figure to compare with is another step's of the same plan, measured in the same run.
BESIDE = {"hotel-zh": "floor"}
PEERS: dict[str, tuple[str, float | None]] = {
    "news": ("published here: the transformers Trainer after 660 s", 0.973),
    "banking77": ("published here: the transformers Trainer, best flags, 397 s", 0.926),
    "lora-banking77": ("full fine-tuning through plans/banking77.yaml, measured here", 0.942),
    "conll2003": ("published here: the transformers Trainer, best flags, 398 s", 0.860),
    "hotel-zh": ("TF-IDF of characters with logistic regression, measured here", None),
    "zero-shot": ("chance", 0.2),
}


def tuned(name: str, seed: int, runs: Path, quick: bool) -> dict[str, float]:
    """What `METRICS` says, or else accuracy, on test: of a plan's tuned checkpoint, and of the
    step that stands beside it where `BESIDE` names one."""
    from gradus import api

    path = ROOT / "plans" / f"{PLANS.get(name, name)}.yaml"
    data, chosen = DATA.get(name, name), STEPS.get(name, "tuned")
    text = path.read_text(encoding="utf-8").replace("on: ", '"on": ')
    raw = yaml.safe_load(text.replace("${data}", str(shared_data())))
    raw.pop("vars", None)
    measured = [BESIDE[name], chosen] if name in BESIDE else [chosen]
    steps = [{k: v for k, v in _step(raw, s).items() if k != "gates"} for s in measured]
    if quick:
        steps[-1]["stages"] = [{"train": "head"}]
    used = steps[-1]["model"]
    plan = {
        "name": f"{name}-{seed}",
        "seed": seed,
        "data": {data: raw["data"][data]},
        "models": {used: raw["models"][used]},
        "steps": [
            *steps,
            {"id": "final", "step": "evaluate", "models": measured, "on": f"{data}.test"},
        ],
        "measure": {"cost": False},
    }
    record = api.run(plan, runs_dir=runs)
    wanted = METRICS.get(name, "accuracy")
    return {
        m.checkpoint: m.value
        for m in record.step("final").measurements
        if m.metric == wanted and m.checkpoint in measured
    }


def zero_shot(seed: int, quick: bool) -> tuple[float, int]:
    """Accuracy over train and dev together, and the number of texts."""
    import numpy as np

    from gradus import api, hardware
    from gradus.predict import load

    raw = yaml.safe_load((ROOT / "plans" / "news.yaml").read_text(encoding="utf-8"))
    config = _step(raw, "zero-shot")
    for key in ("id", "step", "data", "model", "gates"):
        config.pop(key, None)
    data = api.load_data(raw["data"]["news"], seed=seed, name="news")
    parts = [data.splits[s] for s in ("train", "dev.select", "dev.gate")]
    texts = [t for part in parts for t in part.texts]
    gold = np.concatenate([part.labels for part in parts])
    if quick:
        chosen = np.random.default_rng(seed).permutation(len(texts))[:200]
        texts, gold = [texts[i] for i in chosen], gold[chosen]
    with tempfile.TemporaryDirectory() as place:
        made = api.step("prompt", out=place, data=data, model=raw["models"]["lm"], **config)
        model = load(made.checkpoint, dtype=hardware.training_dtype())
        rows = model.predictor.log_probs(texts)
        order = [model.labels.index(label) for label in data.labels]
    return float((rows[:, order].argmax(1) == gold).mean()), len(texts)


def _step(plan: dict[str, Any], step_id: str) -> dict[str, Any]:
    return dict(next(s for s in plan["steps"] if s["id"] == step_id))


def main() -> None:
    """Run what was asked for and print the medians."""
    from gradus import hardware

    made = parser(__doc__)
    made.add_argument("--only", choices=sorted(AIMS), default=None)
    made.add_argument("--seeds", default="13,14,15")
    args = made.parse_args()
    seeds = [int(s) for s in args.seeds.split(",")][: 1 if args.quick else None]
    results, values, beside = [], {}, {}
    with tempfile.TemporaryDirectory() as runs:
        for name in [args.only] if args.only else list(AIMS):
            if name == "zero-shot":
                # Nothing is drawn at zero shots: one seed says it all.
                values[name] = [zero_shot(seeds[0], args.quick)[0]]
            else:
                found = [tuned(name, s, Path(runs), args.quick) for s in seeds]
                values[name] = [one[STEPS.get(name, "tuned")] for one in found]
                if name in BESIDE:
                    beside[name] = [one[BESIDE[name]] for one in found]
            say(f"{name}: {values[name]}, beside it {beside.get(name, 'nothing')}")
            results.append(result(name, values[name], beside.get(name), hardware))
    finish(results, as_json=args.json, values=values, beside=beside, seeds=seeds)


def result(name: str, found: list[float], beside: list[float] | None, hardware: Any) -> Result:
    """The median beside the figure stated, or beside the median of what was measured with it."""
    peer, stated = PEERS[name]
    figure = stated if beside is None else statistics.median(beside)
    assert figure is not None, f"PEERS states no figure for {name}, and BESIDE names no step"
    ours = statistics.median(found)
    metric = METRICS.get(name, "accuracy")
    return Result(
        name=f"{name}: test {metric}" if name != "zero-shot" else "zero-shot news: accuracy",
        peer=peer,
        peer_flags=f"aim {AIMS[name]}",
        dtype=hardware.training_dtype(),
        threads=hardware.threads(),
        ours=ours,
        theirs=figure,
        unit=metric,
        ratio=(1 - figure) / (1 - ours) if ours < 1 else None,
        target=(1 - figure) / (1 - AIMS[name]),
    )


if __name__ == "__main__":
    main()
