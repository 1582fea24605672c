"""A plan's ``scores:`` section: metrics of its own, made of others or of prices."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from gradus.errors import UnknownName, UsageError
from gradus.metrics.formula import Formula, FormulaError, parse
from gradus.metrics.score import Score, Scores, circle, make, ordered, shadows, used
from gradus.plan.faults import Faults
from gradus.plan.plainly import describe, validate

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class ScoreConfig(BaseModel):
    """A metric of the plan's own; either `combine` or `prices` says what it is.

    Attributes:
        combine: arithmetic over metrics of the same items, other scores included: numbers, names,
            ``+ - * /`` and parentheses, as in ``0.7 * f1_macro + 0.3 * recall[urgent]``.
        prices: what an item of one label predicted as another is worth:
            ``{urgent: {spam: -50}}`` prices true ``urgent`` predicted as ``spam``. The value is
            the mean over the items.
        default_right: price of a right item that `prices` doesn't name.
        default_wrong: price of a wrong one.
        unit: of the value, e.g. ``EUR``; ``score`` when left out.
        direction: which way is better.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    combine: str | None = None
    prices: dict[str, dict[str, FiniteFloat]] | None = None
    default_right: FiniteFloat = 1.0
    default_wrong: FiniteFloat = 0.0
    unit: str = Field(default="score", min_length=1, max_length=20)
    direction: Literal["higher", "lower"] = "higher"

    @model_validator(mode="after")
    def _one_of_two(self) -> ScoreConfig:
        if (self.combine is None) == (self.prices is None):
            raise ValueError("write either 'combine' or 'prices'")
        given = {"default_right", "default_wrong"} & self.model_fields_set
        if self.combine is not None and given and not self._defaults():
            raise ValueError(f"'{min(given)}' goes with 'prices', not with 'combine'")
        return self

    def _defaults(self) -> bool:
        """Whether both prices are what they are when left out, as a resolved plan has them."""
        return (self.default_right, self.default_wrong) == (1.0, 0.0)


def read_scores(raw: Any, faults: Faults) -> tuple[dict[str, dict[str, Any]], Scores]:
    """The section's settings with every default, and the scores that could be made of them.

    A score with a fault keeps its name among the settings, so that gates on it aren't told that
    they dangle.
    """
    if raw is None:
        return {}, Scores()
    if not isinstance(raw, dict):
        faults.add(("scores",), f"should be a mapping, is {describe(raw)}")
        return {}, Scores()
    settings: dict[str, dict[str, Any]] = {}
    formulas: dict[str, Formula] = {}
    sound: set[str] = set()
    for name, item in raw.items():
        settings[name] = {}
        if not _NAME.fullmatch(name) or name == "surely":
            faults.add(
                ("scores", name),
                "a score's name is a letter, then letters, digits or '_' (64 at most), not "
                f"'{name[:80]}'",
            )
            continue
        config = validate(ScoreConfig, item, ("scores", name), faults).config
        if config is None:
            continue
        settings[name] = config.model_dump(mode="json")
        if config.combine is not None:
            try:
                formulas[name] = parse(config.combine)
            except FormulaError as error:
                faults.add(("scores", name, "combine"), str(error))
                continue
        sound.add(name)
    return settings, _made(settings, formulas, sound, faults)


def _made(
    settings: dict[str, dict[str, Any]],
    formulas: dict[str, Formula],
    sound: set[str],
    faults: Faults,
) -> Scores:
    """The scores that are sound, each made after those that it names."""
    own: dict[str, Score] = {}
    bases: dict[str, frozenset[str]] = {}
    uses = used(formulas, settings)
    for name in settings:
        chain = circle(name, uses)
        if chain:
            message = f"cyclic score: {' -> '.join([name, *chain])}"
            faults.add(("scores", name, "combine"), message)
            sound.discard(name)
    for name in ordered({n: [p for p in uses[n] if p in sound] for n in settings if n in sound}):
        # What names a broken score can't be told from what it was meant to be.
        if any(part not in own for part in uses[name]):
            continue
        if shadows(name):
            message = f"'{name}' is a metric of the catalog: choose another name"
            faults.add(("scores", name), message)
            continue
        try:
            own[name], bases[name] = make(name, settings[name], formulas.get(name), own, bases)
        except (UsageError, UnknownName) as error:
            faults.add(("scores", name, "combine"), str(error))
    return Scores(
        {n: own[n] for n in settings if n in own}, {n: bases[n] for n in settings if n in own}
    )
