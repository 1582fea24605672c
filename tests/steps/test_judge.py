"""Step `judge`: what it leaves, whom it trusts, what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.judge.conftest import Server, samples, server
from tests.judge.server import points

from gradus.checkpoints import open_checkpoint, read_manifest, save_checkpoint
from gradus.errors import CheckpointError, DataError, ServiceError, UsageError
from gradus.panel.records import PREFERENCE, Rating, read_ratings, write_ratings
from gradus.panel.results import estimate
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext, StepOutcome
from gradus.steps.judge import FILE, AddressConfig, Judge, JudgeConfig
from gradus.testing.world import ListeningMonitor
from gradus.writing.records import Samples, read_columns, write_columns, write_samples

__all__ = ["samples", "server"]

TRUST = {"panel": "people", "agreement": 0.6}


class Run:
    """A run folder with samples, what people said of them, and the step on both."""

    def __init__(self, folder: Path, samples: Samples, server: Server) -> None:
        self.folder, self.samples, self.server = folder, samples, server
        self.said: list[str] = []
        place = folder / "steps" / "written" / "checkpoint"
        write_samples(place, samples, facts={})
        self.models = {"written": open_checkpoint(place, name="written", origin={})}

    def people(self, rows: list[Rating], mode: Any) -> None:
        """A step `panel` that is done."""
        criteria = (PREFERENCE,) if mode == "pairs" else ("fluency",)
        told = estimate(rows, self.samples, mode=mode, criteria=criteria)

        def write(partial: Path) -> None:
            write_ratings(partial / "ratings.jsonl", rows)
            write_columns(partial, told.columns)

        place = self.folder / "steps" / "people" / "checkpoint"
        self.models["people"] = save_checkpoint(
            place, kind="ratings", labels=(), preprocessing={}, parents=(), facts={}, write=write
        )

    def go(self, model: str, *, name: str = "one", url: str | None = None, **said: Any) -> Any:
        asked: dict[str, Any] = {"url": url or self.server.url, "model": model, "tries": 2}
        asked |= said.pop("address", {})
        config = JudgeConfig.model_validate(
            {"of": "written", "model": asked, "criteria": ["fluency"], **said}
        )
        out = self.folder / "steps" / "opinion" / name
        (out / "work").mkdir(parents=True)
        monitor = ListeningMonitor(None)
        self.said = monitor.notes
        context = StepContext(
            id="opinion",
            seed=5,
            out=out,
            work=out / "work",
            models=self.models,
            data=None,
            monitor=monitor,
            dtype="float32",
            threads=1,
            run=self.folder,
        )
        return Judge().run(config, context)


@pytest.fixture
def run(tmp_path: Path, samples: Samples, server: Server) -> Run:
    return Run(tmp_path / "run", samples, server)


def opinions(samples: Samples, *, against: bool = False) -> list[Rating]:
    """Two people who see every text as the server does, or exactly the other way."""
    return [
        Rating(
            rater=rater,
            criterion="fluency",
            value=6 - points(one.text) if against else points(one.text),
            writing=one.id,
        )
        for rater in ("a", "b")
        for one in samples.writings
    ]


def test_what_it_leaves(run: Run) -> None:
    outcome: StepOutcome = run.go("good")
    assert outcome.checkpoint is not None
    assert read_manifest(outcome.checkpoint).kind == "judgements"
    rows = read_ratings(outcome.checkpoint / FILE)
    assert len(rows) == 2 * len(run.samples)
    column = read_columns(outcome.checkpoint)["judge_fluency"]
    for one in run.samples.writings:
        assert column[one.id] == pytest.approx(points(one.text))
    facts = outcome.facts
    assert facts["asked"] == len(rows)
    assert facts["criteria"]["fluency"]["alpha"]["value"] == pytest.approx(1)
    assert facts["bias"]["fluency"]["turned"]["value"] == 0
    assert facts["judge"]["url"] == run.server.url
    assert facts["orders"] == []
    assert outcome.measure is None
    alpha, turned = run.said
    assert alpha.startswith("agreement with itself (Krippendorff's alpha): fluency 1.00 [")
    assert turned == "a scale told from 5 to 1 adds: fluency 0.00 [0.00, 0.00] points"
    run.go("good", name="once", repeats=1)
    assert run.said == ["agreement with itself isn't known: each question was asked once"]


def test_a_gate_rests_on_no_judge_that_nobody_checked(run: Run) -> None:
    outcome = run.go("good")
    assert list(outcome.withheld) == ["judge_fluency"]
    assert outcome.notes[-1] == "no gate may rest on the judge: the step has no 'trust'"


def test_trust_is_in_the_facts_and_lets_gates_be(run: Run) -> None:
    run.people(opinions(run.samples), "likert")
    outcome = run.go("good", trust=TRUST)
    assert outcome.withheld == {}
    told = outcome.facts["trust"]["judge_fluency"]
    assert told["met"]
    assert told["value"] == pytest.approx(1)
    assert told["low"] > 0.6


def test_a_judge_at_odds_with_people_may_not_gate(run: Run) -> None:
    run.people(opinions(run.samples, against=True), "likert")
    outcome = run.go("good", trust=TRUST)
    assert "agreement with the panel 'people' is -1.00" in outcome.withheld["judge_fluency"]
    assert any("no gate rests on judge_fluency" in note for note in outcome.notes)


def test_pairs_are_asked_both_ways_and_held_against_people(run: Run) -> None:
    rows = [
        Rating(
            rater="a",
            criterion=PREFERENCE,
            value=1 if points(one.text) > points(two.text) else 2,
            pair=(one.id, two.id),
        )
        for name, other in (("poor", "good"), ("human", "poor"), ("middling", "human"))
        for one, two in zip(run.samples.of(name), run.samples.of(other), strict=True)
    ]
    run.people(rows, "pairs")
    outcome = run.go("good", mode="pairs", criteria=None, repeats=1, trust=TRUST)
    assert set(read_columns(outcome.checkpoint)) == {"judge_wins"}
    assert outcome.withheld == {}
    assert outcome.facts["bias"]["first"]["value"] == pytest.approx(0.5)
    assert outcome.facts["bias"]["consistent"]["value"] == 1
    assert outcome.facts["trust"]["judge_wins"]["value"] == 1
    assert any(s.startswith("what is shown first is preferred in 0.50 [") for s in run.said)
    assert any("both orders prefer the same text in 1.00 [" in s for s in run.said)
    assert run.said[-1].startswith("agreement with the panel 'people': judge_wins 1.00 [")
    biased = run.go("first", name="two", mode="pairs", criteria=None, repeats=1, trust=TRUST)
    assert biased.facts["bias"]["first"]["value"] == 1
    assert "judge_wins" in biased.withheld, "it prefers each text as often as the other"
    assert any("bias of position" in note for note in biased.notes)


def test_a_change_of_the_step_asks_only_what_is_new(run: Run) -> None:
    run.go("good", repeats=1)
    before = len(run.server.asked("good"))
    run.go("good", name="two", repeats=2)
    run.people(opinions(run.samples), "likert")
    run.go("good", name="three", repeats=2, trust=TRUST)
    assert before == len({(one.prompt, one.text) for one in run.samples.writings})
    assert len(run.server.asked("good")) == 2 * before


def test_what_a_failing_server_said_is_not_asked_again(run: Run) -> None:
    with pytest.raises(ServiceError, match="on fire"):
        run.go("broken-later", address={"parallel": 1})
    kept = (run.folder / "judges" / "opinion" / "answers.jsonl").read_text().count("\n")
    assert kept >= 5
    assert not (run.folder / "steps" / "opinion" / "one" / "checkpoint").exists()


def test_unreadable_replies_are_told_of_and_only_they_count_for_nothing(run: Run) -> None:
    outcome = run.go("half", repeats=4)
    facts = outcome.facts
    assert 0 < facts["unreadable"] < facts["asked"]
    assert facts["unreadable_replies"] == ["No idea, 1 or 2."] * min(5, facts["unreadable"])
    assert any("could not be read" in note for note in outcome.notes)
    rows = read_ratings(outcome.checkpoint / FILE)
    assert len(rows) == facts["asked"] - facts["unreadable"]


def test_a_judge_that_says_nothing_is_refused(run: Run) -> None:
    with pytest.raises(ServiceError, match=r"none of .* replies could be read.*somewhere"):
        run.go("nonsense")


def test_fewer_prompts(run: Run) -> None:
    outcome = run.go("good", sample=2, repeats=1)
    assert outcome.facts["prompts"] == 2
    assert outcome.facts["asked"] == 2 * len(run.samples.writers)


def test_the_key_comes_from_the_environment_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"key_env": "JUDGES_KEY"}
    monkeypatch.delenv("JUDGES_KEY", raising=False)
    with pytest.raises(UsageError, match=r"JUDGES_KEY.*isn't set"):
        run.go("keyed", address=key)
    monkeypatch.setenv("JUDGES_KEY", "s3cr\u00e9t")
    with pytest.raises(UsageError, match="no key has") as error:
        run.go("keyed", name="odd", address=key)
    assert "s3cr" not in str(error.value)
    monkeypatch.setenv("JUDGES_KEY", "s3cret\n")
    outcome = run.go("keyed", name="two", address=key)
    assert outcome.checkpoint is not None
    for path in run.folder.rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes(), path


def test_a_panel_must_be_one(run: Run, samples: Samples) -> None:
    run.models["people"] = CheckpointRef(name="people", kind="samples", path=str(run.folder))
    with pytest.raises(CheckpointError, match="holds no ratings"):
        run.go("good", trust=TRUST)


def test_pairs_need_two_writers(run: Run, samples: Samples, tmp_path: Path) -> None:
    alone = Samples(samples.of("good"))
    write_samples(tmp_path / "alone", alone, facts={})
    run.models["written"] = open_checkpoint(tmp_path / "alone", name="written", origin={})
    with pytest.raises(DataError, match="one writer"):
        run.go("good", mode="pairs")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"url": "ftp://host/v1"}, "write the address as"),
        ({"url": "host:8000/v1"}, "write the address as"),
        ({"url": "http://me:secret@127.0.0.1/v1"}, "key_env"),
        ({"url": "https://host/v1?key=abc"}, "key_env"),
        ({"url": "http://host:99999/v1"}, "not an address"),
        ({"url": "http://host/v1", "key_env": "KEY"}, "over http"),
        ({"url": "https://host/v1", "key_env": "sk-123"}, "key_env"),
        ({"url": "https://host/v1", "model": ""}, "model"),
    ],
)
def test_addresses_that_are_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AddressConfig.model_validate({"model": "m", **said})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://127.0.0.1:8000/v1/",
        "http://127.0.0.1:8000/v1/chat/completions",
    ],
)
def test_addresses_are_taken_however_they_end(url: str) -> None:
    made = AddressConfig.model_validate({"url": url, "model": "m", "key_env": "KEY"})
    assert made.url == "http://127.0.0.1:8000/v1"


def test_what_it_names_and_measures() -> None:
    config = JudgeConfig.model_validate(
        {"of": "written", "model": "lm", "criteria": ["relevance", "fluency"], "trust": TRUST}
    )
    assert Judge.needs(config).models == {
        "of": "written",
        "model": "lm",
        "trust.panel": "people",
    }
    assert Judge.produces(config) == {"judge_fluency", "judge_relevance"}
    with pytest.raises(ValidationError, match="twice"):
        JudgeConfig.model_validate({"of": "w", "model": "m", "criteria": ["fluency", "fluency"]})
