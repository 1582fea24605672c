"""Label Studio: tasks with predictions as JSON, and the XML of a labelling interface.

https://labelstud.io/guide/predictions and /guide/task_format: a suggestion is a prediction with a
result of type ``choices``, an answer an annotation with one; ``was_cancelled`` is a skipped task.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from gradus.errors import UsageError
from gradus.labelling.forms import Place, json_entries, text_of
from gradus.labelling.records import Answer, Task, Tasks
from gradus.panel.exchange import save
from gradus.panel.label_studio import objects

QUESTION: Final = "label"
SHOWN: Final = "text"


class LabelStudio:
    """The format ``label-studio``."""

    def files(self, out: Path) -> list[Path]:
        """The tasks, and ``.xml`` of the same name with the interface."""
        if out.suffix.lower() == ".xml":
            raise UsageError(
                f"{out}: tasks are JSON, and the .xml beside them is the interface; name a .json"
            )
        return [out, out.with_name(f"{out.stem}.xml")]

    def write(self, tasks: Tasks, out: Path) -> list[Path]:
        """See `files`."""
        out, config = self.files(out)
        made = [_task(tasks, task) for task in tasks.tasks]
        save(out, json.dumps(made, indent=1) + "\n")
        save(config, interface(tasks))
        return [out, config]

    def read(self, path: Path) -> list[Answer]:
        """What Label Studio exported as JSON."""
        found = []
        for place, task in json_entries(path):
            data = task.get("data")
            if not isinstance(data, dict):
                raise place.fault("has no data: export as JSON (not JSON-MIN or CSV)", "data")
            text = text_of(data, place)
            said = objects(task.get("annotations", []), place, "annotations")
            found += [_answer(place, text, annotation) for annotation in said]
            if not said:
                found.append(Answer(place.line, text, None))
        return found


def _task(tasks: Tasks, task: Task) -> dict[str, Any]:
    made: dict[str, Any] = {
        "data": {"id": task.id, SHOWN: task.text},
        "meta": {"uncertainty": round(task.uncertainty, 6)},
    }
    if task.suggested:
        result = {
            "id": "suggested",
            "from_name": QUESTION,
            "to_name": SHOWN,
            "type": "choices",
            "value": {"choices": list(task.suggested)},
        }
        score = round(task.probability, 6)
        made["predictions"] = [{"model_version": tasks.model, "score": score, "result": [result]}]
    return made


def interface(tasks: Tasks) -> str:
    """The labelling interface: the text, and the labels to choose from."""
    choice = "multiple" if tasks.several else "single-radio"
    options = "".join(f"    <Choice value={quoteattr(label)}/>\n" for label in tasks.labels)
    return (
        "<View>\n"
        f'  <Text name="{SHOWN}" value="${SHOWN}"/>\n'
        f'  <Choices name="{QUESTION}" toName="{SHOWN}" choice="{choice}">\n'
        f"{options}"
        "  </Choices>\n"
        "</View>\n"
    )


def _answer(place: Place, text: str, annotation: Mapping[str, Any]) -> Answer:
    who = annotation.get("completed_by", "")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id") or ""
    results = objects(annotation.get("result", []), place, "result")
    chosen: tuple[str, ...] | None = None
    for result in results:
        if result.get("type") == "choices" or result.get("from_name") == QUESTION:
            value = result.get("value")
            labels = value.get("choices") if isinstance(value, dict) else None
            if not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
                raise place.fault("holds no choices", QUESTION)
            chosen = (*(chosen or ()), *labels)
    if annotation.get("was_cancelled"):
        chosen = None
    return Answer(place.line, text, chosen, str(who))
