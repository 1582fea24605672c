"""The oracle: a tiny GPT-2, asked one text at a time with one plain forward pass each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradus.scoring.records import Progress, Rolled, Scored

BOS = 256


class Bytes:
    """A tokenizer whose tokens are the 256 bytes."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8"))

    def text_of(self, token: int) -> str:
        return bytes([token]).decode("latin-1") if token < BOS else ""


class Words:
    """A tokenizer whose tokens are words with the space before them, those of a list.

    As a byte-pair tokenizer has them, there are tokens for letters too.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.texts = [*(chr(code) for code in range(128)), *(f" {word}" for word in words)]

    def encode(self, text: str) -> list[int]:
        found, place = [], 0
        while place < len(text):
            longest = max((token for token in self.texts if text.startswith(token, place)), key=len)
            found.append(self.texts.index(longest))
            place += len(longest)
        return found

    def text_of(self, token: int) -> str:
        return self.texts[token] if token < len(self.texts) else ""


class PlainEngine:
    """Implements `gradus.scoring.records.Engine` slowly; `tokens_seen` counts nothing shared."""

    def __init__(self, tokenizer: Any = None, *, limit: int = 512, seed: int = 0) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.manual_seed(seed)
        self.tokenizer = tokenizer or Bytes()
        self.limit: int | None = limit
        self.tokens_seen = 0
        self.begin, self.vocabulary = BOS, BOS + 1
        self.asked: list[Any] = []
        self.model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=BOS + 1,
                n_positions=limit + 1,
                n_embd=16,
                n_layer=1,
                n_head=2,
                bos_token_id=BOS,
                eos_token_id=BOS,
            )
        ).eval()
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))

    @property
    def contract(self) -> Mapping[str, str]:
        return {"dtype": "float32", "backend": "plain", "tokenizer": "test"}

    @torch.inference_mode()
    def log_probs(self, ids: Sequence[int]) -> np.ndarray:
        """float64 [T, V], what follows each of the T tokens."""
        self.tokens_seen += len(ids)
        logits = self.model(input_ids=torch.tensor([list(ids)])).logits[0].double().numpy()
        highest = logits.max(-1, keepdims=True)
        return logits - highest - np.log(np.exp(logits - highest).sum(-1, keepdims=True))

    def score_all(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        rivals: Callable[[str], bool] | None = None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[Scored]:
        return [self._score(context, rest, rivals) for context, rest in pairs]

    def _score(
        self, context: str, rest: str, rivals: Callable[[str], bool] | None = None
    ) -> Scored:
        before = self.tokenizer.encode(context) or [self.begin]
        target = self.tokenizer.encode(rest)
        rows = self.log_probs([*before, *target])[len(before) - 1 : -1]
        nats = sum(row[token] for row, token in zip(rows, target, strict=True))
        greedy = [int(row.argmax()) == token for row, token in zip(rows, target, strict=True)]
        if rivals is not None:
            allowed = [t for t in range(self.vocabulary) if rivals(self.tokenizer.text_of(t))]
            greedy[0] = all(rows[0][token] <= rows[0][target[0]] for token in allowed)
        return Scored(float(nats), len(target), all(greedy))

    def choose_all(
        self,
        contexts: Sequence[str],
        options: Sequence[Sequence[str]],
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[list[Scored]]:
        return [
            [self._score(context, option) for option in row]
            for context, row in zip(contexts, options, strict=True)
        ]

    def rolling_all(
        self,
        texts: Sequence[str],
        *,
        window: int | None = None,
        stride: int | None = None,
        bos: bool = True,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[Rolled]:
        ends = [[len(text)] for text in texts]
        parted = self.rolling_parts(texts, ends, window=window, stride=stride, bos=bos)
        return [one for (one,) in parted]

    def rolling_parts(
        self,
        texts: Sequence[str],
        ends: Sequence[Sequence[int]],
        *,
        window: int | None = None,
        stride: int | None = None,
        bos: bool = True,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[list[Rolled]]:
        self.asked.append((list(texts), window, stride, bos))
        found = []
        for text, cuts in zip(texts, ends, strict=True):
            nats, tokens = [0.0] * len(cuts), [0] * len(cuts)
            for end, value in self._rolled(text, window or 512, stride or window or 512, bos):
                part = next(p for p, cut in enumerate(cuts) if end <= cut)
                nats[part] += value
                tokens[part] += 1
            found.append([Rolled(n, t) for n, t in zip(nats, tokens, strict=True)])
        return found

    def _rolled(self, text: str, window: int, stride: int, bos: bool) -> list[tuple[int, float]]:
        """Where each scored token ends, in characters, and its log-likelihood."""
        ids = self.tokenizer.encode(text)
        if isinstance(self.tokenizer, Bytes):
            sizes = [len(character.encode("utf-8")) for character in text]
            ends = np.repeat(np.arange(1, len(text) + 1), sizes).tolist()
        else:
            ends = np.cumsum([len(self.tokenizer.text_of(token)) for token in ids]).tolist()
        if bos:
            ids, ends = [self.begin, *ids], [0, *ends]
        found: list[tuple[int, float]] = []
        done = 0 if bos and stride == window else -1
        start = 0
        while done < len(ids) - 1:
            if bos and stride == window:
                last = min(done + window, len(ids) - 1)
                start, first = max(last - window, 0), done + 1
            else:
                last = min(start + window, len(ids)) - 1
                first = max(done, start) + 1
            rows = self.log_probs(ids[start : last + 1])
            found += [(ends[t], float(rows[t - start - 1][ids[t]])) for t in range(first, last + 1)]
            done = last
            start += stride
        return found

    def generate_all(
        self,
        prompts: Sequence[str],
        *,
        settings: Any = None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        raise NotImplementedError
