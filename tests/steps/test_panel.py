"""Step `panel`: whom it waits for, whose answers count, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gradus.checkpoints import open_checkpoint, read_manifest
from gradus.errors import UsageError
from gradus.panel import setting
from gradus.panel.records import Rating, read_ratings, write_ratings
from gradus.panel.store import Item, Store
from gradus.steps.base import Asking, StepContext, StepOutcome
from gradus.steps.panel import RATINGS, Panel, PanelConfig
from gradus.testing.world import ListeningMonitor
from gradus.writing.records import Samples, Writing, read_columns, write_samples

WRITERS = ("base.at-100", "base", "human")
SAID: dict[str, Any] = {"of": "written", "criteria": ["coherence", "fluency"], "raters": 2}


def written(prompts: int = 6) -> Samples:
    return Samples(
        Writing.of(writer=writer, prompt=f"Once {k}", text=f" {writer} goes on with {k}.")
        for writer in WRITERS
        for k in range(prompts)
    )


class Run:
    """A run folder with samples, and the step on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.samples = folder, written()
        place = folder / "steps" / "written" / "checkpoint"
        write_samples(place, self.samples, facts={})
        self.ref = open_checkpoint(place, name="written", origin={"step": "written"})

    def asking(self) -> Asking:
        return Asking(id="people", seed=5, models={"written": self.ref}, run=self.folder)

    def answers(self, **said: Any) -> str:
        return Panel().answers(PanelConfig.model_validate({**SAID, **said}), self.asking())

    def go(self, name: str = "one", **said: Any) -> StepOutcome:
        out = self.folder / "steps" / "people" / name
        (out / "work").mkdir(parents=True)
        context = StepContext(
            id="people",
            seed=5,
            out=out,
            work=out / "work",
            models={"written": self.ref},
            data=None,
            monitor=ListeningMonitor(None),
            dtype="float32",
            threads=1,
            run=self.folder,
        )
        return Panel().run(PanelConfig.model_validate({**SAID, **said}), context)

    @property
    def panel(self) -> setting.Panel:
        return setting.find(self.folder)

    def store(self) -> Store:
        about = self.panel.setting
        return Store.create(
            self.panel.store, mode=about.mode, criteria=about.criteria, samples=about.digest
        )

    def rate(self, rater: str, *, checks: tuple[bool, ...] = (True,), left: int = 0) -> None:
        """A rater who gives 2 points to the first writer, 3 to the second and 5 to people."""
        points = dict(zip(WRITERS, (2, 3, 5), strict=True))
        store = self.store()
        items = [Item(first=one.id) for one in self.samples.writings]
        items += [Item(first=f"check-{k}", expected=4) for k in range(len(checks))]
        store.enrol(rater, items)
        of = {one.id: points[one.writer] for one in self.samples.writings}
        asked = store.items(rater)
        for item in asked[: len(asked) - left]:
            value = of.get(item.first)
            if value is None:
                value = 4 if checks[int(item.first.rpartition("-")[2])] else 1
            scores = dict.fromkeys(store.criteria, value)
            assert store.submit(rater, item.name, store.nonce(rater, item.name), scores, 1.5)
        store.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_it_waits_and_leaves_what_the_page_needs(run: Run) -> None:
    outcome = run.go()
    assert outcome.checkpoint is None
    assert outcome.waiting is not None
    assert outcome.waiting.why == "0 of 2 raters have finished"
    assert outcome.waiting.command == f"gradus rate {run.folder}"
    assert outcome.waiting.link == f"http://127.0.0.1:{setting.PORT}/"
    about = run.panel.setting
    assert (about.mode, about.criteria, about.raters) == ("likert", ("fluency", "coherence"), 2)
    assert (about.seed, about.digest, about.each) == (5, run.ref.digest, 40)
    assert run.panel.samples.resolve() == Path(run.ref.path).resolve()


def test_it_counts_who_has_finished_with_care(run: Run) -> None:
    run.go()
    run.rate("rater-1")
    run.rate("rater-2", left=3)
    run.rate("rater-3", checks=(False, False, True))
    assert run.answers() == ""
    waiting = run.go("two").waiting
    assert waiting is not None
    assert (waiting.have, waiting.wanted) == (1, 2)
    assert waiting.why == (
        "1 of 2 raters has finished, 1 more is at it; rater-3 is not counted, having failed more "
        "than half of the attention checks"
    )
    # The three links are taken: the command makes one for somebody else.
    assert waiting.command == f"gradus rate {run.folder} --raters 3"


