"""Conversations as a model reads them: its tokenizer's chat template, or a plain one."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from gradus.checkpoints.hashing import hash_json
from gradus.data.conversations import Turn
from gradus.errors import CheckpointError, DataError
from gradus.scoring.seam import encode, encode_bare

PLAIN: Final = (
    "{% for message in messages %}"
    "{{ message['role'].capitalize() + ': ' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""For a tokenizer without a template: each turn on its own line after its role."""
# What a model that wasn't taught to end its replies begins its reader's next turn with.
PLAIN_STOP: Final = ("\nUser:", "\nSystem:", "\nAssistant:")


@dataclass(frozen=True, slots=True)
class Coded:
    """A conversation as token ids.

    Attributes:
        ids: all of it.
        answers: for each token 1 where it belongs to a reply, else 0.
    """

    ids: list[int]
    answers: list[int]

    def cut(self, most: int) -> Coded:
        """The last `most` tokens: a long conversation loses its beginning."""
        return Coded(self.ids[-most:], self.answers[-most:])


class Chat:
    """A tokenizer's way of writing conversations.

    Attributes:
        template: the Jinja template in use; `PLAIN` is put into a tokenizer that has none, so that
            whoever saves the tokenizer saves it.
        plain: whether it is that one.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        if not tokenizer.chat_template:
            tokenizer.chat_template = PLAIN
        self.template = tokenizer.get_chat_template()
        self.plain = self.template == PLAIN

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings at which a reply ends beside the model's own end tokens."""
        return PLAIN_STOP if self.plain else ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the template."""
        return hash_json(self.template)

    def prompt(self, turns: Sequence[Turn]) -> str:
        """The turns, and what the model's reply begins after.

        Raises:
            DataError: the template refuses them, as one without system turns may.
        """
        return self._rendered(turns, asking=True)

    def coded(self, turns: Sequence[Turn], ends: Collection[int]) -> list[Coded]:
        """Token ids of a conversation with its replies, cut exactly where a reply begins.

        What stands before a reply is encoded as it is when the model is asked for it. A template
        that writes earlier replies differently once there are later ones (leaving out what was
        thought) gives one example a reply; others give one with all replies.

        Args:
            turns: the last one is a reply.
            ends: the tokens that end a text; what a template writes after one is no longer reply.

        Raises:
            DataError: the template refuses the turns.
            CheckpointError: it doesn't put a reply behind its own prompt for one, or there is no
                token that ends a reply.
        """
        parts: list[tuple[str, str]] = []
        for number, (role, _) in enumerate(turns):
            if role == "assistant":
                before = self._rendered(turns[:number], asking=True)
                after = self._rendered(turns[: number + 1], asking=False)
                if not after.startswith(before) or len(after) == len(before):
                    raise CheckpointError(
                        "the tokenizer's chat template doesn't write a reply behind the prompt "
                        "that it writes for one, so what the reply is can't be told: give the "
                        "tokenizer another template"
                    )
                parts.append((before, after[len(before) :]))
        whole = all(
            later.startswith(before + answer)
            for (before, answer), (later, _) in itertools.pairwise(parts)
        )
        if not whole:
            return [self._example([part], ends) for part in parts]
        return [self._example(parts, ends)]

    def _example(self, parts: Sequence[tuple[str, str]], ends: Collection[int]) -> Coded:
        """One example; of each part what is new since the part before is encoded."""
        ids: list[int] = []
        answers: list[int] = []
        done = 0
        for before, answer in parts:
            new = before[done:]
            ids += encode(self.tokenizer, [new])[0] if not done else self._bare(new)
            answers += [0] * (len(ids) - len(answers))
            done = len(before) + len(answer)
            said = self._bare(answer)
            size = max((n for n, token in enumerate(said, 1) if token in ends), default=len(said))
            ids += said
            answers += [1] * size + [0] * (len(said) - size)
        return self._ended(ids, answers, ends)

    def _ended(self, ids: list[int], answers: list[int], ends: Collection[int]) -> Coded:
        """Without what follows the last reply, which ends with a token that ends a text."""
        size = max(n for n, answer in enumerate(answers, 1) if answer)
        ids, answers = ids[:size], answers[:size]
        if ids[-1] not in ends:
            end = getattr(self.tokenizer, "eos_token_id", None)
            if end is None:
                raise CheckpointError(
                    "the tokenizer has no end-of-text token, so no reply would end: give it one"
                )
            ids, answers = [*ids, int(end)], [*answers, 1]
        return Coded(ids, answers)

    def _bare(self, text: str) -> list[int]:
        return encode_bare(self.tokenizer, [text])[0]

    def _rendered(self, turns: Sequence[Turn], *, asking: bool) -> str:
        from jinja2.exceptions import TemplateError

        messages = [{"role": role, "content": said} for role, said in turns]
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=asking
            )
        except TemplateError as error:
            roles = ", ".join(role for role, _ in turns)
            raise DataError(
                f"the chat template refuses a conversation of the turns {roles} ({error})"
            ) from error
        return text
