"""What measurements depend on beyond the step itself, as short digests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradus import gates, hardware
from gradus.records import StepSpec
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.steps.base import Target


def items_key(targets: Sequence[Target], inputs: Inputs) -> str:
    """What the items depend on beyond the step itself."""
    return digest(
        {
            "dtype": inputs.plan.measure["dtype"],
            "targets": [
                [
                    t.checkpoint,
                    digests(t.checkpoint, inputs),
                    t.data,
                    t.split,
                    t.sample,
                    inputs.dataset(t.data).split_digests.get(t.split),
                ]
                for t in targets
            ],
            **environment(),
        }
    )[:12]


def digests(name: str, inputs: Inputs) -> str | list[str]:
    """The checkpoint's digest; of a repeated step those of all its seeds, the chosen one first."""
    own = inputs.checkpoint(name).digest
    if name not in inputs.seeds:
        return own
    return [own, *(inputs.checkpoint(seed).digest for seed in inputs.seeds[name].names)]


def cost_key(targets: Sequence[Target], companions: Sequence[str], inputs: Inputs) -> str:
    """What timings depend on beyond the step itself."""
    return digest(
        {
            "settings": {
                name: setting
                for name, setting in inputs.plan.measure.items()
                if name not in ("slices", "slice_least")
            },
            "targets": [t.checkpoint for t in targets],
            "texts": [targets[0].data, targets[0].split, targets[0].sample],
            "split": inputs.dataset(targets[0].data).split_digests.get(targets[0].split),
            "companions": [[c, inputs.checkpoint(c).digest] for c in companions],
            **environment(),
        }
    )[:12]


def environment() -> dict[str, Any]:
    """Versions and threads, which every key covers."""
    return {
        "versions": [hardware.version(n) for n in ("gradus-lm", "torch", "transformers")],
        "threads": hardware.threads(),
    }


def settings(inputs: Inputs) -> dict[str, Any]:
    """What quality depends on beyond the items: another of these measures again, reads nothing."""
    found: dict[str, Any] = {name: inputs.plan.measure[name] for name in ("level", "bootstrap")}
    if inputs.plan.scores:
        found["scores"] = inputs.plan.scores
    if inputs.plan.measure.get("slices"):
        found["slices"] = [inputs.plan.measure["slices"], inputs.plan.measure["slice_least"]]
        found["asked"] = asked_of_slices(inputs)
    return found


def corpus_settings(inputs: Inputs) -> dict[str, Any]:
    """The same on corpora, which are always broken down by what their documents say."""
    least = inputs.plan.measure["slice_least"]
    return {**settings(inputs), "slice_least": least, "asked": asked_of_slices(inputs)}


def asked_of_slices(inputs: Inputs) -> list[str]:
    """The metrics that a gate of the plan asks of a slice, each once."""
    texts = [text for spec in inputs.plan.steps for text in spec.gates]
    parsed = [gates.parse(text, scores=inputs.scores.own) for text in texts]
    return list(dict.fromkeys(gate.asked for gate in parsed if gate.slice is not None))


def referenced(spec: StepSpec, inputs: Inputs, only: Sequence[str] | None = None) -> list[str]:
    """The checkpoints that the step's gates (on the metrics `only`) compare with."""
    parsed = [gates.parse(text, scores=inputs.scores.own) for text in spec.gates]
    return [
        spec.models[0] if gate.reference == "parent" else gate.reference
        for gate in parsed
        if gate.reference is not None and (only is None or gate.metric in only)
    ]
