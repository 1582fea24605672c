"""What is done with a checkpoint's answers before anybody sees them; stored in its manifest.

In this order: probabilities at another temperature, labels under other names, thresholds, and
abstention; of taggers how spans are made of tags.

Legend: N texts, K labels of the weights, M labels after the label map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self, cast

from gradus.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import Split
    from gradus.objectives.tagging_repair import Repair
    from gradus.records import CheckpointRef, Target

KEY: Final = "postprocess"
"""Where a checkpoint's manifest keeps it, among its preprocessing."""
NEUTRAL: Final = 0.5
REPAIRS: Final = ("viterbi", "begin", "drop")
TARGETS: Final = ("label", "labels", "spans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Postprocess:
    """What happens to the answers of a checkpoint; by default nothing.

    Attributes:
        temperature: what logits are divided by (Guo et al. 2017); above 1 makes answers less sure.
            Of spans, those of every word's tags.
        label_map: what labels of the weights are called; several may become one. Their
            probabilities add up; where each label is its own decision, it is the probability of
            any of them, were they independent.
        thresholds: by label after the map, in (0, 1); one half where none is named. With target
            ``labels`` a label is said from its threshold on, with ``label`` the one whose
            probability is the greatest multiple of its threshold, with ``spans`` a span is left
            out that scores below a named threshold.
        abstain_below: with target ``label``, abstain where the probability of the label is below;
            with ``spans``, leave out spans that score below.
        repair: of taggers: ``viterbi`` takes the most probable legal sequence of tags, as they do
            without being told; ``begin`` and ``drop`` take each word's most probable tag and let
            an illegal one begin a span, or drop spans that aren't whole.
    """

    temperature: float = 1.0
    label_map: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    abstain_below: float | None = None
    repair: Repair | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise UsageError(f"temperature is {self.temperature}; it must be above 0")
        for label, least in self.thresholds.items():
            if not 0 < least < 1:
                raise UsageError(
                    f"the threshold of '{label}' is {least}; it must lie between 0 and 1"
                )
        if self.abstain_below is not None and not 0 <= self.abstain_below <= 1:
            raise UsageError(
                f"abstain_below is {self.abstain_below}; a probability lies between 0 and 1"
            )
        if self.repair is not None and self.repair not in REPAIRS:
            raise UsageError(f"repair is '{self.repair}'; it must be one of {', '.join(REPAIRS)}")

    def __bool__(self) -> bool:
        return bool(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """What `read` makes an equal one from: only what isn't the default."""
        found: dict[str, Any] = {}
        if self.temperature != 1.0:
            found["temperature"] = self.temperature
        if self.label_map:
            found["label_map"] = dict(self.label_map)
        if self.thresholds:
            found["thresholds"] = dict(self.thresholds)
        if self.abstain_below is not None:
            found["abstain_below"] = self.abstain_below
        if self.repair is not None:
            found["repair"] = self.repair
        return found

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """From JSON.

        Raises:
            UsageError: a key is unknown, or a value isn't what it must be; says which.
        """
        known = ("temperature", "label_map", "thresholds", "abstain_below", "repair")
        for name in raw:
            if name not in known:
                raise UsageError(f"postprocess: unknown key '{name}'; known are {', '.join(known)}")
        try:
            below = raw.get("abstain_below")
            return cls(
                temperature=float(raw.get("temperature", 1.0)),
                label_map=read_map(raw.get("label_map", {})),
                thresholds={str(k): float(v) for k, v in dict(raw.get("thresholds", {})).items()},
                abstain_below=None if below is None else float(below),
                repair=raw.get("repair"),
            )
        except (TypeError, ValueError) as error:
            raise UsageError(f"postprocess: a value is wrong ({error})") from error

    @classmethod
    def of(cls, preprocessing: Mapping[str, Any]) -> Self:
        """What a checkpoint's preprocessing says; nothing where it says nothing.

        Raises:
            CheckpointError: it can't be read.
        """
        try:
            return cls.read(preprocessing.get(KEY, {}))
        except (UsageError, AttributeError) as error:
            raise CheckpointError(f"the manifest's '{KEY}' can't be read ({error})") from error

    def preprocessing(self) -> dict[str, Any]:
        """What a checkpoint's preprocessing says of it; nothing where nothing is done."""
        return {KEY: self.to_json()} if self else {}

    def check(self, labels: Sequence[str], target: Target) -> None:
        """Refuse what a checkpoint with these labels and this target has no use for.

        Raises:
            UsageError: the target has no probabilities, or a name isn't among the labels.
        """
        if not self:
            return
        if target not in TARGETS:
            raise UsageError(
                f"post-processing is of probabilities, and this checkpoint predicts '{target}': "
                "leave it out"
            )
        for old in self.label_map:
            if old not in labels:
                raise UsageError(f"label map: the checkpoint has no label '{old}'")
        new = mapped_labels(labels, self.label_map)
        for label in self.thresholds:
            if label not in new:
                raise UsageError(f"thresholds: the checkpoint says no label '{label}'")
        if self.abstain_below is not None and target == "labels":
            raise UsageError(
                "abstain_below is for one label a text: with several, no label said is an answer"
            )
        if self.repair is not None and target != "spans":
            raise UsageError("repair is of sequences of tags, which only taggers have")

    def log_probs(self, rows: np.ndarray, labels: Sequence[str], target: Target) -> np.ndarray:
        """float64 [N, M] from log-probabilities [N, K] of `labels`."""
        rows = tempered(rows, self.temperature, target)
        return merged(rows, labels, self.label_map, target) if self.label_map else rows

    def thresholds_of(
        self, given: Sequence[float], labels: Sequence[str], target: Target
    ) -> tuple[float, ...]:
        """M thresholds from the K that the checkpoint has by itself.

        Those that aren't named here stay what they are: at another temperature the same labels are
        said, and a label merged from several has the least of theirs.
        """
        if target == "labels" and self.temperature != 1.0:
            given = [_tempered_threshold(least, self.temperature) for least in given]
        least: dict[str, float] = {}
        for label, own in zip(labels, given, strict=True):
            new = self.label_map.get(label, label)
            least[new] = min(own, least.get(new, 1.0))
        return tuple({**least, **self.thresholds}.values())


def mapped_labels(labels: Sequence[str], label_map: Mapping[str, str]) -> tuple[str, ...]:
    """The labels under their new names, each once, in the order in which they first come.

    >>> mapped_labels(["cat", "dog", "car"], {"cat": "animal", "dog": "animal"})
    ('animal', 'car')
    """
    return tuple(dict.fromkeys(label_map.get(label, label) for label in labels))


def read_map(raw: object) -> dict[str, str]:
    """A label map from JSON: an object from old names to new ones.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(raw, Mapping) or not all(
        isinstance(k, str) and isinstance(v, str) and v for k, v in raw.items()
    ):
        raise UsageError('a label map is an object of names: {"old": "new", ...}')
    return dict(cast("Mapping[str, str]", raw))


def relabelled(
    split: Split, labels: Sequence[str], label_map: Mapping[str, str], target: Target
) -> tuple[Split, tuple[str, ...]]:
    """Labelled texts, and the labels of their data set, under the names that a map gives them."""
    import numpy as np

    if not set(labels) & set(label_map):
        return split, tuple(labels)
    new = mapped_labels(labels, label_map)
    to = np.array([new.index(label_map.get(label, label)) for label in labels], dtype=np.int64)
    if target == "label":
        gold = to[np.asarray(split.labels, dtype=np.int64)]
    elif target == "labels":
        gold = np.zeros((len(split), len(new)), dtype=bool)
        rows, columns = np.nonzero(split.labels)
        gold[rows, to[columns]] = True
    else:
        gold = np.empty(len(split), dtype=object)
        for row, spans in enumerate(split.labels):
            gold[row] = tuple(replace(s, label=label_map.get(s.label, s.label)) for s in spans)
    return replace(split, labels=gold), new


def tempered(rows: np.ndarray, temperature: float, target: Target) -> np.ndarray:
    """float64 [N, K] log-probabilities at a temperature, from those at 1.

    A softmax of logits over T is that of their log-probabilities over T, since these differ from
    them by a constant a row; of decisions each its own, the logit ln p - ln(1 - p) is divided.
    """
    import numpy as np
    from scipy.special import log_expit, log_softmax

    if temperature == 1.0:
        return rows
    if target == "labels":
        with np.errstate(divide="ignore"):
            logits = rows - np.log(-np.expm1(rows))
        return np.asarray(log_expit(logits / temperature))
    return np.asarray(log_softmax(rows / temperature, axis=-1))


def merged(
    rows: np.ndarray, labels: Sequence[str], label_map: Mapping[str, str], target: Target
) -> np.ndarray:
    """float64 [N, M] log-probabilities of the labels after the map."""
    import numpy as np
    from scipy.special import logsumexp

    new = mapped_labels(labels, label_map)
    found = np.empty((len(rows), len(new)))
    for column, name in enumerate(new):
        own = [i for i, label in enumerate(labels) if label_map.get(label, label) == name]
        if len(own) == 1:
            found[:, column] = rows[:, own[0]]
        elif target == "labels":
            with np.errstate(divide="ignore"):
                none = np.log(-np.expm1(rows[:, own])).sum(axis=1)
                found[:, column] = np.log(-np.expm1(none))
        else:
            # Rounding may take the sum of all labels above 1.
            found[:, column] = np.minimum(logsumexp(rows[:, own], axis=1), 0.0)
    return found


def _tempered_threshold(least: float, temperature: float) -> float:
    if not 0 < least < 1:
        return least  # said always, or never
    logit = (math.log(least) - math.log1p(-least)) / temperature
    small = math.exp(-abs(logit))  # never above 1, however cold
    return (small if logit < 0 else 1.0) / (1 + small)


def refuse(ref: CheckpointRef, doing: str) -> None:
    """Refuse to train a checkpoint on whose answers are post-processed.

    Temperature and thresholds were fitted to weights that training would change.

    Raises:
        CheckpointError: it has a postprocess; says what to do.
    """
    from pathlib import Path

    from gradus.checkpoints import find_manifest

    manifest = find_manifest(Path(ref.path))
    if manifest is not None and Postprocess.of(manifest.preprocessing):
        raise CheckpointError(
            f"'{ref.name}' is calibrated, and {doing} changes the weights that its temperature, "
            "thresholds and labels were settled for: name the checkpoint that it was made from, "
            "and calibrate what comes out of it"
        )
