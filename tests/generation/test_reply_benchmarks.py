from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gradus import registry
from gradus.benchmarks.replies.reading import Coqa, Squad
from gradus.benchmarks.replies.summaries import Summaries, first_sentences
from gradus.benchmarks.replies.translation import Translation
from gradus.benchmarks.texts import TextBenchmark
from gradus.data.splits import content_id
from gradus.errors import DataError, SourceError
from gradus.generation import Cut, Decoding
from gradus.metrics import get
from gradus.metrics.replies import Replies
from gradus.records import CheckpointRef

from .conftest import make_generator
from .published import ARTICLE, COQA, SQUAD, files

ALL = ("cnn-dailymail", "wmt", "natural-questions", "coqa", "squad")


class Echo:
    """An engine that writes what it is told to, and remembers what it was asked."""

    def __init__(self, says: Sequence[str]) -> None:
        self.says, self.asked = list(says), list[str]()
        self.settings: Any = None

    def generate_all(
        self,
        prompts: Sequence[str],
        *,
        settings: Any = None,
        journal: Path | None = None,
        progress: Any = None,
    ) -> list[str]:
        self.asked, self.settings = list(prompts), settings
        return self.says


def opened(name: str, path: Path, **options: Any) -> tuple[type[TextBenchmark], Any]:
    made: type[TextBenchmark] = registry.load("benchmarks", name)
    return made, made.Config.model_validate({"path": str(path), **options})


def read(name: str, path: Path, **options: Any) -> list[Any]:
    made, config = opened(name, path, **options)
    return list(made.read(config, path))


@pytest.mark.parametrize("name", ALL)
def test_every_benchmark_says_what_it_is(name: str) -> None:
    made: Any = registry.load("benchmarks", name)
    assert made.name == f"{name}.v1"
    assert made.kind == "reply"
    assert made.target is None
    assert len(made.protocol) > 60
    assert made.origin
    assert made.licence
    assert set(made.compared) <= set(made.metrics)
    assert all(len(digest) == 64 for digest in made.sha256)
    for metric in made.metrics:
        assert get(metric).needs == "replies"


@pytest.mark.parametrize("name", ALL)
def test_a_tiny_model_is_asked_and_measured(name: str, tokenizer: Any, tmp_path: Path) -> None:
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    made, config = opened(name, files(tmp_path)[name], max_tokens=6, **_shots(name))
    documents = made.read(config, Path(config.path))
    engine: Any = make_generator("llama", tokenizer)
    seen: list[int] = []
    journal = tmp_path / "journal.jsonl"
    items = made.ask(config, documents, engine, journal=journal, progress=seen.append)
    assert isinstance(items, Replies)
    assert seen[-1] == len(items) == len(documents) == len(journal.read_text().splitlines())
    assert items.ids == tuple(document.id for document in documents)
    for metric in made.metrics:
        low, high = get(metric).range
        assert low <= get(metric)(items) <= high
    terms = made.terms(config, engine)
    assert set(terms) == {"format", "decoding"}
    assert "at most 6 tokens" in terms["decoding"]


def _shots(name: str) -> dict[str, int]:
    return {"shots": 2} if name in ("wmt", "natural-questions") else {}


def test_an_article_is_followed_by_tl_dr(tmp_path: Path) -> None:
    (document, _) = read("cnn-dailymail", files(tmp_path)["cnn-dailymail"])
    prompt = document.fields["prompt"]
    assert isinstance(prompt, Cut)
    assert prompt == ARTICLE["article"] + "\nTL;DR:"
    assert prompt.ending == "\nTL;DR:"
    assert document.fields["references"] == (ARTICLE["highlights"],)
    assert document.id == content_id(prompt)
    config = Summaries.Config(path="x")
    expected = Decoding(max_tokens=100, temperature=1.0, top_k=2)
    assert Summaries.decoding(config) == expected
    engine: Any = Echo([" One. Two! Three? Four."])
    items = Summaries.ask(config, [document], engine)
    assert items.texts == ("One. Two! Three?",)
    assert "first 3 sentences" in Summaries.terms(config, engine)["format"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two. Three. Four.", "One. Two. Three."),
        ("  Only one", "Only one"),
        ("", ""),
        ('He said "No." She left. It rained. End.', 'He said "No." She left. It rained.'),
        ("A line\nanother line\n\na third line\nfourth", "A line\nanother line\n\na third line"),
        ("3.5 per cent. Yes! No? More.", "3.5 per cent. Yes! No?"),
        ("One. Two. Three.", "One. Two. Three."),
    ],
)
def test_the_first_three_sentences(text: str, expected: str) -> None:
    assert first_sentences(text, 3) == expected


