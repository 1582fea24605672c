"""Sentence boundaries in English and Chinese, checked against sentences put together by hand."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.writing.sentences import sentence_spans, split_sentences

# Each list is the sentences that a reader would find; the text is they, joined as said.
ENGLISH = [
    ["It rained.", "We stayed in!", "Why not?", "Nobody asked"],
    ["Mr. and Mrs. Hale met Dr. J. A. Smith.", "She left."],
    ["The U.S. Army came at 5 p.m.", "The gates were shut."],
    ["He lives in the U.S.", "The rest of us do not."],
    ["“Stop!” he cried.", "“Go on,” she said.", "(It was late.)", "They went."],
    ["He paid 3.50 for No. 5, e.g. Twice.", "On Jan. 3 he paid again."],
    ["It is I.", "Open the door."],
    ["Wait ... what was that...", "Nothing."],
    ["O! what a noise was there.", "See www.example.org for v2.1.0 today."],
]
CHINESE = [
    ["今天天气很好。", "我们去公园吧！", "你去吗？", "好"],
    ["他说：“走吧。”", "她没有动。", "「为什么？」", "没有人回答……"],
    ["我……我不知道。", "价格是3.5元。", "GPT-2模型很小。"],
    ["今天很热!", "我们不走了.", "真的吗?!", "是的"],
]


@pytest.mark.parametrize("sentences", ENGLISH)
def test_english_sentences_are_found_where_a_reader_finds_them(sentences: list[str]) -> None:
    assert split_sentences(" ".join(sentences)) == tuple(sentences)


@pytest.mark.parametrize("sentences", CHINESE)
def test_chinese_sentences_need_no_spaces(sentences: list[str]) -> None:
    assert split_sentences("".join(sentences)) == tuple(sentences)
    assert split_sentences(" ".join(sentences)) == tuple(sentences)


def test_a_line_of_verse_ends_nothing_but_a_blank_line_does() -> None:
    text = "First Citizen:\nBefore we proceed any further,\nhear me speak\n\nAll:\nSpeak, speak."
    assert split_sentences(text) == (
        "First Citizen:\nBefore we proceed any further,\nhear me speak",
        "All:\nSpeak, speak.",
    )


def test_list_items_stand_apart_with_their_enumerators() -> None:
    text = "Bring:\n- bread\n- salt\n1. Mix them.\n2. Eat."
    assert split_sentences(text) == ("Bring:", "- bread", "- salt", "1. Mix them.", "2. Eat.")


def test_marks_without_letters_go_with_a_neighbour() -> None:
    assert split_sentences("*** One. *** ... Two. !!!") == ("*** One. *** ...", "Two. !!!")
    assert split_sentences("---\n\nOne.") == ("---\n\nOne.",)
    assert split_sentences(" ?! ... ") == ("?! ...",)
    assert split_sentences(" \n ") == ()


TEXTS = st.text(
    st.sampled_from("aZ é字。！？….!?\"'”“)(\n\n  1.-*,J;\r\t\u3000") | st.characters(), max_size=80
)


@settings(deadline=None)
@given(TEXTS)
def test_every_visible_character_is_in_one_sentence(text: str) -> None:
    spans = sentence_spans(text)
    assert all(start < end for start, end in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)
    left_out = "".join(
        text[end:start]
        for end, start in zip(
            [0, *(e for _, e in spans)], [*(s for s, _ in spans), len(text)], strict=True
        )
    )
    assert not left_out.strip()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["The cat sat.", "Is it?", "No!", "他走了。"]), max_size=8))
def test_complete_sentences_come_back_as_they_were(sentences: list[str]) -> None:
    assert split_sentences("\n\n".join(sentences)) == tuple(sentences)
    assert split_sentences(" ".join(sentences)) == tuple(sentences)


@pytest.mark.parametrize("piece", [".", " ", "\n", " \n", "a.", '"', "。", "J. ", "1. "])
def test_time_grows_with_the_text_and_no_faster(piece: str) -> None:
    assert len(split_sentences(piece * 20_000)) <= 20_000


def test_real_prose_has_sentences_of_a_usual_length(shared_data: Path) -> None:
    raw = (shared_data / "wikitext2.valid.txt").read_text(encoding="utf-8")
    text = re.sub(r" @(.)@ ", r"\1", raw)[:200_000].replace(" .", ".").replace(" ,", ",")
    lengths = sorted(len(s.split()) for s in split_sentences(text))
    # Written English has 15 to 25 words a sentence; headings pull the median down a little.
    assert 12 <= lengths[len(lengths) // 2] <= 27
    assert sum(n > 100 for n in lengths) / len(lengths) < 0.01