def test_enough_answers_become_a_checkpoint_of_ratings(run: Run) -> None:
    run.go()
    run.rate("rater-1")
    run.rate("rater-2", checks=(True, False))
    run.rate("rater-3", checks=(False,))
    run.rate("rater-4", left=1)
    assert run.answers() != ""
    outcome = run.go("two")
    assert outcome.waiting is None
    assert outcome.checkpoint is not None
    manifest = read_manifest(outcome.checkpoint)
    assert manifest.kind == "ratings"
    assert manifest.lineage[0].digest == run.ref.digest
    kept = read_ratings(outcome.checkpoint / RATINGS)
    assert {rating.rater for rating in kept} == {"rater-1", "rater-2"}
    assert (
        sum(not rating.check for rating in kept)
        == 2 * 18 * 2
        == outcome.facts["answers"]["ratings"]
    )
    answers = outcome.facts["answers"]
    assert answers["ratings"] == 72
    assert answers["counted"] == ["rater-1", "rater-2"]
    assert answers["checks_passed"] == {"rater-1": 1.0, "rater-2": 0.5, "rater-3": 0.0}
    assert outcome.notes[:2] == (
        "left out, not having finished: rater-4",
        "rater-3 answered 0 of 2 questions of attention checks as asked: left out",
    )
    assert {name: of["left_out"] for name, of in outcome.facts["raters"].items()} == {
        "rater-1": False,
        "rater-2": False,
        "rater-3": True,
    }
    assert set(outcome.facts["criteria"]["fluency"]["raters"]) == {"rater-1", "rater-2"}
    columns = read_columns(outcome.checkpoint)
    assert {"panel_fluency", "panel_coherence"} <= set(columns)
    for writer, points in zip(WRITERS, (2.0, 3.0, 5.0), strict=True):
        found = [columns["panel_fluency"][one.id] for one in run.samples.of(writer)]
        assert found == pytest.approx([points] * 6)


def test_the_digest_follows_what_counts(run: Run) -> None:
    run.go()
    run.rate("rater-1")
    assert run.answers() == ""
    assert run.answers(raters=1) != ""
    run.rate("rater-2")
    two = run.answers()
    assert two == run.answers() != ""
    run.rate("rater-3", left=1)
    assert run.answers() == two, "an unfinished rater changes nothing"
    run.rate("rater-4")
    assert run.answers() not in ("", two)
    assert run.answers(raters=4) == ""
    assert run.answers(criteria=["accuracy"]) == "", "another question has no answers yet"


def test_answers_from_elsewhere_count(run: Run) -> None:
    run.go()
    run.panel.imported.mkdir()
    rows = [
        Rating(rater=rater, criterion=criterion, value=4, writing=one.id)
        for rater in ("argilla-1", "argilla-2")
        for one in run.samples.writings
        for criterion in ("fluency", "coherence")
    ]
    write_ratings(run.panel.imported / "argilla.jsonl", rows)
    outcome = run.go("two")
    assert outcome.checkpoint is not None
    assert outcome.facts["answers"]["counted"] == ["argilla-1", "argilla-2"]


def test_pairs_are_asked_as_a_whole(run: Run) -> None:
    said = {"criteria": None, "mode": "pairs"}
    run.go(**said)
    assert run.panel.setting.criteria == ("preference",)
    store = run.store()
    pairs = [
        (theirs, ours)
        for ours, theirs in zip(run.samples.of("human"), run.samples.of("base"), strict=True)
    ]
    for rater in ("rater-1", "rater-2"):
        store.enrol(rater, [Item(first=one.id, second=other.id) for one, other in pairs])
        for item in store.items(rater):
            nonce = store.nonce(rater, item.name)
            assert store.submit(rater, item.name, nonce, {"preference": 2}, 2.0)
    store.close()
    outcome = run.go("two", **said)
    assert outcome.checkpoint is not None
    wins = read_columns(outcome.checkpoint)["panel_wins"]
    assert {wins[one.id] for one in run.samples.of("human")} == {1.0}
    assert {wins[one.id] for one in run.samples.of("base")} == {0.0}
    assert wins.get(run.samples.of("base.at-100")[0].id) is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"criteria": []}, "at least 1"),
        ({"criteria": ["fluency", "fluency"]}, "twice"),
        ({"criteria": ["style"]}, "fluency"),
        ({"mode": "pairs"}, "leave criteria out"),
        ({"raters": 0}, "greater"),
        ({"language": "fr"}, "zh"),
    ],
)
def test_faults_are_told_beforehand(said: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PanelConfig.model_validate({**SAID, **said})


def test_too_few_for_one_prompt_is_told_before_anyone_is_asked(run: Run) -> None:
    with pytest.raises(UsageError, match="each: 2 is too few"):
        run.go(each=2)
    assert not (run.folder / setting.FOLDER).exists()


def test_what_can_be_asked_of_it() -> None:
    likert = PanelConfig.model_validate(SAID)
    assert Panel.produces(likert) == {"panel_fluency", "panel_coherence"}
    pairs = PanelConfig(of="written", mode="pairs")
    assert Panel.produces(pairs) == {"panel_wins"}
    assert len(Panel.produces(PanelConfig(of="written"))) == 5