def test_pairs_stand_before_the_sentence(tmp_path: Path) -> None:
    path = files(tmp_path)["wmt"]
    documents = read("wmt", path, shots=2, limit=3)
    assert len(documents) == 3
    assert documents[0].fields["prompt"] == (
        "Sentence 0 is here. = Phrase 0 est là.\n"
        "Sentence 1 is here. = Phrase 1 est là.\n"
        "Sentence 2 is here. ="
    )
    assert documents[0].fields["references"] == ("Phrase 2 est là.",)
    assert documents[0].text == "Sentence 2 is here."
    assert len(read("wmt", path, shots=2)) == 6
    examples = tmp_path / "other.src"
    examples.write_text("Good day.\n", "utf-8")
    (tmp_path / "other.ref").write_text("Bonjour.\n", "utf-8")
    whole = read("wmt", path, shots=1, examples="other.src")
    assert len(whole) == 8
    assert whole[0].fields["prompt"] == "Good day. = Bonjour.\nSentence 0 is here. ="
    config = Translation.Config(path=str(path))
    assert Translation.decoding(config) == Decoding(max_tokens=128, stop=("\n",))


def test_translations_may_have_any_name(tmp_path: Path) -> None:
    for name in ("newstest.en", "newstest.fr"):
        (tmp_path / name).write_text(f"{name} one\n{name} two\n", "utf-8")
    (document,) = read("wmt", tmp_path / "newstest.en", references="newstest.fr", shots=1)
    assert document.fields["references"] == ("newstest.fr two",)
    with pytest.raises(SourceError, match="references"):
        read("wmt", tmp_path / "newstest.en", shots=1)
    with pytest.raises(ValidationError, match="examples"):
        opened("wmt", tmp_path / "newstest.en", example_references="newstest.fr")


def test_questions_come_after_example_pairs(tmp_path: Path) -> None:
    path = files(tmp_path)["natural-questions"]
    documents = read("natural-questions", path, shots=2)
    assert len(documents) == 2
    assert documents[0].fields["prompt"] == (
        "Q: when was the last time anyone was on the moon?\nA: 14 December 1972\n\n"
        "Q: who wrote he ain't heavy?\nA: Bobby Scott\n\n"
        "Q: how many seasons of the bastard are there?\nA:"
    )
    assert documents[0].fields["references"] == ("one", "one season")
    assert len(read("natural-questions", path, shots=2, limit=1)) == 1
    assert len(read("natural-questions", path, shots=0)) == 4
    beside = read("natural-questions", path, shots=1, examples=path.name)
    assert len(beside) == 4
    with pytest.raises(DataError, match="shown as examples"):
        read("natural-questions", path, shots=4)


def test_a_conversation_is_told_so_far(tmp_path: Path) -> None:
    first, second = read("coqa", files(tmp_path)["coqa"])
    story = COQA["data"][0]["story"]
    assert first.fields["prompt"] == f"{story}\n\nQ: What color was Cotton?\nA:"
    assert second.fields["prompt"] == (
        f"{story}\n\nQ: What color was Cotton?\nA: white\nQ: Where did she live?\nA:"
    )
    assert second.fields["prompt"].body == story
    assert first.fields["references"] == ("white", "white", "White", "it was white")
    engine: Any = Echo([" white\n"])
    items = Coqa.ask(Coqa.Config(path="x"), [first], engine)
    assert items.texts == ("white",)
    assert engine.settings == Decoding(max_tokens=32, stop=("\n",))
    assert get("coqa_f1")(items) == get("exact_match")(items) == 1.0


def test_a_question_without_an_answer_wants_none(tmp_path: Path) -> None:
    asked, impossible = read("squad", files(tmp_path)["squad"])
    assert asked.fields["references"] == ("France",)
    assert impossible.fields["references"] == ("",)
    assert asked.fields["prompt"].endswith("\n\nQ: In what country is Normandy located?\nA:")
    engine: Any = Echo(["France.", "the Normans"])
    items = Squad.ask(Squad.Config(path="x"), [asked, impossible], engine)
    assert get("exact_match")(items) == get("token_f1")(items) == 0.5


