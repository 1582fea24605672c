"""The criteria, and that both languages say all that the page says."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from gradus.errors import UnknownName
from gradus.panel.criteria import CRITERIA, LANGUAGES, chosen
from gradus.panel.words import WORDS

HAN = re.compile(r"[\u4e00-\u9fff]")


def test_the_five_criteria_in_their_order() -> None:
    assert list(CRITERIA) == ["fluency", "coherence", "relevance", "diversity", "accuracy"]
    assert [one.name for one in chosen(["accuracy", "fluency"])] == ["fluency", "accuracy"]
    with pytest.raises(UnknownName, match="did you mean 'fluency'"):
        chosen(["fluenzy"])


@pytest.mark.parametrize("name", CRITERIA)
def test_every_score_is_described_in_both_languages(name: str) -> None:
    for language in LANGUAGES:
        words = CRITERIA[name].wording[language]
        assert len(words.anchors) == len(set(words.anchors)) == 5
        for text in (words.title, words.question, *words.anchors):
            assert bool(HAN.search(text)) == (language == "zh")
            # one line below the buttons is all the room there is
            assert len(text) <= (26 if language == "zh" else 57)


def test_the_page_says_the_same_in_both_languages() -> None:
    assert list(WORDS["en"]) == list(WORDS["zh"])
    for name, text in WORDS["en"].items():
        filled = [
            {part[1] for part in Formatter().parse(x)} - {None} for x in (text, WORDS["zh"][name])
        ]
        assert filled[0] == filled[1], name
        if name != "other_language":
            assert HAN.search(WORDS["zh"][name])
            assert not HAN.search(text)
