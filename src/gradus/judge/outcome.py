"""What a judge's answers come to: ratings, and how far the judge is at one with itself.

Answers are rows like a panel's (`gradus.panel.records`), each form of asking a rater of its own, so
that estimates and Krippendorff's alpha are a panel's too: alpha among the forms is the judge's
agreement with itself. Beside it stands what the form does to the answers, with its interval over
prompts.

Legend: N answers or writings, P prompts.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from gradus.judge.asking import Answer
from gradus.judge.questions import Question
from gradus.judge.quoting import orders
from gradus.panel.records import FIRST, NEITHER, SECOND, Rating
from gradus.writing.records import Writing

LEVEL: Final = 0.95

TURNED, MATERIAL_FIRST = 1, 2
"""Bits of a question's form; see `gradus.judge.questions.Rubric`."""


def ratings(questions: Sequence[Question], answers: Sequence[Answer]) -> list[Rating]:
    """A row for each answer that could be read."""
    found = []
    for question, answer in zip(questions, answers, strict=True):
        if answer.value is None:
            continue
        ids = tuple(one.id for one in question.writings)
        of: dict[str, Any] = {"writing": ids[0]} if len(ids) == 1 else {"pair": ids}
        found.append(
            Rating(rater=question.rater, criterion=question.criterion, value=answer.value, **of)
        )
    return found


def counts(answers: Sequence[Answer]) -> dict[str, Any]:
    """How many questions were asked, how many replies said nothing, and how sure the answers are.

    ``on_the_answers`` is the mean share of all probability that fell on the answers there are.
    """
    certain = [one.certain for one in answers if one.certain is not None]
    unread = [one for one in answers if one.value is None]
    return {
        "asked": len(answers),
        "unreadable": len(unread),
        "unreadable_replies": [one.said for one in unread[:5]],
        "on_the_answers": statistics.fmean(certain) if certain else None,
    }


def suspicious(writings: Iterable[Writing]) -> list[dict[str, str]]:
    """The writings that read as if they gave the judge an order, with the passage."""
    return [
        {"writing": one.id, "writer": one.writer, "passage": passage[:200]}
        for one in writings
        if (passage := orders(one.text)) is not None
    ]


def bias(
    questions: Sequence[Question], answers: Sequence[Answer], level: float = LEVEL
) -> dict[str, Any]:
    """What the way of asking does to the answers.

    Of scores, by criterion: ``turned`` is how many points a scale told from 5 to 1 adds,
    ``material_first`` how many it adds when the text stands before the scale. Of pairs:
    ``first`` is the share of answers that prefer what is shown first, 0.5 without a bias of
    position, since each pair is shown in both orders; ``consistent`` the share of pairs in which
    both orders prefer the same text.
    """
    read = [(q, a.value) for q, a in zip(questions, answers, strict=True) if a.value is not None]
    if not read:
        return {}
    if read[0][0].mode == "pairs":
        return {"first": _first(read, level), "consistent": _consistent(read, level)}
    by_criterion: dict[str, list[tuple[Question, float]]] = defaultdict(list)
    for question, value in read:
        by_criterion[question.criterion].append((question, value))
    found: dict[str, Any] = {}
    for criterion, rows in by_criterion.items():
        effects = {
            "turned": _effect(rows, TURNED, level),
            "material_first": _effect(rows, MATERIAL_FIRST, level),
        }
        found[criterion] = {name: told for name, told in effects.items() if told is not None}
    return found


_Read = Sequence[tuple[Question, float]]


def _effect(rows: _Read, bit: int, level: float) -> dict[str, Any] | None:
    """Mean difference between forms with and without a bit; None where it was never turned."""
    sides: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    prompts = {}
    for question, value in rows:
        (one,) = question.writings
        sides[one.id][bool(question.form & bit)].append(value)
        prompts[one.id] = one.prompt_id
    both = {name: side for name, side in sides.items() if side[0] and side[1]}
    if not both:
        return None
    moved = [statistics.fmean(on) - statistics.fmean(off) for off, on in both.values()]
    return mean_interval(moved, [prompts[name] for name in both], level)


def _first(rows: _Read, level: float) -> dict[str, Any]:
    shares = [0.5 if value == NEITHER else SECOND - value for _, value in rows]
    return share_interval(shares, [q.writings[0].prompt_id for q, _ in rows], level)


def _consistent(rows: _Read, level: float) -> dict[str, Any] | None:
    preferred: dict[tuple[int, frozenset[str]], list[str]] = defaultdict(list)
    prompts = {}
    for question, value in rows:
        key = question.form, frozenset(one.id for one in question.writings)
        preferred[key].append(better(question.writings, value))
        prompts[key] = question.writings[0].prompt_id
    both = {key: said for key, said in preferred.items() if len(said) == 2}
    if not both:
        return None
    same = [float(one == two) for one, two in both.values()]
    return share_interval(same, [prompts[key] for key in both], level)


def better(shown: Sequence[Writing], value: float) -> str:
    """The id of the writing that an answer prefers; empty for neither.

    A probability that leans neither way is neither.
    """
    return preferred_of(tuple(one.id for one in shown), value)


