"""Pretraining: Gradus against nanoGPT and the transformers Trainer, on works of Shakespeare.

speed: the same model (6 layers, 6 heads, width 384, block 256, batch 16, characters) on the same
token ids: tokens a second, and the loss on held-out works after equal tokens. nanoGPT runs in
float32, which is all that its loop does off CUDA; ours and the Trainer in bfloat16 where the
processor is fast at it.
quality: bits a byte on held-out whole works after equal minutes, nanoGPT's character model against
the model of plans/pretrain-shakespeare.yaml; nobody trained on those works or validated on them.

    python bench/pretrain.py --nanogpt DIR --json                   about 65 minutes on 2 cores
    python bench/pretrain.py --nanogpt DIR --only speed --json      or quality
    python bench/pretrain.py --nanogpt DIR --quick --json           under 5 minutes

Without `--nanogpt`, a checkout of nanoGPT, speed is against the Trainer alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import pretrain_ours as ours
from common import Result, finish, parser, ratio, say
from pretrain_held_out import Bits, joined, nats, paired, stretches
from pretrain_peers import BETAS, CLIP, DECAY, LEAST_LR, LR, SETTLE, WARMUP, Shape, nanogpt, trainer

STRIDE_SHARE = 2  # windows of held-out text begin every half window
VALIDATION_TOKENS = 100_000
QUICK_TOKENS, QUICK_BYTES = 8_000, 24_000
CHARACTERS = {"corpus": ours.CORPUS, "kind": "characters", "vocabulary": 256, "coverage": 1.0}


def main() -> None:
    """Run both sides, print the ratios."""
    from gradus import hardware

    made = parser(__doc__)
    made.add_argument("--nanogpt", type=Path, default=None, help="a checkout of nanoGPT")
    made.add_argument("--only", choices=("speed", "quality"), default=None)
    made.add_argument("--steps", type=int, default=300, help="updates of the speed comparison")
    made.add_argument("--minutes", type=float, default=15.0, help="of training, for quality")
    made.add_argument("--compiled", action="store_true", help="the Trainer with torch_compile")
    made.add_argument("--seed", type=int, default=1)
    args = made.parse_args()
    if args.quick:
        args.steps, args.minutes = min(args.steps, 12), min(args.minutes, 0.5)
    if args.steps <= SETTLE:
        made.error(f"--steps: timing begins after {SETTLE} updates, take more")
    if args.only == "quality" and args.nanogpt is None:
        made.error("quality is against nanoGPT: --nanogpt DIR")
    hardware.ceilings()  # measured before anything else runs, where it hasn't been
    results: list[Result] = []
    extra: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        known = ours.setting(Path(folder), args.seed)
        if args.only != "quality":
            results += speed(known, args, extra)
        if args.only != "speed" and args.nanogpt is not None:
            results += quality(known, args, extra)
    finish(results, as_json=args.json, **extra)


def speed(known: ours.Setting, args: argparse.Namespace, extra: dict[str, Any]) -> list[Result]:
    """Tokens a second and the held-out loss after equal tokens."""
    from gradus import hardware

    tokenizer = ours.tokenizer(known, CHARACTERS, "characters")
    train = known.tokens(tokenizer, "train")
    limit = QUICK_TOKENS if args.quick else VALIDATION_TOKENS
    held_out = known.tokens(tokenizer, "dev.gate")[:limit]
    shape = Shape(vocabulary=_vocabulary(tokenizer))
    options: dict[str, Any] = {"seed": args.seed, "updates": args.steps}
    peers = {"transformers Trainer": {**options, "compiled": args.compiled}}
    if args.nanogpt is not None:
        peers["nanoGPT"] = {**options, "folder": args.nanogpt}
    mine, lost = apart(_our_speed, known, _same(shape, args.steps), tokenizer, held_out, shape)
    loss = {"ours": lost}
    ceiling = hardware.ceilings()["matmul_gflops"][hardware.training_dtype()] * 1e9
    share = mine.rate * shape.flops() / ceiling
    results = [_result("share of the ceiling", "matrix products alone", share, 1.0, "of 1", 0.65)]
    rates = {"ours": mine.rate}
    for name, given in peers.items():
        say(f"{name}: {args.steps} updates")
        rates[name], loss[name] = apart(_peer_speed, name, given, train, held_out, shape)
        target = 2.0 if name == "nanoGPT" else 1.15
        one = _result("tokens a second", name, mine.rate, rates[name], "tokens/s", target)
        one.peer_flags = _flags(name, args.compiled)
        one.peer_version = _version(name, args.nanogpt)
        # How much worse ours is after the same tokens; 0.02 is allowed.
        one.max_difference = loss["ours"] - loss[name]
        results.append(one)
    extra["speed"] = {
        "tokens_per_second": rates,
        "held_out_loss": loss,
        "tokens": args.steps * shape.tokens,
        "flops_a_token": shape.flops(),
        "ceiling_tokens_per_second": ceiling / shape.flops(),
        "cost": dict(mine.cost),
    }
    return results


def quality(known: ours.Setting, args: argparse.Namespace, extra: dict[str, Any]) -> list[Result]:
    """Bits a byte on test after equal minutes, with paired intervals by block bootstrap."""
    texts = known.text("test")
    if args.quick:
        texts = [text[:QUICK_BYTES] for text in texts[:1]]
    tokenizer = ours.tokenizer(known, known.step("tok"), "tok")
    config = known.step("base")
    for budget in ("steps", "tokens", "epochs", "minutes"):
        config.pop(budget, None)
    config["minutes"] = args.minutes
    mine, own = apart(_our_quality, known, config, tokenizer, texts)

    train = known.text("train")
    # As its prepare.py does: every character of all the text, held-out included.
    characters = sorted({c for split in known.corpus.splits for t in known.text(split) for c in t})
    number = {c: i for i, c in enumerate(characters)}
    shape = Shape(vocabulary=len(characters))
    ids = np.array([number[c] for c in "\n".join(train)], dtype=np.uint16)
    say(f"nanoGPT: {args.minutes:g} minutes")
    given = {"folder": args.nanogpt, "seed": args.seed, "seconds": 60 * args.minutes}
    updates, other = apart(_peer_quality, given, ids, number, texts, shape)

    found = paired(own, other, args.seed)
    result = _result(
        f"bits per byte on held-out works after {args.minutes:g} minutes",
        "nanoGPT",
        found["ours"]["value"],
        found["theirs"]["value"],
        "bits",
        1 / 0.97,
    )
    result.peer_flags = f"{_flags('nanoGPT', args.compiled)}; {updates} updates"
    result.peer_version = _version("nanoGPT", args.nanogpt)
    extra["quality"] = {
        **found,
        "works": len(texts),
        "bytes": int(own.size.sum()),
        "tokens": {"ours": mine.cost["train_tokens"], "nanoGPT": updates * shape.tokens},
        "cost": dict(mine.cost),
        "plan": ours.PLAN.name,
        "config": config,
    }
    limit = "time in validation, samples and checkpoints"
    return [result, _result(limit, "limit", mine.share(), 0.05, "of 1", 1.0)]


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What `work` gives, in a process of its own: no side finds what another left behind."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_on_threads, work, given).result()


def _on_threads(work: Callable[..., Any], given: Sequence[Any]) -> Any:
    import torch

    from gradus import hardware

    torch.set_num_threads(hardware.threads())
    return work(*given)


def _our_speed(
    known: ours.Setting,
    config: dict[str, Any],
    tokenizer: Path,
    held_out: np.ndarray,
    shape: Shape,
) -> tuple[ours.Trained, float]:
    mine = ours.pretrain(known, config, tokenizer, "same")
    return mine, _loss(mine.logits(), held_out, shape)


def _peer_speed(
    name: str, given: dict[str, Any], train: np.ndarray, held_out: np.ndarray, shape: Shape
) -> tuple[float, float]:
    run = nanogpt if name == "nanoGPT" else trainer
    peer = run(ids=train, shape=shape, **given)
    return peer.rate, _loss(peer.logits, held_out, shape)


def _our_quality(
    known: ours.Setting, config: dict[str, Any], tokenizer: Path, texts: Sequence[str]
) -> tuple[ours.Trained, Bits]:
    mine = ours.pretrain(known, config, tokenizer, "base")
    logits, block = mine.logits(), int(config["block"])
    return mine, joined([_own_bits(logits, text, tokenizer, block) for text in texts])


def _peer_quality(
    given: dict[str, Any],
    ids: np.ndarray,
    number: dict[str, int],
    texts: Sequence[str],
    shape: Shape,
) -> tuple[int, Bits]:
    peer = nanogpt(ids=ids, shape=shape, **given)
    return peer.updates, joined([_character_bits(peer.logits, t, number, shape) for t in texts])


def _same(shape: Shape, steps: int) -> dict[str, Any]:
    """Our step with nanoGPT's settings, validated at its end alone."""
    return {
        "corpus": ours.CORPUS,
        "tokenizer": "characters",
        "model": {
            "architecture": "gpt2",
            "layers": shape.layers,
            "width": shape.width,
            "heads": shape.heads,
        },
        "block": shape.block,
        "batch_size": shape.batch,
        "steps": steps,
        "optimiser": {"name": "adamw", "beta1": BETAS[0], "beta2": BETAS[1]},
        "lr": LR,
        "weight_decay": DECAY,
        "schedule": "cosine",
        "floor": LEAST_LR / LR,
        "warmup": min(WARMUP, max(1, steps // 10)),
        "clip": CLIP,
        "validate": {"every": steps},
    }


def _loss(logits: Any, ids: np.ndarray, shape: Shape) -> float:
    """Mean nats a token over disjoint windows, in float32."""
    found = nats(logits, ids, window=shape.block, stride=shape.block, dtype="float32")
    return float(found.mean())


def _own_bits(logits: Any, text: str, tokenizer: Path, block: int) -> Bits:
    """Ours: tokens by the byte at which they begin, after the token that begins a document."""
    from transformers import AutoTokenizer

    made = AutoTokenizer.from_pretrained(tokenizer)
    coded = made(text, return_offsets_mapping=True, add_special_tokens=False)
    at = _byte_places(text)
    begins = np.array([at[start] for start, _ in coded["offset_mapping"]])
    ids = np.array([made.eos_token_id, *coded["input_ids"]])
    lost = nats(logits, ids, window=block, stride=block // STRIDE_SHARE, dtype="float32")
    return stretches(lost, begins, int(at[-1]))


def _character_bits(logits: Any, text: str, number: dict[str, int], shape: Shape) -> Bits:
    """nanoGPT's: a token a character; a line end stands before the first."""
    at = _byte_places(text)
    ids = np.array([number["\n"], *(number[c] for c in text)])
    stride = shape.block // STRIDE_SHARE
    lost = nats(logits, ids, window=shape.block, stride=stride, dtype="float32")
    return stretches(lost, at[:-1], int(at[-1]))


def _byte_places(text: str) -> np.ndarray:
    """The byte at which each character begins, and the end: int64 [characters + 1]."""
    sizes = [len(c.encode()) for c in text]
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _vocabulary(tokenizer: Path) -> int:
    from gradus.data.tokenizer.folder import read

    return int(read(tokenizer).get_vocab_size())


def _result(name: str, peer: str, mine: float, theirs: float, unit: str, target: float) -> Result:
    """A comparison; of bits and of shares of time less is better."""
    from gradus import hardware

    lower = unit == "bits" or name.startswith("time")
    return Result(
        name=name,
        peer=peer,
        dtype=hardware.training_dtype(),
        threads=hardware.threads(),
        ours=mine,
        theirs=theirs,
        unit=unit,
        ratio=ratio(mine, theirs, lower_is_better=lower),
        target=target,
    )


def _flags(peer: str, compiled: bool) -> str:
    if peer == "nanoGPT":
        return (
            "model.py in float32; AdamW and cosine of config/train_shakespeare_char.py, its warmup "
            "cut to a tenth of a short training; dropout 0"
        )
    return f"bf16, optim=adamw_torch_fused, sdpa attention, torch_compile={compiled}"


def _version(peer: str, folder: Path | None) -> str:
    from gradus import hardware

    if peer != "nanoGPT":
        return str(hardware.version("transformers"))
    asked = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
