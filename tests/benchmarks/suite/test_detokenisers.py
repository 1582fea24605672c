"""What was cut comes back together, and the way back gives every character of the corpus."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.benchmarks.suite.detokenisers import (
    CONVENTIONS,
    ONE_BILLION_WORD,
    PTB,
    TREEBANK,
    WIKITEXT,
    convention,
    lm_eval_wikitext,
)
from gradus.benchmarks.suite.invertible import MARK, Convention
from gradus.errors import DataError, UsageError

PLAIN = [
    (WIKITEXT, ' a " big " dog ( brown ) . ', 'a "big" dog (brown).'),
    (WIKITEXT, " 1 @,@ 000 @.@ 5 light @-@ years ", "1,000.5 light-years"),
    (WIKITEXT, " = = The dog 's life = = ", "== The dog's life =="),
    (WIKITEXT, " = Title = ", "= Title ="),
    (WIKITEXT, " I don 't know ; he said : go ! ", "I don't know; he said: go!"),
    (WIKITEXT, " the dogs ' tails in 2011 – 12 ", "the dogs' tails in 2011–12"),
    (WIKITEXT, " and / or — at 10 : 30 ", "and/or—at 10:30"),
    (WIKITEXT, " in the 1920s . Mr. X cost $ 5 , or 7 % . ", "in the 1920s. Mr. X cost $5, or 7%."),
    (WIKITEXT, " ", ""),
    (PTB, " he did n't pay $ N ", "he didn't pay $N"),
    (PTB, " viewers ' and <unk> 's opinions ca n't ", "viewers' and <unk>'s opinions can't"),
    (PTB, r" N \/ N of 1\/2 ", "N / N of 1/2"),
    (ONE_BILLION_WORD, 'He said , " Go , don \'t wait . "', 'He said, "Go, don\'t wait."'),
    (ONE_BILLION_WORD, "At $ 1.5 billion ( 3 % ) .", "At $1.5 billion (3%)."),
    (TREEBANK, "`` i do n't , '' he said .", '"i don\'t," he said.'),
    (TREEBANK, "a -LRB- small -RRB- dog , mr. fox 's .", "a (small) dog, mr. fox's."),
    (TREEBANK, "`` ` tis `` he '' ''", '"\'tis "he""'),
]


@pytest.mark.parametrize(("cut", "corpus", "text"), PLAIN)
def test_ordinary_text(cut: Convention, corpus: str, text: str) -> None:
    assert cut.detokenise(corpus) == text
    assert cut.tokenise(text) == corpus


@pytest.mark.parametrize(
    ("cut", "file", "marks", "saved"),
    [(WIKITEXT, "wikitext2.valid.txt", 0, 44_000), (PTB, "ptb.valid.txt", 0, 8_000)],
    ids=["wikitext", "ptb"],
)
def test_a_whole_corpus_comes_back(
    cut: Convention, file: str, marks: int, saved: int, shared_data: Path
) -> None:
    corpus = (shared_data / file).read_text(encoding="utf-8")
    text = cut.detokenise(corpus)
    assert cut.tokenise(text) == corpus
    assert text.count(MARK) == marks
    assert len(corpus) - len(text) > saved


def test_lambada_in_the_authors_form_comes_back(shared_data: Path) -> None:
    """Real English, cut as the authors cut it by a few rules of our own."""
    corpus = "\n".join(
        line.replace('"', " '' ").replace(".", " .").replace(",", " ,").replace("n't", " n't")
        for line in (shared_data / "lambada_test.jsonl").read_text().split("\n")[:300]
    )
    assert TREEBANK.tokenise(TREEBANK.detokenise(corpus)) == corpus


# What the rules look at, in every order.
_MATERIAL = """ |  |, |. | .|;|:|"|'|``|''|`|(|)|[|]|-LRB-|-RRB-|@-@| @-@ |@,@|@.@|-|—|–|/|\\/|=|%|$
|#|N|<unk>|n't| n't|'s| 's|'t|dogs|Mr.|U.S.|a|7|1920s|é|°|...|don't|ca|word"""
_PIECES = st.sampled_from(_MATERIAL.replace("\n", "").split("|"))
_LINES = st.lists(_PIECES, max_size=14).map("".join)


@pytest.mark.parametrize("cut", CONVENTIONS, ids=lambda one: one.name)
@given(line=_LINES | st.text(max_size=30).filter(lambda text: MARK not in text))
def test_any_text_comes_back(cut: Convention, line: str) -> None:
    assert cut.tokenise(cut.detokenise(line)) == line


@pytest.mark.parametrize("cut", CONVENTIONS, ids=lambda one: one.name)
@given(lines=st.lists(_LINES.map(lambda line: f" {line} ") | st.sampled_from(["", " "])))
def test_any_framed_lines_come_back(cut: Convention, lines: list[str]) -> None:
    text = "\n".join(lines)
    assert cut.tokenise(cut.detokenise(text)) == text


def test_the_end_of_a_file_is_no_line() -> None:
    assert WIKITEXT.detokenise(" go . \n \n") == "go.\n\n"
    assert WIKITEXT.tokenise("go.\n\n") == " go . \n \n"


def test_the_mark_itself_is_refused() -> None:
    with pytest.raises(DataError, match=r"U\+2060"):
        PTB.detokenise(f" a{MARK}b ")


def test_unknown_convention() -> None:
    assert convention("treebank") is TREEBANK
    with pytest.raises(UsageError, match="moses"):
        convention("moses")


def test_one_way_rules_are_those_of_lm_eval(shared_data: Path) -> None:
    harness = pytest.importorskip("lm_eval.tasks.wikitext.preprocess_wikitext")
    corpus = (shared_data / "wikitext2.valid.txt").read_text(encoding="utf-8")
    assert lm_eval_wikitext(corpus) == harness.wikitext_detokenizer({"page": corpus})
