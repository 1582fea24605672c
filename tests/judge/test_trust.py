"""Whether gates may rest on a judge: agreement with a panel, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gradus.errors import DataError
from gradus.judge import trust
from gradus.panel.records import PREFERENCE, Rating
from gradus.writing.records import Samples, Writing

WRITERS = ("one", "two", "human")
PROMPTS = 30


@pytest.fixture(scope="module")
def written() -> Samples:
    return Samples(
        Writing.of(writer=writer, prompt=f"Once {k}", text=f" {writer} {k}")
        for writer in WRITERS
        for k in range(PROMPTS)
    )


def columns(
    written: Samples, noise: float, seed: int = 0
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """What people and a judge think of each writing; `noise` is the judge's own."""
    rng = np.random.default_rng(seed)
    liked = {w.id: float(rng.normal(3 + 0.5 * (w.writer == "human"))) for w in written.writings}
    judged = {name: value / 3 + noise * float(rng.normal()) for name, value in liked.items()}
    return dict(liked), dict(judged)


def test_agreement_is_spearmans_over_writings(written: Samples) -> None:
    liked, judged = columns(written, 0.2)
    liked[written.writings[3].id] = None
    judged.pop(written.writings[5].id)
    both = [n for n in liked if liked[n] is not None and n in judged]
    (found,) = trust.of_scores({"judge_fluency": judged}, {"panel_fluency": liked}, written)
    expected = stats.spearmanr([liked[n] for n in both], [judged[n] for n in both]).statistic
    assert found.value == pytest.approx(expected)
    assert found.n == len(both) == len(written) - 2
    assert found.low is not None
    assert found.high is not None
    assert found.low < expected < found.high
    assert found.met(found.low)
    assert not found.met(expected)


def test_a_judge_that_agrees_is_trusted_and_one_that_guesses_is_not(written: Samples) -> None:
    liked, near = columns(written, 0.05)
    _, far = columns(written, 0.05, seed=1)
    rated = {"panel_fluency": liked, "panel_coherence": liked}
    judged = {"judge_fluency": near, "judge_coherence": far, "judge_accuracy": near}
    found = trust.of_scores(judged, rated, written)
    lacking = trust.withheld(judged, found, "people", 0.6)
    assert set(lacking) == {"judge_coherence", "judge_accuracy"}
    assert "0.6 is asked for" in lacking["judge_coherence"]
    assert "isn't known" in lacking["judge_accuracy"]
    facts = found[0].facts("people", 0.6)
    assert facts["met"] is True
    assert facts["measure"].startswith("Spearman")


def test_without_a_panel_nothing_is_trusted() -> None:
    lacking = trust.withheld(["judge_fluency"], (), None, 0.0)
    assert "no 'trust'" in lacking["judge_fluency"]


def test_a_panel_of_other_writings_is_refused(written: Samples) -> None:
    _, judged = columns(written, 0.1)
    with pytest.raises(DataError, match="none of the writings"):
        trust.of_scores({"judge_fluency": judged}, {"panel_fluency": {"ab": 3.0}}, written)
    other = Rating(rater="r", criterion=PREFERENCE, value=1, pair=("ab", "cd"))
    with pytest.raises(DataError, match="none of the writings"):
        trust.of_pairs([], [other], written)


def test_a_panel_of_the_other_mode_is_refused(written: Samples) -> None:
    liked, judged = columns(written, 0.1)
    with pytest.raises(DataError, match="same mode"):
        trust.of_scores({"judge_fluency": judged}, {"panel_wins": liked}, written)
    one = Rating(rater="r", criterion="fluency", value=1, writing=written.writings[0].id)
    with pytest.raises(DataError, match="same mode"):
        trust.of_pairs([], [one], written)


def preferences(
    written: Samples, wrong: int, rater: str, *, both_orders: bool = False
) -> list[Rating]:
    """Human text is preferred to the first writer's, but for the first `wrong` prompts."""
    rows = []
    for k, (one, human) in enumerate(zip(written.of("one"), written.of("human"), strict=True)):
        first = 1 if k < wrong else 2
        rows.append(Rating(rater=rater, criterion=PREFERENCE, value=first, pair=(one.id, human.id)))
        if both_orders:
            turned = (human.id, one.id)
            rows.append(Rating(rater=rater, criterion=PREFERENCE, value=3 - first, pair=turned))
    return rows


def test_of_pairs_it_is_the_share_on_which_both_agree(written: Samples) -> None:
    people = [row for name in "abc" for row in preferences(written, 0, name)]
    people += preferences(written, PROMPTS, "contrary")
    found = trust.of_pairs(preferences(written, 3, "judge-1", both_orders=True), people, written)
    assert found.metric == "judge_wins"
    assert found.n == PROMPTS
    assert found.value == pytest.approx(27 / 30)
    assert found.low is not None
    # As many independent items: Wilson's interval isn't far.
    low, high = stats.binomtest(27, 30).proportion_ci(method="wilson")
    assert found.low == pytest.approx(low, abs=0.05)
    assert found.high == pytest.approx(high, abs=0.05)


def test_pairs_without_a_majority_say_nothing(written: Samples) -> None:
    one, human = written.of("one")[0], written.of("human")[0]

    def row(rater: str, value: float) -> Rating:
        return Rating(rater=rater, criterion=PREFERENCE, value=value, pair=(one.id, human.id))

    split = [row("a", 1), row("b", 2)]
    assert trust.of_pairs([row("j", 1)], split, written).value is None
    assert trust.of_pairs([row("j", 1.5)], [row("a", 1)], written).value is None
    assert trust.of_pairs([row("j", 1.2)], [row("a", 1), row("b", 0)], written).value == 1
