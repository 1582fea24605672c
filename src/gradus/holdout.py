"""The state of reusable hold-outs, over all runs of a user; see `gradus.stats.thresholdout`.

Each hold-out has a file of JSON lines, ``holdout/DIGEST.jsonl`` in the state folder, by the digest
of its split: first its settings, then a line a question. Appended under a lock. The settings are
those of the first question for good: a budget that could be raised would be none.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from gradus.errors import StorageError, UsageError
from gradus.state import append, locked, shared, state_folder
from gradus.stats.thresholdout import Answer, Settings, State, ask, begin, bound, each

if TYPE_CHECKING:
    import numpy as np

_WHAT: Final = "the state of a reusable hold-out"


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, how far it may be from the truth, and where the hold-out stands behind it.

    The bounds of any two answers hold together at the level that was asked for.
    """

    answer: Answer
    bound: float
    asked: int
    spent: int


def holdout_path(digest: str) -> Path:
    """The file of the hold-out with that digest, which need not exist."""
    return state_folder() / "holdout" / f"{digest}.jsonl"


def question(
    digest: str,
    settings: Settings,
    name: str,
    *,
    select: float,
    gate: float,
    n: int,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> Told:
    """Ask one question of the hold-out; the same `name` again gets the same answer, at no cost.

    Args:
        digest: of the hold-out's split.
        settings: those that it was first asked with.
        name: what tells this question from others.
        select: its value on the data that may be looked at, in [0, 1].
        gate: its value on the hold-out, in [0, 1].
        n: items of the hold-out.
        level: at which the bounds of any two answers hold together.
        rng: of the noise; the system's own randomness when left out, as it should be.

    Raises:
        UsageError: the hold-out was first asked with other settings.
        StorageError: the state folder can't be written, or the file is damaged.
    """
    import numpy as np

    drawn = np.random.default_rng(secrets.randbits(128)) if rng is None else rng
    path = holdout_path(digest)
    with locked(path, _WHAT) as stream:
        first, state, known = _parse(stream, path, level)
        if first is None:
            state = begin(settings, drawn)
            append(stream, json.dumps({"settings": asdict(settings), "noise": state.noise}))
        elif first != settings:
            raise UsageError(
                f"this dev.gate has been asked with measure.reusable_holdout {_said(first)}, now "
                f"it is {_said(settings)}: keep the first, or take fresh data"
            )
        if name in known:
            return known[name]
        answer, after = ask(settings, state, select, gate, drawn)
        far = bound(settings, after.asked, n, beta=each(level))
        told = Told(answer, far, after.asked, after.spent)
        if answer.value is not None:
            row = {"question": name, "value": answer.value, "held": answer.held, "n": n}
            append(stream, json.dumps({**row, "noise": after.noise}))
        return told


def standing(digest: str) -> tuple[Settings, State] | None:
    """The settings and the state of a hold-out; None for one that was never asked.

    Raises:
        StorageError: the file can't be read or is damaged.
    """
    path = holdout_path(digest)
    with shared(path, _WHAT) as stream:
        if stream is None:
            return None
        settings, state, _ = _parse(stream, path)
        return None if settings is None else (settings, state)


def refuse_bare(digest: str, what: str) -> None:
    """Refuse to look freely at a split that answers through a hold-out.

    Raises:
        UsageError: a hold-out with that digest has been asked.
        StorageError: the file can't be read or is damaged.
    """
    known = standing(digest)
    if known is None or not known[1].asked:
        return
    settings, state = known
    asked = f"{state.asked:,} question{'s' if state.asked != 1 else ''}"
    raise UsageError(
        f"{what} has answered {asked} as a reusable hold-out: looking at it directly would void "
        "the bounds of its answers. Say measure.reusable_holdout "
        f"{{{_said(settings)}}} in the plan, or take fresh data for dev"
    )


def _parse(
    stream: BinaryIO, path: Path, level: float = 0.95
) -> tuple[Settings | None, State, dict[str, Told]]:
    settings: Settings | None = None
    state, known = State(), dict[str, Told]()
    for number, line in enumerate(stream, start=1):
        try:
            if not line.endswith(b"\n"):
                raise ValueError("the line is cut short")
            row: dict[str, Any] = json.loads(line)
            if settings is None:
                settings = Settings(**row["settings"])
                state = State(noise=float(row["noise"]))
                continue
            held = bool(row["held"])
            state = State(state.asked + 1, state.spent + held, float(row["noise"]))
            found = Answer(float(row["value"]), held)
            far = bound(settings, state.asked, int(row["n"]), beta=each(level))
            known[str(row["question"])] = Told(found, far, state.asked, state.spent)
        except (ValueError, TypeError, KeyError) as error:
            raise StorageError(
                f"{path}, line {number:,}: {_WHAT} is damaged ({error}): mend the line, or delete "
                "the file and take fresh data for dev"
            ) from error
    return settings, state, known


def _said(settings: Settings) -> str:
    return ", ".join(f"{name}: {value}" for name, value in asdict(settings).items())
