"""What a compression scheme is. Imports nothing heavy: `gradus ls` and `gradus check` read schemes.

Legend: n texts of L tokens each, K labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from gradus.compress.classifier import Classifier


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
    """A way to make a classifier smaller or faster without training it again.

    Class attributes:
        kind: the kind of checkpoint that it makes (section ``kinds`` of the catalog).
        summary: one line for `gradus ls`.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]

    @abstractmethod
    def write(self, classifier: Classifier, folder: Path, *, texts: Sequence[str]) -> Compressed:
        """Write all files of the checkpoint but the manifest into `folder`.

        Args:
            classifier: what is compressed, in torch and float32.
            folder: where the files go.
            texts: real texts to compare the two on, at least one; none of dev.gate or test.

        Raises:
            CheckpointError: the classifier can't be expressed in the scheme's format, or what
                was handed over doesn't compute what the classifier does.
            MissingExtra: a package that the scheme needs isn't installed.
        """
