"""A checkpoint as a command line names it: its folder, or a run and a step."""

from __future__ import annotations

from pathlib import Path

from gradus.cli.options import RUNS
from gradus.errors import UsageError, unknown


def find_checkpoint(text: str, runs_dir: Path) -> Path:
    """The folder that `text` stands for: one with a manifest, or ``RUN/STEP``.

    Raises:
        UsageError: neither; says what was looked for, with near names.
        DataError: the run's record is damaged.
    """
    from gradus.checkpoints import is_checkpoint

    path = Path(text)
    found = path if is_checkpoint(path) else of_step(text, runs_dir)
    if found is None:
        raise UsageError(
            f"'{text}' is neither a checkpoint's folder, which has a gradus.json, nor RUN/STEP, as "
            f"in news/tuned (looked for {path.parent} and {runs_dir / path.parent})"
        )
    return found


def named(text: str, runs_dir: Path = RUNS) -> str:
    """The folder of ``RUN/STEP``; anything else as it is, for who looks further.

    Raises:
        UsageError, DataError: as `of_step`.
    """
    found = None if Path(text).exists() else of_step(text, runs_dir)
    return text if found is None else str(found)


def of_step(text: str, runs_dir: Path = RUNS) -> Path | None:
    """The checkpoint of ``RUN/STEP``; None where there is no such run.

    RUN is a run folder or its name, STEP a step's id or ``id.extra``, as in ``news/tuned``.

    Raises:
        UsageError: the run has no such step; says near names.
        DataError: the run's record is damaged.
    """
    from gradus.cards.places import made_by, read_record

    parent, name = Path(text).parent, Path(text).name
    for run in (parent, runs_dir / parent):
        record = read_record(run) if str(parent) != "." else None
        if record is None:
            continue
        made = {key: place for step in record.steps for key, place in made_by(step)}
        if name not in made:
            raise UsageError(f"{run}: {unknown('checkpoint', name, made)}")
        return run / made[name]
    return None
