"""What an audit hands back: measurements for gates, findings and pairs for people, all JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gradus.records import Measurement

FORMAT = 1
Tone = Literal["good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Audit:
    """The outcome of one audit.

    Attributes:
        data: name of the data set.
        against: name of the sample that it was compared with; empty without one.
        measurements: see `gradus.data.audit.names`; of a comparison, on split ``sample``.
        findings: sentences with a tone, the most serious first.
        leaks: texts of each split with a near-duplicate in one before it, by pair of splits.
        drift: one row for each test.
        told_apart: what the classifier was given and the words it went by.
        pairs: the most similar pairs across splits, with their texts.
        conflicts: the most similar pairs under different labels.
        counts: how many such pairs there are in all.
        notes: what was left out or sampled.
        seconds: how long it took.
    """

    data: str
    against: str = ""
    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Mapping[str, str], ...] = ()
    leaks: tuple[Mapping[str, Any], ...] = ()
    drift: tuple[Mapping[str, Any], ...] = ()
    told_apart: Mapping[str, Any] = field(default_factory=dict)
    pairs: tuple[Mapping[str, Any], ...] = ()
    conflicts: tuple[Mapping[str, Any], ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The audit as JSON; undefined numbers are null."""
        from dataclasses import fields

        raw = {f.name: getattr(self, f.name) for f in fields(self)}
        raw["measurements"] = [m.to_json() for m in self.measurements]
        made: dict[str, Any] = _plain({"format": FORMAT, **raw})
        return made

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Audit:
        """The audit that `to_json` wrote; KeyError or TypeError for anything else."""
        known = {key: value for key, value in raw.items() if key != "format"}
        if raw["format"] != FORMAT:
            raise KeyError(f"format {raw['format']}")
        for name in ("findings", "leaks", "drift", "pairs", "conflicts", "notes"):
            known[name] = tuple(known[name])
        known["measurements"] = tuple(Measurement.from_json(m) for m in known["measurements"])
        return cls(**known)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if value == value else None  # NaN has no place in JSON
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
