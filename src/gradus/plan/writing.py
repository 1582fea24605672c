"""Gates on what writers wrote: the names that may stand in them are those of the writers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from gradus.errors import unknown
from gradus.metrics.writings import TEXTS_EACH
from gradus.plan.faults import Faults, TreePath
from gradus.writing.records import HUMAN

if TYPE_CHECKING:
    from gradus.gates.grammar import GateSpec
    from gradus.plan.check import Draft, StepDraft

_SAMPLE: Final = "sample.v1"
_BENCHMARK: Final = ("written", "written.v1")


def is_about(draft: Draft, spec: GateSpec) -> bool:
    """Whether a gate is about what writers wrote, by its metric."""
    if spec.metric in draft.scores and spec.metric not in draft.made.own:
        return False  # a score that couldn't be read
    return bool(draft.made.kind(spec.metric).needs == "writings")


def maker_of(draft: Draft, step: StepDraft) -> StepDraft | None:
    """The step `sample` that a step is or whose samples it has judged; None if none is named."""
    if step.kind == _SAMPLE:
        return step
    for name in step.needs.models.values() if step.needs is not None else ():
        index = draft.index(name)
        if index is not None and draft.steps[index].kind == _SAMPLE:
            return draft.steps[index]
    return None


def writers_of(maker: StepDraft) -> list[str] | None:
    """The writers of a step `sample`, people last; None where its config is faulty."""
    if maker.config is None:
        return None
    prompts: Mapping[str, object] = maker.config["prompts"]
    human = maker.config["human"]
    known = human if human is not None else prompts.get("texts") is None
    return [*maker.config["writers"], *([HUMAN] if known else [])]


def check_gate(
    draft: Draft, step: StepDraft, spec: GateSpec, path: TreePath, faults: Faults
) -> None:
    """Faults of a gate that is about what writers wrote."""
    maker = maker_of(draft, step)
    if maker is None:
        faults.add(path, f"{spec.metric} is taken of samples, and '{step.id}' has none")
        return
    if spec.slice is not None:
        faults.add(path, f"{spec.metric} isn't taken on slices of the items")
    if spec.prefix is not None and spec.prefix not in (maker.id, *_BENCHMARK):
        faults.add(path, unknown("samples", spec.prefix, [str(maker.id)]))
    writers = writers_of(maker)
    if spec.reference in (None, "parent") or writers is None:
        if spec.reference == "parent":
            faults.add(path, "writers have no parent here: compare with one of them by name")
        return
    each = int((maker.config or {}).get("each", 1))
    if spec.reference == _models(writers)[-1]:
        faults.add(path, f"the gate is about '{spec.reference}' itself, the last of the writers")
    elif spec.reference not in writers:
        faults.add(path, unknown("writer", str(spec.reference), writers))
    elif spec.reference == HUMAN and each > 1 and TEXTS_EACH in draft.made.kind(spec.metric).bound:
        faults.add(
            path,
            f"{spec.metric} depends on how many texts there are, and people wrote one to each "
            f"prompt where models write {each}: leave 'each' out",
        )


def _models(writers: list[str]) -> list[str]:
    return [name for name in writers if name != HUMAN]
