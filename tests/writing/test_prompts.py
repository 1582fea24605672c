"""Prompts from corpora, files and plans; what they refuse."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gradus.data.corpora.documents import Documents, Writer
from gradus.errors import DataError
from gradus.writing import prompts
from gradus.writing.prompts import Prompt, PromptsConfig, cut, of_documents, read_prompts


def documents(folder: Path, texts: list[str]) -> Documents:
    writer = Writer(folder / "split")
    rows = sorted((hashlib.sha256(text.encode()).digest(), text) for text in texts)
    for digest, text in rows:
        writer.add(digest, text.encode(), -1, -1)
    writer.close((), ())
    return Documents(folder / "split")


def asked(**more: Any) -> PromptsConfig:
    return PromptsConfig.model_validate({"corpus": "texts", **more})


def lines(number: int, count: int) -> str:
    return "\n".join(f"Line {k} of play {number} says this and that." for k in range(count))


def test_documents_that_are_many_give_their_beginnings(tmp_path: Path) -> None:
    texts = [f"The tale number {n} begins here and goes on for long enough." for n in range(30)]
    found = of_documents(asked(number=10, characters=20, then=20), documents(tmp_path, texts))
    assert len(found) == 10
    for prompt in found:
        whole = next(text for text in texts if text.startswith(prompt.text + " "))
        assert prompt.human is not None
        assert whole[len(prompt.text) :].startswith(prompt.human)
        assert len(prompt.text) <= 20
        assert len(prompt.human) <= 20
        assert not prompt.text.endswith(" ")


def test_few_documents_are_cut_into_passages_that_begin_with_a_line(tmp_path: Path) -> None:
    texts = [lines(1, 40), lines(2, 40)]
    found = of_documents(asked(number=12, characters=30, then=60), documents(tmp_path, texts))
    assert len({prompt.text for prompt in found}) == 12
    spans = []
    for prompt in found:
        assert prompt.text.startswith("Line ")
        number, text = next((i, t) for i, t in enumerate(texts) if prompt.text in t)
        start = text.index(prompt.text)
        assert start == 0 or text[start - 1] == "\n"
        assert prompt.human is not None
        assert text[start + len(prompt.text) :].startswith(prompt.human)
        spans.append((number, start, start + len(prompt.text) + len(prompt.human)))
    spans.sort()
    for (one, _, end), (other, start, _) in itertools.pairwise(spans):
        assert one != other or end <= start


def test_the_same_every_time_and_more_prompts_hold_the_fewer(tmp_path: Path) -> None:
    made = documents(tmp_path, [lines(1, 60), lines(2, 60)])
    few, many = (of_documents(asked(number=n, characters=30, then=60), made) for n in (5, 15))
    assert few == many[:5]
    assert prompts.digest(few) == prompts.digest(few)
    assert prompts.digest(few) != prompts.digest(many)


def test_texts_that_are_too_short(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no document of texts\.dev\.gate has 1,000 characters"):
        of_documents(asked(characters=500, then=500), documents(tmp_path, [lines(1, 3)]))


def test_a_file_with_what_people_wrote(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Once", "human": " upon a time there was"},
        {"prompt": "在", "source": "书", "human": None},
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n\n" for row in rows))
    assert read_prompts(path) == [
        Prompt(text="Once", human=" upon a time there was"),
        Prompt(text="在", source="书"),
    ]
    config = PromptsConfig(file="prompts.jsonl", then=8, number=1)
    assert prompts.given(config, tmp_path) == (Prompt(text="Once", human=" upon a"),)


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        ('{"prompt": ""}', "prompt", "missing or empty"),
        ('{"human": "x"}', "prompt", "missing or empty"),
        ('{"prompt": 3}', "prompt", "should be a string"),
        ('{"prompt": "b", "human": 3}', "human", "should be a string"),
        ('{"prompt": "b", "prompts": "c"}', "prompts", "isn't a field of a prompt"),
        ('{"prompt": "a"}', "prompt", "stands in line 1"),
        ("3", None, "not a JSON object"),
        ("{", None, "not valid JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, field: str | None, said: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a"}\n' + line + "\n")
    with pytest.raises(DataError, match=said) as raised:
        read_prompts(path)
    assert (raised.value.file, raised.value.line, raised.value.field) == (str(path), 2, field)


def test_a_file_that_is_empty_or_gone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        read_prompts(tmp_path / "none.jsonl")
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(DataError, match="holds no prompt"):
        read_prompts(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "name one of corpus, file and texts"),
        ({"corpus": "a", "file": "b"}, "name one of"),
        ({"corpus": "a", "split": "test"}, "split"),
        ({"file": "a", "characters": 3}, "leave it out"),
        ([], "no prompt is given"),
        (["a", " "], "a prompt is empty"),
        (["a", "b", "a"], "stands there twice"),
    ],
)
def test_settings_that_make_no_sense(raw: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PromptsConfig.model_validate(raw)


def test_a_list_is_taken_as_it_stands() -> None:
    config = PromptsConfig.model_validate(["One", "Two"])
    assert prompts.given(config, Path()) == (Prompt(text="One"), Prompt(text="Two"))
    assert PromptsConfig.model_validate(config.model_dump(mode="json")) == config
    assert (config.human, config.longest) == (False, None)
    assert (asked().human, asked().longest) == (True, 400)


@given(st.text(), st.integers(1, 40))
def test_a_cut_text_is_a_beginning_that_keeps_most(text: str, most: int) -> None:
    found = cut(text, most)
    assert text.startswith(found)
    assert len(found) <= most
    if len(text) <= most:
        assert found == text
    else:
        assert found
        assert len(found) >= 0.75 * most or found == text[:most].rstrip()
