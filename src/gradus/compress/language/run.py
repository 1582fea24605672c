"""Compressing a causal language model in a step: open, compress, save, compare.

Legend: T tokens of a text, V vocabulary.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from gradus import parity
from gradus.compress.language import stored
from gradus.compress.language.base import LanguageModel
from gradus.errors import CheckpointError
from gradus.parity.base import Bounds, Parity
from gradus.steps.base import StepOutcome

if TYPE_CHECKING:
    from gradus.compress.language.base import LanguageScheme
    from gradus.records import CheckpointRef
    from gradus.steps.base import StepContext
    from gradus.steps.quantize import QuantizeConfig

TEXTS: Final = 32
TOKENS: Final = 128
"""Tokens of each of the fixed texts: with 32 texts, parity is said of 4,096 tokens at most."""
ENGINE: Final = Bounds(kl=0.01, flips=0.05)
"""Of the engine that writes against the same weights in float32: bfloat16 in the place of float32,
so that near ties fall the other way."""

Logits = Callable[[Sequence[int]], torch.Tensor]
"""float32 [T, V] of T token ids."""


def run(scheme: LanguageScheme, config: QuantizeConfig, context: StepContext) -> StepOutcome:
    """See `gradus.compress.language.base.LanguageScheme.run`.

    Raises:
        CheckpointError: the model isn't a causal language model, or can't be expressed so.
        MissingExtra: a package that the scheme needs isn't installed.
    """
    from gradus.checkpoints import save_checkpoint
    from gradus.scoring.load import load_causal_lm
    from gradus.training import shapes
    from gradus.training.models import load_tokenizer

    torch.set_num_threads(context.threads)
    context.monitor.rewind(0)
    ref = context.models[config.model]
    if stored.is_quantised(Path(ref.path)):
        raise CheckpointError(
            f"'{ref.name}' is quantised already: name the checkpoint that it was made from"
        )
    if shapes.read(Path(ref.path)) is not None:
        raise CheckpointError(
            f"'{ref.name}' has lost heads, units or layers by pruning, and quantised files hold "
            "layers of one size: quantise the checkpoint that it was made from"
        )
    start = time.perf_counter()
    context.monitor.progress(0, 3, "opening the model")
    tokenizer = load_tokenizer(ref)
    what = LanguageModel(
        model=load_causal_lm(ref),
        tokenizer=tokenizer,
        name=ref.name,
        calibration=_calibration(tokenizer, config, context) if scheme.calibrates else (),
    )
    staged = _empty(context.work / "staged")
    context.monitor.progress(1, 3, "rounding the weights")
    written = scheme.write(what, staged)
    before, after = _weight_bytes(Path(ref.path), ref.file), _folder_bytes(staged)
    plain = 4 * sum(p.numel() for p in what.model.parameters())
    facts = {
        "scheme": config.scheme,
        **written.facts,
        "parameters": plain // 4,
        "float32_bytes": plain,
        "parent_bytes": before,
        "bytes": after,
        "size_ratio": after / plain,
    }
    saved = save_checkpoint(
        context.out / "checkpoint",
        kind=scheme.kind,
        labels=(),
        preprocessing={**scheme.parents(ref), **written.preprocessing},
        parents=(ref,),
        facts=facts,
        write=lambda folder: _move(staged, folder),
    )
    seconds = time.perf_counter() - start
    context.monitor.progress(2, 3, "comparing it with its parent")
    ids = token_ids(what.tokenizer, _texts(config, context))
    found = list(_parities(scheme, what, saved, ids).values())
    return StepOutcome(
        checkpoint=context.out / "checkpoint",
        notes=written.notes,
        facts={**facts, "digest": saved.digest, "parity": [one.to_json() for one in found]},
        cost={"compress_seconds": seconds},
    )


def _parities(
    scheme: LanguageScheme, what: LanguageModel, saved: CheckpointRef, ids: list[list[int]]
) -> dict[str, Parity]:
    """The engine that writes first, where it isn't the one that scores; then the weights."""
    from gradus.scoring.load import load_causal_lm

    child = load_causal_lm(saved)
    found: dict[str, Parity] = {}
    if stored.is_quantised(Path(saved.path)):
        integers, _ = stored.read(Path(saved.path))
        engine = _integer_engine(child, integers)
        if engine is not None:
            found["writing"] = compare(of_model(child), engine, ids, "bfloat16 engine", ENGINE)
    found["weights"] = compare(
        of_model(what.model), of_model(child), ids, _name(scheme), scheme.bounds
    )
    return found


