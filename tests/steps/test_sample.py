"""Step `sample`: who writes what, the same after a kill, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradus.checkpoints import read_manifest
from gradus.errors import CheckpointError, DataError
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext, StepOutcome
from gradus.steps.sample import Sample, SampleConfig
from gradus.testing.world import ListeningMonitor, World
from gradus.writing.prompts import Prompt
from gradus.writing.records import read_samples

PROMPTS = tuple(
    Prompt(text=text, human=f" and people wrote {n} to it", source="a source" if n else None)
    for n, text in enumerate(("The striker", "A car maker", "The minister"))
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


class Stopped(BaseException):
    """Stands for a kill."""


class Stopping(ListeningMonitor):
    """Ends the step after some texts."""

    def __init__(self, after: int) -> None:
        super().__init__(None)
        self.left = after

    def progress(self, done: float, total: float, text: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            raise Stopped


def sampled(
    world: World,
    out: Path,
    prompts: tuple[Prompt, ...] = PROMPTS,
    monitor: ListeningMonitor | None = None,
    seed: int = 3,
    models: dict[str, CheckpointRef] | None = None,
    **config: Any,
) -> StepOutcome:
    settings = SampleConfig.model_validate(
        {
            "writers": ["lm", "again"],
            "prompts": {"file": "prompts.jsonl", "then": 40},
            "decoding": {"temperature": 1.0, "max_tokens": 12},
            **config,
        }
    )
    (out / "work").mkdir(parents=True, exist_ok=True)
    context = StepContext(
        id="written",
        seed=seed,
        out=out,
        work=out / "work",
        models=models or {"lm": world.model("lm"), "again": world.model("lm")},
        data=None,
        monitor=monitor or ListeningMonitor(None),
        dtype="float32",
        threads=1,
        prompts=prompts,
    )
    return Sample().run(settings, context)


def test_every_writer_answers_every_prompt_people_once(world: World, tmp_path: Path) -> None:
    outcome = sampled(world, tmp_path, each=2)
    assert outcome.checkpoint is not None
    samples = read_samples(outcome.checkpoint)
    assert samples.writers == ("lm", "again", "human")
    items = [[one.item for one in samples.of(writer)] for writer in ("lm", "again")]
    assert items[0] == items[1]
    assert len(set(items[0])) == 6
    assert [one.text for one in samples.of("human")] == [p.human for p in PROMPTS]
    assert {one.source for one in samples.of("lm")} == {None, "a source"}
    assert all(len(one.text) <= 40 for one in samples.of("lm"))
    assert all(0 < one.tokens <= 12 for one in samples.of("lm"))
    # The same weights under two names draw alike; two texts to one prompt don't.
    assert [w.text for w in samples.of("lm")] == [w.text for w in samples.of("again")]
    assert len({one.text for one in samples.of("lm")}) > 3
    facts = read_manifest(outcome.checkpoint).facts
    assert facts["prompts"]["number"] == 3
    assert [row["writer"] for row in outcome.facts["writers"]] == ["lm", "again"]


def test_another_seed_writes_something_else_the_same_writes_the_same(
    world: World, tmp_path: Path
) -> None:
    found = [
        read_samples(sampled(world, tmp_path / name, seed=seed).checkpoint or Path()).digest
        for name, seed in (("one", 3), ("two", 3), ("three", 4))
    ]
    assert found[0] == found[1] != found[2]


def test_a_kill_at_any_text_changes_nothing_and_rewrites_nothing(
    world: World, tmp_path: Path
) -> None:
    whole = sampled(world, tmp_path / "whole", each=2)
    for after in (1, 5, 9):
        out = tmp_path / f"killed-{after}"
        with pytest.raises(Stopped):
            sampled(world, out, monitor=Stopping(after), each=2)
        journals = sorted((out / "work").iterdir())
        before = [journal.read_bytes() for journal in journals]
        assert b"".join(before)
        resumed = sampled(world, out, each=2)
        for journal, then in zip(journals, before, strict=True):
            assert journal.read_bytes().startswith(then)
        assert read_manifest(resumed.checkpoint or Path()).digest == (
            read_manifest(whole.checkpoint or Path()).digest
        )


def test_people_are_left_out_or_asked_for(world: World, tmp_path: Path) -> None:
    alone = sampled(world, tmp_path / "alone", human=False)
    assert "human" not in read_samples(alone.checkpoint or Path()).writers
    unknown = (*PROMPTS, Prompt(text="Nobody knows"))
    without = sampled(world, tmp_path / "without", prompts=unknown)
    assert "human" not in read_samples(without.checkpoint or Path()).writers
    with pytest.raises(DataError, match=r"prompt 4 \('Nobody knows'\) isn't known"):
        sampled(world, tmp_path / "asked", prompts=unknown, human=True)


def test_an_encoder_cant_write(world: World, tmp_path: Path) -> None:
    models = {"lm": world.model("encoder")}
    with pytest.raises(CheckpointError, match="sees both sides"):
        sampled(world, tmp_path, models=models, writers=["lm"])
