"""The facts of a run: read from its folder, put in a reader's order, nothing computed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradus.errors import DataError, UsageError
from gradus.records import CheckpointRef, RunRecord, State, StepRecord
from gradus.registry import plain
from gradus.report import raters
from gradus.report.curves import read_curves
from gradus.report.frontier import frontiers
from gradus.report.headline import best, headline
from gradus.report.predictions import predictions
from gradus.report.reading import is_quality, main_metric, on_file

FORMAT = 1


def facts(run_folder: Path) -> dict[str, Any]:
    """Everything a report says about a run, as plain JSON (no NaN, no infinity).

    Keys: ``format``, ``run``, ``headline``, ``main``, ``best``, ``lineage``, ``steps``, ``final``,
    ``frontiers``, ``predictions``, ``data``, ``corpora``, ``readings``, ``looks``, ``models``,
    ``notes``, ``published``, ``environment``, ``plan``. Values keep the units of the records they
    come from.

    Raises:
        UsageError: there is no ``run.json`` in the folder.
        DataError: ``run.json``, the resolved plan or a file of curves is broken or missing.
        CheckpointError: an item file is missing or broken, and its step didn't fail.
    """
    run_folder = Path(run_folder)
    record = _record(run_folder)
    plan, plan_steps = _plan(run_folder)
    steps = [_step(run_folder, step) for step in record.steps]
    gathered: dict[str, Any] = {
        "format": FORMAT,
        "run": {
            "name": Path(record.run).name,
            "plan": record.plan,
            "about": record.about,
            "state": str(record.state),
            "seed": record.seed,
            "started": record.started,
            "finished": record.finished,
            "seconds": record.seconds,
        },
        "steps": steps,
        "data": {name: _data(known) for name, known in record.data.items()},
        "corpora": {name: _data(facts) for name, facts in record.corpora.items()},
        "readings": dict(record.readings),
        "looks": {name: dict(of) for name, of in record.looks.items()},
        "models": _models(record),
        "notes": _notes(record),
        "published": [row for s in record.steps for row in s.facts.get("published", ())],
        "environment": dict(record.environment),
        "plan": plan,
    }
    gathered = finite(gathered)
    gathered["main"] = main_metric(gathered["steps"])
    gathered["final"] = _final(gathered["steps"], gathered["readings"])
    gathered["frontiers"] = finite(frontiers(run_folder, gathered))
    gathered["best"] = best(gathered)
    gathered["predictions"] = finite(predictions(run_folder, gathered))
    gathered["lineage"] = _lineage(gathered, plan_steps)
    gathered["headline"] = headline(gathered)
    return gathered


def finite(value: Any) -> Any:
    """JSON without NaN and infinities: an undefined number is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def _record(run_folder: Path) -> RunRecord:
    path = run_folder / "run.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"{run_folder} is no run folder: it has no run.json; 'gradus ls runs' lists the runs"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise DataError(f"not readable as JSON ({error})", file=path, line=line) from error
    try:
        return RunRecord.from_json(raw)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"not the record of a run that this version of Gradus reads ({error})", file=path
        ) from error


def _plan(run_folder: Path) -> tuple[str | None, dict[str, Any]]:
    """The resolved plan's text, and its steps by id."""
    import yaml

    path = run_folder / "plan.resolved.yaml"
    if not path.exists():
        return None, {}
    text = path.read_text(encoding="utf-8")
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DataError(f"not readable as YAML ({error})", file=path) from error
    steps = raw.get("steps") if isinstance(raw, dict) else None
    named = [s for s in steps or () if isinstance(s, dict) and "id" in s]
    return text, {str(s["id"]): s for s in named}


def _step(run_folder: Path, record: StepRecord) -> dict[str, Any]:
    apart = (
        "changes",
        "published",
        "slices",
        "seeds",
        "benchmarks",
        "benchmark_changes",
        "written",
        "optimism",
    )
    of_raters = raters.apart(record.facts)
    known = {k: v for k, v in record.facts.items() if k not in (*apart, *of_raters)}
    return {
        "id": record.id,
        "step": plain(record.step),
        "state": str(record.state),
        "seconds": record.seconds,
        "checkpoint": record.checkpoint,
        "parents": list(record.parents),
        "measurements": [m.to_json() for m in record.measurements],
        "changes": [dict(change) for change in record.facts.get("changes", ())],
        "gates": [v.to_json() for v in record.gates],
        "slices": [dict(row) for row in record.facts.get("slices", ())],
        "seeds": dict(record.facts.get("seeds", {})),
        "optimism": [dict(row) for row in record.facts.get("optimism", ())],
        "benchmarks": [dict(row) for row in record.facts.get("benchmarks", ())],
        "benchmark_changes": [dict(row) for row in record.facts.get("benchmark_changes", ())],
        "written": dict(record.facts.get("written", {})),
        "rated": of_raters,
        "curves": read_curves(run_folder, record),
        "cost": dict(record.cost),
        "notes": list(record.notes),
        "facts": known,
        "error": record.error,
        "waiting": _waiting(record),
        "started": record.started,
        "finished": record.finished,
    }


