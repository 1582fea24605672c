"""Running text: what is read, under which protocol it is scored, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gradus.benchmarks.suite import hutter
from gradus.benchmarks.suite.enwik8 import Enwik8
from gradus.benchmarks.suite.one_billion_word import OneBillionWord
from gradus.benchmarks.suite.ptb import Ptb
from gradus.benchmarks.suite.running import RunningText, blocks, count_words, joined
from gradus.benchmarks.suite.text8 import Text8
from gradus.benchmarks.suite.wikitext_2 import WikiText2
from gradus.benchmarks.suite.wikitext_103 import WikiText103
from gradus.errors import DataError, SourceError
from gradus.metrics.texts import Texts

from . import files
from .plain import PlainEngine


def asked(benchmark: type[RunningText], path: Path, engine: PlainEngine, **keys: Any) -> Texts:
    config = benchmark.Config(path=str(path), **keys)
    return benchmark.ask(config, benchmark.read(config, path), engine)


@pytest.fixture
def wiki(tmp_path: Path) -> Path:
    return files.write(tmp_path, "wiki.test.tokens", files.WIKITEXT)


@pytest.fixture
def ptb(tmp_path: Path) -> Path:
    return files.write(tmp_path, "ptb.test.txt", files.PTB)


# What is read


@pytest.mark.parametrize("corpus", [WikiText2, WikiText103])
def test_wikitext_in_articles(corpus: type[RunningText], wiki: Path) -> None:
    config = corpus.Config(path="", partial=True)
    dog, cat = corpus.read(config, wiki)
    assert dog.text + cat.text == files.WIKITEXT
    assert cat.text.startswith(" = The Cat = \n")
    assert cat.fields["scored"] == "= The Cat =\n\nThe cat don't care.\n\n"
    assert dog.fields["words"] + cat.fields["words"] == len(files.WIKITEXT.split()) + 14
    assert cat.fields["bytes"] == len(cat.text.encode())


def test_canonical_words_are_the_literatures(shared_data: Path) -> None:
    cases = ((WikiText2, "wikitext2.valid.txt", 217_646), (Ptb, "ptb.valid.txt", 73_760))
    for benchmark, name, official in cases:
        config = benchmark.Config(path="", split="valid")
        documents = benchmark.read(config, shared_data / name)
        assert sum(document.fields["words"] for document in documents) == official
        whole = "".join(document.text for document in documents)
        assert whole == (shared_data / name).read_text(encoding="utf-8")
    assert (
        len(WikiText2.read(WikiText2.Config(path="", split="valid"), shared_data / cases[0][1]))
        == 60
    )


def test_the_raw_form_is_known_by_its_lines(shared_data: Path, tmp_path: Path) -> None:
    text = (shared_data / "wikitext2.valid.txt").read_text(encoding="utf-8")
    path = files.write(tmp_path, "wiki.valid.raw", text.replace("<unk>", "rare word"))
    config = WikiText2.Config(path="", split="valid")
    assert len(WikiText2.read(config, path)) == 60
    with pytest.raises(DataError, match="3,760 lines: this is the valid split of WikiText-2, raw"):
        WikiText2.read(WikiText2.Config(path="", split="test"), path)
    files.write(tmp_path, "wiki.valid.raw", path.read_text().rpartition("\n \n")[0] + "\n")
    with pytest.raises(DataError, match=r"3,75\d lines, .*truncated or another"):
        WikiText2.read(config, path)


def test_ptb_in_blocks_of_lines(ptb: Path) -> None:
    first, second = Ptb.read(Ptb.Config(path="", partial=True, block=2), ptb)
    assert first.fields["scored"] == (
        "the company didn't say why\nmr. <unk>'s shares fell $N to $N\n"
    )
    assert second.text == " investors ' confidence was low \n"
    assert first.fields["words"] == 18


def test_one_billion_word_in_sentences(tmp_path: Path) -> None:
    for name in ("news.en.heldout-00002-of-00050", "news.en.heldout-00001-of-00050"):
        files.write(tmp_path, name, files.SENTENCES)
    files.write(tmp_path, "README", "not a shard")
    config = OneBillionWord.Config(path="")
    one = OneBillionWord.read(config, tmp_path / "news.en.heldout-00001-of-00050")
    assert [document.fields["scored"] for document in one] == [
        'He said, "Go, don\'t wait."',
        "The U.S. dollar rose 3% against the yen (again).",
        "Why?",
    ]
    assert [document.fields["words"] for document in one] == [12, 14, 3]
    assert len(OneBillionWord.read(config, tmp_path)) == 6
    assert len({document.id for document in OneBillionWord.read(config, tmp_path)}) == 3


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """The published files are 10^8 bytes; the split is the same share of 2,000."""
    for benchmark in (Enwik8, Text8):
        monkeypatch.setattr(benchmark, "size", 2_000)
    return 2_000


def test_enwik8_is_the_last_twentieth(tmp_path: Path, small: int) -> None:
    raw = ("<page>é\n" * 300).encode()[:small]
    path = files.write(tmp_path, "enwik8", raw)
    for split, start, stop in (("test", 1900, 2000), ("valid", 1800, 1900), ("all", 0, 2000)):
        config = Enwik8.Config(path="", split=split, block=20)
        found = Enwik8.read(config, path)
        text = "".join(document.text for document in found)
        assert text == raw[start:stop].decode("utf-8", errors="ignore")
        assert sum(document.fields["bytes"] for document in found) == len(text.encode())
        assert all(document.text.endswith("\n") for document in found[:-1])
        assert all(len(document.text) >= 20 for document in found[:-1])


def test_text8_is_the_last_twentieth(tmp_path: Path, small: int) -> None:
    text = ("anarchism originated as a term " * 100)[:small]
    path = files.write(tmp_path, "text8", text)
    found = Text8.read(Text8.Config(path="", block=30), path)
    assert "".join(document.text for document in found) == text[1900:]
    assert [len(document.text) >= 30 for document in found[:-1]] == [True] * (len(found) - 1)
    assert len(Text8.read(Text8.Config(path="", block=30, limit=1), path)) == 1


@given(st.text(alphabet="ab \n", max_size=60), st.integers(1, 9), st.sampled_from(" \n"))
def test_blocks_lose_nothing(text: str, size: int, after: str) -> None:
    found = blocks(text, size, after=after)
    assert "".join(found) == text
    for block in found[:-1]:
        assert len(block) >= size
        assert block.endswith(after)
        assert after not in block[size - 1 : -1]


@given(st.lists(st.text(max_size=9), max_size=9), st.sampled_from(["", "\n\n"]))
def test_joined_texts_end_where_they_say(texts: list[str], between: str) -> None:
    whole, ends = joined(texts, between)
    assert "".join(whole) == between.join(texts)
    starts = [[0, *cuts[:-1]] for cuts in ends]
    found = [
        text[start:end]
        for text, firsts, cuts in zip(whole, starts, ends, strict=True)
        for start, end in zip(firsts, cuts, strict=True)
    ]
    assert [one.removesuffix(between) for one in found] == [
        one.removesuffix(between) for one in texts
    ]


def test_a_joined_text_begins_anew_when_it_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradus.benchmarks.suite.running.SEGMENT", 5)
    assert joined(["ab", "cde", "f"], "") == (["abcde", "f"], [[2, 5], [1]])


@pytest.mark.parametrize(
    ("words", "expected"), [("tokens and line ends", 7), ("tokens", 4), ("lm-eval", 6)]
)
def test_words_of_each_convention(words: Any, expected: int) -> None:
    assert count_words(" = A = \n \n b \n", words) == expected


# How it is scored


def test_joined_is_one_text_parted_again(wiki: Path, engine: PlainEngine) -> None:
    found = asked(WikiText2, wiki, engine, partial=True, window=16)
    config = WikiText2.Config(path="", partial=True)
    text = "".join(document.fields["scored"] for document in WikiText2.read(config, wiki))
    (whole,) = engine.rolling_all([text], window=16, stride=16, bos=True)
    assert found.nats.sum() == pytest.approx(whole.nats, rel=1e-9)
    assert found.tokens.sum() == whole.tokens == len(text.encode())
    apart = asked(WikiText2, wiki, engine, partial=True, window=16, documents="apart")
    assert apart.nats[0] == pytest.approx(found.nats[0], rel=0.05)
    assert apart.nats[1] != pytest.approx(found.nats[1], rel=1e-6)


def test_bits_a_byte_by_hand(tmp_path: Path, small: int, engine: PlainEngine) -> None:
    text = ("so it goes on and on " * 100)[:small]
    path = files.write(tmp_path, "text8", text)
    found = asked(Text8, path, engine, window=32, block=30)
    ids = [256, *text[1900:].encode()]
    nats = 0.0
    for place in range(1, 101):
        start = min(32 * ((place - 1) // 32), max(100 - 32, 0)) if place > 96 else None
        start = 32 * ((place - 1) // 32) if start is None else 100 - 32
        row = engine.log_probs(ids[start:place])[-1]
        nats += float(row[ids[place]])
    assert -found.nats.sum() / math.log(2) / found.characters.sum() == pytest.approx(
        -nats / math.log(2) / 100, rel=1e-6
    )


def test_the_presets_ask_for_what_they_mean(wiki: Path) -> None:
    engine = PlainEngine(limit=2048)
    lines = files.WIKITEXT.removesuffix("\n").split("\n")
    rows = "\n\n".join(f"{line}\n" if line.strip() else "" for line in lines)
    expected = {
        "gpt2-paper": (1, 1024, 1024, True),
        "hf-docs": (1, 1024, 512, False),
        "gptq-papers": (1, 2048, 2048, False),
        "lm-eval": (2, 2048, 2048, True),
    }
    found = {}
    for preset, (texts, window, stride, bos) in expected.items():
        engine.asked.clear()
        found[preset] = asked(WikiText2, wiki, engine, partial=True, preset=preset)
        (seen, *settings) = engine.asked[0]
        assert len(seen) == texts
        assert settings == [window, stride, bos]
        if preset in ("hf-docs", "gptq-papers"):
            assert seen == [rows]
    assert len({round(float(one.nats.sum()), 6) for one in found.values()}) == 3
    # hf-docs and gptq-papers are the same here: the file fits into one window.
    assert found["hf-docs"].nats.sum() == found["gptq-papers"].nats.sum()


def test_pages_and_counts_are_those_of_lm_eval(wiki: Path) -> None:
    """As `EleutherAI/wikitext_document_level` cuts the file, written out here."""
    pages: list[str] = []
    held: list[str] = []
    for line in files.WIKITEXT.split("\n"):
        bare = line.replace("= = =", "===").replace("= =", "==").strip()
        if bare.startswith("= ") and bare.endswith(" ="):
            pages += ["\n".join(held)] if "\n".join(held).strip() else []
            held = []
        held.append(line)
    pages.append("\n".join(held))
    config = WikiText2.Config(path="", partial=True, preset="lm-eval")
    found = WikiText2.read(config, wiki)
    assert [document.text for document in found] == pages
    assert [document.fields["bytes"] for document in found] == [len(p.encode()) for p in pages]


def test_single_keys_override_a_preset(wiki: Path, engine: PlainEngine) -> None:
    config = WikiText2.Config(path="", preset="hf-docs", bos=True, words="tokens")
    terms = WikiText2.terms(config, engine)
    assert terms == {
        "preset": "hf-docs, changed",
        "window": "512",  # the model's limit
        "stride": "512",
        "bos": "yes",
        "detokeniser": "none",
        "joined": "'\\n\\n'",
        "words": "tokens",
    }
    plain = WikiText2.terms(WikiText2.Config(path=""), PlainEngine(limit=2048))
    assert plain["preset"] == "gpt2-paper"
    assert plain["window"] == "1024"
    assert plain["detokeniser"] == "invertible (wikitext)"
    with pytest.raises(ValidationError, match="gpt2-paper, hf-docs"):
        WikiText2.Config(path="", preset="gpt3")


def test_a_detokeniser_lowers_nothing_but_the_text(wiki: Path, engine: PlainEngine) -> None:
    plain = asked(WikiText2, wiki, engine, partial=True)
    cut = asked(WikiText2, wiki, engine, partial=True, detokeniser="none")
    assert cut.tokens.sum() == len(files.WIKITEXT.encode())
    assert plain.tokens.sum() < cut.tokens.sum()
    for unit in ("words", "characters", "bytes"):
        np.testing.assert_array_equal(getattr(plain, unit), getattr(cut, unit))
    assert plain.ids == cut.ids


def test_sentences_are_apart_under_every_preset(tmp_path: Path, engine: PlainEngine) -> None:
    path = files.write(tmp_path, "news.en.heldout-00007-of-00050", files.SENTENCES)
    for preset in ("gpt2-paper", "hf-docs", "lm-eval"):
        found = asked(OneBillionWord, path, engine, preset=preset, bos=True, detokeniser="none")
        for nats, line in zip(found.nats, files.SENTENCES.splitlines(), strict=True):
            assert nats == pytest.approx(engine.score_all([("", line)])[0].nats, rel=1e-6)


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (files.WIKITEXT, "tokens and line ends, and WikiText-2 .test split. has 245,569"),
        (files.WIKITEXT[:-9], "line 13: the file ends in the middle of this line"),
        (files.WIKITEXT.replace(" \n", "\n"), "line 1: a line of WikiText begins and ends"),
        (files.WIKITEXT[2:].replace(" = The", " The"), "no article begins anywhere"),
        (" Some text . \n" + files.WIKITEXT, "line 1: text before the first title"),
        (files.WIKITEXT.replace("\n", "\r\n"), "line 1: the line ends in CR LF"),
        ("", "the file is empty"),
        (files.WIKITEXT.encode().replace(b"cat", b"c\xe9t"), "line 13: byte .* isn't UTF-8"),
    ],
    ids=["short", "cut", "stripped", "titles", "headless", "crlf", "empty", "latin-1"],
)
def test_another_wikitext_is_refused(text: str | bytes, message: str, tmp_path: Path) -> None:
    path = files.write(tmp_path, "wiki.test.tokens", text)
    with pytest.raises(DataError, match=f"wiki.test.tokens.*{message}"):
        WikiText2.read(WikiText2.Config(path=""), path)


def test_either_split_is_taken_and_another_than_asked_for_named(shared_data: Path) -> None:
    for benchmark, name in ((WikiText2, "wikitext2.valid.txt"), (Ptb, "ptb.valid.txt")):
        assert benchmark.read(benchmark.Config(path=""), shared_data / name)
        asked = benchmark.Config(path="", partial=True, split="test")
        with pytest.raises(DataError, match=r"valid split .* write 'split: valid'"):
            benchmark.read(asked, shared_data / name)


def test_a_file_that_isnt_there(tmp_path: Path) -> None:
    for benchmark in (WikiText2, Ptb, Enwik8, Text8):
        with pytest.raises(SourceError, match=r"nowhere: can't be read"):
            benchmark.read(benchmark.Config(path=""), tmp_path / "nowhere")
    with pytest.raises(SourceError, match="no file is named"):
        OneBillionWord.read(OneBillionWord.Config(path=""), tmp_path)


def test_another_ptb_is_refused(tmp_path: Path, ptb: Path) -> None:
    whole = Ptb.Config(path="")
    with pytest.raises(DataError, match=r"82,430: the file is truncated or another one; .*partial"):
        Ptb.read(whole, ptb)
    assert len(Ptb.read(Ptb.Config(path="", limit=1), ptb)) == 1
    many = "".join(f" w{k} \n" for k in range(10_000))
    with pytest.raises(DataError, match="10,000 different words"):
        Ptb.read(whole, files.write(tmp_path, "many", many))
    with pytest.raises(DataError, match="line 2: a line of the Penn Treebank"):
        Ptb.read(whole, files.write(tmp_path, "blank", " a b \n \n"))
    long = " a b c \n" * 30_000
    with pytest.raises(DataError, match=r"120,000 .*: this is another file"):
        Ptb.read(Ptb.Config(path="", partial=True), files.write(tmp_path, "long", long))


def test_another_size_is_refused(tmp_path: Path, small: int) -> None:
    for benchmark in (Enwik8, Text8):
        config = benchmark.Config(path="")
        for size in (small - 1, small + 1):
            path = files.write(tmp_path, "file", "a" * size)
            with pytest.raises(DataError, match=f"{size:,} bytes, and {benchmark.title} has exact"):
                benchmark.read(config, path)
        path = files.write(tmp_path, "file", "ab " * 50)
        found = benchmark.read(benchmark.Config(path="", partial=True), path)
        assert sum(len(document.text) for document in found) == 150
        over = files.write(tmp_path, "file", "a" * (small + 1))
        with pytest.raises(DataError, match="another one"):
            benchmark.read(benchmark.Config(path="", partial=True), over)


def test_other_characters_are_refused(tmp_path: Path, small: int) -> None:
    path = files.write(tmp_path, "text8", "a" * 1500 + "B" + "a" * 499)
    with pytest.raises(DataError, match=r"byte 1,500 is b'B'"):
        Text8.read(Text8.Config(path=""), path)
    path = files.write(tmp_path, "enwik8", b"a" * 1950 + b"\xff" + b"a" * 49)
    with pytest.raises(DataError, match="byte 50 of the split isn't UTF-8"):
        Enwik8.read(Enwik8.Config(path=""), path)


def test_another_shard_is_refused(tmp_path: Path) -> None:
    config = OneBillionWord.Config(path="")
    with pytest.raises(DataError, match="a shard is named"):
        OneBillionWord.read(config, files.write(tmp_path, "test.txt", files.SENTENCES))
    path = files.write(tmp_path, "news.en.heldout-00050-of-00050", files.SENTENCES)
    with pytest.raises(DataError, match="a shard is named"):
        OneBillionWord.read(config, path)
    first = files.write(tmp_path, "news.en.heldout-00000-of-00050", files.SENTENCES)
    with pytest.raises(DataError, match=r"29 tokens and sentence ends, .* has 159,658"):
        OneBillionWord.read(config, first)
    name = "news.en.heldout-00003-of-00050"
    with pytest.raises(DataError, match="line 2: an empty line"):
        OneBillionWord.read(config, files.write(tmp_path, name, "a b\n\nc\n"))
    with pytest.raises(DataError, match="line 3: the file ends in the middle"):
        OneBillionWord.read(config, files.write(tmp_path, name, files.SENTENCES[:-2]))


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", [Enwik8, Text8])
def test_files_of_the_published_size(benchmark: type[hutter.Hutter], tmp_path: Path) -> None:
    text = b"abcdefgh " * 11_111_111 + b"z"
    path = files.write(tmp_path, benchmark.title, text)
    try:
        found = benchmark.read(benchmark.Config(path=""), path)
        assert sum(document.fields["bytes"] for document in found) == 5_000_000
        assert sum(document.fields["characters"] for document in found) == 5_000_000
    finally:
        path.unlink()
