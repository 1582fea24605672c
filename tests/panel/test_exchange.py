"""Other tools' formats: what goes out comes back, and what is broken is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.errors import DataError, UsageError
from gradus.panel import argilla, exchange
from gradus.panel.criteria import CRITERIA
from gradus.panel.exchange import FORMATS, Inquiry
from gradus.panel.records import PREFERENCE, Mode, Rating
from gradus.panel.tokens import Seal
from gradus.writing.records import Samples, Writing

NASTY = ["", 'a "quoted" <b>tag</b> & more', "中文续写。\n第二行", "\x00\t|", "half \ud800 a pair"]
SAMPLES = Samples(
    Writing.of(writer=writer, prompt=f"opening {i} $text", text=f"{text}{i}{mark}")
    for writer, mark in (("base.at-100", "."), ("human", "!"))
    for i, text in enumerate(NASTY)
)
IDS = {writer: [w.id for w in SAMPLES.of(writer)] for writer in SAMPLES.writers}
TASKS: dict[Mode, list[tuple[str, ...]]] = {
    "likert": [(w.id,) for w in SAMPLES.writings],
    "pairs": list(zip(IDS["base.at-100"], IDS["human"], strict=True)),
}
ASKED: dict[Mode, tuple[str, ...]] = {"likert": tuple(CRITERIA), "pairs": (PREFERENCE,)}

names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)


def outside(writing: str) -> str:
    return Seal("5e" * 32).sign("outside", writing)


def inquiry(mode: Mode) -> Inquiry:
    return Inquiry.of(
        SAMPLES,
        TASKS[mode],
        mode=mode,
        criteria=ASKED[mode],
        named=outside,
        languages=("en", "zh"),
    )


@st.composite
def said(draw: st.DrawFn, mode: Mode) -> list[Rating]:
    keys = st.tuples(
        names,
        st.sampled_from(TASKS[mode]),
        st.booleans(),
        st.sampled_from(ASKED[mode]),
    )
    rows = []
    for rater, task, turned, criterion in draw(st.lists(keys, max_size=12, unique=True)):
        about: dict[str, Any] = {"writing": task[0]}
        if mode == "pairs":
            about = {"pair": (task[1], task[0]) if turned else task}
        elif turned:
            continue
        low, high = (1, 5) if mode == "likert" else (0, 2)
        rows.append(
            Rating(
                rater=rater,
                criterion=criterion,
                value=draw(st.integers(low, high)),
                seconds=draw(st.floats(0, 1e4)),
                at=draw(st.sampled_from(["", "2026-03-01T10:00:00.000Z"])),
                **about,
            )
        )
    return rows


def there_and_back(name: str, mode: Mode, rows: list[Rating]) -> list[Rating]:
    with TemporaryDirectory() as folder:
        exchange.write(name, inquiry(mode), rows, Path(folder))
        return exchange.read(name, inquiry(mode), Path(folder))


def ordered(rows: list[Rating]) -> list[Rating]:
    return sorted(rows, key=lambda r: (r.rater, exchange.task_of(r), r.criterion))


@pytest.mark.parametrize("mode", ["likert", "pairs"])
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_goes_out_comes_back(name: str, mode: Mode, data: st.DataObject) -> None:
    rows = data.draw(said(mode))
    # Argilla keeps no times.
    kept = [replace(r, seconds=0.0, at="") for r in rows] if name == "argilla" else rows
    assert ordered(there_and_back(name, mode, rows)) == ordered(kept)


@pytest.mark.parametrize("mode", ["likert", "pairs"])
@pytest.mark.parametrize("name", FORMATS)
def test_nothing_tells_who_wrote(name: str, mode: Mode, tmp_path: Path) -> None:
    first = TASKS[mode][0]
    about: dict[str, Any] = {"writing": first[0]} if mode == "likert" else {"pair": first}
    row = Rating(rater="a", criterion=ASKED[mode][0], value=1, **about)
    for path in exchange.write(name, inquiry(mode), [row], tmp_path):
        text = path.read_text("utf-8")
        assert "base.at" not in text
        assert "human" not in text
        assert '"writer"' not in text
        # An id is a digest of the writer's name too: who knows the names can try them.
        for writing in SAMPLES.writings:
            assert writing.id not in text
            assert writing.prompt_id not in text


def test_attention_checks_stay_at_home() -> None:
    rows = [
        Rating(rater="a", writing="check-1", criterion="fluency", value=5, check=True, expected=5),
        Rating(rater="a", writing=IDS["human"][0], criterion="fluency", value=4),
    ]
    for name in FORMATS:
        assert there_and_back(name, "likert", rows) == rows[1:]


def test_label_studio_shows_what_the_page_shows(tmp_path: Path) -> None:
    exchange.write("label-studio", inquiry("likert"), [], tmp_path)
    tasks = json.loads((tmp_path / "tasks.json").read_text("utf-8"))
    assert len(tasks) == len(SAMPLES)
    assert [task["data"]["text"] for task in tasks] == [w.text for w in SAMPLES.writings]
    assert all("annotations" not in task for task in tasks)
    view = ElementTree.parse(tmp_path / "config.xml").getroot()
    assert [node.attrib["name"] for node in view.iter("Rating")] == list(CRITERIA)
    assert all(node.attrib["maxRating"] == "5" for node in view.iter("Rating"))
    headers = [node.attrib["value"] for node in view.iter("Header")]
    for criterion in CRITERIA.values():
        for wording in (criterion.en, criterion.zh):
            assert f"{wording.title}: {wording.question}" in headers
            assert f"5: {wording.anchors[4]}" in headers


def test_label_studio_asks_for_the_better_of_two(tmp_path: Path) -> None:
    exchange.write("label-studio", inquiry("pairs"), [], tmp_path)
    view = ElementTree.parse(tmp_path / "config.xml").getroot()
    (choices,) = view.iter("Choices")
    assert choices.attrib["name"] == PREFERENCE
    assert [node.attrib["alias"] for node in choices] == ["first", "second", "neither"]
    task = json.loads((tmp_path / "tasks.json").read_text("utf-8"))[1]
    assert set(task["data"]) == {"id", "prompt", "first", "second"}


def exported(**change: Any) -> dict[str, Any]:
    """A task as Label Studio 1.x exports it."""
    annotation = {
        "id": 1001,
        "completed_by": 7,
        "result": [
            {
                "id": "Dx_aB91ISN",
                "from_name": "fluency",
                "to_name": "text",
                "type": "rating",
                "origin": "manual",
                "value": {"rating": 4},
            }
        ],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-03-09T22:16:08.728353Z",
        "lead_time": 4.288,
        "task": 1,
    }
    data = {"id": outside(IDS["human"][1]), "prompt": "opening", "text": "text"}
    return {"id": 1, "data": data, "annotations": [annotation | change], "predictions": []}


def read_task(task: Any, tmp_path: Path) -> list[Rating]:
    file = tmp_path / "exported.json"
    file.write_text(json.dumps([task]), "utf-8")
    return exchange.read("label-studio", inquiry("likert"), file)


def test_what_label_studio_itself_exports(tmp_path: Path) -> None:
    (found,) = read_task(exported(), tmp_path)
    assert found == Rating(
        rater="7",
        writing=IDS["human"][1],
        criterion="fluency",
        value=4,
        seconds=4.288,
        at="2026-03-09T22:16:08.728353Z",
    )
    (mailed,) = read_task(exported(completed_by={"id": 7, "email": "a@b.org"}), tmp_path)
    assert mailed.rater == "a@b.org"
    assert read_task(exported(was_cancelled=True), tmp_path) == []
    assert read_task(exported(result=[]), tmp_path) == []


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"completed_by": None}, "rater", "who rated"),
        ({"result": {}}, "result", "no list"),
        (
            {"result": [{"from_name": "fluency", "type": "rating", "value": {"rating": 9}}]},
            "fluency",
            "not from 1 to 5",
        ),
        (
            {"result": [{"from_name": "fluency", "type": "rating", "value": {"rating": "4"}}]},
            "fluency",
            "neither a score",
        ),
    ],
)
def test_a_broken_annotation_is_named(
    change: dict[str, Any], field: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as raised:
        read_task(exported(**change), tmp_path)
    assert raised.value.field == field
    assert "exported.json" in str(raised.value)
    assert "entry 1" in str(raised.value)


def test_tasks_of_another_panel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="names no writing of this panel"):
        read_task(exported() | {"data": {"id": "0" * 16}}, tmp_path)
    for name in (IDS["human"][1], outside(IDS["human"][1]) + "|", "|".join(map(outside, IDS))):
        with pytest.raises(DataError, match="names no writing of this panel"):
            read_task(exported() | {"data": {"id": name}}, tmp_path)
    with pytest.raises(DataError, match="JSON-MIN"):
        read_task({"fluency": 4, "annotator": 1}, tmp_path)


def test_argilla_reads_the_folder(tmp_path: Path) -> None:
    """Keys and types as Argilla 2's own `to_disk` writes them."""
    row = Rating(rater="rater-1", writing=IDS["human"][0], criterion="fluency", value=2)
    exchange.write("argilla", inquiry("likert"), [row], tmp_path)
    asked = json.loads((tmp_path / ".argilla/settings.json").read_text("utf-8"))
    assert [q["name"] for q in asked["questions"]] == list(CRITERIA)
    assert asked["questions"][0]["settings"] == {
        "type": "rating",
        "options": [{"value": score} for score in range(1, 6)],
    }
    assert [field["name"] for field in asked["fields"]] == ["prompt", "text"]
    assert json.loads((tmp_path / ".argilla/dataset.json").read_text("utf-8"))["name"] == "panel"
    records = json.loads((tmp_path / "records.json").read_text("utf-8"))
    (record,) = [each for each in records if each["id"] == outside(IDS["human"][0])]
    user = argilla.user_of("rater-1")
    told = {"value": 2, "user_id": user, "status": "submitted"}
    assert record["responses"] == {"fluency": [told]}
    # Behind a real export there is no raters.json, and drafts don't count.
    (tmp_path / "raters.json").unlink()
    record["responses"]["coherence"] = [{"value": 3, "user_id": user, "status": "draft"}]
    (tmp_path / "records.json").write_text(json.dumps(records), "utf-8")
    assert exchange.read("argilla", inquiry("likert"), tmp_path) == [replace(row, rater=user)]


