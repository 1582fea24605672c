"""Names and words that YAML and Markdown could take for something else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradus.cards import facts, render
from gradus.cards.licences import HEAD
from gradus.cards.metadata import metadata, yaml_head
from gradus.cards.write import is_own, sealed
from gradus.records import RunRecord

WORDS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=":#-|>&*!%@`'\"{}[],?\n\r\t \\<", max_size=20),
    st.sampled_from(
        ["---", "\n---\n", "yes", "null", "1e3", "情感：分類 #1", "🙂: 🙃", "a\r---\rb", "...", "~"]
    ),
)


@pytest.fixture(scope="module")
def known(run: RunRecord) -> dict[str, Any]:
    return facts(run.checkpoint("floor"))


@settings(max_examples=40)
@given(word=WORDS, other=WORDS)
@example(word="\ud800", other="\u2028---\u2028")
@example(word="a: b\n---\nlicense: mit", other="\x85")
def test_any_name_comes_back(known: dict[str, Any], word: str, other: str) -> None:
    hostile = copy.deepcopy(known)
    hostile["name"] = word
    for row in hostile["measurements"]:
        row["data"] = other
    hostile["data"][0]["name"] = other
    hostile["checkpoint"]["labels"] = [word, other]
    hostile["made"] |= {"about": word, "notes": [other]}
    hostile["limits"] = [word, other]
    text = render(hostile)
    read = ModelCard(text).data
    kept, named = (w.encode("utf-8", "replace").decode("utf-8") for w in (word, other))
    assert read.model_name == kept
    assert read.eval_results is not None
    assert len(read.eval_results) == sum(row["indexed"] for row in known["measurements"])
    assert {e.dataset_name for e in read.eval_results} == {named or "classify"}
    assert is_own(sealed(text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(content=st.dictionaries(WORDS.filter(bool), JSON, min_size=1, max_size=4))
def test_any_head_comes_back(content: dict[str, Any]) -> None:
    text = yaml_head(content) + "\n# A title\n---\n"
    found = HEAD.search(text)
    assert found is not None
    assert yaml.safe_load(found.group(2)) == _writable(content)
    assert text[found.end() :] == "\n# A title\n---\n"


def _writable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_writable(item) for item in value]
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


@given(name=st.text(min_size=1, max_size=30).filter(str.strip))
def test_a_licence_without_a_name_on_the_hub_is_another(known: dict[str, Any], name: str) -> None:
    from gradus.cards.terms import terms

    licence = terms(known, name)
    head = metadata({**known, "licence": licence})
    assert head["license"] == "other" or "license_name" not in head
    assert licence["said"] == name


def test_nothing_of_another_place_is_in_a_card(known: dict[str, Any], tmp_path: Path) -> None:
    assert str(tmp_path.parent) not in render(known)
