"""What a scheme for causal language models is. Imports nothing heavy: `gradus ls` reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gradus.benchmarks.corpus import CorpusBenchmark
from gradus.compress.base import Compressed
from gradus.parity.base import LOSSY, Bounds

if TYPE_CHECKING:
    from gradus.records import CheckpointRef
    from gradus.steps.base import StepContext, StepOutcome
    from gradus.steps.quantize import QuantizeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """What is compressed.

    Attributes:
        model: a causal language model of transformers, float32, adapters merged.
        tokenizer: its own.
        name: what the checkpoint is called.
        calibration: token ids of texts of train; empty unless the scheme `calibrates`.
    """

    model: Any
    tokenizer: Any
    name: str
    calibration: Sequence[Sequence[int]] = ()


class LanguageScheme(ABC):
    """A way to make a causal language model smaller or faster without training it again.

    Class attributes:
        kind: the kind of checkpoint that it makes: ``transformer`` or ``gguf``.
        summary: one line for `gradus ls`.
        takes: what it compresses.
        bounds: of the hand-off parity, over tokens of fixed texts.
        calibrates: whether it needs texts of train, and therefore a corpus.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    takes: ClassVar[Literal["language"]] = "language"
    bounds: ClassVar[Bounds] = LOSSY
    calibrates: ClassVar[bool] = False

    @abstractmethod
    def write(self, what: LanguageModel, folder: Path) -> Compressed:
        """Write all files of the checkpoint but the manifest into `folder`.

        Raises:
            CheckpointError: the model or its tokenizer can't be expressed in the format.
            MissingExtra: a package that the scheme needs isn't installed.
        """

    def file(self, folder: Path) -> str | None:
        """The file in a folder that `write` has filled which the weights are in, if it's one."""
        return None

    @classmethod
    def metrics(cls) -> frozenset[str]:
        """Plain names of the metrics that are taken on a corpus afterwards."""
        return frozenset(CorpusBenchmark.metrics)

    def run(self, config: QuantizeConfig, context: StepContext) -> StepOutcome:
        """Open the model, compress it, save it, and compare the two; see step `quantize`."""
        from gradus.compress.language.run import run

        return run(self, config, context)

    @staticmethod
    def parents(ref: CheckpointRef) -> dict[str, Any]:
        """The preprocessing of a checkpoint that goes on with texts: its parent's."""
        from gradus.checkpoints import is_checkpoint, read_manifest

        folder = Path(ref.path)
        kept = dict(read_manifest(folder).preprocessing) if is_checkpoint(folder) else {}
        return {**kept, "target": "text"}
