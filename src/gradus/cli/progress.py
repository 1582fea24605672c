"""What `gradus run` says on standard error while it works."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path

from gradus import benchmarks
from gradus.cli import output
from gradus.cli.view import number, table, waiting_lines
from gradus.records import RunRecord, State, StepRecord, StepSpec
from gradus.registry import plain

_SIGNS = {"open": "✓ open", "closed": "✗ closed", "undecided": "? undecided"}


class TerminalReporter:
    """A bar on a terminal, plain lines elsewhere, nothing when quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._stack = ExitStack()
        self._report: output.Report | None = None
        self._title = ""
        self._began = time.monotonic()

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        self._stack.close()
        self._report = None

    def begin(self, plan: str, folder: Path, total: int) -> None:
        """Name the run."""
        self._say(f"run {plan}: {total} step{'s' if total != 1 else ''} in {folder}")

    def step(self, spec: StepSpec, index: int, total: int) -> None:
        """Name the step."""
        self.close()
        self._title = spec.id
        self._began = time.monotonic()
        self._say(f"[{index + 1}/{total}] {spec.id} ({plain(spec.kind)})")

    def progress(self, done: float, total: float, text: str) -> None:
        """Move the bar."""
        if self.quiet:
            return
        if self._report is None:
            self._report = self._stack.enter_context(output.progress(self._title))
        self._report(done, total, text)

    def note(self, text: str) -> None:
        """Print the sentence under the step."""
        self.close()
        self._say(f"      {text}")

    def finished(self, record: StepRecord) -> None:
        """Print state, main measurement and verdicts."""
        self.close()
        took = time.monotonic() - self._began
        if record.state is State.REUSED:
            self._say(f"      reused: nothing that it depends on has changed ({took:.1f} s)")
        elif record.state is State.FAILED:
            self._say(f"      failed after {took:.1f} s")
        elif record.state is State.PENDING:
            self._say("      pending")
        else:
            self._say(f"      {record.state} in {took:.1f} s")
        if record.waiting is not None:
            self._say(f"      {record.waiting.why}: {record.waiting.command}")
        for measurement in record.measurements:
            if measurement.metric in benchmarks.compared(measurement.benchmark)[:1]:
                place = ".".join(part for part in (measurement.data, measurement.split) if part)
                self._say(
                    f"      {measurement.checkpoint} {measurement.metric} {number(measurement)} "
                    f"on {measurement.n} items of {place}"
                )
        for verdict in record.gates:
            self._say(f"      {_SIGNS[str(verdict.verdict)]}: {verdict.gate}: {verdict.why}")

    def end(self, record: RunRecord) -> None:
        """Say how the run ended."""
        self.close()
        counts: dict[str, int] = {}
        for step in record.steps:
            counts[str(step.state)] = counts.get(str(step.state), 0) + 1
        parts = ", ".join(f"{count} {state}" for state, count in counts.items())
        self._say(f"run {record.plan} {record.state} after {record.seconds:.1f} s: {parts}")

    def summary(self, record: RunRecord, report: Path) -> None:
        """The table on standard output and where the report is."""
        columns, rows = table(record)
        output.print_table(columns, rows)
        for line in waiting_lines(record):
            print(line)
        print(f"report: {report}")
