"""Perplexity of a target, whatever its length."""

from __future__ import annotations

from gradus.metrics.ratios import Perplexity


class TargetPerplexity(Perplexity):
    """e to the mean negative log-likelihood of an item; NaN without items.

    For benchmarks that ask for one target after a context, such as LAMBADA's last word. An item
    counts once, however many words or tokens it has.
    """

    name = "target_perplexity"
    source = "Paperno et al. (2016), The LAMBADA dataset; Radford et al. (2019), table 3"
    summary = "e to the mean negative log-likelihood of an item's target"
    unit = "perplexity of a target"
