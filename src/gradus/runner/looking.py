"""Counting looks at dev and readings of test, and finding the counts for the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradus import ledger, looks
from gradus.errors import StorageError
from gradus.records import StepSpec
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.monitor import Reporter, RunMonitor
from gradus.steps.base import Target


def count_chosen(
    spec: StepSpec, mark: str, monitor: RunMonitor, inputs: Inputs, reporter: Reporter
) -> None:
    """Count a step that was scored on dev.select, whose fingerprint is `mark`.

    Of one that runs others inside itself each of these has been counted (`counts_chosen`).
    """
    if monitor.scored and not monitor.configurations:
        counts_chosen(spec, inputs, reporter)(mark, monitor.scored)


def counts_chosen(spec: StepSpec, inputs: Inputs, reporter: Reporter) -> Callable[[str, int], None]:
    """Counts one configuration at a time, by its fingerprint and the number of its scores."""

    def count(mark: str, compared: int) -> None:
        for name in [*spec.data, *spec.corpora][:1]:
            _note(spec, name, "dev.select", mark, inputs, reporter, compared=compared)

    return count


def count_measured(
    spec: StepSpec, targets: Sequence[Target], inputs: Inputs, reporter: Reporter
) -> None:
    """Count what a step was measured on: on dev.gate one look, on dev.select one a checkpoint."""
    on_dev = [t for t in targets if t.benchmark is None and t.split in looks.HALVES]
    for name in dict.fromkeys(t.data for t in on_dev):
        for split in looks.HALVES:
            found = sorted(
                {
                    inputs.checkpoint(t.checkpoint).digest
                    for t in on_dev
                    if (t.data, t.split) == (name, split)
                }
            )
            if found and split == "dev.gate":
                mark, gates = digest(found), len(spec.gates)
                _note(spec, name, split, mark, inputs, reporter, gates=gates)
            elif found:
                for one in found:
                    _note(spec, name, split, one, inputs, reporter)


def counted(inputs: Inputs) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """By data set and corpus, how often test has been read, and every split been looked at.

    A split that a data set lacks isn't named; where looks can't be counted, dev isn't.
    """
    digests = {name: data.split_digests for name, data in inputs.datasets.items()}
    digests |= {name: corpus.split_digests for name, corpus in inputs.corpora.items()}
    try:
        known = looks.everything()
    except StorageError:
        known = None  # said when the look was to be counted
    readings = {name: ledger.count(of["test"]) for name, of in digests.items() if "test" in of}
    found = {}
    for name, of in digests.items():
        found[name] = {
            split: looks.count(known, of[split], split)
            for split in looks.HALVES
            if known is not None and split in of
        }
        if name in readings:
            found[name]["test"] = readings[name]
    return readings, found


def _note(
    spec: StepSpec,
    data: str,
    split: str,
    mark: str,
    inputs: Inputs,
    reporter: Reporter,
    *,
    compared: int = 1,
    gates: int = 0,
) -> None:
    """Count one look; a state folder that can't be written costs the count, not the run.

    Readings of test are another matter (`gradus.ledger`): there the run is refused.
    """
    try:
        looks.note(
            inputs.split_digest(data, split),
            split,
            mark,
            data=data,
            run=str(inputs.folder.path),
            step=spec.id,
            compared=compared,
            gates=gates,
        )
    except StorageError as error:
        reporter.note(f"looks at {data}.{split} aren't counted: {error}")
