"""Features from words: each against what can be counted or asked otherwise."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tests.scoring.causal import save_source
from tests.writing.test_index import documents_in

from gradus.metrics.broken_sentences import BrokenSentences
from gradus.metrics.longest_copy import LongestCopy
from gradus.metrics.novelty import Novelty4, Novelty8
from gradus.metrics.reference_perplexity import ReferencePerplexity
from gradus.metrics.repetition import Repetition
from gradus.metrics.unsupported import Unsupported
from gradus.metrics.writings import ColumnRatio, Writings
from gradus.records import CheckpointRef
from gradus.stats.intervals import interval
from gradus.writing.features.base import Feature, FeatureContext
from gradus.writing.features.brokenness import Brokenness, written_sentences
from gradus.writing.features.diversity import Diversity
from gradus.writing.features.novelty import Novelty
from gradus.writing.features.reference import Reference
from gradus.writing.features.support import Support, unsupported
from gradus.writing.records import Writing

PROMPTS = ["Now is the", "To be, or", "今天天气", ""]
WRITTEN = [
    " winter of our discontent, made glorious.",
    " not to be to be to be to be.",
    "很好。",
    "",
]
TRAINING = [
    "Now is the winter of our discontent made glorious summer.",
    "今天天气很好。我们去北京。",
]


def writings(texts: list[str], prompts: list[str], **more: object) -> list[Writing]:
    pairs = zip(prompts, texts, strict=True)
    return [Writing.of(writer="w", prompt=p, text=t, **more) for p, t in pairs]  # type: ignore[arg-type]


def items(feature: Feature, texts: list[Writing], context: FeatureContext) -> Writings:
    columns = feature.compute(texts, context)
    assert set(columns) == set(feature.columns)
    return Writings(
        tuple(one.prompt for one in texts),
        tuple(one.text for one in texts),
        tuple(one.source for one in texts),
        tuple(one.item for one in texts),
        columns,
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    return save_source(tmp_path_factory.mktemp("lm"), [*PROMPTS, *WRITTEN, *TRAINING], positions=48)


def nats_by_hand(ref: CheckpointRef, prompt: str, text: str) -> tuple[float, int]:
    """One forward pass of transformers over prompt and text, the text's tokens added in float64."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(ref.path)
    model = AutoModelForCausalLM.from_pretrained(ref.path)
    coded = tokenizer(prompt + text, add_special_tokens=False, return_offsets_mapping=True)
    ids = [tokenizer.bos_token_id, *coded["input_ids"]]
    with torch.inference_mode():
        rows = model(torch.tensor([ids])).logits[0].double().log_softmax(-1).numpy()
    mine = [at for at, (_, end) in enumerate(coded["offset_mapping"]) if end > len(prompt)]
    return -sum(rows[at, ids[at + 1]] for at in mine), len(mine)


def test_the_reference_is_asked_for_the_text_alone(
    reference: CheckpointRef, tmp_path: Path
) -> None:
    context = FeatureContext(place=tmp_path, reference=reference)
    texts = writings([*WRITTEN, "A text."], [*PROMPTS[:3], "Nothing", ""])
    found = items(Reference(), texts, context)
    expected = [nats_by_hand(reference, one.prompt, one.text) for one in texts if one.text]
    nats, tokens = found.columns["reference_nats"], found.columns["reference_tokens"]
    assert np.isnan(nats[3])
    assert np.isnan(tokens[3])
    assert tokens[[0, 1, 2, 4]].tolist() == [count for _, count in expected]
    np.testing.assert_allclose(nats[[0, 1, 2, 4]], [total for total, _ in expected], rtol=1e-5)
    whole = math.exp(sum(total for total, _ in expected) / sum(count for _, count in expected))
    assert ReferencePerplexity()(found) == pytest.approx(whole, rel=1e-5)
    (opened,) = context.opened.values()
    again = Reference().compute(texts, context)
    assert list(context.opened.values()) == [opened]
    np.testing.assert_array_equal(again["reference_nats"], nats)
    ends = interval(ReferencePerplexity(), found, draws=200)
    assert 1 <= ends.low <= whole <= ends.high


def test_a_text_longer_than_the_window_is_read_whole(
    reference: CheckpointRef, tmp_path: Path
) -> None:
    (one,) = writings([" winter" * 60], ["Now is the"])
    found = Reference().compute([one], FeatureContext(place=tmp_path, reference=reference))
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(reference.path)
    coded = tokenizer(one.prompt + one.text, add_special_tokens=False, return_offsets_mapping=True)
    count = sum(end > len(one.prompt) for _, end in coded["offset_mapping"])
    assert count > 48
    assert found["reference_tokens"].tolist() == [count]


