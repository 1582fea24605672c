"""The report as Markdown: the same tables and sentences as the HTML page."""

from __future__ import annotations

import re

from gradus.report import benchmarks, breakdown, costs, frontier, tables
from gradus.report import format as write
from gradus.report.audits import AuditShown, audits
from gradus.report.calibration import Shown as Calibrated
from gradus.report.calibration import calibrations
from gradus.report.corpora import corpora
from gradus.report.crossval import Shown as Folded
from gradus.report.crossval import crossvals
from gradus.report.distil import distilled
from gradus.report.learning import learning
from gradus.report.looks import looks, optimism
from gradus.report.pretraining import Pretrained, pretraining
from gradus.report.pruning import Pruning, pruning
from gradus.report.reading import Fact
from gradus.report.recorded import recorded
from gradus.report.tuning import searches
from gradus.report.writing import Written, writings


def markdown(known: Fact) -> str:
    """The whole report as GitHub-flavoured Markdown."""
    parts = [_head(known), *_measured(known), *_of_steps(known), *_about(known)]
    return "\n\n".join(parts) + "\n"


def _measured(known: Fact) -> list[str]:
    """Results, and what of them the gates said."""
    parts = _section("Steps", table(tables.steps(known)))
    parts += _section("Measured after each step", table(tables.qualities(known)))
    parts += _section("Changes against the step before", table(tables.changes(known)))
    for group in known["final"]:
        parts += _section(_final_title(group), table(tables.final(group)), _readings(group))
    for drawn in frontier.shown(known):
        left_out = "\n".join(f"- {text(name)}: {text(why)}" for name, why in drawn.refused)
        title = f"Frontier: {drawn.title}"
        parts += _section(title, text(drawn.said), table(drawn.table), left_out)
    for suite in benchmarks.suites(known):
        parts += _section(
            f"Benchmarks of {suite.step}",
            table(suite.table),
            text(benchmarks.as_published(_rows(known))),
            table(suite.changes),
            table(suite.about),
        )
    for one in writings(known):
        parts += _section(f"Writing: {one.step}", *_written(one))
    for title, chosen, made in breakdown.seeds(known):
        parts += _section(f"Seeds: {title}", text(chosen), table(made))
    parts += _section("Gates", table(tables.gates(known)))
    for title, worse, made in breakdown.slices(known):
        named = "\n".join(f"- {text(sentence)}" for sentence in worse)
        none = "No slice is significantly worse than the rest."
        parts += _section(f"Slices: {title}", named or none, table(made))
    return parts


def _of_steps(known: Fact) -> list[str]:
    """What steps of some kinds have to tell."""
    parts: list[str] = []
    for folded in crossvals(known):
        parts += _section(f"Cross-validation: {folded.step}", *_folded(folded))
    for one_curve in learning(known):
        sentences = [text(s) for s in (one_curve.answer, one_curve.about, one_curve.law) if s]
        parts += _section(f"How much data: {one_curve.step}", *sentences, table(one_curve.points))
    for search in searches(known):
        named = "\n\n".join(text(sentence) for sentence in search.said[:2])
        parts += _section(f"Search: {search.step}", named, table(search.trials))
    for taught in distilled(known):
        told = "\n".join(f"- {sign} {text(sentence)}" for sign, _, sentence in taught.said)
        parts += _section(
            f"Distilling: {taught.step}",
            told,
            table(taught.terms),
            text(taught.weighting),
            table(taught.teachers),
        )
    for settled in calibrations(known):
        parts += _section(f"Calibration: {settled.step}", *_calibrated(settled))
    parts += _section("Pruning", *_pruned(pruning(known)))
    for trained in pretraining(known):
        parts += _section(f"Pretraining: {trained.step}", *_pretrained(trained))
    for p in known["predictions"]:
        title = f"Predictions of {p['checkpoint']} on {p['data']}.{p['split']}"
        first = p is known["predictions"][0]
        parts += _section(title, _prediction(p, first))
    return parts


