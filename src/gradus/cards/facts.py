"""The facts of a model card: read from a manifest and a run's record, nothing computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from gradus import registry
from gradus.cards import licences
from gradus.cards.licences import Licence
from gradus.cards.limits import limits
from gradus.cards.measured import rows
from gradus.cards.places import Place, find, read_record, run_of
from gradus.cards.terms import terms
from gradus.checkpoints import CARD, Ancestor, Manifest, read_manifest
from gradus.errors import UsageError
from gradus.records import RunRecord, StepRecord
from gradus.registry import plain

_NEVER_DATA: Final = frozenset({"about", "gates", "id", "model", "models", "step"})

FORMAT = 1


def facts(
    checkpoint: Path,
    *,
    run: Path | None = None,
    record: RunRecord | None = None,
    license: str | None = None,  # the word that plans and the Hub use
    name: str | None = None,
) -> dict[str, Any]:
    """Everything that a card says of a checkpoint, as plain JSON (no NaN, no infinity).

    Args:
        checkpoint: a folder with a manifest.
        run: the run folder that knows it; left out, the one that it stands in, if it does.
        record: the run's record where it is at hand; read from `run` otherwise.
        license: what whoever publishes it says of its licence.
        name: what the card calls it; left out, the plan and the step.

    Returns:
        ``format``, ``name``, ``checkpoint``, ``made``, ``licence``, ``lineage``, ``data``,
        ``measurements``, ``verdicts``, ``contract``, ``cost``, ``environment``, ``limits``.

    Raises:
        CheckpointError: no manifest, or one that can't be read.
        UsageError: `run` is no run folder.
        DataError: the run's record is damaged.
    """
    checkpoint = Path(checkpoint)
    manifest = read_manifest(checkpoint)
    folder = run_of(checkpoint) if run is None else run
    if folder is not None and record is None:
        record = read_record(folder)
        if record is None:
            raise UsageError(f"{folder} is no run folder: it has no run.json")
    place = None
    if folder is not None and record is not None:
        place = find(folder, record, checkpoint, manifest)
    found: dict[str, Any] = {
        "format": FORMAT,
        "name": name or _name(record, place, checkpoint),
        "checkpoint": _checkpoint(manifest),
        "made": _made(record, place, manifest),
        "lineage": _lineage(manifest, record),
        "data": _data(folder, record, place) if folder and record and place else [],
        "measurements": rows(record, place) if record and place else [],
        "verdicts": _verdicts(record, place) if record and place else [],
        "cost": dict(place.step.cost) if place and place.step else {},
        "environment": dict(record.environment) if record and place else {},
    }
    found["contract"] = _contract(found["measurements"])
    found["licence"] = terms(found, license)
    finite = _finite(found)
    finite["limits"] = limits(finite)
    return finite  # type: ignore[no-any-return]  # of any JSON


def _name(record: RunRecord | None, place: Place | None, checkpoint: Path) -> str:
    if record is None or place is None:
        return checkpoint.resolve().name
    return f"{record.plan}-{place.name}" if place.step is not None else place.name


def _target(manifest: Manifest) -> str | None:
    """What it says of a text; None for what predicts nothing, as a tokenizer."""
    predicts = manifest.kind in {plain(name) for name in registry.names("kinds")}
    target: str | None = manifest.preprocessing.get("target", "label" if predicts else None)
    return target


def _checkpoint(manifest: Manifest) -> dict[str, Any]:
    # What its answers are called: a calibrated checkpoint may map the labels of its weights.
    called = manifest.preprocessing.get("postprocess", {}).get("label_map", {})
    return {
        "kind": manifest.kind,
        "target": _target(manifest),
        "digest": manifest.digest,
        "size_bytes": manifest.size_bytes,
        "labels": list(dict.fromkeys(called.get(label, label) for label in manifest.labels)),
        "preprocessing": dict(manifest.preprocessing),
        "files": {name: entry.to_json() for name, entry in manifest.files.items()},
        "created": manifest.created,
        "gradus": manifest.gradus,
        "facts": dict(manifest.facts),
    }


def _made(record: RunRecord | None, place: Place | None, manifest: Manifest) -> dict[str, Any]:
    """By which step of which plan; ``state`` is that of the step."""
    if record is None or place is None:
        return {"run": None, "step": None, "notes": []}
    step = place.step
    return {
        "run": Path(record.run).name,
        "plan": record.plan,
        "about": record.about,
        "seed": record.seed,
        "called": place.name,
        "repeat": place.seed,
        "step": None if step is None else step.id,
        "kind": None if step is None else plain(step.step),
        "state": None if step is None else str(step.state),
        "fingerprint": None if step is None else step.fingerprint,
        "parents": [] if step is None else list(step.parents),
        "notes": [] if step is None else list(step.notes),
        "readings": dict(record.readings),
    }


def _lineage(manifest: Manifest, record: RunRecord | None) -> list[dict[str, Any]]:
    """The ancestors, nearest first; a source carries what is known of its licence."""
    known = {} if record is None else record.models
    return [
        {
            "name": ancestor.name,
            "kind": ancestor.kind,
            "generation": ancestor.generation,
            "digest": ancestor.digest,
            "origin": dict(ancestor.origin),
            "parents": list(ancestor.parents),
            **_source(ancestor, known),
        }
        for ancestor in manifest.lineage
    ]


def _source(ancestor: Ancestor, models: Mapping[str, Any]) -> dict[str, Any]:
    """Of what nothing is known before it: licence and what its own card says of languages."""
    if ancestor.parents or "step" in ancestor.origin:
        return {"root": False, "licence": None, "language": []}
    place = next(
        (
            Path(m["path"]) / (m.get("file") or "")
            for m in models.values()
            if m.get("digest") == ancestor.digest
        ),
        None,
    )
    language: Any = []
    if place is not None:
        card = (place if place.is_dir() else place.parent) / CARD
        language = licences.head(card).get("language") or []
    listed = [language] if isinstance(language, str) else list(language)
    return {
        "root": True,
        "licence": licences.of_source(ancestor.origin, place).to_json(),
        "language": [one for one in listed if isinstance(one, str)],
    }


def _data(folder: Path, record: RunRecord, place: Place) -> list[dict[str, Any]]:
    """The data sets and corpora that went into the checkpoint, or that it was measured on."""
    every = {**record.data, **record.corpora}
    into = set(_named(_entries(folder, record, place), every))
    on = {
        m.data for step in record.steps for m in step.measurements if place.is_called(m.checkpoint)
    }
    return [
        {
            "name": name,
            "trained_on": name in into,
            "measured_on": name in on,
            "digest": known.get("digest", ""),
            "split_digests": dict(known.get("split_digests", {})),
            "splits": dict(known.get("splits", {})),
            "target": known.get("target"),
            "optimistic": bool(known.get("optimistic")),
            "readings": record.readings.get(name),
            "looks": dict(record.looks.get(name, {})),
            "sources": _sources(known),
        }
        for name, known in every.items()
        if name in into or name in on
    ]


def _entries(folder: Path, record: RunRecord, place: Place) -> list[Any]:
    """What the resolved plan says of the step and of those before it, back to the first."""
    import yaml

    path = folder / "plan.resolved.yaml"
    if place.step is None or not path.exists():
        return []
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        return []  # the report says so; a card lists what was measured then
    entries = {s["id"]: s for s in raw.get("steps", ()) if isinstance(s, dict) and "id" in s}
    wanted, seen = [place.step.id], list[str]()
    while wanted:
        step_id = wanted.pop(0).partition(".")[0]
        if step_id in seen:
            continue
        seen.append(step_id)
        wanted += [p for step in record.steps if step.id == step_id for p in step.parents]
    return [entries[step_id] for step_id in seen if step_id in entries]


def _named(value: Any, names: Iterable[str]) -> list[str]:
    """Every name that stands in a step of the plan, but under keys that never name data."""
    if isinstance(value, Mapping):
        inner = [*(one for key, one in value.items() if key not in _NEVER_DATA), *value]
    elif isinstance(value, list | tuple):
        inner = list(value)
    else:
        return [name for name in names if value in (name, f"{name}.train")]
    return [found for one in inner for found in _named(one, names)]


def _sources(known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where the data come from, by split where there are several sources, with their licences."""
    origins, paths = known.get("origin", {}), known.get("path", {})
    if "source" in known:  # a corpus, whose places aren't kept
        origins = {str(number): one for number, one in enumerate(known["source"], start=1)}
    if not isinstance(origins, Mapping):
        return []
    if not all(isinstance(one, Mapping) for one in origins.values()):
        origins, paths = {"all": origins}, {"all": paths}
    found = []
    for part, origin in origins.items():
        at = paths.get(part) if isinstance(paths, Mapping) else None
        path = Path(at) if isinstance(at, str) else None
        licence: Licence = licences.of_source(origin, path)
        found.append({"of": part, "origin": dict(origin), "licence": licence.to_json()})
    return found


def _verdicts(record: RunRecord, place: Place) -> list[dict[str, Any]]:
    """What the gates of its own step said, then those elsewhere that name it."""
    own = list[dict[str, Any]]()
    if place.step is not None:
        own = [{**v.to_json(), "step": place.step.id} for v in place.step.gates]
    for step in record.steps:
        if place.step is not None and step.id == place.step.id:
            continue
        own += [{**v.to_json(), "step": step.id} for v in step.gates if _about(v.gate, step, place)]
    return own


def _about(gate: str, step: StepRecord, place: Place) -> bool:
    """Whether a gate of a step that measures several checkpoints is about this one."""
    alone = {m.checkpoint for m in step.measurements} == {place.name}
    return alone or gate.startswith((f"{place.name}.", f"surely {place.name}."))


def _contract(found: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What held for the measurements of quality: each key with every value that it had."""
    held: dict[str, dict[str, None]] = {}
    for row in found:
        if row["role"] not in ("whole", "part"):
            continue
        for key, value in row["contract"].items():
            held.setdefault(key, {})[str(value)] = None
    return {key: list(values) for key, values in held.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