def preferred_of(pair: Sequence[str], value: float) -> str:
    """As `better`, of ids."""
    middle = (FIRST + SECOND) / 2
    if value in (NEITHER, middle):
        return ""
    return pair[0] if value < middle else pair[1]


def mean_interval(
    values: Sequence[float], prompts: Sequence[str], level: float = LEVEL
) -> dict[str, Any]:
    """The mean of N numbers with Student's interval, their prompts [N] being what was drawn."""
    from scipy import stats

    value, variance, count = _spread(values, prompts)
    if count < 2:
        return _told(value, -math.inf, math.inf, count)
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * math.sqrt(variance)
    return _told(value, value - half, value + half, count)


def share_interval(
    values: Sequence[float], prompts: Sequence[str], level: float = LEVEL
) -> dict[str, Any]:
    """A mean of N numbers from 0 to 1, with the interval of as many items as it is worth.

    Answers about one prompt aren't independent; without any spread they count as one.
    """
    from gradus.stats.effective import interval_of

    value, variance, count = _spread(values, prompts)
    low, high = interval_of(value, variance, count, count - 1, level)
    return _told(value, low, high, count)


def _spread(values: Sequence[float], prompts: Sequence[str]) -> tuple[float, float, int]:
    """Mean, the variance of it with prompts drawn (a ratio of sums), and P."""
    places = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
    of = np.array([places[prompt] for prompt in prompts])
    numbers = np.asarray(values, dtype=np.float64)
    mean, count = float(numbers.mean()), len(places)
    moves = np.bincount(of, numbers - mean, minlength=count) / len(numbers)
    return mean, float((moves**2).sum()) * count / max(count - 1, 1), count


def _told(value: float, low: float, high: float, prompts: int) -> dict[str, Any]:
    ends = [end if math.isfinite(end) else None for end in (low, high)]
    return {"value": value, "low": ends[0], "high": ends[1], "prompts": prompts}


def told(facts: Mapping[str, Any]) -> list[str]:
    """How far the judge agrees with itself and with people, and its bias of position, in sentences.

    Each number with its interval.
    """
    said = []
    alphas = {name: of["alpha"] for name, of in facts["criteria"].items() if of.get("alpha")}
    known = {name: one for name, one in alphas.items() if one["value"] is not None}
    if known:
        said.append(f"agreement with itself (Krippendorff's alpha): {_listed(known)}")
    elif facts["repeats"] == 1 and facts["mode"] == "likert":
        said.append("agreement with itself isn't known: each question was asked once")
    bias = facts["bias"]
    if bias.get("first"):
        line = f"what is shown first is preferred in {_listed({'': bias['first']})} of the answers"
        if bias["consistent"]:
            both = _listed({"": bias["consistent"]})
            line += f" (0.5 without a bias of position); both orders prefer the same text in {both}"
        said.append(line)
    for effect, how in (
        ("turned", "a scale told from 5 to 1 adds"),
        ("material_first", "a text shown before the scale adds"),
    ):
        found = {name: of[effect] for name, of in bias.items() if effect in of}
        if found:
            said.append(f"{how}: {_listed(found)} points")
    trusted = {name: one for name, one in facts["trust"].items() if one["value"] is not None}
    if trusted:
        panel = next(iter(trusted.values()))["panel"]
        said.append(f"agreement with the panel '{panel}': {_listed(trusted)}")
    return said


def _listed(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Numbers with their intervals, each behind its name."""
    parts = []
    for name, one in found.items():
        ends = ["unknown" if one[end] is None else f"{one[end]:.2f}" for end in ("low", "high")]
        value = f"{one['value']:.2f} [{ends[0]}, {ends[1]}]"
        parts.append(f"{name} {value}" if name else value)
    return ", ".join(parts)


def notes(facts: Mapping[str, Any]) -> list[str]:
    """What a reader of the judge's numbers must know first."""
    found = []
    asked, unread = facts["asked"], facts["unreadable"]
    if unread:
        found.append(
            f"{unread} of {asked} replies could not be read as an answer and count for nothing"
        )
    certain = facts["on_the_answers"]
    if certain is not None and certain < 0.5:
        found.append(
            f"the judge gives the answers there are {100 * certain:.0f} % of all probability: it "
            "hardly answers the question"
        )
    told = facts["orders"]
    if told:
        by_writer: dict[str, int] = defaultdict(int)
        for one in told:
            by_writer[one["writer"]] += 1
        listed = ", ".join(f"{count} by {writer}" for writer, count in by_writer.items())
        are = "writing reads" if len(told) == 1 else "writings read"
        found.append(
            f"{len(told)} {are} as if giving the judge an order ({listed}); quoted as all others "
            "are, and listed in the facts"
        )
    if facts["shortened"]:
        found.append(f"{facts['shortened']} questions were about texts that had to be shortened")
    found += _biased(facts["bias"], asked)
    return found


def _biased(bias: Mapping[str, Any], asked: int) -> list[str]:
    first = bias.get("first")
    if first is None or first["low"] is None or first["high"] is None:
        return []
    if first["low"] <= 0.5 <= first["high"]:
        return []
    where = "first" if first["value"] > 0.5 else "second"
    share = first["value"] if where == "first" else 1 - first["value"]
    return [
        f"a bias of position: {100 * share:.0f} % of the answers prefer the text that is shown "
        f"{where}"
    ]
