"""What the suites share: looking an entry up and making the world its tests run in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from gradus import registry
from gradus.records import Target
from gradus.testing.world import Rows, World

Raised = TypeVar("Raised", bound=BaseException)


class Contract:
    """Base of the suites.

    Class attributes:
        section: section of the catalog.
        entry: the entry's name, with or without its version; set by whoever inherits.
        rows: labelled texts to run on; sentences that come with the suite when None.
    """

    section: ClassVar[str]
    entry: ClassVar[str]
    rows: ClassVar[Rows | None] = None

    @property
    def made(self) -> Any:
        """The class that the catalog's entry stands for."""
        return registry.load(self.section, self.entry)

    @property
    def plain(self) -> str:
        """The entry's name without its version."""
        return registry.plain(registry.resolve(self.section, self.entry))

    @property
    def target(self) -> Target:
        """What the data of this entry's world are labelled with."""
        return "label"

    def world(self, folder: Path) -> World:
        """The world of one test."""
        return World(folder, self.rows, self.target)

    def test_it_says_what_it_is(self) -> None:
        """A summary of one line for `gradus ls`, and a docstring."""
        summary = self.made.summary
        assert isinstance(summary, str)
        assert summary == summary.strip()
        assert "\n" not in summary
        assert 10 <= len(summary) <= 100
        assert self.made.__doc__


def refused(kind: type[Raised], work: Callable[[], object]) -> Raised:
    """The error of that kind that `work` raises, which it must."""
    try:
        work()
    except kind as error:
        return error
    raise AssertionError(f"it should have raised {kind.__name__}")


def check_rows(rows: Any, texts: int, labels: int) -> None:
    """Log-probabilities float64 [texts, labels] whose rows sum to 1."""
    import numpy as np

    assert rows.shape == (texts, labels)
    assert rows.dtype == np.float64
    assert not np.isnan(rows).any()
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1.0, atol=1e-6)
