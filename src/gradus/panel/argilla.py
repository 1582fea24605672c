"""Argilla 2: a folder as ``rg.Dataset.from_disk`` reads it and ``to_disk`` writes it.

::

    records.json              one record a task: fields, and responses by question
    .argilla/settings.json    fields and questions
    .argilla/dataset.json     the data set's name
    raters.json               the project's own: which user's id stands for which rater

A score is a rating question, a preference a label question with ``first``, ``second`` and
``neither``. Argilla knows users by UUID and keeps no times of answers, so these don't travel.
Drafts and discarded responses aren't read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from gradus.errors import DataError, UsageError
from gradus.panel.criteria import CRITERIA
from gradus.panel.exchange import Inquiry, Located, Where, load, save, task_of
from gradus.panel.label_studio import CHOICES
from gradus.panel.records import HIGHEST, LOWEST, Rating
from gradus.panel.words import WORDS

RECORDS, SETTINGS, DATASET = "records.json", ".argilla/settings.json", ".argilla/dataset.json"
RATERS = "raters.json"
SUBMITTED: Final = "submitted"


def user_of(rater: str) -> str:
    """The id that stands for a rater: the same for the same name."""
    return str(uuid5(NAMESPACE_URL, f"gradus:rater:{rater}"))


class Argilla:
    """The format ``argilla``."""

    def write(self, inquiry: Inquiry, ratings: Sequence[Rating], out: Path) -> list[Path]:
        """The folder's files."""
        said: dict[str, list[Rating]] = {}
        for rating in ratings:
            if rating.value != int(rating.value):
                raise UsageError(
                    f"Argilla takes whole scores only, and {rating.rater} gave {rating.value}: "
                    "export as label-studio or jsonl"
                )
            said.setdefault(inquiry.mark(task_of(rating)), []).append(rating)
        records = [
            _record(inquiry, name, inquiry.data(task), said.get(name, []))
            for task in inquiry.tasks
            for name in [inquiry.mark(task)]
        ]
        raters = {user_of(name): name for name in sorted({rating.rater for rating in ratings})}
        (out / ".argilla").mkdir(exist_ok=True)
        save(out / RECORDS, json.dumps(records, indent=1) + "\n")
        save(out / SETTINGS, json.dumps(_settings(inquiry), indent=1, ensure_ascii=False) + "\n")
        dataset = {"name": "panel", "guidelines": None, "allow_extra_metadata": False}
        save(out / DATASET, json.dumps(dataset, indent=1) + "\n")
        save(out / RATERS, json.dumps(raters, indent=1) + "\n")
        return [out / name for name in (RECORDS, SETTINGS, DATASET, RATERS)]

    def read(self, inquiry: Inquiry, path: Path) -> list[Rating]:
        """A folder, or its ``records.json``."""
        file = path / RECORDS if path.is_dir() else path
        names = _names(file.parent / RATERS)
        found = []
        for number, record in enumerate(load(file), start=1):
            where = Where(file, number)
            if not isinstance(record.get("id"), str):
                raise where.fault("has no id", "id")
            task = inquiry.task_of(record["id"], where)
            responses = record.get("responses") or {}
            if not isinstance(responses, dict):
                raise where.fault("is no object", "responses")
            for criterion in inquiry.criteria:
                for response in given(responses.get(criterion, []), where, criterion):
                    user = str(response["user_id"])
                    value = _value(inquiry, response.get("value"), where, criterion)
                    found.append(
                        inquiry.rating(
                            where, task, criterion, rater=names.get(user, user), value=value
                        )
                    )
        return found


def _record(
    inquiry: Inquiry, name: str, data: Mapping[str, str], said: Sequence[Rating]
) -> dict[str, Any]:
    responses: dict[str, list[dict[str, Any]]] = {}
    back = {of: choice for choice, of in CHOICES.items()}
    for rating in said:
        whole = int(rating.value)
        value: int | str = whole if inquiry.mode == "likert" else back[whole]
        responses.setdefault(rating.criterion, []).append(
            {"value": value, "user_id": user_of(rating.rater), "status": SUBMITTED}
        )
    empty: dict[str, Any] = {"metadata": {}, "suggestions": {}, "vectors": {}}
    return {"id": name, "fields": dict(data), "responses": responses, **empty}


def given(raw: Any, where: Located, field: str) -> list[dict[str, Any]]:
    """The responses to a question that count; older versions say no status."""
    if not isinstance(raw, list) or not all(isinstance(one, dict) for one in raw):
        raise where.fault("is no list of responses", field)
    counted = [one for one in raw if one.get("status", SUBMITTED) == SUBMITTED]
    if any(not one.get("user_id") for one in counted):
        raise where.fault("a response doesn't say whose it is", "user_id")
    return counted


def _value(inquiry: Inquiry, value: Any, where: Where, field: str) -> int:
    if inquiry.mode == "pairs" and isinstance(value, str) and value in CHOICES:
        return CHOICES[value]
    if inquiry.mode == "likert" and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise where.fault(f"{value!r} is no answer to this question", field)


def _names(path: Path) -> dict[str, str]:
    """Raters by user id; none where the file isn't there, as behind a real export."""
    if not path.is_file():
        return {}
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"can't be read ({error})", file=path) from error
    if not isinstance(raw, dict):
        raise DataError("is no object of raters by user id", file=path)
    return {str(user): str(name) for user, name in raw.items()}


def _settings(inquiry: Inquiry) -> dict[str, Any]:
    fields = ("prompt", "text") if inquiry.mode == "likert" else ("prompt", "first", "second")
    words = {"prompt": "opening", "text": "text", "first": "first", "second": "second"}
    return {
        "guidelines": None,
        "fields": [
            {
                "name": name,
                "title": _both(inquiry, words[name]),
                # An empty text is a text too.
                "required": name == "prompt",
                "settings": {"type": "text", "use_markdown": False},
            }
            for name in fields
        ],
        "questions": [_question(inquiry, name) for name in inquiry.criteria],
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": False,
    }


def _both(inquiry: Inquiry, name: str) -> str:
    return " / ".join(WORDS[language][name] for language in inquiry.languages)


def _question(inquiry: Inquiry, name: str) -> dict[str, Any]:
    if inquiry.mode == "pairs":
        words = dict(zip(CHOICES, ("first_better", "second_better", "neither"), strict=True))
        options = [
            {"value": choice, "text": _both(inquiry, words[choice]), "description": None}
            for choice in CHOICES
        ]
        settings: dict[str, Any] = {"type": "label_selection", "options": options}
        return asking(name, _both(inquiry, "ask_pair"), None, settings)
    wordings = [CRITERIA[name].wording[language] for language in inquiry.languages]
    lines = [
        line
        for wording in wordings
        for line in (
            wording.question,
            *(f"{score}: {anchor}" for score, anchor in enumerate(wording.anchors, start=1)),
        )
    ]
    title = " / ".join(wording.title for wording in wordings)
    scores = [{"value": score} for score in range(LOWEST, HIGHEST + 1)]
    return asking(name, title, "\n".join(lines), {"type": "rating", "options": scores})


def asking(
    name: str, title: str, description: str | None, settings: dict[str, Any]
) -> dict[str, Any]:
    """A question as ``settings.json`` has it."""
    made = {"name": name, "title": title, "description": description, "required": True}
    return {**made, "settings": settings}
