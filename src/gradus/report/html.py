"""The report as one HTML file: no script, no request, light, dark and print."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gradus.report import benchmarks, breakdown, costs, frontier, sections, tables
from gradus.report import format as write
from gradus.report.audits import audits
from gradus.report.calibration import calibrations
from gradus.report.charts import forest, lines
from gradus.report.charts.lineage import lineage_svg
from gradus.report.corpora import corpora
from gradus.report.crossval import crossvals
from gradus.report.distil import distilled
from gradus.report.learning import learning
from gradus.report.looks import looks, optimism
from gradus.report.pretraining import Pretrained, is_pretraining, pretraining
from gradus.report.pruning import pruning
from gradus.report.reading import Fact, all_gates
from gradus.report.recorded import recorded
from gradus.report.tuning import searches
from gradus.report.writing import writings

SMALL_MATRIX = 20
EXCERPT = 320


def html(known: Fact) -> str:
    """The whole page of a run."""
    return environment().get_template("report.html.j2").render(_context(known))


def environment() -> Environment:
    """What the pages are made with. Every text from data, plans or errors is escaped."""
    made = Environment(
        loader=PackageLoader("gradus.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        {
            "duration": write.duration,
            "moment": write.moment,
            "number": write.number,
            "percent": write.percent,
            "plain": write.plain,
        }
    )
    made.globals.update({"count": write.count, "excerpt": _excerpt})
    return made


def _context(known: Fact) -> dict[str, Any]:
    shown = {
        "known": known,
        "run": known["run"],
        "state": tables.state(known["run"]["state"]),
        "tiles": _tiles(known),
        "title": _title(known),
        "lineage": lineage_svg(known["lineage"]) if known["lineage"]["nodes"] else None,
        "steps": tables.steps(known),
        "qualities": tables.qualities(known),
        "changes": tables.changes(known),
        "forests": _forests(known),
        "change_forests": sections.change_plots(known),
        "finals": [(group, tables.final(group)) for group in known["final"]],
        "frontiers": frontier.shown(known),
        "suites": benchmarks.suites(known),
        "as_published": benchmarks.as_published(
            [row for step in known["steps"] for row in step["benchmarks"]]
        ),
        "writings": writings(known),
        "gates": tables.gates(known),
        "curves": [_curves(s) for s in known["steps"] if _by_epoch(s)],
        "distilled": distilled(known),
        "pretraining": [(p, _by_tokens(p)) for p in pretraining(known)],
        "pruned": pruning(known),
        "calibrated": calibrations(known),
        "crossvals": crossvals(known),
        "learning": learning(known),
        "tuned": searches(known),
        "predictions": [_prediction(p) for p in known["predictions"]],
        "step_costs": costs.of_steps(known),
        "checkpoint_costs": costs.of_checkpoints(known),
        "data": costs.data(known),
        "corpora": corpora(known),
        "audits": audits(known),
        "slices": breakdown.slices(known),
        "seeds": breakdown.seeds(known),
        "looks": looks(known),
        "optimism": optimism(known),
        "recorded": recorded(known),
        "models": costs.models(known),
        "published": costs.published(known),
        "everything": tables.everything(known),
        "environment": costs.environment(known),
        "level": _level(known),
        "failures": [s for s in known["steps"] if s["error"]],
    }
    return {**shown, "nav": _nav(shown)}


def _title(known: Fact) -> tuple[str, str | None]:
    """The headline and the line under it: what is best, unless something stopped the run."""
    state, best = known["headline"]["state"], known["headline"]["best"]
    if best is not None and known["run"]["state"] in ("done", "reused"):
        return best, state
    return state, best


def _nav(shown: dict[str, Any]) -> list[tuple[str, str]]:
    known = shown["known"]
    entries = [
        ("lineage", "Lineage", shown["lineage"]),
        ("steps", "Steps", shown["steps"]),
        ("metric", "Intervals", shown["forests"]),
        ("final", "Final table", shown["finals"]),
        ("frontier", "Frontier", shown["frontiers"]),
        ("benchmarks", "Benchmarks", shown["suites"]),
        ("writing", "Writing", shown["writings"]),
        ("seeds", "Seeds", shown["seeds"]),
        ("gates", "Gates", shown["gates"]),
        ("slices", "Slices", shown["slices"]),
        ("crossval", "Cross-validation", shown["crossvals"]),
        ("learning", "How much data", shown["learning"]),
        ("tuning", "Search", shown["tuned"]),
        ("distilled", "Distilling", shown["distilled"]),
        ("calibration", "Calibration", shown["calibrated"]),
        ("pruned", "Pruning", shown["pruned"]),
        ("pretraining", "Pretraining", shown["pretraining"]),
        ("curves", "Learning curves", shown["curves"]),
        ("confusion", "Confusion", shown["predictions"]),
        ("labels", "Labels", shown["predictions"]),
        ("errors", "Worst errors", shown["predictions"]),
        ("cost", "Cost", shown["step_costs"]),
        ("data", "Data", shown["data"]),
        ("corpora", "Corpora", shown["corpora"]),
        ("looks", "Looks", shown["looks"]),
        ("notes", "Notes", known["notes"]),
        ("published", "Published figures", shown["published"]),
        ("environment", "Environment", True),
        ("plan", "Plan", True),
    ]
    return [(name, title) for name, title, there in entries if there]


def _tiles(known: Fact) -> list[tuple[str, str, str, str]]:
    """The figures under the headline: title, value, detail, tone."""
    tiles = []
    chosen, main = known["best"], known["main"]
    if chosen is not None and main is not None:
        m = chosen["test"] or chosen["measurement"]
        told = tables.measured(m)
        tiles.append((f"{main['metric']} on {m['split']}", told.text, told.small, ""))
    verdicts = [g["verdict"] for _, g in all_gates(known)]
    if verdicts:
        rest = [f"{verdicts.count(v)} {v}" for v in ("undecided", "closed") if v in verdicts]
        tone = "bad" if "closed" in verdicts else "warn" if "undecided" in verdicts else "good"
        value = f"{verdicts.count('open')} of {len(verdicts)}"
        tiles.append(("gates open", value, ", ".join(rest) or "none closed", tone))
    done = sum(s["state"] in ("done", "reused") for s in known["steps"])
    reused = sum(s["state"] == "reused" for s in known["steps"])
    detail = f"{reused} reused" if reused else write.duration(known["run"]["seconds"])
    tiles.append(("steps done", f"{done} of {len(known['steps'])}", detail, ""))
    for name, n in known["readings"].items():
        tiles.append(("test read", f"{n}\u00d7", f"{name}, in all runs", ""))
    return tiles


def _forests(known: Fact) -> list[forest.Plot]:
    rows = sections.forest_rows(known)
    if not rows:
        return []
    best = (known["best"] or {}).get("checkpoint", "")
    near = forest.close_up(rows, best)
    groups = [("All checkpoints", rows)] + ([("Near the best", near)] if near else [])
    return [forest.plot(title, group) for title, group in groups]


def _curves(step: Fact) -> dict[str, Any]:
    curves = step["curves"]
    charts = [
        (
            title,
            lines.legend(series) if title != "Learning rate" else "",
            lines.line_chart(
                f"{step['id']}, {title}", series, sections.bands(curves), curves["axis"]
            ),
        )
        for title, series in sections.curve_charts(curves)
    ]
    return {"step": step["id"], "charts": charts, "stages": sections.stage_names(curves)}


def _by_epoch(step: Fact) -> bool:
    curves = step["curves"]
    return bool(curves and curves["axis"]) and not is_pretraining(step)


def _by_tokens(found: Pretrained) -> list[tuple[str, Any, Any]]:
    return [
        (
            title,
            lines.legend(series) if len(series) > 1 else "",
            lines.line_chart(f"{found.step}, {title}", series, (), found.axis),
        )
        for title, series in found.charts
    ]


def _prediction(p: Fact) -> dict[str, Any]:
    few = len(p["labels"]) <= SMALL_MATRIX
    small = few and bool(p["counts"])
    made = tables.classes(p)
    order = sorted(
        range(len(made.rows)),
        key=lambda i: (p["classes"][i]["correct"] or 0) - (p["classes"][i]["gold"] or 0),
    )
    hardest = tables.Table(made.titles, made.numeric, tuple(made.rows[i] for i in order[:15]))
    return {
        "facts": p,
        "small": small,
        "heat": sections.heat(p) if p["counts"] and (p["worst"] or few) else None,
        "pairs": tables.pairs(p),
        "classes": made,
        "hardest": None if few else hardest,
    }


def _level(known: Fact) -> float:
    """The level of the intervals: that of the first measurement (a plan has one)."""
    levels = [m["level"] for s in known["steps"] for m in s["measurements"]]
    return float(levels[0]) if levels else 0.95


def _excerpt(text: str) -> str | None:
    """The beginning of a long text, cut between words where it has any; None for a short one."""
    if len(text) <= EXCERPT:
        return None
    start = text[:EXCERPT]
    words, _, _ = start.rpartition(" ")
    return words if len(words) > EXCERPT // 2 else start
