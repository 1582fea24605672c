# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""What a writer wrote to N prompts, with numbers about each text, and what metrics make of them.

Several writings of one prompt are alike, so what is drawn in a bootstrap is the prompt, with all
that was written to it: `Writings.groups` tells which prompt an item belongs to.

Legend: N writings, P prompts, D weightings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from gradus.metrics.base import Items, Metric
from gradus.metrics.ratios import RatioMetric
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np

_PREFIX: Final = "column."
TEXTS_EACH: Final = "texts_each"
"""What a contract calls the number of a writer's texts to a prompt."""


@dataclass(frozen=True, slots=True)
class Writings(Items):
    """N writings of one writer.

    Attributes:
        prompts: N prompts; a prompt that was answered several times stands there several times.
        texts: N texts, without their prompts.
        sources: N texts that names and numbers must agree with, beside the prompt, or None.
        ids: N times PROMPT/NUMBER, which pairs the writings of two writers; () for resamples.
        columns: float64 [N] or [N, k] by name; NaN where a number isn't defined for a text.
        labels: none.
    """

    target: ClassVar[Target] = "writing"

    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    sources: tuple[str | None, ...]
    ids: tuple[str, ...] = ()
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts)

    def prompt_ids(self) -> tuple[str, ...]:
        """N ids of prompts; () for resamples."""
        return tuple(item.rpartition("/")[0] for item in self.ids)

    def groups(self) -> np.ndarray | None:
        """See `Items.groups`: the prompts, in the order of their first items.

        None where every item has a prompt of its own.
        """
        import numpy as np

        prompts = self.prompt_ids()
        known = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
        if len(known) == len(prompts):
            return None
        return np.array([known[prompt] for prompt in prompts], dtype=np.int64)

    @property
    def each(self) -> float:
        """How many texts there are to a prompt, on average."""
        return len(self) / max(len(set(self.prompt_ids())), 1)

    def take(self, rows: np.ndarray) -> Writings:
        """See `Items.take`."""
        return Writings(
            tuple(self.prompts[i] for i in rows),
            tuple(self.texts[i] for i in rows),
            tuple(self.sources[i] for i in rows),
            columns={name: values[rows] for name, values in self.columns.items()},
        )

    def joined(self, other: Self) -> Writings:
        """The items of both; the columns that both have."""
        import numpy as np

        return Writings(
            self.prompts + other.prompts,
            self.texts + other.texts,
            self.sources + other.sources,
            columns={
                name: np.concatenate([values, other.columns[name]])
                for name, values in self.columns.items()
                if name in other.columns
            },
        )

    def relabelled(self, labels: tuple[str, ...]) -> Writings:
        """Themselves: writings have no labels."""
        return self

    def right(self) -> np.ndarray:
        """bool [N], all true: nothing is right or wrong about a text as a whole."""
        import numpy as np

        return np.ones(len(self), dtype=np.bool_)

    def gold_equals(self, other: Writings) -> np.ndarray:
        """bool [N], whether both answer the same prompt."""
        import numpy as np

        pairs = zip(self.prompts, other.prompts, strict=True)
        return np.array([one == two for one, two in pairs], dtype=np.bool_)

    def to_columns(self) -> dict[str, list[Any]]:
        """``prompt``, ``written``, ``source`` and, as ``column.NAME``, the columns."""
        numbers = {f"{_PREFIX}{name}": of.tolist() for name, of in self.columns.items()}
        return {
            "prompt": list(self.prompts),
            "written": list(self.texts),
            "source": list(self.sources),
            **numbers,
        }

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> Writings:
        """See `Items.from_columns`."""
        import numpy as np

        return cls(
            tuple(columns["prompt"]),
            tuple(columns["written"]),
            tuple(columns["source"]),
            ids,
            {
                name.removeprefix(_PREFIX): np.asarray(values, dtype=np.float64)
                for name, values in columns.items()
                if name.startswith(_PREFIX)
            },
        )

    def described(self, row: int) -> tuple[str, str, float | None]:
        """See `Items.described`: the prompt and the text."""
        return self.prompts[row], self.texts[row], None


class WritingMetric(Metric):
    """Base of the metrics of writings.

    Class attributes:
        columns: names of the columns that the value is computed from; it is only taken where all
            of them are there.
        of_set: whether it is a number of all texts together, which no text has by itself and which
            depends on how many there are. Writers are then only compared where they wrote equally
            many texts to a prompt (`TEXTS_EACH` is to be among `bound`).
    """

    needs = "writings"
    columns: ClassVar[tuple[str, ...]]
    of_set: ClassVar[bool] = False

    @classmethod
    def asked_of(cls, items: Items) -> bool:
        return isinstance(items, Writings) and all(name in items.columns for name in cls.columns)


class ColumnRatio(WritingMetric, RatioMetric):
    """The sum of the first of `columns` over the sum of the second; with one column, its mean.

    Texts for which one of them isn't a number are left out; NaN where none is left. `of_ratio` may
    carry it to another scale (e to its power for a perplexity).
    """

    def parts(self, items: Writings) -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        above = np.asarray(items.columns[self.columns[0]], dtype=np.float64)
        below = np.ones(len(above))
        if len(self.columns) > 1:
            below = np.asarray(items.columns[self.columns[1]], dtype=np.float64)
        known = np.isfinite(above) & np.isfinite(below)
        return np.where(known, above, 0.0), np.where(known, below, 0.0)
