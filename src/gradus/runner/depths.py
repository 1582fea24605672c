"""A plan's pretraining at several depths: the sweep that a scaling law is fitted to.

The sweep is a plan of its own: the steps that the pretraining rests on, then one pretraining a
depth. So it is checked, run, resumed and reported as every plan is, and what the depths share, as
the tokenizer, is made once.

Legend: N layers, d width, V rows of the embeddings (tokens and, where learned, positions).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from gradus import registry
from gradus.errors import UsageError, unknown
from gradus.records import Plan, StepSpec
from gradus.training.architectures import ArchitectureConfig

STEP: Final = "pretrain"
SETTLED: Final = ("size", "layers", "width", "heads", "kv_heads", "inner")
"""Of an architecture: what a depth settles itself."""
BUDGETS: Final = ("steps", "tokens", "epochs", "minutes")


def sweep(
    plan: Plan, depths: Sequence[int], *, step: str | None = None, ratio: float | None = None
) -> tuple[Plan, dict[int, str]]:
    """The plan ``NAME-scaling``, and the id of each depth's step.

    Args:
        plan: with a step `pretrain` from scratch.
        depths: N of each model; d is 64 N, as `gradus.training.architectures` has it.
        step: the step's id; may be left out where the plan has one such step.
        ratio: tokens of training for each weight in the layers; None keeps the plan's budget.

    Raises:
        UsageError: there is no such step, or depths can't be put in.
    """
    if len(set(depths)) < len(depths) or any(depth < 1 for depth in depths):
        raise UsageError(f"--depths {','.join(map(str, depths))}: different numbers from 1")
    base = _base(plan, step)
    ids = {depth: f"{base.id}-{depth}" for depth in depths}
    before = _before(plan, base)
    taken = {one.id for one in before} & set(ids.values())
    if taken:
        raise UsageError(f"the plan has a step {min(taken)} already: rename it")
    made = tuple(
        dataclasses.replace(
            base, id=ids[depth], config=at_depth(base.config, depth, ratio), gates=()
        )
        for depth in depths
    )
    steps = (*(dataclasses.replace(one, gates=()) for one in before), *made)
    return dataclasses.replace(plan, name=f"{plan.name}-scaling", steps=steps), ids


def at_depth(config: Mapping[str, Any], depth: int, ratio: float | None) -> dict[str, Any]:
    """The config of `pretrain` at a depth, and with the budget that `ratio` says.

    Raises:
        UsageError: the step goes on from a model, or gives every depth the same minutes.
    """
    model = config["model"]
    if not isinstance(model, Mapping):
        raise UsageError(f"the step goes on from {model}, which has its depth already")
    if config.get("minutes") is not None and ratio is None:
        raise UsageError(
            "the step is trained for so many minutes, which gives every depth the same compute: "
            "say --tokens-per-parameter"
        )
    kept = {key: value for key, value in model.items() if key not in SETTLED}
    changed: dict[str, Any] = {**config, "model": {**kept, "depth": depth}}
    if ratio is not None:
        changed |= dict.fromkeys(BUDGETS)
        changed["tokens"] = round(ratio * weights(changed["model"], changed["block"]))
    kind: Any = registry.load("steps", STEP)
    try:
        made = kind.Config.model_validate(changed)
    except ValidationError as error:
        told = "; ".join(fault["msg"] for fault in error.errors())
        raise UsageError(f"depth {depth}: {told}") from error
    return dict(made.model_dump(mode="json", by_alias=True))


def weights(model: Mapping[str, Any], block: int) -> int:
    """Numbers in the layers' matrices, 12 N d^2 (Kaplan et al. 2020, table 1)."""
    shape = ArchitectureConfig.model_validate(model).shape(block)
    return 12 * shape.layers * shape.width**2


def ahead(
    known: Mapping[str, float], config: Mapping[str, Any], depth: int, ratio: float | None
) -> dict[str, float]:
    """What a depth that wasn't trained would have: ``parameters``, ``tokens``, ``flops``.

    Scaled up from a model that was: V is what its weights leave over for the embeddings. A token
    costs 6 operations a parameter and 12 N d T for T tokens of context (Kaplan et al. 2020, section
    2.1; Chowdhery et al. 2022, appendix B).

    Args:
        known: of the model that was trained: ``depth``, ``parameters``, ``tokens``, ``flops``.
        config: of the step, at any depth.
        depth: N of the model that wasn't.
        ratio: as for `sweep`.
    """
    block, sizes = int(config["block"]), {}
    for at in (int(known["depth"]), depth):
        model = at_depth(config, at, ratio)["model"]
        shape = ArchitectureConfig.model_validate(model).shape(block)
        sizes[at] = (weights(model, block), shape.layers, shape.width)
    inner, _, width = sizes[int(known["depth"])]
    rows = max(0.0, known["parameters"] - inner) / width

    def whole(at: int) -> float:
        return sizes[at][0] + rows * sizes[at][2]

    def a_token(at: int) -> float:
        return 6 * whole(at) + 12.0 * sizes[at][1] * sizes[at][2] * block

    follows = ratio is not None or not any(config.get(name) is not None for name in BUDGETS)
    tokens = known["tokens"] * (sizes[depth][0] / inner if follows else 1.0)
    each = known["flops"] / known["tokens"] / a_token(int(known["depth"]))
    return {
        "depth": depth,
        "parameters": whole(depth),
        "tokens": tokens,
        "flops": each * a_token(depth) * tokens,
    }


def _base(plan: Plan, step: str | None) -> StepSpec:
    found = {one.id: one for one in plan.steps if registry.plain(one.kind) == STEP}
    if step is not None:
        if step not in found:
            raise UsageError(unknown("step pretrain", step, found))
        return found[step]
    scratch = [one for one in found.values() if isinstance(one.config["model"], Mapping)]
    if len(scratch) != 1:
        told = ", ".join(one.id for one in scratch) or "none"
        raise UsageError(
            f"the plan has {len(scratch)} steps that pretrain from scratch ({told}): say which "
            "with --step"
        )
    return scratch[0]


def _before(plan: Plan, base: StepSpec) -> list[StepSpec]:
    """The steps that `base` rests on, directly or not, in the plan's order."""
    needed = set(base.models)
    kept: list[StepSpec] = []
    place = next(i for i, one in enumerate(plan.steps) if one.id == base.id)
    for one in reversed(plan.steps[:place]):
        if any(name.partition(".")[0] == one.id for name in needed):
            kept.append(one)
            needed |= set(one.models)
    return kept[::-1]
