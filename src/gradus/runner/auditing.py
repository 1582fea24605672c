"""The audit of a plan's data sets: once for each content, kept in the run folder."""

from __future__ import annotations

from typing import Final

from gradus import hardware
from gradus.data.audit.report import Audit
from gradus.data.dataset import Dataset
from gradus.errors import GradusError
from gradus.runner.fingerprint import digest
from gradus.runner.monitor import Reporter
from gradus.runner.store import RunFolder, read_json, write_json

MANY: Final = 50_000  # texts from which on it is said that the audit takes a while


def audited(dataset: Dataset, folder: RunFolder, reporter: Reporter) -> Audit:
    """The audit of a data set, from ``audits/NAME-DIGEST.json`` if it has been made before."""
    key = digest(
        {
            "data": dataset.digest,
            "conflicts": dataset.facts.get("conflicting_duplicates"),
            "version": hardware.version("gradus-lm"),
        }
    )
    path = folder.path / "audits" / f"{dataset.name}-{key[:12]}.json"
    if path.exists():
        try:
            return Audit.from_json(read_json(path))
        except (GradusError, KeyError, TypeError, ValueError):
            reporter.note(f"{path.name} can't be read: '{dataset.name}' is audited again")
    from gradus.data.audit.audit import audit

    texts = sum(len(split) for split in dataset.splits.values())
    if texts >= MANY:
        reporter.note(f"auditing '{dataset.name}', {texts:,} texts; 'audit: false' leaves it out")
    made = audit(dataset)
    write_json(path, made.to_json())
    return made
