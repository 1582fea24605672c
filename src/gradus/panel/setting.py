"""What a panel is about, as step `panel` leaves it for `gradus rate`.

::

    RUN/panels/STEP/
      current                  the key of the panel that the plan means now
      KEY/panel.json           its setting
      KEY/panel.sqlite         what the raters said (`gradus.panel.store`)
      KEY/imported/*.jsonl     what others said elsewhere (`gradus.panel.records`), brought here

KEY covers what raters see, the samples and how they are dealt out, so that answers are never
mixed with answers to something else. How many raters are asked and in which language isn't part of
it: another rater, or a page in another language, goes on with the same panel. Standard library
only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

from gradus.errors import DataError, UsageError, unknown
from gradus.records import Record

Mode = Literal["likert", "pairs"]
Language = Literal["en", "zh", "both"]

FOLDER: Final = "panels"
SETTING: Final = "panel.json"
STORE: Final = "panel.sqlite"
IMPORTED: Final = "imported"
CURRENT: Final = "current"
HOST: Final = "127.0.0.1"
PORT: Final = 8734
"""Where `gradus rate` serves unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Record):
    """One panel.

    Attributes:
        step: id of the step in the plan.
        mode: ``likert``: every writing is rated; ``pairs``: the better of two is chosen.
        criteria: what is asked about, in this order.
        language: of the page: ``en``, ``zh`` or ``both`` (each rater chooses).
        raters: how many must finish.
        each: writings (pairs) that one rater sees; fewer where there are fewer.
        seed: of who sees what, in which order.
        samples: folder of the samples, relative to the run folder.
        digest: of the samples (their manifest's).
    """

    step: str
    mode: Mode
    criteria: tuple[str, ...]
    language: Language
    raters: int
    each: int
    seed: int
    samples: str
    digest: str

    @property
    def key(self) -> str:
        """Twelve characters that stand for what raters see."""
        seen = [self.digest, self.mode, list(self.criteria), self.each, self.seed]
        text = json.dumps(seen, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild the setting; ValueError for a mode or a language that isn't known."""
        made = cls(**{**raw, "criteria": tuple(raw["criteria"])})
        for name, known in (("mode", get_args(Mode)), ("language", get_args(Language))):
            if getattr(made, name) not in known:
                raise ValueError(f"{name} is {getattr(made, name)!r}, not one of {known}")
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel of a run: its folder and its setting."""

    run: Path
    place: Path
    setting: Setting

    @property
    def store(self) -> Path:
        """Where the answers are; the file is made by whoever opens the store first."""
        return self.place / STORE

    @property
    def imported(self) -> Path:
        """The folder of answers that were given elsewhere, a file of rows for each import."""
        return self.place / IMPORTED

    @property
    def samples(self) -> Path:
        """The folder of the samples."""
        return self.run / self.setting.samples

    @property
    def command(self) -> tuple[str, ...]:
        """The command that serves this panel."""
        others = [path for path in self.place.parent.parent.iterdir() if path.is_dir()]
        apart = ("--step", self.setting.step) if len(others) > 1 else ()
        return ("gradus", "rate", str(self.run), *apart)


def place_of(run: Path, setting: Setting) -> Path:
    """The folder of a panel in a run."""
    return run / FOLDER / setting.step / setting.key


def leave(run: Path, setting: Setting) -> Panel:
    """Write a panel's setting and make it the step's current one; what was answered stays."""
    place = place_of(run, setting)
    place.mkdir(parents=True, exist_ok=True)
    _write(place / SETTING, json.dumps(setting.to_json(), indent=1, ensure_ascii=False) + "\n")
    _write(place.parent / CURRENT, setting.key + "\n")
    return Panel(run=run, place=place, setting=setting)


def find(run: Path, step: str | None = None) -> Panel:
    """The current panel of a run's step `step`, or of the only step `panel` that it has.

    Raises:
        UsageError: the run has no panel, several and none is named, or none of that name.
        DataError: its setting can't be read.
    """
    steps = sorted(path.parent.name for path in (run / FOLDER).glob(f"*/{CURRENT}"))
    if not steps:
        raise UsageError(
            f"{run}: no panel is waiting there; run a plan with a step 'panel' first "
            "(gradus run PLAN), which makes one from the samples"
        )
    if step is None and len(steps) > 1:
        raise UsageError(f"{run} has the panels {', '.join(steps)}: name one with --step")
    if step is not None and step not in steps:
        raise UsageError(unknown("panel", step, steps))
    home = run / FOLDER / (step or steps[0])
    place = home / (home / CURRENT).read_text(encoding="utf-8").strip()
    return Panel(run=run, place=place, setting=read(place / SETTING))


def read(path: Path) -> Setting:
    """A setting's file.

    Raises:
        DataError: it is missing, no JSON or no setting; names file, line and field.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("is missing: run the plan again, which writes it", file=path) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise DataError(f"no JSON ({error}): run the plan again", file=path, line=line) from error
    try:
        return Setting.from_json(raw)
    except (KeyError, TypeError, ValueError) as error:
        field = str(error.args[0]) if isinstance(error, KeyError) else None
        why = "is missing" if field else str(error)
        raise DataError(f"{why}: run the plan again", file=path, field=field) from error


def _write(path: Path, text: str) -> None:
    """The file is whole or as it was before."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
