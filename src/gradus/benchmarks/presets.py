"""What papers and tools mean when they say "perplexity": settings under a name.

One model gets a different number under each on the same file, see docs/guides/perplexity.md. A
preset says how a benchmark on running text is taken, which is what its measurements' contract
repeats; it computes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gradus.errors import UsageError

Detokeniser = Literal["invertible", "lm-eval", "none"]
"""How a corpus that was cut into words becomes text again: by rules that can be undone, by the
rules of lm-evaluation-harness, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How perplexity on running text is taken.

    Attributes:
        name: as a plan and the command line write it.
        summary: one line for a reader.
        source: who takes it so.
        window: most tokens in one pass; None for the model's own limit.
        stride: tokens from one window's beginning to the next; None for the window (disjoint).
        bos: whether each text is preceded by the tokenizer's beginning-of-text token, so that its
            first token is scored too.
        detokeniser: what is done to a corpus that was cut into words.
        unit: what the headline number is taken over; ``<unit>_perplexity`` is its metric.
        joined: what the file's documents are joined with into one text; None where each document
            is scored by itself.
    """

    name: str
    summary: str
    source: str
    window: int | None
    stride: int | None
    bos: bool
    detokeniser: Detokeniser
    unit: Literal["token", "word"]
    joined: str | None

    @property
    def metric(self) -> str:
        """Plain name of the headline metric.

        >>> get("lm-eval").metric
        'word_perplexity'
        """
        return f"{self.unit}_perplexity"


PRESETS: Final[tuple[Preset, ...]] = (
    Preset(
        name="gpt2-paper",
        summary="disjoint windows of 1,024 over detokenised text, per canonical word",
        source="Radford et al. 2019, section 3.1 and table 3",
        window=1024,
        stride=1024,
        bos=True,
        detokeniser="invertible",
        unit="word",
        joined="",
    ),
    Preset(
        name="hf-docs",
        summary="windows of 1,024 that overlap by half, over the file as it is, per token",
        source="transformers documentation, 'Perplexity of fixed-length models'",
        window=1024,
        stride=512,
        bos=False,
        detokeniser="none",
        unit="token",
        joined="\n\n",
    ),
    Preset(
        name="gptq-papers",
        summary="disjoint blocks of 2,048 over the file as it is, per token",
        source="Frantar et al. 2022 (GPTQ) and the papers on quantisation that follow it",
        window=2048,
        stride=2048,
        bos=False,
        detokeniser="none",
        unit="token",
        joined="\n\n",
    ),
    Preset(
        name="lm-eval",
        summary="each article by itself in disjoint windows of the model's length, per word",
        source="lm-evaluation-harness, task wikitext, loglikelihood_rolling",
        window=None,
        stride=None,
        bos=True,
        detokeniser="lm-eval",
        unit="word",
        joined=None,
    ),
)


def names() -> tuple[str, ...]:
    """The presets' names.

    >>> names()
    ('gpt2-paper', 'hf-docs', 'gptq-papers', 'lm-eval')
    """
    return tuple(preset.name for preset in PRESETS)


def get(name: str) -> Preset:
    """The preset of that name.

    >>> get("gptq-papers").window
    2048

    Raises:
        UsageError: there is none.
    """
    for preset in PRESETS:
        if preset.name == name:
            return preset
    raise UsageError(f"no preset is named '{name}'; there are {', '.join(names())}")
