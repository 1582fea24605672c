"""Writings to try features and metrics on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from gradus.testing.base import Contract

if TYPE_CHECKING:
    from gradus.metrics.writings import WritingMetric, Writings
    from gradus.testing.populations import World
    from gradus.writing.features.base import FeatureContext
    from gradus.writing.records import Samples

LARGEST: Final = 20_000
CELLS: Final = 8
"""Cells that the population's texts fall into; five quantisations."""


def population(world: World, rng: np.random.Generator) -> Writings:
    """Writings [S, 20,000 at most] with the columns of every metric of `written.v1`.

    A column that others divide by is a count; what is divided is a share of it where the metric is
    a share, with `accuracy` as the mean. A column by itself is spread over the metric's range.
    """
    from gradus.benchmarks.written import WrittenBenchmark
    from gradus.metrics.writings import Writings

    size = min(world.size, LARGEST)
    columns: dict[str, np.ndarray] = {
        "cell": rng.binomial(CELLS - 1, 0.4, (size, 5)).astype(np.float64),
        "human_cell": rng.binomial(CELLS - 1, 0.6, (size, 5)).astype(np.float64),
        "half": rng.integers(0, 2, size).astype(np.float64),
    }
    for kind in WrittenBenchmark.kinds().values():
        _fill(columns, kind, world.accuracy, size, rng)
    return Writings(
        prompts=("Once",) * size,
        texts=("upon a time",) * size,
        sources=(None,) * size,
        ids=tuple(f"{number:012x}/0" for number in range(size)),
        columns=columns,
    )


def _fill(
    columns: dict[str, np.ndarray],
    kind: type[WritingMetric],
    share: float,
    size: int,
    rng: np.random.Generator,
) -> None:
    """Add a metric's columns where they aren't there."""
    low, high = kind.range
    first, *rest = kind.columns
    for name in rest:
        columns.setdefault(name, 1.0 + rng.poisson(rng.gamma(4.0, 6.0, size)))
    if first in columns:
        return
    below = columns[rest[0]] if rest else None
    if below is not None and np.isfinite(high):
        columns[first] = rng.binomial(below.astype(np.int64), share).astype(np.float64)
    elif below is not None:
        columns[first] = below * rng.gamma(9.0, 1.0 / 3.0, size)
    elif np.isfinite(low) and np.isfinite(high):
        columns[first] = low + (high - low) * rng.beta(6 * share, 6 * (1 - share), size)
    else:
        columns[first] = rng.gamma(4.0, 1.0, size)


TEXTS: Final[Mapping[str, Sequence[str]]] = {
    "human": (
        " lived in London in 1999. She had 12 books. The books were old.",
        " market rose by 3 percent. Mr Smith said that it would fall again.",
        "下雨了。他带了三把伞。街上没有人。",
        " and the band played on. The audience went home at midnight.",
    ),
    "model": (
        " lived lived lived lived lived in London in 1999. She had 13 books",
        " market rose by 3 percent. market rose by 3 percent.",
        "下雨了。下雨了。她有五把伞。",
        "",
    ),
}
"""English, Chinese, repetition, a number that isn't supported, nothing at all."""
PROMPTS: Final = (
    "Mary Jones had 12 books and",
    "On Monday the stock",
    "今天张伟出门的时候",
    "He sang",
)


def samples() -> Samples:
    """Two writers' texts to four prompts, people among them."""
    from gradus.writing.records import Samples, Writing

    return Samples(
        Writing.of(writer=writer, prompt=prompt, text=text, tokens=len(text.split()))
        for writer, texts in sorted(TEXTS.items(), reverse=True)
        for prompt, text in zip(PROMPTS, texts, strict=True)
    )


class FeatureContract(Contract):
    """The columns that it declares, a row for each text, the same every time."""

    section: ClassVar[str] = "features"

    def context(self, folder: Path) -> FeatureContext:
        """What the feature is given: the suite's own models and its texts as training text."""
        from gradus.writing.features.base import FeatureContext

        world, made = self.world(folder), samples()
        given: dict[str, Any] = {}
        if "reference" in self.made.needs:
            given["reference"] = world.model("lm")
        if "embedder" in self.made.needs:
            given["embedder"] = world.model("encoder")
        if "training" in self.made.needs:
            given["training"] = world.corpus("plays").splits["train"]
        place = folder / "shared"
        place.mkdir(exist_ok=True)
        return FeatureContext(
            place=place, human=made.of("human"), everyone=made.writings, threads=1, **given
        )

    def test_it_declares_what_it_needs_and_gives(self) -> None:
        """Needs that a plan can meet; columns of its own."""
        from gradus import registry

        assert set(self.made.needs) <= {"reference", "embedder", "training", "human"}
        assert self.made.columns
        others = [registry.load("features", name) for name in registry.names("features")]
        for other in others:
            if other is not self.made:
                assert not set(other.columns) & set(self.made.columns), other.name

    def test_a_row_for_each_text(self, tmp_path: Path) -> None:
        """Declared columns, float64 [N] or [N, k], no infinities; a text of no words is borne."""
        context = self.context(tmp_path)
        for writer in ("human", "model"):
            writings = samples().of(writer)
            found = self.made().compute(writings, context)
            assert set(found) == set(self.made.columns)
            for values in found.values():
                assert values.dtype == np.float64
                assert values.ndim in (1, 2)
                assert len(values) == len(writings)
                assert not np.isinf(values).any()

    def test_the_same_texts_give_the_same_numbers(self, tmp_path: Path) -> None:
        """Once more, with what it has put into the place, and in a place of its own."""
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        one, two = self.context(tmp_path / "one"), self.context(tmp_path / "two")
        writings = samples().of("model")
        runs = [self.made().compute(writings, context) for context in (one, one, two)]
        for name in self.made.columns:
            for other in runs[1:]:
                np.testing.assert_allclose(runs[0][name], other[name], rtol=1e-6, atol=1e-9)