def _about(known: Fact) -> list[str]:
    """What it cost, what it rests on, and everything once more."""
    parts = _section("Cost of each step", table(costs.of_steps(known)))
    parts += _section("Cost of each checkpoint", table(costs.of_checkpoints(known)))
    audited = audits(known)
    for name, made, about in costs.data(known):
        found = _audit(audited[name]) if name in audited else []
        parts += _section(f"Data: {name}", table(made), *found, _pairs(about))
    for corpus in corpora(known):
        shown = [corpus.splits, corpus.cleaning, *(grid for _, grid in corpus.parts)]
        tabled = [table(grid) for grid in shown]
        parts += _section(f"Corpus: {corpus.name}", *tabled, _pairs(corpus.about))
    looked = "\n".join(f"- {text(sentence)}" for sentence in looks(known))
    parts += _section("Looks", looked, table(optimism(known)))
    parts += _section("Models", table(costs.models(known)))
    parts += _section("Notes", _notes(known))
    parts += _section("Published figures, not measured here", table(costs.published(known)))
    parts += _section("Every measurement", table(tables.everything(known)))
    parts += _section("Environment", _pairs(costs.environment(known)))
    for step, pairs, grids in recorded(known):
        bodies = [body for name, made in grids for body in (f"{text(name)}:", table(made))]
        parts += _section(f"What {step} recorded", _pairs(pairs), *bodies)
    plan = known["plan"]
    parts += _section(
        "Plan", fence(plan) if plan else "plan.resolved.yaml is not in the run folder."
    )
    return parts


def text(value: str) -> str:
    """One line of text in which nothing is markup.

    >>> text("a|b <img>")
    'a\\\\|b &lt;img&gt;'
    """
    flat = re.sub(r"[ \t\r\n\f\v]+", " ", value).strip()
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|#]|(?<!\w)_|_(?!\w))", r"\\\1", flat)


def fence(value: str) -> str:
    """A code block that no line of the text can close."""
    longest = max((len(run) for run in re.findall(r"`+", value)), default=0)
    mark = "`" * max(3, longest + 1)
    return f"{mark}\n{value.rstrip()}\n{mark}"


def table(made: tables.Table) -> str:
    """A table, or nothing when it has no rows."""
    if not made:
        return ""
    head = "| " + " | ".join(text(t) for t in made.titles) + " |"
    rule = "|" + "|".join("---:" if n else "---" for n in made.numeric) + "|"
    rows = ["| " + " | ".join(text(str(cell)) for cell in row) + " |" for row in made.rows]
    return "\n".join([head, rule, *rows])


def _section(title: str, *bodies: str) -> list[str]:
    kept = [body for body in bodies if body]
    return [f"## {text(title)}", *kept] if kept else []


def _head(known: Fact) -> str:
    run, said = known["run"], known["headline"]
    lines = [f"# {text(run['plan'])}", text(said["state"])]
    if run["about"]:
        lines.append(text(run["about"]))
    if said["best"]:
        lines.append(f"**{text(said['best'])}**")
    if said["brought"]:
        lines.append("\n".join(f"- {text(s)}" for s in said["brought"]))
    lines += [
        f"**{text(s['id'])}** {s['state']}:\n\n{fence(s['error'])}"
        for s in known["steps"]
        if s["error"]
    ]
    lines.append(
        f"Run {text(run['name'])}, seed {run['seed']}, began {write.moment(run['started'])}, "
        f"took {write.duration(run['seconds'])}."
    )
    return "\n\n".join(lines)


def _rows(known: Fact) -> list[Fact]:
    return [row for step in known["steps"] for row in step["benchmarks"]]


def _final_title(group: Fact) -> str:
    return f"Final table: {'.'.join(x for x in (group['data'], group['split']) if x)}"


def _readings(group: Fact) -> str:
    n = group["readings"]
    return (
        "" if n is None else f"This test split has been read {write.count(n, 'time')} in all runs."
    )


