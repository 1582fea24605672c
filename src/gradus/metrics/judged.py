"""What a language model as judge said of N writings, as the step `judge` leaves it.

A score is the mean over the forms in which the judge was asked, each form's leniency taken out.
Intervals and gates are about other prompts and the same judge. Whether its points mean anything to
people is another question, which its agreement with a panel answers (`gradus.judge.trust`).
"""

from __future__ import annotations

from gradus.metrics.writings import ColumnRatio


class JudgeScore(ColumnRatio):
    """Mean score from 1 to 5 by a judge."""

    unit = "points"
    direction = "higher"
    range = (float("-inf"), float("inf"))
    source = "Zheng et al. (2023), Judging LLM-as-a-judge with MT-Bench and Chatbot Arena"


class JudgeFluency(JudgeScore):
    """Mean score of fluency by a judge: whether the language is correct and natural."""

    name = "judge_fluency"
    summary = "writings: fluency by a judge model, 1 to 5"
    columns = ("judge_fluency",)


class JudgeCoherence(JudgeScore):
    """Mean score of coherence by a judge: whether sentences follow from one another."""

    name = "judge_coherence"
    summary = "writings: coherence by a judge model, 1 to 5"
    columns = ("judge_coherence",)


class JudgeRelevance(JudgeScore):
    """Mean score of relevance by a judge: whether the text goes on from its opening."""

    name = "judge_relevance"
    summary = "writings: relevance to the opening by a judge model, 1 to 5"
    columns = ("judge_relevance",)


class JudgeDiversity(JudgeScore):
    """Mean score of diversity and creativity by a judge."""

    name = "judge_diversity"
    summary = "writings: diversity and creativity by a judge model, 1 to 5"
    columns = ("judge_diversity",)


class JudgeAccuracy(JudgeScore):
    """Mean score of factual accuracy by a judge."""

    name = "judge_accuracy"
    summary = "writings: factual accuracy by a judge model, 1 to 5"
    columns = ("judge_accuracy",)


class JudgeWins(ColumnRatio):
    """Share of comparisons won in a judge's eyes, ties half: mean over the writings."""

    name = "judge_wins"
    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = JudgeScore.source
    summary = "writings: share of pairwise comparisons won by a judge model's answers, ties half"
    columns = ("judge_wins",)
