"""Argilla 2: a folder as ``rg.Dataset.from_disk`` reads it and ``to_disk`` writes it.

See `gradus.panel.argilla` for its files. The label is a label question, of several labels a
multi-label one; what the model says is a suggestion. Drafts and discarded responses are skipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from gradus.errors import UsageError
from gradus.labelling.forms import Place, json_entries, text_of
from gradus.labelling.records import Answer, Task, Tasks
from gradus.panel.argilla import DATASET, RECORDS, SETTINGS, asking, given
from gradus.panel.exchange import save

QUESTION: Final = "label"


class Argilla:
    """The format ``argilla``."""

    def files(self, out: Path) -> list[Path]:
        """Those of the folder."""
        if out.is_file():
            raise UsageError(f"{out}: Argilla's format is a folder, and a file stands there")
        return [out / name for name in (RECORDS, SETTINGS, DATASET)]

    def write(self, tasks: Tasks, out: Path) -> list[Path]:
        """See `files`."""
        records = [_record(tasks, task) for task in tasks.tasks]
        files = self.files(out)
        save(files[0], json.dumps(records, indent=1) + "\n")
        save(files[1], json.dumps(_settings(tasks), indent=1, ensure_ascii=False) + "\n")
        dataset = {"name": "label-next", "guidelines": None, "allow_extra_metadata": True}
        save(files[2], json.dumps(dataset, indent=1) + "\n")
        return files

    def read(self, path: Path) -> list[Answer]:
        """A folder, or its ``records.json``."""
        found = []
        for place, record in json_entries(path / RECORDS if path.is_dir() else path):
            fields, responses = record.get("fields"), record.get("responses") or {}
            if not isinstance(fields, dict):
                raise place.fault("has no fields", "fields")
            if not isinstance(responses, dict):
                raise place.fault("is no object", "responses")
            text = text_of(fields, place)
            said = given(responses.get(QUESTION, []), place, QUESTION)
            found += [
                Answer(place.line, text, _labels(one.get("value"), place), str(one["user_id"]))
                for one in said
            ]
            if not said:
                found.append(Answer(place.line, text, None))
        return found


def _labels(value: Any, place: Place) -> tuple[str, ...]:
    labels = [value] if isinstance(value, str) else value
    if isinstance(labels, list) and all(isinstance(one, str) for one in labels):
        return tuple(labels)
    raise place.fault(f"{value!r} is neither a label nor a list of labels", QUESTION)


def _record(tasks: Tasks, task: Task) -> dict[str, Any]:
    suggestions: dict[str, Any] = {}
    if task.suggested:
        suggestions[QUESTION] = {
            "value": list(task.suggested) if tasks.several else task.suggested[0],
            "score": None if tasks.several else round(task.probability, 6),
            "agent": tasks.model,
        }
    return {
        "id": task.id,
        "fields": {"text": task.text},
        "metadata": {"uncertainty": round(task.uncertainty, 6)},
        "suggestions": suggestions,
        "responses": {},
        "vectors": {},
    }


def _settings(tasks: Tasks) -> dict[str, Any]:
    options = [{"value": one, "text": one, "description": None} for one in tasks.labels]
    kind = "multi_label_selection" if tasks.several else "label_selection"
    settings = {"type": kind, "options": options}
    return {
        "guidelines": None,
        "fields": [
            {
                "name": "text",
                "title": "Text",
                "required": True,
                "settings": {"type": "text", "use_markdown": False},
            }
        ],
        "questions": [asking(QUESTION, "Label", None, settings)],
        "vectors": [],
        "metadata": [
            {
                "name": "uncertainty",
                "title": "Uncertainty",
                "settings": {"type": "float", "min": 0.0, "max": 1.0},
                "visible_for_annotators": True,
            }
        ],
        "allow_extra_metadata": True,
    }
