"""Checkpoints of kind ``ensemble``: several whole checkpoints whose answers are averaged.

Legend: M members, N texts, K labels.

Each member stands in a folder of its own, ``members/0``, ``members/1`` and so on, with its own
manifest, so that what belongs to a member (preparations, thresholds) stays with it. For labels the
mean of probabilities is said (a linear opinion pool, Stone 1961), for numbers the mean.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from gradus.checkpoints import (
    Manifest,
    hash_json,
    open_checkpoint,
    read_manifest,
    save_checkpoint,
)
from gradus.checkpoints.hashing import canonical_json
from gradus.checkpoints.manifest import MANIFEST
from gradus.errors import CheckpointError, TrainingError
from gradus.predict.base import Predictor
from gradus.predict.outputs import target_of, thresholds_of
from gradus.records import CheckpointRef

if TYPE_CHECKING:
    import numpy as np

MEMBERS: Final = "members"
TARGETS: Final = ("label", "labels", "number")


def save_ensemble(
    folder: str | Path,
    members: Sequence[Path],
    *,
    facts: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> CheckpointRef:
    """Save copies of checkpoints as one that averages them.

    Args:
        folder: where it shall stand.
        members: M folders of checkpoints with the same target and labels.
        facts: JSON; how it was made.
        name: the reference's name; by default the folder's.

    Raises:
        TrainingError: there is no member, or members differ in target or labels, or predict
            something that can't be averaged.
    """
    if not members:
        raise TrainingError("an ensemble needs a member")
    read = [read_manifest(Path(member)) for member in members]
    target, labels = target_of(read[0].preprocessing), tuple(read[0].labels)
    for manifest, place in zip(read, members, strict=True):
        if (target_of(manifest.preprocessing), tuple(manifest.labels)) != (target, labels):
            raise TrainingError(
                f"{place}: members of an ensemble have one target and the same labels in one order"
            )
    if target not in TARGETS:
        raise TrainingError(
            f"answers with target '{target}' can't be averaged; an ensemble takes "
            f"{', '.join(TARGETS)}"
        )
    preprocessing: dict[str, Any] = {"members": len(members)}
    if target != "label":
        preprocessing["target"] = target
    if target == "labels":
        rows = [thresholds_of(manifest.preprocessing, len(labels)) for manifest in read]
        preprocessing["thresholds"] = [sum(of) / len(rows) for of in zip(*rows, strict=True)]

    def write(partial: Path) -> None:
        for place, (manifest, member) in enumerate(zip(read, members, strict=True)):
            _copy(Path(member), manifest, partial / MEMBERS / str(place))

    return save_checkpoint(
        Path(folder),
        kind="ensemble",
        labels=labels,
        preprocessing=preprocessing,
        parents=[open_checkpoint(member) for member in members],
        facts=facts or {},
        write=write,
        name=name,
    )


def _copy(member: Path, manifest: Manifest, target: Path) -> None:
    """The member's own files, and its manifest without what differs from one training to the next.

    When it was made and what its step said of it stand in the ensemble's lineage; among the files
    they would give the same weights another digest every time.
    """
    for name in manifest.files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(member / name, target / name)
    bare = {**manifest.to_json(), "created": "", "facts": {}, "lineage": []}
    (target / MANIFEST).write_text(canonical_json(bare), encoding="utf-8")


class EnsemblePredictor(Predictor):
    """The mean of what several checkpoints say."""

    kind: ClassVar[str] = "ensemble"
    summary: ClassVar[str] = "several checkpoints whose probabilities, or numbers, are averaged"

    def __init__(self, members: Sequence[Predictor], manifest: Manifest) -> None:
        self.members = tuple(members)
        self.labels, self.target = tuple(manifest.labels), target_of(manifest.preprocessing)
        self._manifest = manifest

    @classmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """Load every member.

        Raises:
            CheckpointError: a member is missing or can't be read.
        """
        from gradus.predict.model import load

        folder = Path(ref.path)
        manifest = read_manifest(folder)
        count = manifest.preprocessing.get("members")
        if not isinstance(count, int) or count < 1:
            raise CheckpointError(
                f"{folder}: can't be read as kind 'ensemble' (it names no members); make the "
                "checkpoint anew"
            )
        # The ensemble's own hashes cover every file of its members.
        places = [folder / MEMBERS / str(place) for place in range(count)]
        opened = [load(p, dtype=dtype, threads=threads, verify=False).predictor for p in places]
        return cls(opened, manifest)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The means of the members'."""
        return thresholds_of(self._manifest.preprocessing, len(self.labels))

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N, K] logarithms of the mean probabilities."""
        import numpy as np
        from scipy.special import logsumexp

        if self.target not in ("label", "labels"):
            raise self._lacks("label")
        rows = self._each("log_probs", texts, progress)
        found: np.ndarray = logsumexp(np.stack(rows), axis=0) - np.log(len(rows))
        return found

    def numbers(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N], the members' mean."""
        import numpy as np

        if self.target != "number":
            raise self._lacks("number")
        return np.asarray(np.mean(self._each("numbers", texts, progress), axis=0))

    def _each(
        self, ask: str, texts: Sequence[str], progress: Callable[[int], None] | None
    ) -> list[np.ndarray]:
        """What each member says; progress is of the whole, in texts."""
        found, count = [], len(self.members)
        for place, member in enumerate(self.members):

            def told(done: int, before: int = place * len(texts)) -> None:
                if progress is not None:
                    progress((before + done) // count)

            found.append(getattr(member, ask)(texts, progress=told))
        return found

    @property
    def contract(self) -> Mapping[str, str]:
        """What the members agree on; ``mixed`` where they don't."""
        contracts = [member.contract for member in self.members]
        keys = dict.fromkeys(key for contract in contracts for key in contract)
        found = {}
        for key in keys:
            values = {contract.get(key, "none") for contract in contracts}
            found[key] = next(iter(values)) if len(values) == 1 else "mixed"
        if found.get("tokenizer") == "mixed":
            found["tokenizer"] = hash_json([c.get("tokenizer") for c in contracts])[:16]
        return found

    @property
    def size_bytes(self) -> int:
        """The sum of the members'."""
        return sum(member.size_bytes for member in self.members)