def broken(name: str, folder: Path, *, text: str | None = None) -> Path:
    path = folder / f"broken-{name}.src"
    path.write_text(text or "", "utf-8")
    return path


def without(record: dict[str, Any], *path: Any) -> str:
    """The record as JSON without the field at the path's end."""
    copy = json.loads(json.dumps(record))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return json.dumps(copy)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("cnn-dailymail", "", "empty"),
        ("cnn-dailymail", "\n\n", "blank"),
        ("cnn-dailymail", json.dumps(ARTICLE)[:-9], "line 1: not valid JSON"),
        ("cnn-dailymail", without(ARTICLE, "highlights"), "line 1, field 'highlights': is missing"),
        ("cnn-dailymail", '{"article": 3, "highlights": "x"}', "'article': must be a string"),
        ("cnn-dailymail", '{"article": " ", "highlights": "x"}', "'article': is empty"),
        ("natural-questions", '{"question": "a"}', "field 'answer': is missing"),
        ("natural-questions", '{"question": "a", "answer": "b"}', "must be a list of strings"),
        ("natural-questions", '{"question": "a", "answer": []}', "is an empty list"),
        ("natural-questions", '{"question": "a", "answer": ["b", 3]}', r"answer\[1\]'"),
        ("coqa", json.dumps(COQA)[:200], "ends early|not valid JSON"),
        ("coqa", "[]", "must be a JSON object, is a list"),
        ("coqa", "{}", "'data': is missing"),
        ("coqa", '{"data": []}', "no question"),
        ("coqa", without(COQA, "data", 0, "answers", 1), "2 questions and 1 answers"),
        (
            "coqa",
            without(COQA, "data", 0, "questions", 1, "input_text"),
            r"data\[0\].questions\[1\].input_text",
        ),
        (
            "coqa",
            without(COQA, "data", 0, "additional_answers", "1", 0),
            r"additional_answers': there are 2 questions",
        ),
        ("squad", '{"version": "1.1", "data": [{"paragraphs": 3}]}', r"data\[0\].paragraphs"),
        (
            "squad",
            without(SQUAD, "data", 0, "paragraphs", 0, "qas", 1, "is_impossible"),
            "'is_impossible' isn't true",
        ),
        (
            "squad",
            without(SQUAD, "data", 0, "paragraphs", 0, "qas", 0, "answers", 0, "text"),
            r"answers\[0\].text",
        ),
    ],
)
def test_broken_files_are_refused_by_name(name: str, text: str, said: str, tmp_path: Path) -> None:
    path = broken(name, tmp_path, text=text)
    with pytest.raises(DataError, match=said) as caught:
        read(name, path)
    assert str(path) in str(caught.value)


def test_broken_line_pairs_are_refused_by_name(tmp_path: Path) -> None:
    path = files(tmp_path)["wmt"]
    other = tmp_path / "wmt.ref"
    whole = other.read_text("utf-8")
    other.write_text(whole.rpartition("Phrase")[0], "utf-8")
    with pytest.raises(DataError, match=r"has 7 lines, and .* has 8") as caught:
        read("wmt", path)
    assert str(other) in str(caught.value)
    other.write_text(whole.replace("Phrase 3 est là.", " "), "utf-8")
    with pytest.raises(DataError, match="line 4: the line is blank"):
        read("wmt", path)
    other.write_bytes(whole.encode("latin-1"))
    with pytest.raises(DataError, match=r"wmt\.ref"):
        read("wmt", path)
    other.write_text(whole, "utf-8")
    with pytest.raises(DataError, match="none is left to translate"):
        read("wmt", path, shots=8)
    other.unlink()
    with pytest.raises(SourceError, match=r"wmt\.ref"):
        read("wmt", path)


@pytest.mark.parametrize("name", ALL)
def test_a_missing_file_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="doesn't exist"):
        read(name, tmp_path / "nothing.src")


def test_the_contract_says_that_llama_cpp_writes_for_gguf_files() -> None:
    engine: Any = Echo([])
    engine.ref = CheckpointRef(name="lm", kind="gguf", path=".", file="x.gguf")
    terms = Squad.terms(Squad.Config(path="x"), engine)
    assert (terms["backend"], terms["dtype"]) == ("llama.cpp", "as stored")
    engine.ref = CheckpointRef(name="lm", kind="transformer", path=".")
    assert "backend" not in Squad.terms(Squad.Config(path="x"), engine)
