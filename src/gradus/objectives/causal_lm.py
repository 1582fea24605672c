"""Causal language modelling: each token from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gradus.benchmarks.corpus import CorpusBenchmark
from gradus.objectives.base import ObjectiveConfig
from gradus.objectives.language import LanguageObjective
from gradus.records import CheckpointRef

if TYPE_CHECKING:
    from gradus.training.blocks import Blocks, Cutting, Stream


class CausalLmConfig(ObjectiveConfig):
    """It has no options."""

    name: Literal["causal-lm", "causal-lm.v1"] = "causal-lm"


class CausalLm(LanguageObjective):
    """Minimise the cross-entropy of each token, given those before it in its block.

    What GPT (Radford et al. 2018) and its kin learn. A document's first token is predicted from the
    end of the document before, where the tokenizer has a token for that.

    Example::

        objective: causal-lm
    """

    Config: ClassVar[type[ObjectiveConfig]] = CausalLmConfig
    summary: ClassVar[str] = "each token of a corpus from those before it"
    example: ClassVar[str] = "{name: causal-lm}"
    causal: ClassVar[bool] = True
    target: ClassVar[str] = "text"

    @classmethod
    def metrics(cls) -> frozenset[str]:
        """What text is measured by."""
        return frozenset(CorpusBenchmark.metrics)

    def load(self, ref: CheckpointRef) -> Any:
        """See `LanguageObjective.load`."""
        from gradus.scoring.load import load_causal_lm

        return load_causal_lm(ref)

    def blocks(
        self, config: Any, stream: Stream, size: int, how: Cutting, tokenizer: Any
    ) -> Blocks:
        """See `LanguageObjective.blocks`."""
        from gradus.training.blocks import CausalBlocks

        return CausalBlocks(stream, size, how)
