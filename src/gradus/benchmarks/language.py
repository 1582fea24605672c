"""Quality of a language model on texts, or on targets after a context."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gradus.benchmarks.base import Benchmark
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.metrics.texts import Texts


class LanguageBenchmark(Benchmark):
    """What every benchmark that asks for log-likelihoods of texts is measured by.

    A benchmark on a file asks the model; this one says what its items are and what they give.
    """

    name: ClassVar[str] = "language.v1"
    summary: ClassVar[str] = "log-likelihoods of texts, or of targets after a context"
    protocol: ClassVar[str] = (
        "Each item has one log-likelihood in nats, summed in float64, beside the tokens that were "
        "scored and the item's own words, characters and bytes. Every unit is made of the sums of "
        "all items. An item is a document, a block of a text that has none, or a target after its "
        "context; intervals are taken over items."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "bits_per_byte",
        "bits_per_character",
        "byte_perplexity",
        "word_perplexity",
        "token_perplexity",
        "target_perplexity",
        "log_likelihood_nats",
        "accuracy",
        "greedy_match",
    )
    target: ClassVar[Target | None] = "text"
    compared: ClassVar[tuple[str, ...]] = ("bits_per_byte", "target_perplexity", "greedy_match")

    @classmethod
    def items(cls) -> type[Texts]:
        """Texts."""
        from gradus.metrics.texts import Texts

        return Texts