def _folded(found: Folded) -> list[str]:
    parts = [text(found.about), table(found.values)]
    for made, assumed in zip((found.tests, found.item_tests), found.assume, strict=True):
        if made:
            parts += [table(made), text(f"This test is {assumed}.")]
    parts += ["Standard deviations by source:", table(found.components), table(found.folds)]
    parts += [table(found.chosen)]
    parts += [text(found.doubts_said), table(found.doubts_by_label)]
    for doubt in found.doubted:
        parts += [f"{text(doubt.said)}:", fence(doubt.text)]
    return parts


def _pruned(found: Pruning | None) -> list[str]:
    if found is None:
        return []
    parts = [table(found.table)]
    for one in found.steps:
        parts += [f"### {text(one.step)}", text(one.said), table(one.rounds), table(one.layers)]
        for of in one.sensitivity:
            parts += [f"{text(of.title)}:", table(of.table)]
    return parts


def _calibrated(one: Calibrated) -> list[str]:
    told = "\n".join(f"- {text(sentence)}" for sentence in one.said)
    parts = [told, table(one.scores), table(one.thresholds)]
    for of in one.figures:
        parts += [f"{text(of.title)}:", table(of.table)]
    return parts


def _prediction(p: Fact, full: bool) -> str:
    parts = [f"{write.number(p['wrong'])} of {write.count(p['n'], 'item')} wrong."]
    parts += [table(tables.pairs(p)), table(tables.classes(p)) if full else ""]
    if p["worst"]:
        ranked = "highest probability first" if p["ranked"] else "in the file's order"
        parts.append(f"Worst errors, {ranked}:")
    for error in p["worst"]:
        sure = (
            ""
            if error["probability"] is None
            else f", {write.number(error['probability'], 'proportion')}"
        )
        parts.append(f"{text(error['gold'])}, predicted {text(error['predicted'])}{sure}:")
        parts.append(fence(error["text"]))
    return "\n\n".join(part for part in parts if part)


def _pretrained(found: Pretrained) -> list[str]:
    said = "\n".join(f"- {sign} {text(s)}".replace("-  ", "- ") for sign, _, s in found.said)
    parts = [said, _pairs(found.speed), table(found.spikes), table(found.validations)]
    for watched in found.prompts:
        for sample in watched.samples:
            parts.append(f"After {write.number(sample.tokens)} tokens, {text(watched.prompt)}:")
            parts.append(fence(sample.text))
    return parts


def _written(found: Written) -> list[str]:
    parts = [text(found.about), table(found.table)]
    for title, made in found.agreement:
        parts += [f"How measures go with what people say, {title.lower()}:", table(made)]
    for one in found.rated:
        for title, made in one.tables:
            parts += [f"{text(one.step)}, {text(title)}:", table(made)]
    for prompt, texts in found.texts:
        parts += ["Prompt:", fence(prompt)]
        for own in texts:
            parts += [f"{text(own.writer)}:", fence(own.text)]
    return parts


def _audit(found: AuditShown) -> list[str]:
    told = [f"- {sign} {text(sentence)}" for sign, _, sentence in found.findings]
    told += [f"- {text(note)}" for note in found.notes]
    parts = ["\n".join(told), table(found.measurements), table(found.drift)]
    parts.append(table(found.truncated))
    for title, total, pairs in found.pairs:
        parts.append(f"{title}: {write.number(total)}.")
        for pair in pairs:
            likeness = write.number(pair["similarity"], "proportion")
            for side in (pair["first"], pair["second"]):
                label = "" if side["label"] is None else f", {text(side['label'])}"
                parts.append(f"{text(side['split'])}{label}, similarity {likeness}:")
                parts.append(fence(side["text"]))
    return parts


def _notes(known: Fact) -> str:
    return "\n".join(
        f"- {text(n['about']) + ': ' if n['about'] else ''}{text(n['text'])}"
        for n in known["notes"]
    )


def _pairs(pairs: list[tuple[str, str]]) -> str:
    return "\n".join(f"- {text(name)}: {text(value)}" for name, value in pairs)
