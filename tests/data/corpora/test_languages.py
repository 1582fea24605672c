"""Languages told from texts of known language."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.data.corpora.languages import SEEN, UNKNOWN, detect

# Article 1 of the Universal Declaration of Human Rights, as the United Nations publish it.
DECLARED = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with "
    "reason and conscience and should act towards one another in a spirit of brotherhood.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués "
    "de raison et de conscience et doivent agir les uns envers les autres dans un esprit de "
    "fraternité.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft "
    "und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como "
    "están de razón y conciencia, deben comportarse fraternalmente los unos con los otros.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati "
    "di ragione e di coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de "
    "razão e de consciência, devem agir uns para com os outros em espírito de fraternidade.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd "
    "met verstand en geweten, en behoren zich jegens elkander in een geest van broederschap te "
    "gedragen.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "uk": "Всі люди народжуються вільними і рівними у своїй гідності та правах.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
}


@pytest.mark.parametrize("code", DECLARED)
def test_the_declaration(code: str) -> None:
    assert detect(DECLARED[code]) == code
    assert detect(f"\n\n{DECLARED[code].upper()} 1948\n") == code


@pytest.mark.parametrize("text", ["", "12 345", "...", "😀😀", "Lorem ipsum dolor sit amet"])
def test_what_cannot_be_told(text: str) -> None:
    assert detect(text) == UNKNOWN


def test_mixed_texts_are_in_the_language_that_says_most() -> None:
    assert detect(DECLARED["zh"] + " Made in England") == "zh"
    assert detect(DECLARED["en"] + " 早餐") == "en"


def test_reviews_in_chinese_and_questions_in_english(shared_data: Path) -> None:
    with (shared_data / "ChnSentiCorp_htl_all.csv").open(encoding="utf-8", newline="") as stream:
        reviews = [row["review"] for row in csv.DictReader(stream) if len(row["review"]) > 40]
    assert sum(detect(text) == "zh" for text in reviews[:500]) >= 495
    with (shared_data / "banking77.test.csv").open(encoding="utf-8", newline="") as stream:
        asked = [row["text"] for row in csv.DictReader(stream)][:500]
    assert sum(detect(text) == "en" for text in asked) >= 475


@given(st.text(max_size=200))
def test_any_text_has_an_answer(text: str) -> None:
    assert detect(text) in {*DECLARED, UNKNOWN}
    assert detect(text * (SEEN // max(len(text), 1) + 2)) in {*DECLARED, UNKNOWN}
