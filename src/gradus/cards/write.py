"""Writing cards into checkpoint folders: whole or as before, and never over somebody's words."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from gradus.cards.facts import facts
from gradus.cards.licences import head
from gradus.cards.markdown import render
from gradus.cards.places import made_by
from gradus.checkpoints import CARD, is_checkpoint
from gradus.disk import sync
from gradus.errors import StorageError
from gradus.records import RunRecord

_SEAL: Final = re.compile(r"\n<!-- written by gradus, sha256 ([0-9a-f]{64}) -->\n\Z")


class Written(StrEnum):
    """What became of a card."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    """It was changed by hand, so it stays as it is."""
    RICHER = "richer"
    """It tells of a run that isn't at hand now, so it stays as it is."""


def sealed(text: str) -> str:
    """A card with its own hash at the end, by which it is known that nobody changed it since."""
    return f"{text}\n<!-- written by gradus, sha256 {_hash(text)} -->\n"


def is_own(text: str) -> bool:
    """Whether a card is as Gradus wrote it."""
    found = _SEAL.search(text)
    return found is not None and found[1] == _hash(text[: found.start()])


def tells(card: Path) -> bool:
    """Whether a card holds measurements, which nobody can write again without the run."""
    index = head(card).get("model-index")
    return isinstance(index, list) and bool(index)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def write_card(
    checkpoint: Path,
    *,
    run: Path | None = None,
    record: RunRecord | None = None,
    license: str | None = None,  # the word that plans and the Hub use
    force: bool = False,
) -> Written:
    """Write ``README.md`` into a checkpoint's folder; the content's digest doesn't change.

    Args:
        checkpoint: a folder with a manifest.
        run: as `facts`.
        record: as `facts`.
        license: as `facts`.
        force: write also over a card that was changed by hand.

    Raises:
        CheckpointError, UsageError, DataError: as `facts`.
        StorageError: the folder can't be written.
    """
    known = facts(checkpoint, run=run, record=record, license=license)
    path = Path(checkpoint) / CARD
    text = sealed(render(known))
    if known["made"]["run"] is None and not force and tells(path):
        return Written.RICHER
    return put(path, text, force=force)


def put(path: Path, text: str, *, force: bool = False) -> Written:
    """Put a sealed card in place.

    Raises:
        StorageError: the folder can't be written, or the disk is full.
    """
    try:
        before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
        if before == text:
            return Written.UNCHANGED
        if before is not None and not force and not is_own(before):
            return Written.KEPT
        _replace(path, text)
    except OSError as error:
        raise StorageError(f"{path}: can't be written ({error.strerror})") from error
    return Written.WRITTEN


def _replace(path: Path, text: str) -> None:
    # Hidden, so that what a killed process leaves here is no file of the checkpoint.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        partial.chmod(0o644)
        sync(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_run(run: Path, record: RunRecord, steps: Iterable[str] | None = None) -> list[Path]:
    """Write the cards of a run's checkpoints; with `steps`, of those that these made or measured.

    Returns:
        The cards that were changed by hand and stay as they are.

    Raises:
        CheckpointError, StorageError: as `write_card`.
    """
    kept = []
    for folder in _checkpoints(run, record, None if steps is None else set(steps)):
        if write_card(folder, run=run, record=record) is Written.KEPT:
            kept.append(folder / CARD)
    return kept


def _checkpoints(run: Path, record: RunRecord, steps: set[str] | None) -> Iterator[Path]:
    measured = {
        m.checkpoint.partition(".")[0]
        for step in record.steps
        if steps is None or step.id in steps
        for m in step.measurements
    }
    found = dict.fromkeys(
        run / path
        for step in record.steps
        if steps is None or step.id in steps or step.id in measured
        for _, path in made_by(step)
    )
    yield from (folder for folder in found if is_checkpoint(folder))