def _waiting(record: StepRecord) -> dict[str, Any] | None:
    """Whom a step waits for; the command names a path of the machine that ran it."""
    if record.waiting is None:
        return None
    return {k: v for k, v in record.waiting.to_json().items() if k in ("why", "have", "wanted")}


def _models(record: RunRecord) -> list[dict[str, Any]]:
    """The plan's models, without the paths of the machine that ran it."""
    refs = [(name, CheckpointRef.from_json(raw)) for name, raw in record.models.items()]
    return [
        {"name": name, "kind": ref.kind, "origin": dict(ref.origin), "digest": ref.digest}
        for name, ref in refs
    ]


def _data(known: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a data set, without the path on the machine that ran it."""
    return {key: value for key, value in known.items() if key != "path"}


def _notes(record: RunRecord) -> list[dict[str, Any]]:
    notes: list[dict[str, Any]] = [{"about": None, "text": text} for text in record.notes]
    for name, known in {**record.data, **record.corpora}.items():
        notes += [{"about": name, "text": text} for text in known.get("notes", ())]
        if known.get("optimistic") and not known.get("notes"):
            notes.append(
                {
                    "about": name,
                    "text": "The halves of dev are joined: the data behind the verdicts also "
                    "chose the models, so the verdicts are optimistic.",
                }
            )
    for step in record.steps:
        notes += [{"about": step.id, "text": text} for text in step.notes]
        notes += [
            {
                "about": step.id,
                "text": f"No claim rests on the gate \u201c{v.gate}\u201d: an earlier test of the "
                "plan failed (fixed-sequence testing).",
            }
            for v in step.gates
            if not v.claim
        ]
    return notes


def _final(steps: list[dict[str, Any]], readings: dict[str, Any]) -> list[dict[str, Any]]:
    """What evaluate steps measured, one group for each step, data set and split."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for step in steps:
        for m in step["measurements"]:
            if not on_file(m) and (step["step"] == "evaluate" or m["split"] == "test"):
                groups.setdefault((step["id"], m["data"], m["split"]), []).append(m)
    return [
        {
            "step": step,
            "data": data,
            "split": split,
            "readings": readings.get(data) if split == "test" else None,
            "checkpoints": list(dict.fromkeys(m["checkpoint"] for m in group)),
            "measurements": group,
        }
        for (step, data, split), group in groups.items()
        if any(is_quality(m) for m in group)
    ]


def _lineage(known: dict[str, Any], plan_steps: dict[str, Any]) -> dict[str, Any]:
    """Models, data sets without a model and steps as nodes; edges from what came before."""
    nodes: dict[str, dict[str, Any]] = {
        m["name"]: {"id": m["name"], "node": "model", "kind": m["kind"], "origin": m["origin"]}
        for m in known["models"]
    }
    ids = {step["id"] for step in known["steps"]}
    edges: list[list[str]] = []
    for step in known["steps"]:
        parents = [p if p in nodes or p in ids else p.partition(".")[0] for p in step["parents"]]
        for data in () if parents else _fed_by(plan_steps.get(step["id"], {}), known["corpora"]):
            node = {"id": f"data:{data}", "node": "data", "kind": data}
            nodes.setdefault(node["id"], {**node, "corpus": data in known["corpora"]})
            parents.append(f"data:{data}")
        for parent in dict.fromkeys(parents):
            if parent not in ids:
                nodes.setdefault(parent, {"id": parent, "node": "model", "kind": "", "origin": {}})
            edges.append([parent, step["id"]])
    for step in known["steps"]:
        nodes[step["id"]] = {
            "id": step["id"],
            "node": "step",
            "kind": step["step"],
            "state": step["state"],
            "gates": [g["verdict"] for g in step["gates"]],
            "measurement": _own(step, known["main"]),
        }
    return {"nodes": list(nodes.values()), "edges": edges}


def _fed_by(step: dict[str, Any], corpora: Mapping[str, Any]) -> list[str]:
    """The data set or the corpora that a step of the resolved plan names."""
    given = [step.get("data"), step.get("corpus"), *_mixed(step.get("corpora"))]
    named = [name for name in given if isinstance(name, str)]
    return list(dict.fromkeys(n for n in named if n in corpora or n == step.get("data")))


def _mixed(corpora: Any) -> list[Any]:
    """Names of corpora in a list, with shares, or inside a ``mix``."""
    if isinstance(corpora, Mapping):
        return _mixed(corpora["mix"]) if "mix" in corpora else list(corpora)
    return list(corpora or ())


def _own(step: dict[str, Any], main: dict[str, Any] | None) -> dict[str, Any] | None:
    """The main metric of a step's own checkpoint, where the step isn't an evaluation."""
    if main is None or step["step"] == "evaluate" or step["state"] == State.FAILED:
        return None
    for m in step["measurements"]:
        if m["checkpoint"] == step["id"] and m["metric"] == main["metric"]:
            return {k: m[k] for k in ("metric", "value", "unit", "ci_low", "ci_high", "split")}
    return None
