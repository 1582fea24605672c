"""Names in English and Chinese texts, and how often a text takes them up again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.metrics.coherence import Coherence
from gradus.metrics.entity_consistency import EntityConsistency
from gradus.writing import names as by_rule
from gradus.writing import sentences
from gradus.writing.features.entities import mentions
from gradus.writing.names import find_names, same_name


def names(text: str, beside: str = "") -> list[str]:
    return [name.text for name in find_names(text, beside=beside)]


def test_capitals_in_the_midst_of_a_sentence_are_names() -> None:
    text = "Yesterday we met Mary Ann and the King of France in Paris, and I said so."
    assert names(text) == ["Mary Ann", "King", "France", "Paris"]


def test_where_a_capital_is_called_for_it_must_be_shown_elsewhere() -> None:
    assert names("Romeo waits. Then Romeo goes. Then nobody.") == ["Romeo", "Romeo"]
    assert names("Hope fades.\nHope is all.") == []
    assert names("Hope came. I saw Hope, and hope died.") == ["Hope"]
    assert names("Juliet sleeps.", beside="Where is Juliet?") == ["Juliet"]
    assert names("Juliet sleeps.") == []


def test_lines_of_verse_begin_with_capitals_and_speakers_are_names() -> None:
    text = (
        "ROMEO:\nBut soft, what light through yonder window breaks?\n"
        "It is the east, and Juliet is the sun.\nArise, fair sun.\n\nFirst Citizen:\nSpeak."
    )
    assert names(text) == ["ROMEO", "Juliet", "First Citizen"]
    assert names("ROMEO:\nGo.\n\nNURSE:\nRomeo! Romeo is here.") == [
        "ROMEO",
        "NURSE",
        "Romeo",
        "Romeo",
    ]


def test_chinese_names_come_from_the_tagger() -> None:
    pytest.importorskip("jieba")
    found = names("昨天我在北京见到了王小明，他刚从上海回来。")
    assert "北京" in found
    assert "上海" in found
    assert "昨天" not in found
    assert [n.text for n in find_names("In 北京 we met Tom.")] == ["北京", "Tom"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Tom Sawyer", "TOM", True),
        ("King Henry", "King John", False),
        ("King", "KING", True),
        ("King", "King John", False),
        ("Tom’s", "Tom", True),
        ("First Citizen", "First Murderer", False),
        ("王小明", "小明", True),
        ("北京", "上海", False),
    ],
)
def test_names_mean_the_same_by_a_word_that_is_no_title(one: str, other: str, same: bool) -> None:
    assert same_name(one, other) is same
    assert same_name(other, one) is same


@settings(deadline=None)
@given(st.text(st.sampled_from("aZ .\n:'’-I北京·王é") | st.characters(), max_size=60))
def test_names_stand_where_they_say(text: str) -> None:
    found = find_names(text)
    assert all(text[name.start : name.end] == name.text for name in found)
    starts = [name.start for name in found]
    assert starts == sorted(set(starts))
    assert all(one.end <= two.start for one, two in pairwise(found))


def test_mentions_count_what_prompt_and_text_had_before() -> None:
    assert mentions("Then came Tom.", " And Tom saw Becky, and Becky saw Huck.") == (2, 4)
    # A name that the prompt breaks off belongs to the prompt.
    assert mentions("Then came To", "m, and he saw Becky, and Becky ran.") == (1, 2)
    assert mentions("", "nothing at all") == (0, 0)
    steady = "Then Ann met Ben. So Ann and Ben left, and Ann sang to Ben."
    lost = "Then Ann met Ben. So Cid and Dan left, and Eve sang to Flo."
    assert mentions("", steady) == (4, 6)
    assert mentions("", lost) == (0, 6)


def test_the_rules_that_numbers_rest_on_are_said_with_them() -> None:
    assert EntityConsistency.facts == {"names": by_rule.RULE}
    assert Coherence.facts == {"sentences": sentences.RULE}
