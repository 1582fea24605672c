"""The facts of a cross-validation, for the report, and what a reader should be told in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradus import benchmarks, registry
from gradus.crossval import conclude
from gradus.crossval.written import PREDICTIONS, doubted
from gradus.stats.components import METHOD

if TYPE_CHECKING:
    from gradus.crossval.cells import Cell
    from gradus.crossval.partition import Fold
    from gradus.steps.base import StepContext
    from gradus.steps.crossval import CrossvalConfig

FEW: Final = 3
"""Repeats from which on the corrected test is near its level."""


def concluded(
    config: CrossvalConfig,
    cells: Sequence[Cell],
    folds: Sequence[Fold],
    groups: Sequence[str] | None,
    context: StepContext,
) -> tuple[dict[str, Any], list[str]]:
    """Facts and notes; the labels to look at are written on the way.

    `groups` are the N names by which folds were grouped, if they were.
    """
    data = context.data
    assert data is not None, "the step's `run` has asked for it"
    name = config.metric or benchmarks.of(data.target).compared[0]
    metric, level = conclude.metric_of(name), context.level
    names, ids = list(config.configurations), list(data.train.ids)
    codes = None if groups is None else np.unique(list(groups), return_inverse=True)[1]
    asked: dict[str, Any] = {"level": level, "seed": context.seed, "groups": codes}
    about = [
        {**conclude.described(cells, one, metric, **asked), "step": registry.plain(step["step"])}
        for one, step in config.configurations.items()
    ]
    best = conclude.winner(about, metric)
    facts: dict[str, Any] = {
        "metric": name,
        "unit": metric.unit,
        "direction": metric.direction,
        "level": level,
        "data": data.name,
        "items": len(ids),
        **_folded(config, folds),
        "configurations": about,
        "components_method": METHOD,
        "tests": conclude.folds_tests(cells, names, metric, level=level),
        "tests_assume": conclude.OVER_FOLDS,
        "item_tests": conclude.items_tests(cells, names, ids, metric, **asked),
        "item_tests_assume": conclude.OVER_ITEMS if codes is None else conclude.OVER_GROUPS,
        "groups": None if codes is None else int(codes.max()) + 1,
        "chosen": _chosen(cells),
        "winner": best,
        "refit": config.refit,
        "predictions": PREDICTIONS,
        "doubts": doubted(cells, best, data, context.out, shown=config.doubts),
    }
    return facts, [*_said(facts), *_notes(config)]


def _folded(config: CrossvalConfig, folds: Sequence[Fold]) -> dict[str, Any]:
    """How train was folded, and how many items each fold has of what."""
    return {
        "folds": config.folds,
        "repeats": config.repeats,
        "seeds_per_fold": config.seeds_per_fold,
        "scheme": config.scheme,
        "group": config.group,
        "near_duplicates": config.near_duplicates,
        "cells": [
            {
                "repeat": fold.repeat + 1,
                "fold": fold.number + 1,
                "train": len(fold.train),
                "select": len(fold.select),
                "held": len(fold.held),
            }
            for fold in folds
        ],
    }


def _chosen(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """What a step that searches chose in each cell, on the fold's own dev.select."""
    rows = []
    for cell in cells:
        if "tuning" in cell.facts:
            found: Mapping[str, Any] = cell.facts["winner"]["params"]
        elif len(cell.facts.get("searched", ())) > 1:
            found = {"C": cell.facts["C"]}
        else:
            continue
        told = ", ".join(f"{name} {value}" for name, value in found.items())
        fold = {"repeat": cell.fold.repeat + 1, "fold": cell.fold.number + 1, "seed": cell.seed + 1}
        rows.append({"configuration": cell.configuration, **fold, "chosen": told})
    return rows


def _said(facts: Mapping[str, Any]) -> list[str]:
    """The outcome in sentences, for the terminal too."""
    values = ", ".join(
        f"{one['name']} {_written(one['value'])}{_bounds(one)}" for one in facts["configurations"]
    )
    found = [f"{facts['metric']} over {len(facts['cells'])} folds: {values}"]
    for test in facts["tests"]:
        if test["p_value"] is None:
            continue
        claim = "significant" if test["significant"] else "not significant"
        several = " after Holm" if len(facts["tests"]) > 1 else ""
        found.append(
            f"{test['first']} - {test['second']}: {_written(test['difference'])}{_bounds(test)}, "
            f"p {test['p_holm']:.3f}{several} by the corrected resampled t-test: {claim}"
        )
    doubts = facts["doubts"]
    if doubts.get("found"):
        found.append(
            f"{doubts['found']} of {doubts['items']} labels are in doubt: {doubts['file']} in the "
            "step's folder has them"
        )
    return found


def _written(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _bounds(of: Mapping[str, Any]) -> str:
    return "" if of["low"] is None else f" [{of['low']:.3f}, {of['high']:.3f}]"


def _notes(config: CrossvalConfig) -> list[str]:
    found = []
    several = len(config.configurations) > 1
    if several and config.repeats < FEW:
        found.append(
            f"with {config.repeats * config.folds} folds the corrected test is cautious: a true "
            "difference may well go unclaimed; more repeats bring it near its level"
        )
    if several:
        found.append(
            "the best configuration was chosen by the values shown, which flatters it a little; "
            "what dev.gate says of the checkpoint had no part in the choice"
        )
    return found