@pytest.mark.parametrize("value", ["4", True, 7, None])
def test_argilla_answers_that_are_none(value: Any, tmp_path: Path) -> None:
    response = {"value": value, "user_id": "u"}
    record = {"id": outside(IDS["human"][0]), "responses": {"fluency": [response]}}
    file = tmp_path / "records.json"
    file.write_text(json.dumps([record]), "utf-8")
    with pytest.raises(DataError) as raised:
        exchange.read("argilla", inquiry("likert"), file)
    assert raised.value.field == "fluency"


def test_argilla_takes_no_judges(tmp_path: Path) -> None:
    row = Rating(rater="judge", writing=IDS["human"][0], criterion="fluency", value=3.7)
    with pytest.raises(UsageError, match="whole scores"):
        exchange.write("argilla", inquiry("likert"), [row], tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[", "\ufffe"])
@pytest.mark.parametrize("name", ["label-studio", "argilla"])
def test_files_that_are_something_else(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text(text, "utf-8")
    with pytest.raises(DataError, match=r"file\.json"):
        exchange.read(name, inquiry("likert"), file)
    with pytest.raises(DataError, match="no such file"):
        exchange.read(name, inquiry("likert"), tmp_path / "absent.json")


def test_one_answer_of_a_rater_to_a_question(tmp_path: Path) -> None:
    file = tmp_path / "twice.json"
    file.write_text(json.dumps([exported(), exported()]), "utf-8")
    with pytest.raises(DataError, match="twice"):
        exchange.read("label-studio", inquiry("likert"), file)


def test_who_is_there_already_isnt_counted_twice() -> None:
    def row(rater: str, value: int, of: str = "human") -> Rating:
        return Rating(rater=rater, writing=IDS[of][0], criterion="fluency", value=value)

    known = [row("rater-1", 4), row("rater-1", 2, "base.at-100"), row("rater-2", 4)]
    back = [row("rater-1", 4), row("rater-2", 3), row("new", 4)]
    assert exchange.repeated(back, known) == {"rater-1"}
    assert exchange.repeated(back, []) == frozenset()


def test_raters_get_names_without_personal_data() -> None:
    rows = [
        Rating(rater=rater, writing=IDS["human"][0], criterion="fluency", value=3)
        for rater in ("zoe@x.org", "anna@x.org", "zoe@x.org")
    ]
    new, names = exchange.renamed(rows, "argilla")
    assert names == {"anna@x.org": "argilla-1", "zoe@x.org": "argilla-2"}
    assert [row.rater for row in new] == ["argilla-2", "argilla-1", "argilla-2"]


def test_a_format_that_isnt_known() -> None:
    with pytest.raises(UsageError, match="did you mean 'argilla'"):
        exchange.form("argila")
