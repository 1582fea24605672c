"""The Children's Book Test: its format, and the choice against a plain forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus import registry
from gradus.benchmarks.suite.cbt import Cbt, CbtCn, CbtNe, CbtP, CbtV
from gradus.errors import DataError

from . import files
from .plain import PlainEngine

KINDS = (CbtCn, CbtNe, CbtV, CbtP)


def partial(**keys: object) -> object:
    return CbtCn.Config(path="", partial=True, **keys)


def test_a_question_in_the_published_format(tmp_path: Path) -> None:
    path = files.write(tmp_path, "cbtest_CN_test_2500ex.txt", files.cbt(2))
    first, second = CbtCn.read(partial(), path)
    assert first.fields["context"].startswith('"Sentence 1 of 0," he said. "Sentence 2 of 0,"')
    assert first.fields["context"].endswith('"Sentence 20 of 0," he said. The')
    assert first.fields["options"][3] == " noun3 didn't bark."
    assert (first.fields["gold"], second.fields["gold"]) == (0, 1)
    assert first.id != second.id
    (cut, _) = CbtCn.read(partial(detokeniser="none"), path)
    assert cut.fields["options"][3] == " noun3 did n't bark ."
    assert cut.id == first.id


@pytest.mark.parametrize("kind", KINDS)
def test_the_choice_by_hand(kind: type[Cbt], tmp_path: Path, engine: PlainEngine) -> None:
    text = files.cbt(4).replace("Sentence ", "").replace(", '' he said", "''")
    path = files.write(tmp_path, "questions.txt", text)
    config = kind.Config(path="", limit=3)
    documents = kind.read(config, path)
    found = kind.ask(config, documents, engine)
    right = 0
    for number, document in enumerate(documents):
        sums = []
        for option in range(10):
            context = document.fields["context"]
            rest = f" noun{option} didn't bark."
            ids = list((context + rest).encode())
            start = len(ids) - len(rest)
            rows = engine.log_probs(ids)
            sums.append(sum(rows[p - 1][ids[p]] for p in range(start, len(ids))))
        assert found.nats[number].tolist() == pytest.approx(sums, rel=1e-6)
        right += int(max(range(10), key=sums.__getitem__)) == number
    assert registry.load("metrics", "accuracy")()(found) == right / 3
    assert found.lengths[0].tolist() == [len(" noun0 didn't bark.")] * 10


@pytest.mark.parametrize(
    ("query", "option", "context", "rest"),
    [
        ("XXXXX barked .", "Dog", "", " Dog barked."),
        ("He XXXXX here .", "was", " He", " was here."),
        ("He XXXXX here .", "'s", " He", "'s here."),
        ("`` XXXXX , '' he said .", "Dog", ' "', 'Dog," he said.'),
        ("The dog -LRB- XXXXX -RRB- .", "Rex", " The dog (", "Rex)."),
        ("He saw the XXXXX", "dog", " He saw the", " dog"),
    ],
)
def test_the_seam_before_the_blank(
    query: str, option: str, context: str, rest: str, tmp_path: Path
) -> None:
    text = files.cbt(1, options=[option, *(f"o{k}" for k in range(9))])
    path = files.write(tmp_path, "file", text.replace("The XXXXX did n't bark .", query))
    (document,) = CbtV.read(CbtV.Config(path="", partial=True), path)
    before = '"Sentence 20 of 0," he said.'
    assert document.fields["context"].endswith(before + context)
    assert document.fields["options"][0] == rest
    assert document.fields["gold"] == 0


def _edited(old: str, new: str) -> str:
    return files.cbt(2).replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (files.cbt(3), "3 questions, and the Children's Book Test, CN .test split. has 2,500"),
        (files.cbt(3)[:-30], "line 65: the file ends in the middle"),
        (_edited("7 ``", "8 ``"), "line 7: a line beginning with '7 ' is due"),
        (_edited("8 `` ", "\n8 `` "), "line 8: an empty line after 7 of 21"),
        (_edited("XXXXX", "dog"), "line 21: the query has to hold XXXXX once"),
        (_edited("\t\t", "\t"), "line 21: line 21 has query, answer, .* 3 fields"),
        (_edited("noun9\n", "noun9|more\n"), "line 21: 11 options"),
        (_edited("\tnoun0\t", "\tcat\t"), "line 21: the answer 'cat' isn't among"),
        ("\n".join(files.cbt(1).split("\n")[:9]) + "\n", "line 9: the file ends after 9 of 21"),
    ],
    ids=["short", "cut", "number", "blank", "query", "tabs", "options", "answer", "end"],
)
def test_another_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = files.write(tmp_path, "file.txt", text)
    with pytest.raises(DataError, match=f"file.txt.*{message}"):
        CbtCn.read(CbtCn.Config(path=""), path)


def test_another_class_of_words_is_refused_by_its_name(tmp_path: Path) -> None:
    path = files.write(tmp_path, "cbtest_NE_test_2500ex.txt", files.cbt(1))
    with pytest.raises(DataError, match=r"the NE test by its name, .* cbt-ne"):
        CbtCn.read(partial(), path)
    assert len(CbtNe.read(CbtNe.Config(path="", partial=True), path)) == 1


@pytest.mark.slow
def test_files_of_the_published_length(tmp_path: Path) -> None:
    test = files.write(tmp_path, "test", files.cbt(2_500))
    valid = files.write(tmp_path, "valid", files.cbt(2_000))
    assert len(CbtP.read(CbtP.Config(path=""), test)) == 2_500
    assert len(CbtP.read(CbtP.Config(path="", split="valid"), valid)) == 2_000
    with pytest.raises(DataError, match="2,000 questions: this is the valid split"):
        CbtP.read(CbtP.Config(path="", split="test"), valid)


_WORD = st.text(alphabet="abcXYZ'-,.`", min_size=1, max_size=6).filter(lambda w: "XXXXX" not in w)


@given(
    before=st.lists(_WORD, max_size=4),
    after=st.lists(_WORD, max_size=4),
    options=st.lists(_WORD, min_size=10, max_size=10, unique=True),
)
def test_context_and_option_are_the_whole_text(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[str],
    after: list[str],
    options: list[str],
) -> None:
    query = " ".join([*before, "XXXXX", *after])
    text = files.cbt(1, options=options).replace("The XXXXX did n't bark .", query)
    path = files.write(tmp_path_factory.getbasetemp(), "cbt", text)
    config = CbtCn.Config(path="", partial=True, detokeniser="none")
    (document,) = CbtCn.read(config, path)
    for option, rest in zip(options, document.fields["options"], strict=True):
        expected = query.replace("XXXXX", option)
        assert (document.fields["context"] + rest).endswith(f"he said . {expected}")
    (plain,) = CbtCn.read(CbtCn.Config(path="", partial=True), path)
    assert all(rest.strip() for rest in plain.fields["options"])
