"""Corpora in a plan: their entries, and gates on what is measured on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradus.benchmarks.corpus import CorpusBenchmark
from gradus.benchmarks.masked import MaskedBenchmark
from gradus.benchmarks.unlabelled import SLICINGS
from gradus.errors import unknown
from gradus.plan.faults import Faults, TreePath
from gradus.plan.references import told_apart

if TYPE_CHECKING:
    from gradus.gates.grammar import GateSpec
    from gradus.plan.check import Draft, StepDraft

METRICS = frozenset({*CorpusBenchmark.metrics, *MaskedBenchmark.metrics})
"""What language models are measured by on a corpus: causal ones, and those that fill gaps."""


def check_corpora(draft: Draft, faults: Faults) -> None:
    """Data sets and corpora don't share a name, and each `either` is told to be one of them."""
    for name in draft.corpora:
        if name in draft.data:
            faults.add(("corpora", name), f"a data set is named '{name}' too: choose another name")
    for step in draft.steps:
        if step.needs is not None:
            step.needs = told_apart(step.needs, draft.corpora)


def corpora_of(step: StepDraft) -> list[str]:
    """The corpora that a step names, each once."""
    return list(dict.fromkeys(step.needs.corpora.values())) if step.needs is not None else []


def alone(step: StepDraft) -> bool:
    """Whether a step names corpora and no data set."""
    return step.needs is not None and bool(step.needs.corpora) and not step.needs.data


def with_metric(draft: Draft, step: StepDraft, spec: GateSpec) -> list[str]:
    """The step's corpora that the gate's metric could be meant of."""
    return corpora_of(step) if _rests(draft, spec) <= METRICS else []


def is_about(draft: Draft, step: StepDraft, spec: GateSpec) -> bool:
    """Whether a gate is about a corpus, by its prefix or else by its metric."""
    if spec.prefix is not None:
        return spec.prefix.partition(".")[0] in draft.corpora or (
            spec.prefix.partition(".")[0] not in draft.data and bool(with_metric(draft, step, spec))
        )
    return bool(with_metric(draft, step, spec))


def check_gate(
    draft: Draft, step: StepDraft, spec: GateSpec, path: TreePath, faults: Faults
) -> None:
    """Faults of a gate that is about a corpus, beside those that all gates may have."""
    own = corpora_of(step)
    named = (spec.prefix or "").partition(".")[0]
    if named in draft.corpora:
        if named not in own:
            known = " and ".join(own) or "no corpus"
            faults.add(path, f"step '{step.id}' isn't measured on '{named}'; it is on {known}")
        lacking = sorted(_rests(draft, spec) - METRICS)
        if lacking:
            can = ", ".join(sorted(METRICS))
            faults.add(
                path, f"the corpus {named} isn't measured by {lacking[0]}; it can be by {can}"
            )
    elif spec.prefix is None and len(own) > 1:
        faults.add(
            path,
            f"{spec.metric} is measured on {' and '.join(own)}: write which, as in "
            f"{own[0]}.{spec.metric}",
        )
    if spec.slice is not None:
        about = [named] if named in draft.corpora else own
        _check_slice(draft, spec.slice[0], about, path, faults)


def _check_slice(
    draft: Draft, slicing: str, about: Sequence[str], path: TreePath, faults: Faults
) -> None:
    if slicing not in SLICINGS:
        faults.add(path, unknown("slicing of a corpus", slicing, SLICINGS))
        return
    # A name that dangles is told where it stands.
    for name in (name for name in about if name in draft.corpora):
        columns = draft.corpora[name].get("columns") or {}
        if slicing == "domain" and isinstance(columns, Mapping) and not columns.get("domain"):
            faults.add(
                path,
                f"the documents of {name} have no domain: name its field under "
                "'columns: {domain: ...}'",
            )


def _rests(draft: Draft, spec: GateSpec) -> frozenset[str]:
    return draft.made.bases.get(spec.metric, frozenset({spec.metric}))


def read_corpora(section: Mapping[str, dict[str, Any]], faults: Faults) -> dict[str, Any]:
    """Every entry of ``corpora:`` validated, with its defaults."""
    from gradus.data.corpora.config import CorpusConfig
    from gradus.plan.plainly import validate

    found = {}
    for name, item in section.items():
        config = validate(CorpusConfig, item, ("corpora", name), faults).config
        found[name] = item if config is None else config.model_dump(mode="json", by_alias=True)
    return found
