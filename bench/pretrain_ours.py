"""Our side of bench/pretrain.py: steps of plans/pretrain-shakespeare.yaml, run one by one."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from common import ROOT, say

PLAN = ROOT / "plans" / "pretrain-shakespeare.yaml"
CORPUS = "plays"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The plan and its corpus, all splits.

    Attributes:
        plan: as it stands in the file.
        corpus: with test.
        work: folder for everything that is made.
    """

    plan: Mapping[str, Any]
    corpus: Any
    work: Path
    seed: int

    def step(self, id_: str) -> dict[str, Any]:
        """A step's config in the plan."""
        found = next(step for step in self.plan["steps"] if step["id"] == id_)
        return {k: v for k, v in found.items() if k not in ("id", "step", "gates")}

    def text(self, split: str) -> list[str]:
        """The documents of a split."""
        return [document.text for document in self.corpus.splits[split]]

    def tokens(self, tokenizer: Path, split: str) -> np.ndarray:
        """Token ids of a split, one document after another."""
        from gradus.data.corpora import tokenise

        shards = tokenise(self.corpus.splits[split], tokenizer, place=self.work / "shards")
        ids: np.ndarray = shards.ids(0, shards.total)
        return ids


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What our training gave: its checkpoint, curves and cost."""

    checkpoint: Path
    rows: list[dict[str, Any]]
    cost: Mapping[str, Any]

    @property
    def rate(self) -> float:
        """Tokens a second while it trains, the median between two points of the curve."""
        rates = [row["tokens_per_second"] for row in self.rows if "tokens_per_second" in row]
        return float(statistics.median(rates[1:] or rates))

    def share(self) -> float:
        """Of the time, what validation, samples and checkpoints took."""
        spent = ("validation_seconds", "probe_seconds", "checkpoint_seconds")
        seconds = sum(float(self.cost[name]) for name in spent)
        return seconds / float(self.cost["train_seconds"])

    def logits(self) -> Any:
        """Token ids [B, T] to logits [B, T, V], as transformers loads the checkpoint."""
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(self.checkpoint).eval()
        return lambda x: model(input_ids=x, use_cache=False).logits


def setting(work: Path, seed: int) -> Setting:
    """The plan's corpus, split by the plan's seed."""
    from gradus.data.corpora import load_corpus

    plan = yaml.safe_load(PLAN.read_text(encoding="utf-8"))
    corpus = load_corpus(
        CORPUS,
        plan["corpora"][CORPUS],
        folder=PLAN.parent,
        seed=plan["seed"],
        place=work / "corpora",
    )
    return Setting(plan=plan, corpus=corpus, work=work, seed=seed)


def tokenizer(known: Setting, config: Mapping[str, Any], name: str) -> Path:
    """The checkpoint's folder of a tokenizer step."""
    from gradus.steps.tokenizer import Tokenizer

    outcome, _ = _run(Tokenizer, config, known, name, {})
    return outcome


def pretrain(known: Setting, config: Mapping[str, Any], tokens: Path, name: str) -> Trained:
    """Our step, on train and dev.select alone, as the runner would start it."""
    from gradus.checkpoints import find_manifest
    from gradus.records import CheckpointRef
    from gradus.steps.pretrain import Pretrain

    manifest = find_manifest(tokens)
    assert manifest is not None
    ref = CheckpointRef(
        name=str(config["tokenizer"]), kind=manifest.kind, path=str(tokens), digest=manifest.digest
    )
    return Trained(**_trained(_run(Pretrain, config, known, name, {ref.name: ref}), known, name))


def _trained(made: tuple[Path, Mapping[str, Any]], known: Setting, name: str) -> dict[str, Any]:
    checkpoint, cost = made
    lines = (known.work / name / "curves.jsonl").read_text(encoding="utf-8").splitlines()
    return {"checkpoint": checkpoint, "rows": [json.loads(line) for line in lines], "cost": cost}


def _run(
    kind: Any, config: Mapping[str, Any], known: Setting, name: str, models: Mapping[str, Any]
) -> tuple[Path, Mapping[str, Any]]:
    """The checkpoint and the cost of a step that is run by itself."""
    from gradus import hardware
    from gradus.runner.monitor import Quiet, RunMonitor
    from gradus.steps.base import StepContext

    out = known.work / name
    (out / "work").mkdir(parents=True)
    say(f"ours: {name}")
    outcome = kind().run(
        kind.Config.model_validate(dict(config)),
        StepContext(
            id=name,
            seed=known.seed,
            out=out,
            work=out / "work",
            models=models,
            data=None,
            corpora={CORPUS: known.corpus.for_training()},
            monitor=RunMonitor(out / "curves.jsonl", None, Quiet()),
            dtype=hardware.training_dtype(),
            threads=hardware.threads(),
        ),
    )
    return outcome.checkpoint, outcome.cost
