"""What a panel of people said of N writings, as the step `panel` leaves it.

A score is the mean over raters, each rater's leniency taken out; since raters differ in that, it
can lie a little outside of 1 to 5. Intervals and gates are about other prompts and the same raters;
the step's own estimates are about other raters too, see `gradus.panel.results`.
"""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio

SCALE = "Likert (1932), A technique for the measurement of attitudes; anchors in docs/guides/panel"


class PanelScore(ColumnRatio):
    """Mean score from 1 to 5 by a panel, the raters' leniencies taken out."""

    unit = "points"
    direction = "higher"
    range = (float("-inf"), float("inf"))
    source = SCALE


class PanelFluency(PanelScore):
    """Mean score of fluency by a panel: whether the language is correct and natural."""

    name = "panel_fluency"
    summary = "writings: fluency by people, 1 to 5, leniencies taken out"
    columns = ("panel_fluency",)


class PanelCoherence(PanelScore):
    """Mean score of coherence by a panel: whether sentences follow from one another."""

    name = "panel_coherence"
    summary = "writings: coherence by people, 1 to 5, leniencies taken out"
    columns = ("panel_coherence",)


class PanelRelevance(PanelScore):
    """Mean score of relevance by a panel: whether a text goes on from its prompt."""

    name = "panel_relevance"
    summary = "writings: relevance to the prompt by people, 1 to 5, leniencies taken out"
    columns = ("panel_relevance",)


class PanelDiversity(PanelScore):
    """Mean score of diversity and creativity by a panel."""

    name = "panel_diversity"
    summary = "writings: diversity and creativity by people, 1 to 5, leniencies taken out"
    columns = ("panel_diversity",)


class PanelAccuracy(PanelScore):
    """Mean score of factual accuracy by a panel, as far as people can tell."""

    name = "panel_accuracy"
    summary = "writings: factual accuracy by people, 1 to 5, leniencies taken out"
    columns = ("panel_accuracy",)


class PanelWins(ColumnRatio):
    """Share of the pairs that a writer's texts won before a panel, ties counted as half."""

    name = "panel_wins"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "Thurstone (1927), A law of comparative judgment"
    summary = "writings: share of pairs won before people, ties counted as half"
    columns = ("panel_wins",)
