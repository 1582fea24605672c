"""Masked language modelling: hidden tokens from both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus.benchmarks.masked import MaskedBenchmark
from gradus.objectives.base import ObjectiveConfig
from gradus.objectives.language import LanguageObjective
from gradus.records import CheckpointRef

if TYPE_CHECKING:
    from gradus.training.blocks import Blocks, Cutting, Stream


class MaskedLmConfig(ObjectiveConfig):
    """What is hidden.

    Attributes:
        share: of the tokens, special ones aside.
        unit: ``token``, whole ``word``, or ``span`` of up to ten words.
    """

    name: Literal["masked-lm", "masked-lm.v1"] = "masked-lm"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    unit: Literal["token", "word", "span"] = "token"


class MaskedLm(LanguageObjective):
    """Minimise the cross-entropy of hidden tokens, given all others of their block.

    What BERT learns (Devlin et al. 2019, section 3.1): 80 % of the chosen tokens become the mask,
    10 % another token, 10 % stay. They are drawn anew in each epoch (RoBERTa, Liu et al. 2019,
    section 4.1), alone, as whole words or as spans (SpanBERT, Joshi et al. 2020, section 3.1).

    Example::

        objective: {name: masked-lm, unit: word}
    """

    Config: ClassVar[type[ObjectiveConfig]] = MaskedLmConfig
    summary: ClassVar[str] = "hidden tokens of a corpus from both sides"
    example: ClassVar[str] = "{name: masked-lm, unit: word}"
    causal: ClassVar[bool] = False
    target: ClassVar[str] = "masked"

    @classmethod
    def metrics(cls) -> frozenset[str]:
        """What filled gaps are measured by."""
        return frozenset(MaskedBenchmark.metrics)

    def load(self, ref: CheckpointRef) -> Any:
        """See `LanguageObjective.load`."""
        from gradus.scoring.load import load_masked_lm

        return load_masked_lm(ref)

    def blocks(
        self, config: Any, stream: Stream, size: int, how: Cutting, tokenizer: Any
    ) -> Blocks:
        """See `LanguageObjective.blocks`."""
        from gradus.training.blocks import MaskedBlocks
        from gradus.training.masking import Masking

        masking = Masking.of(tokenizer, share=config.share, unit=config.unit)
        around = (tokenizer.cls_token_id, tokenizer.sep_token_id)
        return MaskedBlocks(stream, size, how, masking=masking, around=around)
