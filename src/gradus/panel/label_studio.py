"""Label Studio: tasks with annotations as JSON, and the XML of a labelling interface.

https://labelstud.io/guide/task_format and /tags: a score is a ``Rating``, a preference a
``Choices`` of ``first``, ``second`` and ``neither``. Several people may share one account of Label
Studio, so the interface has a field for the rater's name; where it is empty, the account counts.
Seconds and time of a single answer stand in the result's ``meta``; without it the annotation's
``lead_time`` is shared among its results.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from gradus.errors import DataError
from gradus.panel.criteria import CRITERIA
from gradus.panel.exchange import Ids, Inquiry, Located, Where, load, save, task_of
from gradus.panel.records import FIRST, NEITHER, SECOND, Rating
from gradus.panel.words import WORDS

TASKS, CONFIG = "tasks.json", "config.xml"
CHOICES: Final[Mapping[str, int]] = {"first": FIRST, "second": SECOND, "neither": NEITHER}
RATER = "rater"


class LabelStudio:
    """The format ``label-studio``."""

    def write(self, inquiry: Inquiry, ratings: Sequence[Rating], out: Path) -> list[Path]:
        """``tasks.json`` and ``config.xml``."""
        said: dict[Ids, dict[str, list[Rating]]] = {}
        for rating in ratings:
            said.setdefault(task_of(rating), {}).setdefault(rating.rater, []).append(rating)
        tasks = [self._task(inquiry, task, said.get(task, {})) for task in inquiry.tasks]
        # ASCII, since a byte-level model may write what no UTF-8 can hold.
        save(out / TASKS, json.dumps(tasks, indent=1) + "\n")
        save(out / CONFIG, config(inquiry))
        return [out / TASKS, out / CONFIG]

    def _task(self, inquiry: Inquiry, task: Ids, by: Mapping[str, list[Rating]]) -> dict[str, Any]:
        made: dict[str, Any] = {"data": {"id": inquiry.mark(task), **inquiry.data(task)}}
        if by:
            made["annotations"] = [self._annotation(inquiry, r, said) for r, said in by.items()]
        return made

    def _annotation(self, inquiry: Inquiry, rater: str, said: list[Rating]) -> dict[str, Any]:
        target = "text" if inquiry.mode == "likert" else "first"
        results = []
        for rating in said:
            score = {"type": "rating", "value": {"rating": rating.value}}
            if inquiry.mode == "pairs":
                score = {"type": "choices", "value": {"choices": [_choice(rating.value)]}}
            results.append(
                {"from_name": rating.criterion, "to_name": target, **score}
                | {"meta": {"seconds": rating.seconds, "at": rating.at}}
            )
        results.append(_text(RATER, target, rater))
        seconds = sum(rating.seconds for rating in said)
        return {"result": results, "was_cancelled": False, "lead_time": seconds}

    def read(self, inquiry: Inquiry, path: Path) -> list[Rating]:
        """What Label Studio exported as JSON, or ``tasks.json`` of a folder."""
        file = path / TASKS if path.is_dir() else path
        found: list[Rating] = []
        for number, task in enumerate(load(file), start=1):
            where = Where(file, number)
            data = task.get("data")
            if not isinstance(data, dict) or not isinstance(data.get("id"), str):
                raise where.fault("has no data.id: export as JSON (not JSON-MIN or CSV)", "data")
            ids = inquiry.task_of(data["id"], where)
            for annotation in objects(task.get("annotations", []), where, "annotations"):
                if not annotation.get("was_cancelled"):
                    found += _answers(inquiry, ids, annotation, where)
        return found


def _answers(
    inquiry: Inquiry, task: Ids, annotation: Mapping[str, Any], where: Where
) -> Iterator[Rating]:
    results = objects(annotation.get("result", []), where, "result")
    told = {r["from_name"]: r for r in results if isinstance(r.get("from_name"), str)}
    scored = [told[name] for name in inquiry.criteria if name in told]
    lead = annotation.get("lead_time")
    each = lead / len(scored) if isinstance(lead, int | float) and scored else 0.0
    for result in scored:
        name, meta = result["from_name"], result.get("meta")
        known = meta if isinstance(meta, dict) else {}
        at = known.get("at", annotation.get("created_at", ""))
        yield inquiry.rating(
            where,
            task,
            name,
            rater=rater_of(told.get(RATER), annotation, where),
            value=_value(result, where),
            seconds=known.get("seconds", each),
            at=at if isinstance(at, str) else "",
        )


def objects(raw: Any, where: Located, field: str) -> list[dict[str, Any]]:
    """A list of objects, or the error about it."""
    if not isinstance(raw, list) or not all(isinstance(one, dict) for one in raw):
        raise where.fault("is no list of objects", field)
    return raw


def _value(result: Mapping[str, Any], where: Where) -> float:
    name, value = result["from_name"], result.get("value")
    score = value.get("rating") if isinstance(value, dict) else None
    if isinstance(score, int | float) and not isinstance(score, bool):
        return score
    chosen = value.get("choices") if isinstance(value, dict) else None
    if isinstance(chosen, list) and len(chosen) == 1 and chosen[0] in CHOICES:
        return CHOICES[chosen[0]]
    raise where.fault(f"holds neither a score nor one of {', '.join(CHOICES)}", name)


def rater_of(named: Mapping[str, Any] | None, annotation: Mapping[str, Any], where: Located) -> str:
    """The name that was given, or else the account."""
    name, account = _said(named), annotation.get("completed_by")
    if name:
        return name
    if isinstance(account, dict):
        account = account.get("email") or account.get("id")
    if isinstance(account, bool) or not isinstance(account, int | str) or account == "":
        raise where.fault("an annotation says neither who rated nor under which account", RATER)
    return str(account)


def _said(result: Mapping[str, Any] | None) -> str:
    """What was written into a text area; lines of several entries."""
    value = result.get("value") if result else None
    lines = value.get("text") if isinstance(value, dict) else None
    if isinstance(lines, str):
        return lines
    return "\n".join(str(line) for line in lines) if isinstance(lines, list) else ""


def _text(name: str, target: str, text: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": target, "type": "textarea", "value": {"text": [text]}}


def _choice(value: float) -> str:
    named = next((name for name, of in CHOICES.items() if of == value), None)
    if named is None:
        raise DataError(f"the answer {value} to a pair is none that Label Studio can show")
    return named


def config(inquiry: Inquiry) -> str:
    """The XML of the labelling interface."""
    words = [WORDS[language] for language in inquiry.languages]

    def both(name: str) -> str:
        return quoteattr(" / ".join(of[name] for of in words))

    lines = ["<View>", f"  <Header value={both('opening')}/>"]
    lines += ['  <Text name="prompt" value="$prompt"/>']
    names = ("text",) if inquiry.mode == "likert" else ("first", "second")
    for name in names:
        lines += [f"  <Header value={both(name)}/>", f'  <Text name="{name}" value="${name}"/>']
    for criterion in inquiry.criteria:
        if inquiry.mode == "likert":
            lines += _asked(inquiry, criterion)
            lines += [f'  <Rating name="{criterion}" toName="text" maxRating="5" required="true"/>']
        else:
            lines += [f"  <Header value={both('ask_pair')}/>"]
            lines += [f'  <Choices name="{criterion}" toName="first" required="true">']
            shown = zip(CHOICES, ("first_better", "second_better", "neither"), strict=True)
            lines += [f'    <Choice alias="{name}" value={both(word)}/>' for name, word in shown]
            lines += ["  </Choices>"]
    # Whoever shares an account writes a number here, the same one each time.
    area = 'maxSubmissions="1" rows="1"'
    lines += [f'  <TextArea name="{RATER}" toName="{names[0]}" placeholder="rater" {area}/>']
    return "\n".join([*lines, "</View>", ""])


def _asked(inquiry: Inquiry, criterion: str) -> Iterator[str]:
    """A criterion's question and what its scores mean, in each language."""
    for language in inquiry.languages:
        wording = CRITERIA[criterion].wording[language]
        yield f"  <Header value={quoteattr(f'{wording.title}: {wording.question}')}/>"
        for score, anchor in enumerate(wording.anchors, start=1):
            yield f'  <Header size="5" value={quoteattr(f"{score}: {anchor}")}/>'
