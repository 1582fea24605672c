"""Names of the catalog: lazy, versioned, without duplicates."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable

import pytest

from gradus import registry
from gradus.catalog import CATALOG
from gradus.errors import UnknownName

Offer = Callable[[str, str, str], None]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Entry points as an installed package would register them."""
    found: list[importlib.metadata.EntryPoint] = []
    real = importlib.metadata.entry_points

    def entry_points(*, group: str) -> list[importlib.metadata.EntryPoint]:
        return [*real(group=group), *(point for point in found if point.group == group)]

    def add(section: str, name: str, value: str) -> None:
        found.append(importlib.metadata.EntryPoint(name, value, f"gradus.{section}"))
        registry.entries.cache_clear()

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    yield add  # type: ignore[misc]  # a fixture that cleans up
    registry.entries.cache_clear()


@pytest.mark.parametrize(("section", "name"), [(s, n) for s in CATALOG for n in CATALOG[s]])
def test_every_entry_loads(section: str, name: str) -> None:
    loaded = registry.load(section, name)
    assert isinstance(loaded, type)
    assert registry.load(section, registry.plain(name)) is loaded


def test_no_name_stands_for_two_things() -> None:
    for section, entries in CATALOG.items():
        assert len(set(entries.values())) == len(entries), section


def test_the_newest_version_is_taken(offer: Offer) -> None:
    offer("steps", "finetune.v10", "gradus.steps.baseline:Baseline")
    offer("steps", "finetune.v2", "gradus.steps.evaluate:Evaluate")
    assert registry.resolve("steps", "finetune") == "finetune.v10"
    assert registry.resolve("steps", "finetune.v1") == "finetune.v1"
    assert registry.load("steps", "finetune").__name__ == "Baseline"
    assert registry.load("steps", "finetune.v2").__name__ == "Evaluate"


def test_other_packages_may_not_take_a_name(offer: Offer) -> None:
    offer("metrics", "accuracy.v1", "elsewhere:Accuracy")
    with pytest.raises(registry.DuplicateName, match=r"accuracy\.v1.*elsewhere:Accuracy"):
        registry.names("metrics")


def test_a_name_needs_a_version(offer: Offer) -> None:
    offer("metrics", "brier", "elsewhere:Brier")
    with pytest.raises(registry.DuplicateName, match=r"write 'brier\.v1'"):
        registry.names("metrics")


def test_unknown_names_are_refused_with_a_near_one() -> None:
    with pytest.raises(UnknownName, match=r"unknown metric 'acuracy': did you mean 'accuracy'\?"):
        registry.load("metrics", "acuracy")
    with pytest.raises(UnknownName, match=r"finetune"):
        registry.resolve("steps", "finetune.v7")
    with pytest.raises(UnknownName, match=r"did you mean 'steps'\?"):
        registry.names("step")


def test_listing_imports_no_entry() -> None:
    code = (
        "import sys; from gradus import registry\n"
        "for section in ('steps', 'metrics', 'kinds'): registry.names(section)\n"
        "print([m for m in sys.modules if m.startswith(('gradus.steps', 'gradus.metrics', "
        "'gradus.predict', 'torch'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
