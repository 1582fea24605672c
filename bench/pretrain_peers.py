"""The peers of bench/pretrain.py, on token ids that ours gives them: nanoGPT and the Trainer."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common import say

# nanoGPT's own settings for characters of Shakespeare (config/train_shakespeare_char.py), but for
# dropout: with less than one pass over the text there is nothing to hold back from.
LR, LEAST_LR, WARMUP = 1e-3, 1e-4, 100
BETAS, DECAY, CLIP = (0.9, 0.99), 0.1, 1.0
SETTLE = 3  # updates before timing begins


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The model and its batches; `block` and `batch` give the tokens of an update."""

    layers: int = 6
    heads: int = 6
    width: int = 384
    block: int = 256
    batch: int = 16
    vocabulary: int

    @property
    def tokens(self) -> int:
        """Tokens an update."""
        return self.block * self.batch

    def flops(self) -> float:
        """Floating-point operations a token, forwards and backwards.

        6 a weight that is multiplied with, and 12 L d T for attention, its masked half counted
        too (PaLM, Chowdhery et al. 2022, appendix B), which is nanoGPT's count.
        """
        weights = 12 * self.layers * self.width**2 + self.width * self.vocabulary
        return 6.0 * weights + 12.0 * self.layers * self.width * self.block


@dataclass(kw_only=True)
class Side:
    """One trained model.

    Attributes:
        seconds: of each update that counts; validation, checkpoints and the first few left out.
        tokens: an update.
        updates: all of them.
        logits: token ids [B, T] to logits [B, T, V].
    """

    tokens: int
    updates: int = 0
    seconds: list[float] = field(default_factory=list)
    logits: Callable[[Any], Any] = field(repr=False)

    @property
    def rate(self) -> float:
        """Tokens a second, by the median update."""
        return self.tokens / statistics.median(self.seconds)


def learning_rate(update: int, share: float, warmup: int) -> float:
    """nanoGPT's: linear warmup, then a cosine down to `LEAST_LR`; `share` of the training is over.

    The share is that of updates or of seconds, so that a training by the clock comes down in time.
    """
    if update < warmup:
        return LR * (update + 1) / (warmup + 1)
    return LEAST_LR + 0.5 * (1.0 + math.cos(math.pi * min(1.0, share))) * (LR - LEAST_LR)


def nanogpt(
    folder: Path,
    ids: np.ndarray,
    shape: Shape,
    *,
    seed: int,
    updates: int | None = None,
    seconds: float | None = None,
) -> Side:
    """nanoGPT's model.py under the settings of its train.py: float32 off CUDA, random crops.

    Either so many `updates` or so many `seconds` of training.
    """
    import torch

    module = _module(folder / "model.py")
    torch.manual_seed(seed)
    crops = torch.Generator().manual_seed(seed)
    text = torch.from_numpy(ids.astype(np.int64))
    with contextlib.redirect_stdout(sys.stderr):
        model = module.GPT(
            module.GPTConfig(
                block_size=shape.block,
                vocab_size=shape.vocabulary,
                n_layer=shape.layers,
                n_head=shape.heads,
                n_embd=shape.width,
                dropout=0.0,
                bias=False,
            )
        )
        optimiser = model.configure_optimizers(DECAY, LR, BETAS, "cpu")
    side = Side(tokens=shape.tokens, logits=lambda x: _nanogpt_logits(model, x))
    warmup = WARMUP if updates is None else min(WARMUP, max(1, updates // 10))
    begun = time.perf_counter()
    while True:
        start = time.perf_counter()
        over = start - begun
        done = side.updates / updates if updates is not None else over / (seconds or 1.0)
        if done >= 1.0:
            break
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(side.updates, done, warmup)
        starts = torch.randint(len(text) - shape.block, (shape.batch,), generator=crops)
        x = torch.stack([text[i : i + shape.block] for i in starts])
        y = torch.stack([text[i + 1 : i + 1 + shape.block] for i in starts])
        _, loss = model(x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        side.updates += 1
        if side.updates > SETTLE:
            side.seconds.append(time.perf_counter() - start)
        if side.updates % 50 == 0:
            say(f"nanoGPT: update {side.updates}, loss {float(loss.detach()):.4f}")
    model.eval()
    return side


def trainer(ids: np.ndarray, shape: Shape, *, seed: int, updates: int, compiled: bool) -> Side:
    """transformers' GPT-2 under its Trainer: bf16 autocast where it is fast, fused AdamW."""
    import torch
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from gradus import hardware

    torch.manual_seed(seed)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape.vocabulary,
            n_positions=shape.block,
            n_embd=shape.width,
            n_layer=shape.layers,
            n_head=shape.heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
            use_cache=False,
        )
    )
    side = Side(tokens=shape.tokens, logits=lambda x: model(input_ids=x, use_cache=False).logits)
    begun = [0.0]

    class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            if not begun[0]:
                begun[0] = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            # From end to end of an update: fetching its batch belongs to it.
            now = time.perf_counter()
            side.updates += 1
            if side.updates > SETTLE:
                side.seconds.append(now - begun[0])
            begun[0] = now
            if side.updates % 50 == 0:
                say(f"Trainer: update {side.updates}")

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=shape.batch,
            max_steps=updates,
            learning_rate=LR,
            lr_scheduler_type="cosine_with_min_lr",
            lr_scheduler_kwargs={"min_lr": LEAST_LR},
            warmup_steps=min(WARMUP, max(1, updates // 10)),
            weight_decay=DECAY,
            adam_beta1=BETAS[0],
            adam_beta2=BETAS[1],
            max_grad_norm=CLIP,
            bf16=hardware.fast_bfloat16(),
            torch_compile=compiled,
            use_cpu=not torch.cuda.is_available(),
            optim="adamw_torch_fused",
            eval_strategy="no",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            seed=seed,
            disable_tqdm=True,
        )
        made = Trainer(
            model=model,
            args=arguments,
            train_dataset=_Blocks(ids, shape.block),
            callbacks=[Watch()],
        )
        made.remove_callback(PrinterCallback)  # it would print before our JSON
        made.train()
    model.eval()
    return side


class _Blocks:
    """Disjoint blocks of ids as the Trainer's rows; labels are shifted by the model."""

    def __init__(self, ids: np.ndarray, block: int) -> None:
        self.ids, self.block = ids, block

    def __len__(self) -> int:
        return len(self.ids) // self.block

    def __getitem__(self, row: int) -> dict[str, Any]:
        import torch

        start = row * self.block
        one = torch.from_numpy(self.ids[start : start + self.block].astype(np.int64))
        return {"input_ids": one, "labels": one}


def _module(path: Path) -> Any:
    """nanoGPT's model.py, which is no package."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", path)
    if spec is None or spec.loader is None or not path.is_file():
        sys.exit(f"{path} is not there; --nanogpt DIR is a checkout of nanoGPT")
    module = importlib.util.module_from_spec(spec)
    # Its dataclass looks its own module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _nanogpt_logits(model: Any, x: Any) -> Any:
    """All positions' logits: it gives them only where it is given targets."""
    assert "targets" in inspect.signature(model.forward).parameters
    return model(x, x)[0]
