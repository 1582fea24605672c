"""The console script: finds the command, imports nothing else, turns errors into messages.

Exit codes: 0 done, 1 error, 2 bad plan or usage, 3 a gate is closed, 4 waiting for people,
130 interrupted.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Final

import typer
import typer.core
import typer.main

from gradus.errors import EXIT_DONE, EXIT_ERROR, EXIT_INTERRUPTED, GradusError, Interrupted

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("gradus.cli.run", "Run a plan, or go on with a run that was interrupted."),
    "check": ("gradus.cli.check", "Find every fault of a plan before anything is computed."),
    "ls": ("gradus.cli.ls", "List steps, metrics, sources, the gate grammar, runs ..."),
    "audit": ("gradus.cli.audit", "Find leaks, conflicting labels and drift in data."),
    "compare": ("gradus.cli.compare", "Compare models on the same items; test every difference."),
    "compress": ("gradus.cli.compress", "Make a checkpoint smaller; recommend one as good."),
    "scaling": ("gradus.cli.scaling", "Fit loss against compute over a sweep of depths."),
    "overlap": ("gradus.cli.overlap", "Find what a training corpus holds of benchmarks."),
    "show": ("gradus.cli.show", "Show what a run measured and what its gates said."),
    "looks": ("gradus.cli.looks", "Say how often dev and test have been looked at."),
    "label-next": ("gradus.cli.label_next", "Choose the texts that are worth labelling next."),
    "label-read": ("gradus.cli.label_read", "Bring back what people labelled elsewhere."),
    "rate": ("gradus.cli.rate", "Serve the page on which people judge what was written."),
    "card": ("gradus.cli.card", "Write a checkpoint's model card."),
    "export": ("gradus.cli.export", "Copy a checkpoint with its card, checked; to the Hub too."),
    "report": ("gradus.cli.report", "Write a run's report again."),
    "evaluate": ("gradus.cli.evaluate", "Measure language models on benchmarks, or checkpoints."),
    "predict": ("gradus.cli.predict", "Label, tag, embed or answer texts with a checkpoint."),
    "serve": ("gradus.cli.serve", "Answer over HTTP with a checkpoint."),
    "generate": ("gradus.cli.generate", "Let a language model write; show how it chooses."),
    "ratings": ("gradus.cli.ratings", "Have writings rated elsewhere; bring the answers back."),
    "doctor": ("gradus.cli.doctor", "Measure this machine; say which extras are missing."),
}

_FOR_PROGRAMMERS = re.compile(r"\n(?:Args|Returns|Raises|Yields):\n.*", re.DOTALL)


def help_text(function: Callable[..., Any]) -> str:
    """The docstring as help: indented paragraphs verbatim, programmers' sections left out."""
    text = _FOR_PROGRAMMERS.sub("", inspect.cleandoc(function.__doc__ or ""))
    # A paragraph that starts with \b isn't rewrapped.
    return "\n\n".join(
        "\b\n" + block if any(line.startswith(" ") for line in block.splitlines()) else block
        for block in text.split("\n\n")
    )


class LazyGroup(typer.core.TyperGroup):
    """Knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command's name, in the table's order, then the steps."""
        return list(dict.fromkeys([*COMMANDS, *_steps()]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported now; None when the table doesn't hold it."""
        if cmd_name not in COMMANDS:
            if cmd_name not in _steps():
                return None
            from gradus.cli import step

            return step.build(cmd_name)
        name, summary = COMMANDS[cmd_name]
        module = importlib.import_module(name)
        function = getattr(module, cmd_name.replace("-", "_"))
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        settings = getattr(module, "CONTEXT", None)
        app.command(
            name=cmd_name, help=help_text(function), short_help=summary, context_settings=settings
        )(function)
        return typer.main.get_command(app)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does, with a suggestion taken from the table."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            near = get_close_matches(args[0], known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            ctx.fail(f"unknown command '{args[0]}': {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The table's lines; importing seven modules for seven lines would cost a second."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        with formatter.section("One step without a plan file"):
            formatter.write_text(", ".join(_steps()))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C is given a name before typer turns it into a silent exit."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted from error


def _steps() -> list[str]:
    from gradus.registry import names, plain

    return list(dict.fromkeys(plain(name) for name in names("steps")))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"gradus {version('gradus-lm')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take a language model through its life one step at a time.

    Know after each step whether it helped.

    Examples:
      gradus check plans/news.yaml
      gradus run plans/news.yaml
      gradus ls metrics
    """


def command() -> Any:
    """The whole command line as one (click) command."""
    app = typer.Typer(
        cls=LazyGroup,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=help_text(_root))(_root)
    return typer.main.get_command(app)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code. `args` defaults to the process's own.

    Only errors that Gradus raises on purpose become messages; any other keeps its traceback.
    """
    # Libraries draw bars of their own in the middle of ours; one progress display is enough.
    os.environ.setdefault("TQDM_DISABLE", "1")
    from gradus.runner import ranks

    try:
        with ranks.joined() as leads:
            if not leads:
                return ranks.follow()
            command().main(args=None if args is None else list(args), prog_name="gradus")
    except SystemExit as stop:
        return _finish(stop.code)
    except GradusError as error:
        from gradus.cli.output import print_error

        print_error(str(error))
        return error.exit_code
    except Interrupted:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    return _finish(EXIT_DONE)


def _finish(code: object) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    return code if isinstance(code, int) else EXIT_DONE if code is None else EXIT_ERROR


def _reader_left() -> int:
    # The interpreter flushes standard output once more at exit; let it do so into nothing.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_ERROR


if __name__ == "__main__":
    sys.exit(main())
