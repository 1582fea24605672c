"""What can be asked of which checkpoint, and the records that come of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gradus.checkpoints import open_checkpoint
from gradus.errors import CheckpointError, SourceError, UsageError
from gradus.predict import encoder, load
from gradus.predict.entries import BadLine, TextItem
from gradus.predict.tasks import Job, choose, find, open_job, tasks_of
from gradus.predict.windows import Here, npy_head
from gradus.records import CheckpointRef
from gradus.steps.finetune import Finetune, FinetuneConfig
from gradus.testing.world import World
from steps import tiny

from .linear_models import save

ENTRIES = [TextItem(1, "the ball"), BadLine(2, "torn", 7), TextItem(3, "a new song")]


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny.source(tmp_path_factory.mktemp("tasks") / "source").path


@pytest.fixture(scope="module")
def tuned(encoder_folder: str, tmp_path_factory: pytest.TempPathFactory) -> CheckpointRef:
    source = CheckpointRef(name="encoder", kind="transformer", path=encoder_folder)
    context = tiny.context(tmp_path_factory.mktemp("tuned"), source, tiny.data())
    given = {"model": "encoder", "data": "words", "stages": [{"train": "head"}]}
    outcome = Finetune().run(FinetuneConfig.model_validate(given), context)
    assert outcome.checkpoint is not None
    return open_checkpoint(outcome.checkpoint)


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> str:
    return World(tmp_path_factory.mktemp("world")).model("lm").path


def test_what_a_checkpoint_can_do(
    tuned: CheckpointRef, encoder_folder: str, lm: str, tmp_path: Path
) -> None:
    linear = save(tmp_path / "linear")
    assert tasks_of(find(linear.path)) == ("classify",)
    assert tasks_of(find(tuned.path)) == ("classify", "embed")
    assert tasks_of(find(encoder_folder)) == ("embed",)
    assert tasks_of(find(lm)) == ("generate", "embed")
    assert choose(find(lm), None) == "generate"
    with pytest.raises(UsageError, match=r"--task tag: .* can't do that; .*--task classify"):
        choose(find(linear.path), "tag")
    with pytest.raises(UsageError, match=r"--task generate: .*or take --task embed"):
        choose(find(encoder_folder), "generate")
    with pytest.raises(CheckpointError, match=r"gradus\.json"):
        find(str(tmp_path))
    with pytest.raises(SourceError):
        find("package:nowhere-to-be-found")


def test_vectors_are_the_models_to_the_last_bit(tuned: CheckpointRef) -> None:
    wanted = load(tuned).embed(["the ball", "a new song"], normalise=True)
    here = Here(Job(checkpoint=tuned.path, task="embed", normalise=True, echo=True))
    found = here(ENTRIES)
    first, bad, last = map(json.loads, found.data.splitlines())
    assert (first["line"], first["text"], last["line"]) == (1, "the ball", 3)
    assert bad == {"line": 2, "id": 7, "error": "torn"}
    rows = np.array([first["embedding"], last["embedding"]], dtype=np.float32)
    np.testing.assert_array_equal(rows, wanted)
    assert (found.records, found.bad) == (3, 1)


def test_rows_are_a_numpy_file(encoder_folder: str) -> None:
    wanted = encoder(find(encoder_folder)).embed(["the ball", "a new song"])
    found = Here(Job(checkpoint=encoder_folder, task="embed", rows=True))(ENTRIES)
    head = npy_head(found.records, len(found.data))
    read = np.load(io.BytesIO(head + found.data), allow_pickle=False)
    assert (read.dtype, read.shape) == (np.float32, (3, 24))
    np.testing.assert_array_equal(read[[0, 2]], wanted)
    assert np.isnan(read[1]).all()
    only_bad = Here(Job(checkpoint=encoder_folder, task="embed", rows=True))([ENTRIES[1]])
    assert np.isnan(np.frombuffer(only_bad.data, np.float32)).tolist() == [True] * 24
    assert np.load(io.BytesIO(npy_head(0, 0))).shape == (0, 0)


def test_continuations_are_transformers_greedy_ones(lm: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(lm).eval()
    tokenizer = AutoTokenizer.from_pretrained(lm)
    texts = ["On Monday the striker", "A car maker"]
    job = Job(checkpoint=lm, task="generate", chat=False, decoding={"max_tokens": 6})
    items = [TextItem(n, text) for n, text in enumerate(texts, start=1)]
    found = [json.loads(line) for line in Here(job)(items).data.splitlines()]
    for text, record in zip(texts, found, strict=True):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            written = model.generate(ids, max_new_tokens=6, do_sample=False, pad_token_id=0)
        own = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
        assert record["continuation"] == own
        assert list(record) == ["line", "continuation", "tokens", "ended"]
        assert record["ended"] or record["tokens"] == 6


def test_replies_are_those_of_predict(lm: str) -> None:
    from gradus.predict.model import language_model

    texts = ["On Monday the striker", "A car maker"]
    wanted = language_model(find(lm)).predict(texts)
    answers = open_job(Job(checkpoint=lm, task="generate"))
    items = [TextItem(n, text) for n, text in enumerate(texts, start=1)]
    assert [r["reply"] for r in answers(items, echo=False)] == [p.reply for p in wanted]


def test_draws_follow_from_seed_and_line_alone(lm: str) -> None:
    def drawn(lines: list[int], seed: int) -> list[str]:
        decoding = {"max_tokens": 8, "temperature": 2.0, "seed": seed}
        job = Job(checkpoint=lm, task="generate", chat=False, decoding=decoding)
        items = [TextItem(line, "On Monday the") for line in lines]
        return [r["continuation"] for r in open_job(job)(items, echo=False)]

    together = drawn([1, 2, 3], 0)
    assert len(set(together)) > 1
    assert drawn([2], 0) == together[1:2]
    assert drawn([1, 2, 3], 1) != together


@pytest.mark.parametrize(
    ("decoding", "says"),
    [({"temperature": -1.0}, "--temperature"), ({"seed": -1}, "--seed")],
)
def test_bad_settings_are_named(lm: str, decoding: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_job(Job(checkpoint=lm, task="generate", decoding=decoding))