def agreement(
    model: Any, child: CheckpointRef, tokenizer: Any, texts: Sequence[str]
) -> dict[str, Parity]:
    """How far integer weights stray from their parent, as they are scored and as they write.

    Args:
        model: the parent, of transformers.
        child: a checkpoint of `gradus.compress.language.stored`.
        tokenizer: theirs.
        texts: fixed ones; their first tokens are asked about.

    Returns:
        ``weights``, in float32, and ``writing``, by the decoder's bfloat16 products, where there is
        a decoder for the family; both against the parent in float32.
    """
    from gradus.scoring.load import load_causal_lm

    ids, small = token_ids(tokenizer, texts), load_causal_lm(child)
    found = {"weights": compare(of_model(model), of_model(small), ids, "weights", Bounds())}
    integers, _ = stored.read(Path(child.path))
    engine = _integer_engine(small, integers)
    if engine is not None:
        found["writing"] = compare(of_model(model), engine, ids, "writing", Bounds())
    return found


def _name(scheme: LanguageScheme) -> str:
    from gradus.catalog import CATALOG

    own = f"{type(scheme).__module__}:{type(scheme).__name__}"
    names = {path: name for name, path in CATALOG["schemes"].items()}
    return names.get(own, type(scheme).__name__).partition(".v")[0]


def compare(
    parent: Logits, child: Logits, texts: Sequence[Sequence[int]], handoff: str, bounds: Bounds
) -> Parity:
    """The parity of two models on the same tokens, a text at a time.

    Args:
        parent: gives logits [T, V] of T token ids.
        child: the same of what was made from it.
        texts: token ids.
        handoff: what was done.
        bounds: what is allowed by default.
    """
    tally = parity.Tally("label")
    for ids in texts:
        tally.add(parent(ids).numpy(), child(ids).numpy())
    return tally.parity(handoff, bounds, unit="tokens")


def of_model(model: Any) -> Logits:
    """What a model of transformers says after each token."""

    @torch.inference_mode()
    def logits(ids: Sequence[int]) -> torch.Tensor:
        found: torch.Tensor = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits
        return found[0].float()

    return logits


def _integer_engine(model: Any, integers: Any) -> Logits | None:
    """What the decoder that writes says, by the products of few rows that writing takes."""
    from gradus.generation import decoder
    from gradus.generation.cache import Cache
    from gradus.generation.integers import FEW, IntegerLayout

    made = decoder.of(model, torch.bfloat16, layout=IntegerLayout(model, integers))
    if made is None:
        return None

    @torch.inference_mode()
    def logits(ids: Sequence[int]) -> torch.Tensor:
        cache = Cache(made.shape, made.dtype)
        cache.every = True
        cache.begin(1, len(ids))
        rows = []
        for low in range(0, len(ids), FEW):
            part = torch.tensor([list(ids[low : low + FEW])])
            places = torch.arange(low, low + part.shape[1])[None]
            rows.append(made.logits(made.feed(part, places, cache)))
        return torch.cat(rows)

    return logits


def token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The first `TOKENS` tokens of each text, of those that have at least two."""
    rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return [row[:TOKENS] for row in rows if len(row) > 1]


def _texts(config: QuantizeConfig, context: StepContext) -> list[str]:
    """Documents of dev.select, else of train; without a corpus those of the step's data."""
    if config.corpus is None:
        return parity.texts(context.data, TEXTS)
    splits = context.corpora[config.corpus].splits
    chosen = splits["dev.select"] if len(splits["dev.select"]) else splits["train"]
    # A document is long: its beginning has more tokens than are asked about.
    return [document.text[: 16 * TOKENS] for document in chosen[:TEXTS]]


def _calibration(tokenizer: Any, config: QuantizeConfig, context: StepContext) -> list[list[int]]:
    """The beginnings of documents of train, which no other split shares, by their ids' order.

    Raises:
        CheckpointError: there is no corpus, or train is empty.
    """
    if config.corpus is None:
        raise CheckpointError(
            f"scheme '{config.scheme}' rounds by what the model computes on texts of train: name a "
            "corpus"
        )
    chosen = context.corpora[config.corpus].splits["train"][: config.calibration.texts]
    found = token_ids(tokenizer, [document.text[: 16 * TOKENS] for document in chosen])
    if not found:
        raise CheckpointError(f"corpora.{config.corpus}: train has no text to calibrate on")
    return found


def _weight_bytes(folder: Path, file: str | None) -> int:
    if file is not None:
        return (folder / file).stat().st_size
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _empty(folder: Path) -> Path:
    """The folder, made anew: what a killed attempt left there is of no use."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def _move(staged: Path, folder: Path) -> None:
    for path in staged.iterdir():
        shutil.move(path, folder / path.name)
