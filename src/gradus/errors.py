"""The error tree. Every message says what is wrong, where, and what to do about it.

::

    GradusError                 exit 1
    ├── UsageError              exit 2   a command or an argument is wrong
    ├── PlanError               exit 2   a plan has faults; holds all of them
    ├── UnknownName             exit 2   a name that the catalog doesn't hold
    ├── MissingExtra            exit 2   an optional package isn't installed
    ├── SourceError             exit 2   weights or data can't be found where the plan says
    ├── DataError               exit 2   a data file is broken: names file, line and field
    ├── DataChanged             exit 1   data differs from what an unfinished run began with
    ├── CheckpointError         exit 1   missing manifest, wrong checksum, unreadable weights
    ├── RunBusy                 exit 1   another process works in the same run folder
    ├── TrainingError           exit 1   training can't go on (loss not finite, nothing trainable)
    ├── ContractError           exit 1   two measurements can't be compared
    ├── ServiceError            exit 1   an address that a plan names can't be asked
    └── StorageError            exit 1   disk full or folder not writable
    Interrupted                 exit 130 Ctrl-C or SIGTERM; the run can be resumed
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar

from gradus.records import Fault

EXIT_DONE, EXIT_ERROR, EXIT_USAGE, EXIT_CLOSED, EXIT_WAITING, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130


class GradusError(Exception):
    """Base of all errors that Gradus raises on purpose; `exit_code` is the process's."""

    exit_code: ClassVar[int] = EXIT_ERROR


class UsageError(GradusError):
    """A command, option or argument is wrong."""

    exit_code = EXIT_USAGE


class PlanError(GradusError):
    """A plan has faults, all of which are in `faults`."""

    exit_code = EXIT_USAGE

    def __init__(self, faults: Iterable[Fault], plan: str | Path | None = None) -> None:
        self.faults = tuple(faults)
        self.plan = str(plan) if plan is not None else None
        count = len(self.faults)
        head = f"{self.plan or 'the plan'} has {count} fault{'s' if count != 1 else ''}:"
        super().__init__("\n".join([head, *(f"  {fault}" for fault in self.faults)]))


class UnknownName(GradusError):
    """A name that isn't in the catalog."""

    exit_code = EXIT_USAGE

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, tuple(known)
        super().__init__(unknown(what, name, self.known))


class MissingExtra(GradusError):
    """An optional package isn't installed."""

    exit_code = EXIT_USAGE

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which isn't installed: "
            f"pip install 'gradus-lm[{extra}]'"
        )


class SourceError(GradusError):
    """Weights or data can't be found where the plan says they are."""

    exit_code = EXIT_USAGE


class DataError(GradusError):
    """A data file is broken; the message names file, line (from 1) and field."""

    exit_code = EXIT_USAGE

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        self.file, self.line, self.field = (str(file) if file else None), line, field
        where = [str(file)] if file else []
        where += [f"line {line:,}"] if line is not None else []
        where += [f"field '{field}'"] if field else []
        super().__init__(f"{', '.join(where)}: {message}" if where else message)


class DataChanged(GradusError):
    """Data differs from what an unfinished run began with."""


class CheckpointError(GradusError):
    """A checkpoint has no manifest, a wrong checksum or unreadable content."""


class RunBusy(GradusError):
    """Another process works in the same run folder."""


class TrainingError(GradusError):
    """Training can't go on: a loss that isn't finite, nothing trainable, no examples."""


class ContractError(GradusError):
    """Two measurements were taken under different contracts and can't be compared."""


class ServiceError(GradusError):
    """An address that a plan names doesn't answer, refuses, or speaks another protocol."""


class StorageError(GradusError):
    """The disk is full or the folder can't be written."""


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. Like KeyboardInterrupt it isn't an Exception, so nothing swallows it."""

    exit_code: ClassVar[int] = EXIT_INTERRUPTED


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that isn't known, with the nearest known name.

    >>> unknown("step", "finetun", ["finetune", "prompt"])
    "unknown step 'finetun': did you mean 'finetune'?"
    """
    names = sorted(set(known))
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"unknown {what} '{name}': did you mean '{near[0]}'?"
    return f"unknown {what} '{name}': known are {', '.join(names) or 'none'}"
