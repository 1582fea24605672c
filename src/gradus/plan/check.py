"""From a tree to a checked plan: section by section, every fault kept, nothing computed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from gradus import registry
from gradus.errors import GradusError, unknown
from gradus.metrics.score import Scores
from gradus.plan.faults import Faults, Tree
from gradus.plan.measure import MeasureConfig
from gradus.plan.overrides import TOP_LEVEL
from gradus.plan.plainly import describe, validate
from gradus.plan.scores import read_scores
from gradus.plan.variables import Variables
from gradus.records import Plan, StepSpec

if TYPE_CHECKING:
    from gradus.steps.base import Needs, Step

RESERVED: Final = ("parent", "surely")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_OWN_KEYS: Final = ("id", "step", "gates", "on_undecided", "seeds", "early_test")


class _Head(BaseModel):
    """The keys of a plan that hold single values."""

    model_config = ConfigDict(extra="ignore")

    name: str
    about: str = ""
    seed: int = Field(default=0, ge=0, lt=2**63)


class StepKeys(BaseModel):
    """The keys of a step that every kind has."""

    model_config = ConfigDict(extra="ignore")

    id: str
    step: str
    gates: list[str] = Field(default_factory=list)
    on_undecided: Literal["warn", "stop"] = "warn"
    seeds: int = Field(default=1, ge=1, le=100)
    early_test: str = ""


@dataclass(slots=True)
class StepDraft:
    """A step while it is being checked; what couldn't be read is None.

    `needs` may come from a config whose faulty values were taken out; `config` and `produces`
    never do, so that one fault doesn't cause others. `benchmarks` are those that it is measured on,
    by the names that it gives them; None for one that isn't known.
    """

    index: int
    line: int
    id: str | None = None
    kind: str | None = None
    config: dict[str, Any] | None = None
    needs: Needs | None = None
    benchmarks: dict[str, Any] = field(default_factory=dict)
    produces: frozenset[str] | None = None
    gates: list[str] = field(default_factory=list)
    on_undecided: str = "warn"
    seeds: int = 1
    early_test: str = ""


@dataclass(slots=True)
class Draft:
    """A plan while it is being checked."""

    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    corpora: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    measure: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: Scores = field(default_factory=Scores)
    steps: list[StepDraft] = field(default_factory=list)

    def index(self, name: str) -> int | None:
        """Where the first step stands that `name`, an id or ``id.extra``, refers to."""
        step_id = name.partition(".")[0]
        return next((step.index for step in self.steps if step.id == step_id), None)


def resolve(
    tree: Tree, faults: Faults, *, folder: str, path: str | None, files: bool = False
) -> Plan | None:
    """The plan that `tree` describes, or None when faults were found.

    With `files`, a benchmark's file that isn't there is a fault too.
    """
    from gradus.plan.corpora import read_corpora

    for key in tree.value:
        if key not in TOP_LEVEL:
            faults.add((key,), unknown("key", key, TOP_LEVEL))
    variables = Variables(tree.value.get("vars"), faults)
    value = {
        key: variables.replace_in(item, (key,)) for key, item in tree.value.items() if key != "vars"
    }
    # Paths go by the steps' ids as they are after replacement.
    tree.value = {**tree.value, **value}
    head = validate(_Head, value, (), faults).config
    if isinstance(value.get("name"), str):
        _check_name(value["name"], ("name",), "a plan's name", faults)
    scores, made = read_scores(value.get("scores"), faults)
    draft = Draft(
        scores=scores,
        made=made,
        data=_data(value.get("data"), faults),
        corpora=read_corpora(
            _section(value.get("corpora"), "corpora", "a corpus's name", faults), faults
        ),
        models=_models(value.get("models"), faults, folder),
        measure=_measure(value.get("measure"), faults),
        steps=_steps(value.get("steps"), tree, faults),
    )
    _check(draft, faults, Path(folder) if files else None)
    if faults or head is None:
        return None
    return Plan(
        name=head.name,
        seed=head.seed,
        data=draft.data,
        corpora=draft.corpora,
        models=draft.models,
        steps=tuple(_spec(step) for step in draft.steps),
        variables=variables.values,
        measure=draft.measure,
        scores=draft.scores,
        about=head.about.strip(),
        path=path,
        folder=folder,
    )


def _check(draft: Draft, faults: Faults, folder: Path | None) -> None:
    """How the parts of a plan fit together; with `folder`, whether benchmarks' files are there."""
    from gradus.plan.benchmarks import check_benchmarks
    from gradus.plan.comparing import check_compared
    from gradus.plan.corpora import check_corpora
    from gradus.plan.folding import check_folded
    from gradus.plan.gates import check_data_gates, check_step_gates
    from gradus.plan.holdout import check_holdout
    from gradus.plan.judging import check_judging
    from gradus.plan.looks import check_early_test
    from gradus.plan.references import check_references, inherit_data

    _check_ids(draft, faults)
    check_corpora(draft, faults)
    inherit_data(draft)
    check_references(draft, faults)
    check_judging(draft, faults)
    check_benchmarks(draft, faults, folder)
    check_data_gates(draft, faults)
    check_step_gates(draft, faults)
    check_early_test(draft, faults)
    check_compared(draft, faults)
    check_folded(draft, faults)
    check_holdout(draft, faults)


