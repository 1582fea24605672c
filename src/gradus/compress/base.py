"""What a compression scheme is. Imports nothing heavy: `gradus ls` and `gradus check` read schemes.

Legend: n texts of L tokens each, K labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from gradus.parity.base import LOSSY, Bounds

COARSE: Final = Bounds(kl=0.1, flips=0.1)
"""Weights in four bits."""

if TYPE_CHECKING:
    from gradus.compress.classifier import Classifier
    from gradus.predict.base import Predictor


class Budget(BaseModel):
    """How much may be lost on dev.select, against the step's model.

    Attributes:
        metric: one that dev.select is watched by; left out, the first of the target's benchmark.
        lose: the most that the metric may get worse by, in its own unit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    metric: str | None = None
    lose: float = Field(default=0.005, ge=0)


@dataclass(frozen=True, slots=True)
class Allowance:
    """A budget on real items, so that a scheme can ask whether what it has made keeps it.

    Attributes:
        metric: plain name of the metric.
        parent: its value on dev.select for the model that is compressed.
        lose: the most that it may get worse by.
        sign: 1 where a higher value is better, -1 where a lower one is.
        value: the metric on dev.select of a predictor.
    """

    metric: str
    parent: float
    lose: float
    sign: int
    value: Callable[[Predictor], float]

    def keeps(self, value: float) -> bool:
        """Whether that value of the metric is within the budget; NaN isn't."""
        return self.sign * (value - self.parent) >= -self.lose - 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a scheme may use beside the classifier. None of it is of dev.gate or test.

    Attributes:
        texts: real texts to compare the two on, at least one.
        calibration: texts of train to settle scales on; empty unless the scheme `calibrates`.
        allowance: the budget; None unless the scheme has a `budget`.
        threads: to compute with.
    """

    texts: Sequence[str]
    calibration: Sequence[str] = ()
    allowance: Allowance | None = None
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """What a scheme has written.

    Attributes:
        preprocessing: what the checkpoint's kind needs to treat texts as training did.
        facts: JSON for the report: sizes, parity of what was handed over, what was left alone.
        notes: sentences for the report.
    """

    preprocessing: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Scheme(ABC):
    """A way to make a classifier smaller or faster.

    Class attributes:
        kind: the kind of checkpoint that it makes (section ``kinds`` of the catalog).
        summary: one line for `gradus ls`.
        takes: what it compresses. A scheme for language models derives from
            `gradus.compress.language.base.LanguageScheme` instead.
        calibrates: whether it needs texts of train to settle scales on.
        trains: whether the model is trained under the scheme's rounding first.
        budget: whether it searches under a budget.
        bounds: how far its checkpoints may stray from what was rounded, where a plan says nothing.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    takes: ClassVar[Literal["classifier"]] = "classifier"
    calibrates: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    budget: ClassVar[bool] = False
    bounds: ClassVar[Bounds] = LOSSY

    @abstractmethod
    def write(self, classifier: Classifier, folder: Path, *, material: Material) -> Compressed:
        """Write all files of the checkpoint but the manifest into `folder`.

        Args:
            classifier: what is compressed, in torch and float32.
            folder: where the files go.
            material: what may be looked at meanwhile.

        Raises:
            CheckpointError: the classifier can't be expressed in the scheme's format, or what
                was handed over doesn't compute what the classifier does.
            MissingExtra: a package that the scheme needs isn't installed.
        """
