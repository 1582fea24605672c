"""What the scoring engine answers with, and who it is to those that only ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gradus.records import CheckpointRef

Progress = Callable[[int], None]

DEFAULT_WINDOW = 2048
"""Tokens of a window where neither is one given nor has the model a limit; lm-evaluation-harness
takes the same."""


class Scored(NamedTuple):
    """How probable a continuation is.

    Attributes:
        nats: summed log-likelihood of its tokens, 0 or less.
        tokens: how many they are.
        greedy: whether each of them was the most probable one where it stands.
    """

    nats: float
    tokens: int
    greedy: bool


class Rolled(NamedTuple):
    """How probable a whole text is: summed log-likelihood in nats of `tokens` scored tokens."""

    nats: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Source:
    """Whose answers they are: the weights and how they are computed with."""

    ref: CheckpointRef
    dtype: str
    threads: int | None = None


class Engine(Protocol):
    """A language model that is asked for log-likelihoods of texts.

    Every method takes many items, gives its answers in their order, calls `progress` with the
    number of items done, and with a `journal` (a file that needn't exist yet) appends each answer
    as soon as it is known and asks nothing again that stands there already.
    """

    @property
    def contract(self) -> Mapping[str, str]:
        """dtype, backend, tokenizer (digest): part of a measurement's contract."""
        ...

    @property
    def limit(self) -> int | None:
        """Tokens that a text may have in one pass; None for any number."""
        ...

    @property
    def tokens_seen(self) -> int:
        """Tokens computed since the engine was opened, shared ones counted once."""
        ...

    def score_all(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        rivals: Callable[[str], bool] | None = None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[Scored]:
        """Each continuation after its context, tokenised as lm-evaluation-harness does.

        With `rivals`, the first token of a continuation counts as the most probable one as soon
        as no token that `rivals` accepts is more probable; it is asked with a token's text, a
        leading space included (`" the"`). That concerns `greedy` alone.
        """
        ...

    def choose_all(
        self,
        contexts: Sequence[str],
        options: Sequence[Sequence[str]],
        *,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[list[Scored]]:
        """Every option after its context; options of one context share it."""
        ...

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
        """Every token of each text once, in windows of `window` tokens.

        Windows begin `stride` tokens apart; a token is scored in the first window that holds it,
        so that with ``stride == window`` windows are disjoint. None stands for the model's limit
        and for the window. With `bos` the first token is scored too, after the tokenizer's
        beginning-of-text token.
        """
        ...

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
        """As `rolling_all`, with one answer for each stretch of a text instead of one in all.

        `ends` has for each text the rising character offsets at which its stretches end, the last
        of them its length; windows run across them. A token belongs to the stretch that holds its
        last character, so that the answers of a text add up to what `rolling_all` says.
        """
        ...

    def generate_all(
        self,
        prompts: Sequence[str],
        *,
        settings: Any = None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> list[str]:
        """What the model writes after each prompt; `settings` as `gradus.generation` has them."""
        ...