def test_novelty_is_that_of_counting(tmp_path: Path) -> None:
    context = FeatureContext(place=tmp_path, training=documents_in(tmp_path / "train", TRAINING))
    texts = writings(
        ["the winter of our discontent went", "今天天气很好！", "", "of our discontent\n"],
        ["a", "b", "c", "d"],
    )
    found = items(Novelty(), texts, context)
    assert found.columns["grams_4"].tolist() == [3, 3, 0, 0]
    assert found.columns["novel_4"].tolist() == [1, 0, 0, 0]
    assert found.columns["grams_8"].tolist() == [0, 0, 0, 0]
    assert found.columns["longest_copy"].tolist() == [29, 6, 0, 17]
    assert Novelty4()(found) == pytest.approx(1 / 6)
    assert math.isnan(Novelty8()(found))
    assert LongestCopy()(found) == pytest.approx(52 / 4)


def test_a_copy_of_the_training_text_has_no_novelty(tmp_path: Path) -> None:
    context = FeatureContext(place=tmp_path, training=documents_in(tmp_path / "train", TRAINING))
    found = items(Novelty(), writings(TRAINING, ["a", "b"]), context)
    assert (Novelty4()(found), Novelty8()(found)) == (0.0, 0.0)
    assert found.columns["longest_copy"].tolist() == [len(text) for text in TRAINING]


def test_sentences_are_those_that_end_in_the_text() -> None:
    whole = {"prompt": "It was late. The king", "text": " slept. He woke up. Then he"}
    cut, ended = (Writing.of(writer="w", ended=ended, **whole) for ended in (False, True))
    assert list(written_sentences(cut)) == ["The king slept.", "He woke up."]
    assert list(written_sentences(ended)) == ["The king slept.", "He woke up.", "Then he"]
    assert list(written_sentences(Writing.of(writer="w", prompt="A b.", text=" "))) == []


def test_broken_sentences_are_counted_over_all_texts(tmp_path: Path) -> None:
    texts = writings(
        [" slept. He gave it to the. Good night.", "的的书，。", "", " went. On"],
        ["The king", "他", "Nothing", "She"],
        ended=False,
    )
    found = items(Brokenness(), texts, FeatureContext(place=tmp_path))
    assert found.columns["broken"].tolist() == [1, 1, 0, 0]
    assert found.columns["sentences"].tolist() == [3, 1, 0, 1]
    assert BrokenSentences()(found) == pytest.approx(2 / 5)


def test_names_and_numbers_are_held_against_source_and_prompt(tmp_path: Path) -> None:
    assert unsupported("Then Mr Smith paid 1,200 pounds to Ann.", "Smith owed twelve hundred") == (
        1,
        3,
    )
    assert unsupported("He met John Smith.", "Smith owed nothing") == (1, 1)
    assert unsupported("Nothing is said.", "at all") == (0, 0)
    pytest.importorskip("jieba")
    assert unsupported("他在北京住了三十天。", "北京，30天") == (0, 2)
    assert unsupported("他在上海住了三十天。", "北京，31天") == (2, 2)
    texts = writings(
        [" He met Ann in Rome.", " It rained."], ["Ann was away.", "So?"], source="Rome"
    )
    found = items(Support(), texts, FeatureContext(place=tmp_path))
    assert found.columns["stated"].tolist() == [2, 0]
    assert Unsupported()(found) == 0.0


def test_texts_to_one_prompt_are_left_out_together(tmp_path: Path) -> None:
    texts = [
        Writing.of(writer="w", prompt=f"{n // 2}", number=n % 2, text=f"a b c{n // 2} d")
        for n in range(8)
    ]
    found = items(Diversity(), texts, FeatureContext(place=tmp_path))
    value = found.columns["distinct_1"]
    assert value.mean() == pytest.approx((3 + 4) / 32)
    # Every prompt has the same to do with it, so there is nothing to be unsure of.
    assert value.std() == pytest.approx(0, abs=1e-12)
    repeated = items(Diversity(), writings(WRITTEN, PROMPTS), FeatureContext(place=tmp_path))
    assert Repetition()(repeated) == pytest.approx(3 / (3 + 6))


@pytest.mark.parametrize("kind", [Novelty4, BrokenSentences, Unsupported])
def test_nothing_to_count_gives_no_number(kind: type[ColumnRatio]) -> None:
    columns = {name: np.zeros(3) for name in kind.columns}
    assert math.isnan(kind()(Writings(("p",) * 3, ("",) * 3, (None,) * 3, columns=columns)))
