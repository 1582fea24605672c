"""Our own engine: templates, families without a decoder, jobs that fail or that nobody wants."""

from __future__ import annotations

import copy
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.generation.conftest import make_model

from gradus.errors import CheckpointError
from gradus.generation import Decoding
from gradus.generation.pieces import Asked, Piece
from gradus.serve.engines.base import _Saying
from gradus.serve.engines.choice import name_of, writes
from gradus.serve.engines.gradus import GradusEngine
from gradus.serve.engines.threads import Stepping

from .conftest import Heard, answered, begin

PROMPT = "The river"
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture(scope="module")
def engine(language: Path) -> GradusEngine:
    found = GradusEngine.open(str(language), {"threads": 1})
    found.probe()
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> GradusEngine:
    """A family whose texts transformers writes, one after the other."""
    import transformers

    folder = tmp_path_factory.mktemp("models") / "neox"
    config = transformers.GPTNeoXConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=4096,
        eos_token_id=None,
    )
    transformers.GPTNeoXForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    found = GradusEngine.open(str(folder), {"threads": 1})
    found.probe()
    return found


def test_a_model_with_a_template_of_its_own(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    own = copy.deepcopy(tokenizer)
    own.chat_template = TEMPLATE
    model.save_pretrained(tmp_path)
    own.save_pretrained(tmp_path)
    engine = GradusEngine.open(str(tmp_path), {"threads": 1})
    assert engine.facts["chat_template"] == "its own"
    found = answered(engine, turns=(("user", PROMPT),), max_tokens=12)
    rendered = "[user] The river\n[assistant]"
    assert found.parts[0]["prompts"] == [rendered]
    assert found.texts == answered(engine, prompts=(rendered,), max_tokens=12).texts
    refused = begin(engine, turns=(("system", "Be brief."), ("user", PROMPT))).refused
    assert refused["param"] == "messages"
    assert "no system" in refused["message"]


def test_a_family_without_a_decoder(alone: GradusEngine) -> None:
    from gradus import generation

    assert "logprobs" not in alone.supports
    settings = {"temperature": 1.0}
    found = answered(alone, prompts=(PROMPT,), n=2, max_tokens=9, seed=3, settings=settings)
    writer = generation.open(alone.ref, threads=1)
    decoding = Decoding(max_tokens=9, temperature=1.0, seed=3)
    expected = writer.generate_all([PROMPT] * 2, settings=decoding)
    assert found.texts == [text.rstrip("\ufffd") for text in expected]
    assert found.finishes == ["length"] * 2
    assert begin(alone, prompts=(PROMPT,), logprobs=1).refused["param"] == "logprobs"


@pytest.mark.parametrize("which", ["engine", "alone"])
def test_a_job_that_nobody_wants_makes_room(which: str, request: pytest.FixtureRequest) -> None:
    engine: GradusEngine = request.getfixturevalue(which)
    heard = begin(engine, 7, prompts=(PROMPT,), max_tokens=2000)
    while len(heard.parts) < 3:
        time.sleep(0.01)
    heard.stopped = True
    engine.cancel(7)
    began = time.monotonic()
    assert answered(engine, 8, prompts=(PROMPT,), max_tokens=3).finishes == ["length"]
    assert time.monotonic() - began < 2
    told = len(heard.parts)
    time.sleep(0.1)
    assert len(heard.parts) == told
    assert not heard.ended.is_set()


def test_pieces_that_nobody_wants_come_at_the_end(engine: GradusEngine) -> None:
    many = answered(engine, prompts=(PROMPT,), max_tokens=20)
    once = answered(engine, prompts=(PROMPT,), max_tokens=20, streams=False)
    assert len(many.parts) > 5
    assert len(once.parts) == 2
    assert once.texts == many.texts
    assert once.parts[1]["n"] == 20


@pytest.mark.parametrize("streams", [True, False])
def test_the_end_is_said_behind_the_last_piece_of_all_threads(
    engine: GradusEngine, streams: bool
) -> None:
    ends: list[int] = []

    class Slow(Heard):
        def part(self, value: Any) -> None:
            time.sleep(0.1 * (3 - value["i"]))
            super().part(value)

        def done(self, value: Any = None) -> None:
            ends.append(len(self.parts))

    heard = Slow()
    saying = _Saying(engine, heard, 3, streams)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda n: saying(n, Piece(str(n), 1, "stop")), range(3)))
    assert ends == [3]
    assert sorted(part["t"] for part in heard.parts) == ["0", "1", "2"]


def test_a_step_that_fails_is_told_to_all_who_wait() -> None:
    """The next batch is a new one."""

    class Broken:
        busy = False

        def add(self, asked: Asked) -> int:
            self.busy = True
            return 0

        def cancel(self, ticket: int) -> None:
            pass

        def step(self) -> list[tuple[int, Piece]]:
            raise RuntimeError("out of memory")

    failed: list[BaseException] = []

    class Hears:
        def __call__(self, number: int, piece: Piece) -> None:
            raise AssertionError

        def failed(self, error: BaseException) -> None:
            failed.append(error)

    stepping = Stepping(Broken)
    for job in range(2):
        stepping.begin(job, [Asked((1,), Decoding(), 0)], Hears())
        until = time.monotonic() + 5
        while len(failed) <= job:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_text_that_can_not_be_taken_costs_no_other_job() -> None:
    class Picky:
        def __init__(self) -> None:
            self.there: list[int] = []

        @property
        def busy(self) -> bool:
            return bool(self.there)

        def add(self, asked: Asked) -> int:
            if asked.ids == (13,):
                raise ValueError("no such token")
            self.there.append(asked.ids[0])
            return asked.ids[0]

        def cancel(self, ticket: int) -> None:
            self.there.remove(ticket)

        def step(self) -> list[tuple[int, Piece]]:
            said, self.there = self.there, []
            return [(ticket, Piece("a", 1, "stop")) for ticket in said]

    class Hears:
        def __init__(self) -> None:
            self.told: list[Any] = []

        def __call__(self, number: int, piece: Piece) -> None:
            self.told.append(piece.text)

        def failed(self, error: BaseException) -> None:
            self.told.append(type(error))

    stepping = Stepping(Picky)
    first, second = Hears(), Hears()
    texts = [Asked((ids,), Decoding(), 0) for ids in (1, 13)]
    stepping.begin(0, texts, first)
    stepping.begin(1, [Asked((2,), Decoding(), 0)], second)
    until = time.monotonic() + 5
    while not (first.told and second.told):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert (first.told, second.told) == ([ValueError], ["a"])


def test_broken_weights_are_found_before_anybody_asks(tmp_path: Path, tokenizer: Any) -> None:
    import torch

    broken = make_model("llama", tokenizer)
    with torch.no_grad():
        broken.lm_head.weight.fill_(float("nan"))
    broken.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="broken"):
        GradusEngine.open(str(tmp_path), {"threads": 1}).probe()


def test_who_writes(language: Path, engine: GradusEngine, tmp_path: Path) -> None:
    assert writes(str(language)) == "torch"
    assert GradusEngine.takes(str(language))
    assert name_of(engine.ref) == "tiny"
    assert writes(str(tmp_path)) is None
    assert writes("package:there-is-none") is None
