"""Writes docs/reference/*.md from the catalog, the configs and the docstrings; see `make docs`.

Nothing in the reference is written by hand, so that it can't say what the code doesn't.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import inspect
import io
import os
import textwrap
from pathlib import Path
from typing import Final

import gradus
from docstrings import (
    annotation,
    code,
    config_table,
    described,
    fenced,
    page,
    prose,
    signature,
    table,
    text_of,
)
from gradus import registry

HERE: Final = Path(__file__).resolve().parent


def pages() -> dict[str, str]:
    """Every page of the reference by its file's name."""
    return {
        "plan.md": plan_page(),
        "cli.md": cli_page(),
        "steps.md": steps_page(),
        "metrics.md": metrics_page(),
        "gates.md": gates_page(),
        "sources.md": sources_page(),
        "python.md": python_page(),
    }


def main() -> None:
    """Write the pages into a folder, by default the one that mkdocs reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "reference")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(folder / name)


def plan_page() -> str:
    """Top-level keys, data, measuring, and what every step has."""
    from gradus.data.config import ColumnsConfig, DataConfig, SplitConfig
    from gradus.data.corpora.config import CleanConfig, CorpusColumns, CorpusConfig
    from gradus.data.given import Shares
    from gradus.plan.measure import MeasureConfig
    from gradus.plan.schema import schema
    from gradus.plan.scores import ScoreConfig

    top = schema()["properties"]
    keys = {
        "name": "the run's folder is `runs/NAME`",
        "about": "what a reader shall know; it stands at the head of the report",
        "seed": "every draw of the plan is derived from it and from what draws",
        "vars": "plan variables: `${NAME}` in any text, `${env:NAME}` for the environment",
        "data": "data sets by name; see below",
        "corpora": "corpora by name, to pretrain on; see below",
        "models": "[sources](sources.md) of weights by name",
        "steps": "a list of [steps](steps.md), done in order",
        "measure": "settings of measuring; see below",
        "scores": "metrics of the plan's own, by name; see below",
    }
    missing = set(top) ^ set(keys)
    if missing:
        raise SystemExit(f"docs/reference.py: say what these keys of a plan are: {missing}")
    own = [
        ("id", "what gates, other steps and the report call it"),
        ("step", "its kind, with or without a version; the newest when left out"),
        ("gates", "a list of [gates](gates.md), judged after the step"),
        ("on_undecided", "`warn` (default) or `stop`"),
        ("seeds", "how often the step is done, each time with another seed (1)"),
    ]
    return page(
        "Plan",
        "A YAML file. `gradus check --schema` prints its JSON Schema; unknown keys are faults.",
        table(("key", "meaning"), [(f"`{k}`", v) for k, v in keys.items()]),
        "## Keys of every step",
        table(("key", "meaning"), [(f"`{k}`", v) for k, v in own]),
        "## `data`",
        config_table(DataConfig),
        "### `columns`",
        prose(ColumnsConfig),
        config_table(ColumnsConfig),
        "### `split`",
        prose(SplitConfig),
        config_table(SplitConfig),
        "## `corpora`",
        prose(CorpusConfig),
        config_table(CorpusConfig),
        "### `columns` of a corpus",
        prose(CorpusColumns),
        config_table(CorpusColumns),
        "### `clean`",
        prose(CleanConfig),
        config_table(CleanConfig),
        "### `split` of a corpus",
        prose(Shares),
        config_table(Shares),
        "## `measure`",
        config_table(MeasureConfig),
        "## `scores`",
        prose(ScoreConfig),
        config_table(ScoreConfig),
    )


def cli_page() -> str:
    """The help of every command."""
    from gradus.cli.main import COMMANDS

    parts = ["## gradus", fenced(help_of([]))]
    for name in COMMANDS:
        parts += [f"## gradus {name}", fenced(help_of([name]))]
    codes = [
        ("0", "done"),
        ("1", "an error"),
        ("2", "a bad plan, argument or input"),
        ("3", "a gate is closed"),
        ("4", "waiting for people"),
        ("130", "interrupted; run again to go on"),
    ]
    return page("Command line", *parts, "## Exit codes", table(("code", "meaning"), codes))


def help_of(path: list[str]) -> str:
    """What ``--help`` prints, 80 columns wide."""
    from gradus.cli.main import main as gradus_main

    told = io.StringIO()
    os.environ["COLUMNS"] = "80"
    with contextlib.redirect_stdout(told):
        gradus_main([*path, "--help"])
    return told.getvalue()


def steps_page() -> str:
    """Every step, its config and an example; stages, objectives, adapters, choices, schemes."""
    from gradus.generation import Decoding
    from gradus.training.config import StageConfig
    from gradus.writing.prompts import PromptsConfig

    parts = []
    for name in registry.names("steps"):
        kind = registry.load("steps", name)
        parts += [f"## {registry.plain(name)}", f"`{name}`. {prose(kind)}"]
        parts += [config_table(kind.Config), fenced(kind.example, "yaml")]
        if registry.plain(name) == "finetune":
            parts += ["### Keys of a stage", prose(StageConfig), config_table(StageConfig)]
        if registry.plain(name) == "sample":
            for key, config in (("prompts", PromptsConfig), ("decoding", Decoding)):
                parts += [f"### Keys of `{key}`", prose(config), config_table(config)]
    parts.append("## Objectives")
    for name in registry.names("objectives"):
        kind = registry.load("objectives", name)
        parts += [f"### {registry.plain(name)}", f"`{name}`. {prose(kind)}"]
        parts += [config_table(kind.Config), fenced(f"objective: {kind.example}", "yaml")]
    choices = (
        ("adapters", "adapter"),
        ("optimisers", "optimiser"),
        ("losses", "loss"),
        ("preparations", "prepare"),
    )
    for section, key in choices:
        parts.append(f"## {section.capitalize()}")
        for name in registry.names(section):
            kind = registry.load(section, name)
            parts += [f"### {registry.plain(name)}", f"`{name}`. {prose(kind)}"]
            example = f"[{kind.example}]" if key == "prepare" else kind.example
            parts += [config_table(kind.Config), fenced(f"{key}: {example}", "yaml")]
    parts.append("## Schemes of `quantize`")
    for name in registry.names("schemes"):
        parts += [
            f"### {registry.plain(name)}",
            f"`{name}`. {prose(registry.load('schemes', name))}",
        ]
    return page("Steps", *parts)


def metrics_page() -> str:
    """Every metric with unit, direction, range and source; the benchmarks they belong to."""
    rows = []
    for name in registry.names("metrics"):
        kind = registry.load("metrics", name)
        written = f"{kind.name}[LABEL]" if kind.per_label else kind.name
        low, high = kind.range
        rows.append(
            (
                f"`{written}`",
                kind.summary,
                kind.unit,
                kind.direction,
                f"{low:g} to {'∞' if high == float('inf') else f'{high:g}'}",
                kind.interval,
                kind.source,
            )
        )
    parts = []
    for name in registry.names("benchmarks"):
        kind = registry.load("benchmarks", name)
        parts += [f"### {name}", kind.protocol, ", ".join(f"`{m}`" for m in kind.metrics)]
    computed = []
    for name in registry.names("features"):
        kind = registry.load("features", name)
        columns = ", ".join(f"`{column}`" for column in kind.columns)
        computed.append((f"`{name}`", kind.summary, ", ".join(kind.needs), columns))
    return page(
        "Metrics",
        "Undefined values are `NaN` and close a gate. Versions: "
        + ", ".join(f"`{n}`" for n in registry.names("metrics"))
        + ".",
        table(("metric", "is", "unit", "better", "range", "interval", "source"), rows),
        "## Benchmarks",
        *parts,
        "## What is computed of texts",
        "Once for all texts of a step `sample`; the metrics of `written.v1` rest on it.",
        table(("feature", "is", "needs", "columns"), computed),
    )


def gates_page() -> str:
    """Grammar, forms, data gates."""
    from gradus.data.audit.names import GATED
    from gradus.gates import grammar, sequence, verdicts

    ebnf = textwrap.dedent((grammar.__doc__ or "").split("::", 1)[1].split("A space stands")[0])
    forms = [(f"`{form}`", meaning) for form, meaning in grammar.forms()]
    return page(
        "Gates",
        fenced(ebnf.strip("\n")),
        "A space stands around every operator.",
        table(("gate", "meaning"), forms),
        "## On data",
        "Under `data.NAME.gates`, compared with a number: "
        + ", ".join(f"`{name}`" for name in GATED)
        + ".",
        "## Verdicts",
        text_of(verdicts.__doc__, skip_first=True),
        "## The fixed sequence",
        text_of(sequence.__doc__, skip_first=True),
    )


def sources_page() -> str:
    """Sources with their options, formats, checkpoint kinds."""
    parts = []
    for name in registry.names("sources"):
        kind = registry.load("sources", name)
        gives = " and ".join(sorted(kind.purposes))
        parts += [f"## {kind.key}", f"`{name}`: {kind.summary}. Gives {gives}. {prose(kind)}"]
        parts += [prose(kind.Config), fenced(kind.example, "yaml")]
    parts.append("## Formats")
    for name in registry.names("formats"):
        kind = registry.load("formats", name)
        suffixes = ", ".join(f"`{s}`" for s in kind.suffixes)
        parts += [
            f"### {kind.name}",
            f"`{name}`: {prose(kind)}" + (f" {suffixes}" if suffixes else ""),
        ]
        if kind.Config.model_fields:
            said, *listed = described(kind.Config)
            parts += [f"`options:` {said}", *listed]
        parts.append(fenced(kind.example, "yaml"))
    rows = [(f"`{n}`", registry.load("kinds", n).summary) for n in registry.names("kinds")]
    parts += ["## Kinds of checkpoints", table(("kind", "is"), rows)]
    rows = [(f"`{n}`", registry.load("engines", n).summary) for n in registry.names("engines")]
    parts += ["## Engines of `gradus serve`", table(("engine", "is"), rows)]
    return page("Sources and formats", *parts)


def python_page() -> str:
    """What stands in ``gradus.__all__``."""
    from gradus.predict import Model

    parts = []
    for name in gradus.__all__:
        thing = getattr(gradus, name)
        if isinstance(thing, str):
            parts += [f"## {name}", "The installed version."]
        elif inspect.isclass(thing):
            parts += [f"## {name}", *described(thing)]
            if dataclasses.is_dataclass(thing):
                rows = [
                    (f"`{f.name}`", code(annotation(f.type))) for f in dataclasses.fields(thing)
                ]
                parts.append(table(("field", "type"), rows))
        else:
            parts += [f"## {name}", fenced(signature(name, thing), "python"), *described(thing)]
    parts += ["## Model", "What `gradus.load` and `gradus.finetune` give.", *described(Model)]
    for method in ("predict", "predict_proba"):
        made = getattr(Model, method)
        parts += [f"### {method}", fenced(signature(method, made), "python"), *described(made)]
    return page("Python", "Imported when first used.", *parts)


if __name__ == "__main__":
    main()
