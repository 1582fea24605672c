"""Language models on corpora: what is measured, what isn't asked twice, what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradus
from gradus import ledger
from gradus.errors import CheckpointError
from gradus.metrics.items import read_items
from gradus.plan import plan_from_dict
from gradus.records import Answer, Measurement, RunRecord, State
from gradus.runner.monitor import Quiet
from gradus.scoring.load import load_causal_lm
from gradus.scoring.seam import encode_bare
from gradus.sources import locate_weights
from gradus.testing.world import write_causal, write_encoder
from gradus.training.models import load_tokenizer

WORDS = "the king and his men came to the gate of the old town by night with fire".split()  # noqa: SIM905


def sentence(number: int, length: int = 12) -> str:
    rng = np.random.default_rng(number)
    return " ".join(rng.choice(WORDS, length).tolist()) + f" {number}."


def documents(count: int = 240) -> list[dict[str, str]]:
    domains = ("court", "field", "ship")
    rows = [{"text": sentence(n), "where": domains[n % 3]} for n in range(count)]
    return rows + [
        {"text": "城门在夜里开了,国王" + "和" * (n + 1), "where": "ship"} for n in range(60)
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    torch.set_num_threads(1)
    rows = documents()
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "tales.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    long = [{"text": "\n".join(sentence(100 * n + k, 40) for k in range(90))} for n in range(12)]
    (folder / "books.jsonl").write_text("\n".join(map(json.dumps, long)) + "\n", encoding="utf-8")
    texts = [row["text"] for row in rows]
    write_causal(folder / "lm", texts)
    write_causal(folder / "same", texts)
    masked(folder / "cloze", texts)
    write_encoder(folder / "encoder", texts)
    return folder


def masked(folder: Path, texts: list[str]) -> None:
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    write_encoder(folder, texts)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=64, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)


def tales(**changes: Any) -> dict[str, Any]:
    return {
        "source": {"file": "tales.jsonl"},
        "columns": {"domain": "where"},
        "split": {"train": 0.2, "dev": 0.6, "test": 0.2},
        **changes,
    }


def judged(
    world: Path,
    place: Path,
    *gates: str,
    models: tuple[str, ...] = ("lm",),
    on: str = "tales",
    corpora: Mapping[str, Any] | None = None,
    measure: Mapping[str, Any] | None = None,
    reporter: Quiet | None = None,
    **step: Any,
) -> RunRecord:
    plan = plan_from_dict(
        {
            "name": "heard",
            "seed": 1,
            "corpora": corpora or {"tales": tales()},
            "models": {n: {"folder": n} for n in ("lm", "same", "cloze", "encoder")},
            "steps": [
                {"id": "judged", "step": "evaluate", "models": list(models), "on": on,
                 "gates": list(gates), **step}
            ],
            "measure": {"bootstrap": 200, **(measure or {})},
        },
        folder=world,
    )  # fmt: skip
    return gradus.run(plan, runs_dir=place, reporter=reporter)


def found(record: RunRecord, metric: str, checkpoint: str = "lm") -> Measurement:
    for m in record.step("judged").measurements:
        if (m.metric, m.checkpoint) == (metric, checkpoint):
            return m
    raise KeyError(metric)


def plain_nats(world: Path, name: str, texts: list[str]) -> list[tuple[float, int]]:
    """Float64 sums of log-likelihoods behind the beginning of text, one pass a text."""
    ref = locate_weights(name, {"folder": str(world / name)}, world)
    model, tokenizer = load_causal_lm(ref).double(), load_tokenizer(ref)
    said = []
    for text in texts:
        (ids,) = encode_bare(tokenizer, [text])
        whole = torch.tensor([[tokenizer.bos_token_id, *ids]])
        with torch.inference_mode():
            logits = model(input_ids=whole[:, :-1]).logits[0].log_softmax(-1)
        nats = logits[torch.arange(len(ids)), torch.tensor(ids)]
        said.append((float(nats.sum()), len(ids)))
    return said


def test_numbers_are_those_of_a_plain_forward_pass(world: Path, tmp_path: Path) -> None:
    record = judged(world, tmp_path)
    measured = found(record, "bits_per_byte")
    items, shown = read_items(Path(record.run) / str(measured.items))
    expected = plain_nats(world, "lm", shown)
    np.testing.assert_allclose(items.nats, [nats for nats, _ in expected], rtol=1e-4)
    nats, size = sum(n for n, _ in expected), sum(len(text.encode()) for text in shown)
    tokens = sum(count for _, count in expected)
    characters = sum(map(len, shown))
    for metric, value in {
        "bits_per_byte": -nats / size / math.log(2),
        "byte_perplexity": math.exp(-nats / size),
        "bits_per_character": -nats / characters / math.log(2),
        "token_perplexity": math.exp(-nats / tokens),
        "log_likelihood_nats": nats,
    }.items():
        assert found(record, metric).value == pytest.approx(value, rel=1e-4), metric
    assert (measured.benchmark, measured.data, measured.split) == ("corpus.v1", "tales", "dev.gate")
    assert measured.n == len(shown) >= 30
    assert measured.contract["items"] == "documents"
    assert {"tokenizer", "dtype", "backend", "window", "stride", "bos"} <= measured.contract.keys()
    assert measured.contract["window"] == measured.contract["stride"] == "512"
    assert measured.ci_low is not None
    assert measured.ci_low < measured.value < measured.ci_high


def test_of_few_long_documents_items_are_blocks(world: Path, tmp_path: Path) -> None:
    books = {"books": {"source": {"file": "books.jsonl"}, "split": {"train": 0.3, "dev": 0.7}}}
    record = judged(world, tmp_path, on="books", corpora=books, measure={"window": 64})
    measured = found(record, "bits_per_byte")
    items, shown = read_items(Path(record.run) / str(measured.items))
    assert measured.contract["items"] == "blocks of 2000 characters"
    assert measured.contract["window"] == measured.contract["stride"] == "64"
    assert measured.n == len(items) > 30
    assert len(set(items.ids)) == len(items)
    documents = {identity.partition(".")[0] for identity in items.ids}
    facts = record.corpora["books"]["splits"]["dev.gate"]
    assert len(documents) == facts["documents"] < 30
    assert sum(items.bytes) == facts["bytes"]
    assert len(shown) == len(items)


def test_results_are_broken_down_by_domain_and_language(world: Path, tmp_path: Path) -> None:
    gate = "bits_per_byte{domain=court} <= 100"
    record = judged(world, tmp_path, gate, measure={"slice_least": 5})
    rows = {(row["by"], row["slice"]): row for row in record.step("judged").facts["slices"]}
    assert {slice_of for by, slice_of in rows if by == "domain"} == {"court", "field", "ship"}
    assert {slice_of for by, slice_of in rows if by == "language"} == {"en", "zh"}
    by_domain = [row["n"] for (by, _), row in rows.items() if by == "domain"]
    assert sum(by_domain) == found(record, "bits_per_byte").n
    assert rows["language", "zh"]["value"] == found(record, "bits_per_byte{language=zh}").value
    (verdict,) = record.step("judged").gates
    assert verdict.verdict is Answer.OPEN
    assert verdict.value == rows["domain", "court"]["value"]


def test_gates_between_two_models_are_paired(world: Path, tmp_path: Path) -> None:
    gates = ("tales.bits_per_byte <= same + 0.001", "bits_per_byte{domain=ship} <= same + 0.001")
    record = judged(world, tmp_path, *gates, models=("lm",))
    verdicts = record.step("judged").gates
    assert [v.verdict for v in verdicts] == [Answer.OPEN, Answer.OPEN]
    assert verdicts[0].difference == pytest.approx(0, abs=1e-6)
    assert verdicts[0].n == found(record, "bits_per_byte").n
    assert 0 < verdicts[1].n < verdicts[0].n


def test_a_masked_model_fills_fixed_gaps(world: Path, tmp_path: Path) -> None:
    record = judged(world, tmp_path, "masked_loss <= 100", models=("cloze",))
    loss, share = (found(record, name, "cloze") for name in ("masked_loss", "masked_accuracy"))
    assert record.state is State.DONE
    assert loss.benchmark == "masked.v1"
    items, _ = read_items(Path(record.run) / str(loss.items))
    assert loss.value == pytest.approx(-items.nats.sum() / items.tokens.sum())
    assert share.value == pytest.approx(items.correct.sum() / items.tokens.sum())
    # Untrained, it is as unsure as a choice among all tokens.
    assert loss.value == pytest.approx(math.log(600), abs=0.7)
    assert loss.contract["window"] == "64"


def test_test_is_counted_once_for_all_models(world: Path, tmp_path: Path) -> None:
    record = judged(world, tmp_path, models=("lm", "same"), on="tales.test")
    digest = record.corpora["tales"]["split_digests"]["test"]
    assert record.readings == {"tales": 1}
    assert judged(world, tmp_path, models=("lm", "same"), on="tales.test").readings["tales"] == 1
    again = judged(world, tmp_path / "other", on="tales.test")
    assert again.readings == {"tales": 2}
    assert ledger.count(digest) == 2


def test_nothing_is_asked_twice(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = judged(world, tmp_path)
    monkeypatch.setattr("gradus.scoring.open", None)
    second = judged(world, tmp_path, "tales.bits_per_byte <= 0.001", measure={"level": 0.9})
    assert second.state is State.CLOSED
    assert found(second, "bits_per_byte").value == found(first, "bits_per_byte").value


class Stopping(Quiet):
    """Stops the run after so many reports of progress; keeps what it is told."""

    def __init__(self, after: int) -> None:
        self.left, self.notes = after, list[str]()

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, done: float, total: float, text: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["lm", "cloze"])
def test_interrupted_it_goes_on(world: Path, tmp_path: Path, name: str) -> None:
    whole = judged(world, tmp_path / "whole", models=(name,))
    with pytest.raises(KeyboardInterrupt):
        judged(world, tmp_path / "cut", models=(name,), reporter=Stopping(60))
    (journal,) = (tmp_path / "cut").rglob("journal.jsonl")
    assert len(journal.read_text().splitlines()) > 10
    listening = Stopping(-1)
    record = judged(world, tmp_path / "cut", models=(name,), reporter=listening)
    assert any("going on where it was interrupted" in note for note in listening.notes)
    assert not journal.exists()
    values = [m.value for m in record.step("judged").measurements]
    assert values == pytest.approx([m.value for m in whole.step("judged").measurements])


def test_a_sample_is_said(world: Path, tmp_path: Path) -> None:
    record = judged(world, tmp_path, sample=40)
    measured = found(record, "bits_per_byte")
    assert measured.n == 40
    assert measured.contract["sample"].startswith("40 of ")


def test_what_is_no_language_model_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="can't continue one"):
        judged(world, tmp_path, models=("encoder",))


def test_changed_documents_are_refused_while_a_run_is_unfinished(tmp_path: Path) -> None:
    from gradus.errors import DataChanged
    from gradus.runner.inputs import refuse_changed_data

    facts = {"splits": {"train": {"documents": 7}}, "digest": "a" * 64, "config_digest": "c"}
    earlier = RunRecord(run="r", plan="p", state=State.FAILED, corpora={"tales": facts})
    with pytest.raises(DataChanged, match=r"corpus 'tales' has changed.*then 7 documents"):
        refuse_changed_data(earlier, {"tales": {**facts, "digest": "b" * 64}})
    refuse_changed_data(earlier, {"tales": facts})


def pretrained(world: Path, place: Path) -> RunRecord:
    small = {"architecture": "gpt2", "layers": 1, "width": 16, "heads": 1}
    train: dict[str, Any] = {"step": "pretrain", "steps": 3, "batch_size": 4}
    plan = plan_from_dict(
        {
            "name": "taught",
            "corpora": {"tales": tales(), "more": tales(columns={}, limit=150)},
            "steps": [
                {"id": "tok", "step": "tokenizer", "corpus": "tales", "vocabulary": 300},
                {**train, "id": "base", "corpus": "tales", "tokenizer": "tok", "model": small,
                 "block": 32, "seeds": 2, "gates": ["tales.bits_per_byte <= 20"]},
                {**train, "id": "both", "corpora": {"tales": 0.5, "more": 0.5}, "model": "base",
                 "block": 32, "gates": ["tales.bits_per_byte <= base + 5",
                                        "more.bits_per_byte <= base + 5"]},
            ],
            "measure": {"bootstrap": 200, "slice_least": 5},
        },
        folder=world,
    )  # fmt: skip
    return gradus.run(plan, runs_dir=place)


def test_a_pretrained_model_is_measured_on_its_corpora(world: Path, tmp_path: Path) -> None:
    record = pretrained(world, tmp_path)
    assert record.state is State.DONE
    assert record.step("tok").measurements == ()
    base, both = record.step("base"), record.step("both")
    (row,) = (r for r in base.facts["seeds"]["measured"] if r["metric"] == "bits_per_byte")
    assert len(row["values"]) == 2
    value = next(m.value for m in base.measurements if m.metric == "bits_per_byte")
    assert value == pytest.approx(np.mean(row["values"]))
    # `base` is measured on `more` beside `both`, since it wasn't by its own step.
    assert {(m.checkpoint, m.data) for m in both.measurements} == {
        ("both", "tales"), ("both", "more"), ("base", "more"),
    }  # fmt: skip
    assert [v.verdict for v in both.gates] == [Answer.OPEN, Answer.OPEN]
    changes = [(c["metric"], c["against"]) for c in both.facts["changes"]]
    assert ("bits_per_byte", "base") in changes
    assert ("token_perplexity", "base") in changes
    assert {row["by"] for row in base.facts["slices"]} == {"domain", "language"}


def test_a_classifier_on_a_pretrained_model_takes_no_turns_with_it(
    world: Path, tmp_path: Path
) -> None:
    rows = [{"text": sentence(n), "label": "even" if n % 2 else "odd"} for n in range(60)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    small = {"architecture": "bert", "layers": 1, "width": 16, "heads": 1}
    plan = plan_from_dict(
        {
            "name": "tagged",
            "corpora": {"tales": {**tales(), "source": {"file": str(world / "tales.jsonl")}}},
            "data": {"rows": {"source": {"file": "rows.jsonl"}, "audit": False,
                              "split": {"train": 0.5, "dev": 0.5, "test": 0.0}}},
            "steps": [
                {"id": "tok", "step": "tokenizer", "corpus": "tales", "kind": "wordpiece",
                 "vocabulary": 300},
                {"id": "base", "step": "pretrain", "corpus": "tales", "tokenizer": "tok",
                 "model": small, "block": 32, "steps": 2, "batch_size": 4},
                {"id": "tuned", "step": "finetune", "model": "base", "data": "rows",
                 "objective": "classify", "stages": [{"train": "head", "epochs": 1}]},
            ],
            "measure": {"bootstrap": 200, "latency_texts": 4, "latency_repeats": 2},
        },
        folder=tmp_path,
    )  # fmt: skip
    record = gradus.run(plan, runs_dir=tmp_path / "runs")
    assert {m.benchmark for m in record.step("base").measurements} == {"masked.v1"}
    timed = [m.checkpoint for m in record.step("tuned").measurements if m.unit == "ms"]
    assert set(timed) == {"tuned"}
