"""A checkpoint as a command line names it: its folder, or a run and a step."""

from __future__ import annotations

from pathlib import Path

from gradus.errors import UsageError, unknown


def find_checkpoint(text: str, runs_dir: Path) -> Path:
    """The folder that `text` stands for: one with a manifest, or ``RUN/STEP``.

    RUN is a run folder or its name, STEP a step's id or ``id.extra``, as in ``news/tuned``.

    Raises:
        UsageError: neither; says what was looked for, with near names.
        DataError: the run's record is damaged.
    """
    from gradus.cards.places import made_by, read_record
    from gradus.checkpoints import is_checkpoint

    path = Path(text)
    if is_checkpoint(path):
        return path
    parent, name = path.parent, path.name
    for run in (parent, runs_dir / parent):
        record = read_record(run) if str(parent) != "." else None
        if record is None:
            continue
        made = {key: place for step in record.steps for key, place in made_by(step)}
        if name not in made:
            raise UsageError(f"{run}: {unknown('checkpoint', name, made)}")
        return run / made[name]
    raise UsageError(
        f"'{text}' is neither a checkpoint's folder, which has a gradus.json, nor RUN/STEP, as in "
        f"news/tuned (looked for {parent} and {runs_dir / parent})"
    )