def _spec(step: StepDraft) -> StepSpec:
    needs = step.needs
    assert step.id is not None and step.kind is not None, "a fault is known otherwise"  # noqa: PT018  # one reason for both
    assert step.config is not None and needs is not None, "a fault is known otherwise"  # noqa: PT018  # as above
    return StepSpec(
        id=step.id,
        kind=step.kind,
        config=step.config,
        models=tuple(needs.models.values()),
        data=tuple(needs.data.values()),
        corpora=tuple(needs.corpora.values()),
        gates=tuple(step.gates),
        on_undecided=step.on_undecided,
        seeds=step.seeds,
        early_test=step.early_test,
        line=step.line,
    )


def _check_name(name: str, path: tuple[str | int, ...], what: str, faults: Faults) -> None:
    if not _NAME.fullmatch(name):
        faults.add(
            path,
            f"{what} is a letter, then letters, digits, '-' or '_' (64 at most), not '{name[:80]}'",
        )
    elif name in RESERVED:
        faults.add(path, f"'{name}' has a meaning in gates; choose another name")


def _section(raw: Any, name: str, what: str, faults: Faults) -> dict[str, dict[str, Any]]:
    """A section that maps names to mappings; what isn't one is a fault and left out."""
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        faults.add((name,), f"should be a mapping, is {describe(raw)}")
        return {}
    found = {}
    for key, item in raw.items():
        _check_name(key, (name, key), what, faults)
        if not isinstance(item, dict):
            faults.add((name, key), f"should be a mapping, is {describe(item)}")
            faults.poison((name, key))
        # A broken entry keeps its name, so that what refers to it isn't told that it dangles.
        found[key] = item if isinstance(item, dict) else {}
    return found


def _data(raw: Any, faults: Faults) -> dict[str, dict[str, Any]]:
    from gradus.data.config import DataConfig

    found = {}
    for name, item in _section(raw, "data", "a data set's name", faults).items():
        config = validate(DataConfig, item, ("data", name), faults).config
        found[name] = item if config is None else _dumped(config)
    return found


def _models(raw: Any, faults: Faults, folder: str) -> dict[str, dict[str, Any]]:
    from gradus import sources

    found = _section(raw, "models", "a model's name", faults)
    for name, spec in found.items():
        for message in sources.check(spec, purpose="weights"):
            faults.add(("models", name), message)
    return found


def _measure(raw: Any, faults: Faults) -> dict[str, Any]:
    validated = validate(MeasureConfig, {} if raw is None else raw, ("measure",), faults)
    return _dumped(validated.config or validated.sound or MeasureConfig())


def _dumped(config: BaseModel) -> dict[str, Any]:
    dumped: dict[str, Any] = config.model_dump(mode="json", by_alias=True)
    return dumped


def _steps(raw: Any, tree: Tree, faults: Faults) -> list[StepDraft]:
    if raw is None or raw == []:
        faults.add(("steps",), "a plan needs at least one step")
        return []
    if not isinstance(raw, list):
        hint = ": begin each step with '- id: ...'" if isinstance(raw, dict) else ""
        faults.add(("steps",), f"should be a list, is {describe(raw)}{hint}")
        return []
    return [_step(item, i, tree, faults) for i, item in enumerate(raw)]


def _step(raw: Any, index: int, tree: Tree, faults: Faults) -> StepDraft:
    path = ("steps", index)
    step = StepDraft(index=index, line=tree.mark(path).line)
    validated = validate(StepKeys, raw, path, faults)
    if not isinstance(raw, dict):
        return step
    step.id = raw["id"] if isinstance(raw.get("id"), str) else None
    own = validated.config or validated.sound
    if own is not None:
        step.gates, step.on_undecided, step.seeds = own.gates, own.on_undecided, own.seeds
        step.early_test = own.early_test.strip()
    if isinstance(raw.get("step"), str):
        try:
            step.kind = registry.resolve("steps", raw["step"])
            kind: type[Step] = registry.load("steps", step.kind)
        except GradusError as error:
            faults.add((*path, "step"), str(error))
        else:
            if step.seeds > 1 and not (kind.seeded and kind.unrepeated is None):
                why = f"{registry.plain(step.kind)} draws nothing: every seed gives the same"
                why = why if kind.unrepeated is None else kind.unrepeated
                faults.add((*path, "seeds"), f"{why}; leave 'seeds' out")
            rest = {key: item for key, item in raw.items() if key not in _OWN_KEYS}
            _configure(step, kind, rest, faults)
    return step


def _configure(step: StepDraft, kind: type[Step], raw: Mapping[str, Any], faults: Faults) -> None:
    validated = validate(kind.Config, raw, ("steps", step.index), faults)
    if validated.sound is not None:
        step.needs = kind.needs(validated.sound)
    if validated.config is not None:
        step.config = _dumped(validated.config)
        step.produces = kind.produces(validated.config)


def _check_ids(draft: Draft, faults: Faults) -> None:
    first: dict[str, int] = {}
    for step in draft.steps:
        if step.id is None:
            continue
        path = ("steps", step.index, "id")
        _check_name(step.id, path, "a step's id", faults)
        if step.id in first:
            line = draft.steps[first[step.id]].line
            where = f"the step in line {line}" if line else f"step {first[step.id] + 1}"
            faults.add(path, f"{where} has the id '{step.id}' too")
        elif step.id in draft.models:
            faults.add(path, f"a model is named '{step.id}' too: choose another id")
        first.setdefault(step.id, step.index)
