"""What a search says of itself, for the record and the report: JSON only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradus.tuning.halving import Trial
from gradus.tuning.search import Search, front, used

if TYPE_CHECKING:
    from gradus.steps.tune import TuneConfig
    from gradus.tuning.ranges import Range


def told(
    config: TuneConfig,
    search: Search,
    trials: Sequence[Trial],
    best: Trial,
    importance: Sequence[Mapping[str, float]],
    found: Range | None,
) -> dict[str, Any]:
    """The step's facts."""
    _, tokens = used(trials)
    objectives = [
        {"metric": one.metric, "direction": "higher" if one.higher() else "lower"}
        for one in config.objectives
    ]
    several = len(objectives) > 1
    return {
        "tuning": {
            "of": search.step["step"],
            "sampler": config.sampler.name,
            "pruner": None if config.pruner is None else config.pruner.name,
            "eta": None if config.pruner is None else config.pruner.eta,
            "rungs": [] if search.halving is None else list(search.halving.rungs),
            "objectives": objectives,
            "spaces": [space.to_json() for space in search.spaces],
            "trials": [_row(trial, search) for trial in trials],
            "best": best.number,
            "front": [trial.number for trial in front(trials, search.higher)] if several else [],
            "importance": [dict(shares) for shares in importance],
            "range_test": None if found is None else found.to_json(),
            "used": {"trials": len(trials), "tokens": tokens},
            "ended": _ended(config, search, trials),
        },
        "winner": {"name": best.name, "params": dict(best.params)},
    }


def _row(trial: Trial, search: Search) -> dict[str, Any]:
    bracket = None if search.halving is None else search.halving.bracket(trial.number)
    return {
        "number": trial.number,
        "name": trial.name,
        "params": dict(trial.params),
        "state": {"running": "resting"}.get(trial.state, trial.state),
        "rungs": [[stage, score] for stage, score in trial.rungs.items()],
        "values": list(trial.values),
        "tokens": trial.facts.get("tokens", 0),
        "bracket": bracket,
        "error": trial.facts.get("error"),
    }


def _ended(config: TuneConfig, search: Search, trials: Sequence[Trial]) -> str:
    """Why the search ended."""
    if search.budget.trials is not None and len(trials) >= search.budget.trials:
        return f"all of {len(trials)} trials"
    if search.spent(trials):
        return "the budget of minutes or tokens was used up"
    if config.patience is None:
        return "nothing but failures at the last"
    return f"no better one among the last {config.patience} trials"
