"""The combinations, as steps that a plan takes."""

from typing import Any

import pytest

from gradus import registry
from gradus.compressing import space
from gradus.compressing.base import ORIGINAL, Point, Wanted, Way
from gradus.compressing.search import budget


def wanted(*ways: Way, layers: int | None = 6) -> Wanted:
    config: dict[str, Any] = {"source": {"file": "news.csv"}}
    return Wanted(
        model={"folder": "tuned"},
        layers=layers,
        data="news",
        config=config,
        budget=budget("accuracy >= parent - 0.01"),
        target="size",
        ways=ways or ("quantize", "prune", "distil"),
    )


def test_every_step_is_one_that_the_catalog_takes() -> None:
    for candidate in space.first(wanted()):
        step = dict(candidate.step)
        assert step.pop("id") == candidate.name
        registry.load("steps", step.pop("step")).Config.model_validate(step)


def test_only_what_is_asked_for() -> None:
    assert {c.ways for c in space.first(wanted("quantize"))} == {("quantize",)}
    assert {c.ways for c in space.first(wanted("distil"))} == {("distil",)}
    assert space.first(wanted("distil", layers=1)) == []
    assert space.first(wanted("distil", layers=None)) == []


@pytest.mark.parametrize("quantised", [True, False])
def test_what_was_trained_is_compressed_further(quantised: bool) -> None:
    asked = wanted()
    made = space.first(asked)
    scheme = next(c for c in made if c.ways == ("quantize",))
    names = ["distilled", *([scheme.name] if quantised else [])]
    kept = [Point(name=name, how="", value=0.9) for name in names]
    found = {c.name: c for c in space.further(made, kept, asked)}
    further = [f"distilled-{scheme.name}-trimmed", f"{scheme.name}-trimmed"]
    assert set(found) == {"distilled-pruned", *(further if quantised else [])}
    assert found["distilled-pruned"].step["model"] == "distilled"
    assert found["distilled-pruned"].ways == ("distil", "prune")


def test_nothing_is_tried_twice() -> None:
    asked = wanted()
    made = space.first(asked)
    kept = [Point(name=c.name, how="", value=0.9) for c in made]
    made += space.further(made, kept, asked)
    kept = [Point(name=c.name, how="", value=0.9) for c in made]
    again = space.further(made, kept, asked)
    assert again
    assert {c.ways for c in again} == {("distil", "prune", "quantize")}
    assert not {c.name for c in again} & {c.name for c in made}
    assert all(c.start != ORIGINAL for c in again)
