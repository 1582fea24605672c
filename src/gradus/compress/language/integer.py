"""Schemes that round a language model's weights for torch. They import nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from gradus.compress.base import Compressed
from gradus.compress.language.base import LanguageModel, LanguageScheme
from gradus.parity.base import Bounds


class LanguageInt8(LanguageScheme):
    """Weights in 8 bits with a scale for each row, words and vocabulary among them.

    What they are multiplied by stays bfloat16 (float32 where texts are scored), so no data is
    needed to settle anything. A step of writing is bound by reading the weights, so it is about
    twice as fast as in bfloat16. Rows are symmetric: the weight is integer times scale.
    """

    kind: ClassVar[str] = "transformer"
    summary: ClassVar[str] = "language model: int8 weights, a scale a row, read as they are"
    bits: ClassVar[Literal[4, 8]] = 8

    def write(self, what: LanguageModel, folder: Path) -> Compressed:
        """See `LanguageScheme.write`; the files are those of `gradus.compress.language.stored`."""
        from gradus.compress.language import stored
        from gradus.compress.language.rounding import matrices

        bits = {name: self._bits(name) for name in matrices(what.model)}
        # A head that is the same matrix as the words is stored once, in the words' bits.
        facts = stored.write(what.model, what.tokenizer, folder, bits=bits)
        return Compressed(preprocessing={"dtype": f"int{self.bits}"}, facts=facts)

    def _bits(self, name: str) -> Literal[4, 8]:
        return self.bits


class LanguageInt8Gptq(LanguageInt8):
    """As `language-int8`, but each rounding makes up for those before it (GPTQ, Frantar et al.
    2022; see `gradus.compress.language.second_order`), by the first 128 tokens of texts of train.

    A head that is the same matrix as the words gets integers of its own, as it is asked for other
    products: that many bytes more on disk, none more to read for a token.
    """

    summary: ClassVar[str] = "language model: int8 weights rounded by GPTQ on texts of train"
    calibrates: ClassVar[bool] = True

    def write(self, what: LanguageModel, folder: Path) -> Compressed:
        """See `LanguageScheme.write`."""
        from gradus.compress.language import second_order, stored
        from gradus.compress.language.rounding import matrices, rounded

        seen = second_order.products(what.model, what.calibration)
        stored.untie(what.model)
        facts = stored.write(
            what.model,
            what.tokenizer,
            folder,
            bits=dict.fromkeys(matrices(what.model), self.bits),
            by=lambda name, weight, bits: (
                second_order.compensated(weight, seen[name])
                if name in seen
                else rounded(weight, bits)
            ),
        )
        facts["calibration_texts"] = len(what.calibration)
        facts["calibration_tokens"] = sum(len(row) for row in what.calibration)
        return Compressed(preprocessing={"dtype": f"int{self.bits}"}, facts=facts)


class LanguageInt4(LanguageInt8):
    """Weights of the layers in 4 bits, in groups of 32; words and vocabulary in 8.

    The scale of a group is the best of sixteen (least squared error). A small model loses visibly
    by it: the step's parity and the measurements say how much.
    """

    summary: ClassVar[str] = "language model: int4 weights in groups of 32, words in int8"
    bits: ClassVar[Literal[4, 8]] = 4
    bounds: ClassVar[Bounds] = Bounds(kl=0.5, flips=0.5)

    def _bits(self, name: str) -> Literal[4, 8]:
        words = "embed_tokens", "lm_head", "wte", "embed_in", "embed_out"
        return 8 if name.rpartition(".")[2] in words else 4


class LanguageBf16(LanguageScheme):
    """All weights in bfloat16: half the size, the numbers that bfloat16 computes with."""

    kind: ClassVar[str] = "transformer"
    summary: ClassVar[str] = "language model: bfloat16 weights"

    def write(self, what: LanguageModel, folder: Path) -> Compressed:
        """See `LanguageScheme.write`; Hugging Face's own layout."""
        import torch

        weights = {name: one.to(torch.bfloat16) for name, one in what.model.state_dict().items()}
        what.model.save_pretrained(folder, state_dict=weights)
        what.tokenizer.save_pretrained(folder)
        return Compressed(preprocessing={"dtype": "bfloat16"})
