"""Step `tokenizer`: what it leaves, what it says of dev.select, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import gradus
from gradus.checkpoints import read_manifest, verify
from gradus.data.corpora import load_corpus
from gradus.data.tokenizer.folder import read
from gradus.errors import PlanError
from gradus.records import State
from gradus.steps.tokenizer import Tokenizer, TokenizerConfig, first

ENGLISH = "the room {0} was large and quiet, and the staff of floor {0} were kind to us"
CHINESE = "第{0}个房间很大很安静，服务员也很好，早餐有{0}种"


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    """Two corpora of two languages each, beside a plan."""
    for name, start in (("hotels", 0), ("inns", 1000)):
        texts = [
            {"text": form.format(at), "lang": lang}
            for at in range(start, start + 60)
            for form, lang in ((ENGLISH, "en"), (CHINESE, "zh"))
        ]
        lines = [json.dumps(one, ensure_ascii=False) for one in texts]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def plan(**step: Any) -> dict[str, Any]:
    corpus = {"format": "jsonl", "columns": {"text": "text", "language": "lang"}}
    return {
        "name": "tok",
        "seed": 3,
        "corpora": {
            name: {
                **corpus,
                "source": {"file": f"{name}.jsonl"},
                "split": {"train": 0.7, "dev": 0.3},
            }
            for name in ("hotels", "inns")
        },
        "steps": [{"id": "tok", "step": "tokenizer", "corpus": "hotels", **step}],
    }


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, **step: Any) -> Any:
    monkeypatch.chdir(folder)
    return gradus.run(plan(**step), runs_dir=folder / "runs")


def test_both_languages_are_learnt_and_told_apart(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = run(corpora, monkeypatch, vocabulary=400)
    step = record.step("tok")
    rows = {row["language"]: row for row in step.facts["held_out"]}
    assert set(rows) == {"zh", "en", "all"}
    assert rows["all"]["coverage"] == rows["all"]["lossless"] == 1.0
    assert rows["en"]["bytes_per_token"] > 3
    assert rows["zh"]["bytes_per_token"] > 3
    assert step.measurements == ()
    assert any(note.startswith("zh: ") and "bytes a token" in note for note in step.notes)

    folder = record.checkpoint("tok")
    manifest = verify(folder)
    assert manifest.kind == "tokenizer"
    made = read(folder)
    assert step.facts["vocabulary"] == made.get_vocab_size() == manifest.facts["vocabulary"]
    # What is said of dev.select is what another pass over it says.
    held_out = load_corpus(
        "hotels", plan()["corpora"]["hotels"], folder=corpora, seed=3, place=corpora / "again"
    ).splits["dev.select"]
    english = [one.text for one in held_out if one.language == "en"]
    assert rows["en"]["documents"] == len(english)
    assert rows["en"]["tokens"] == sum(len(made.encode(text).ids) for text in english)

    again = run(corpora, monkeypatch, vocabulary=400)
    assert again.step("tok").state is State.REUSED
    other = run(corpora, monkeypatch, vocabulary=350)
    assert other.step("tok").state is State.DONE


def test_several_corpora_and_a_sample(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = run(corpora, monkeypatch, corpus=["hotels", "inns"], vocabulary=300, sample_bytes=2000)
    trained = record.step("tok").facts["trained_on"]
    assert set(trained) == {"hotels", "inns"}
    for facts in trained.values():
        assert 1000 < facts["bytes"] <= 2000 < facts["of_bytes"]
        assert 0 < facts["documents"] < facts["of_documents"]


def test_what_is_lost_is_said(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = run(corpora, monkeypatch, kind="characters", vocabulary=20)
    notes = " ".join(record.step("tok").notes)
    assert "decoding gives 0.0 % of the documents back unchanged" in notes
    rows = {row["language"]: row for row in record.step("tok").facts["held_out"]}
    assert rows["zh"]["coverage"] < rows["en"]["coverage"] < 1
    small = run(corpora, monkeypatch, kind="characters", vocabulary=4000)
    assert "tokens that were asked for" in " ".join(small.step("tok").notes)


def test_the_first_documents_up_to_so_many_bytes(corpora: Path) -> None:
    documents = load_corpus(
        "hotels", plan()["corpora"]["hotels"], folder=corpora, seed=3, place=corpora / "built"
    ).splits["train"]
    sizes = documents.lengths().tolist()
    for most in (1, sizes[0], sizes[0] + sizes[1], sum(sizes) - 1, sum(sizes)):
        part = first(documents, most)
        assert len(part) == 1 or part.bytes <= most
        assert len(part) == len(documents) or part.bytes + sizes[len(part)] > most


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"vocabulary": 200}, "too small for byte-bpe: its fixed tokens and one piece are 258"),
        ({"vocabulary": 258, "kind": "unigram"}, "one piece are 259"),
        ({"special": ["<a>", "<a>"]}, "special names <a> twice"),
        ({"corpus": ["hotels", "hotels"]}, "names one corpus twice"),
        ({"corpus": []}, "at least 1 item"),
        ({"kind": "bpe"}, "byte-bpe"),
        ({"coverage": 0}, "greater than 0"),
        ({"sample": 3}, "sample"),
    ],
)
def test_faults_of_the_config(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TokenizerConfig.model_validate({"corpus": "hotels", **given})


def test_a_corpus_that_is_not_there_is_a_fault_of_the_plan(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PlanError, match="hotel"):
        run(corpora, monkeypatch, corpus="hotel")
    needs = Tokenizer.needs(TokenizerConfig(corpus=("hotels", "inns")))
    assert needs.corpora == {"corpus[0]": "hotels", "corpus[1]": "inns"}


def test_another_order_gives_the_same_tokenizer(
    corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest() -> str:
        return read_manifest(run(corpora, monkeypatch, vocabulary=400).checkpoint("tok")).digest

    before = digest()
    file = corpora / "hotels.jsonl"
    file.write_text("\n".join(reversed(file.read_text().splitlines())), encoding="utf-8")
    (corpora / "runs" / "tok").rename(corpora / "old")
    assert digest() == before
