"""What goes out comes back the same, in every format; whatever is wrong is named by its line."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.errors import DataError
from gradus.labelling.forms import FORMATS, form, guess, json_entries
from gradus.labelling.reading import existing, merge, read_answers, write
from gradus.labelling.records import Answer, Task, Tasks

LABELS = ("sport", 'te"ch <&>', "business")


def tasks(texts: list[str], several: bool = False) -> Tasks:
    said = LABELS[:2] if several else LABELS[:1]
    made = tuple(Task(text, said, 0.6, 0.8) for text in texts)
    return Tasks(made, LABELS, several, "linear 123")


def answered(path: Path, name: str, labels: list[list[str] | None], several: bool) -> None:
    """Write answers into exported tasks, as the tool would."""
    if name == "jsonl":
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for row, said in zip(rows, labels, strict=True):
            key = "labels" if several else "label"
            row[key] = said if several or said is None else said[0]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return
    file = path / "records.json" if name == "argilla" else path
    records: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))
    for record, said in zip(records, labels, strict=True):
        if name == "argilla":
            value: Any = said if several or said is None else said[0]
            one = {"value": value, "user_id": "u", "status": "submitted"}
            record["responses"] = {} if said is None else {"label": [one]}
        elif said is None:
            record["annotations"] = [{"result": [], "was_cancelled": True, "completed_by": 1}]
        else:
            result = dict(record["predictions"][0]["result"][0], value={"choices": said})
            record["annotations"] = [{"result": [result], "completed_by": {"email": "a@b"}}]
    file.write_text(json.dumps(records), "utf-8")


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_answers_come_back(tmp_path: Path, name: str, several: bool) -> None:
    texts = ["Two\nlines, «naïve»", "A <tag> & 'quotes'", "skipped", "漢字"]
    out = tmp_path / {"argilla": "folder", "label-studio": "t.json", "jsonl": "t.jsonl"}[name]
    for path in form(name).write(tasks(texts, several), out):
        assert path.exists()
    # Before anybody answered, each text is skipped.
    assert [a.labels for a in read_answers(out)] == [None] * 4
    said = [["sport"], ['te"ch <&>'], None, ["business"]]
    if several:
        said[0] = ["sport", "business"]
    answered(out, name, said, several)
    assert guess(out) == name
    back = read_answers(out)
    assert [a.text for a in back] == texts
    assert [None if a.labels is None else list(a.labels) for a in back] == said
    into = tmp_path / "data.jsonl"
    found = merge(back, existing(into), into, frozenset(LABELS), several=several)
    write(found, into, several=several)
    assert [one.message for one in found.skipped] == ["skipped"]
    rows = [json.loads(line) for line in into.read_text("utf-8").splitlines()]
    assert [row["text"] for row in rows] == [texts[0], texts[1], texts[3]]
    again = merge(back, existing(into), into, frozenset(LABELS), several=several)
    assert (again.rows, again.same, again.conflicts) == ([], 3, [])


def test_what_the_tools_need_is_there(tmp_path: Path) -> None:
    form("label-studio").write(tasks(["one"]), tmp_path / "t.json")
    view = ET.fromstring((tmp_path / "t.xml").read_text("utf-8"))
    assert [choice.get("value") for choice in view.iter("Choice")] == list(LABELS)
    (task,) = json.loads((tmp_path / "t.json").read_text("utf-8"))
    (result,) = task["predictions"][0]["result"]
    (choices,) = view.iter("Choices")
    assert (result["from_name"], result["to_name"]) == (choices.get("name"), choices.get("toName"))
    assert result["value"] == {"choices": ["sport"]}
    form("argilla").write(tasks(["one"], several=True), tmp_path / "a")
    settings_ = json.loads((tmp_path / "a/.argilla/settings.json").read_text("utf-8"))
    (question,) = settings_["questions"]
    assert question["settings"]["type"] == "multi_label_selection"
    (record,) = json.loads((tmp_path / "a/records.json").read_text("utf-8"))
    assert record["suggestions"]["label"]["value"] == list(LABELS[:2])
    assert record["metadata"] == {"uncertainty": 0.8}


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.dictionaries(st.text(max_size=3), st.text(max_size=5) | st.integers(), max_size=3),
        max_size=6,
    ),
    indent=st.sampled_from([None, 0, 2]),
)
def test_entries_know_their_lines(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("e") / "e.json"
    text = "\n" + json.dumps(rows, indent=indent)
    path.write_text(text, "utf-8")
    found = list(json_entries(path))
    assert [row for _, row in found] == rows
    for place, _ in found:
        assert "{" in text.split("\n")[place.line - 1]


def test_conflicts_skipped_and_unknown_are_named_by_line(tmp_path: Path) -> None:
    into = tmp_path / "data.jsonl"
    into.write_text(
        '{"text": "Old  one", "label": "sport"}\n{"text": "b", "label": "tech"}', "utf-8"
    )
    answers = [
        Answer(1, "old one", ("tech",)),
        Answer(2, "new", ("sport",), "ann"),
        Answer(3, "new", ("tech",), "bob"),
        Answer(4, "strange", ("spoort",)),
        Answer(5, "nothing", None),
        Answer(6, "two", ("sport", "tech")),
        Answer(7, "fine", ("sport",)),
        Answer(8, "fine", None),
        Answer(9, "b", ("tech",)),
    ]
    there = existing(into)
    assert there.labels == {"sport", "tech"}
    found = merge(answers, there, into, there.labels)
    assert found.rows == [("fine", ("sport",))]
    assert found.same == 1
    assert [(r.line, r.message) for r in found.conflicts] == [
        (1, f"'tech', but {into}, line 1, has the text as 'sport'"),
        (2, "people disagree: 'sport' (ann) in line 2; 'tech' (bob) in line 3"),
        (6, "has 'sport' and 'tech', where each text has one label"),
    ]
    assert [(r.line, r.message) for r in found.unknown] == [
        (4, "unknown label 'spoort'; known are sport, tech")
    ]
    assert [r.line for r in found.skipped] == [5]
    write(found, into, several=False)
    assert into.read_text("utf-8").splitlines()[1:] == [
        '{"text": "b", "label": "tech"}',
        '{"text": "fine", "label": "sport"}',
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{}", "not a JSON list"),
        ('[\n{"data": {"text": "x"}},\n{"data"]', r"line 3.*not JSON"),
        ('[{"data": {"text": "x"}}\n1]', r"line 1.*doesn't go on"),
        ("[\n\n1]", r"line 3.*not a JSON object"),
        ('[{"text": "x"}]', r"line 1.*has no data"),
        ('[{"data": {}}]', r"line 1.*holds no text"),
        ('[{"data": {"text": "x"}, "annotations": [{"result": 1}]}]', "is no list of objects"),
        (
            '[{"data": {"text": "x"}, "annotations": [{"result": [{"type": "choices"}]}]}]',
            "holds no choices",
        ),
    ],
)
def test_a_broken_export_is_named(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content, "utf-8")
    with pytest.raises(DataError, match=f"(?s){why}"):
        read_answers(path)
