"""From texts to prompts: instruction, examples, the text, and label words to choose between.

Legend: N texts, K labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from gradus.errors import CheckpointError, UsageError
from gradus.records import Record
from gradus.scoring.seam import encode, encode_pair

PLACEHOLDERS: Final = ("instruction", "field", "field_lower", "text")
DEFAULT_TEMPLATE: Final = "{instruction}\n\n{field}: {text}\n\nThis {field_lower} is about"
BETWEEN: Final = "\n\n"
CONTENT_FREE: Final = "N/A"
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


def check_template(template: str) -> str:
    """The template unchanged.

    Raises:
        ValueError: it has an unknown placeholder, or not exactly one of ``{instruction}`` and
            ``{text}`` in this order; says which.
    """
    names = _PLACEHOLDER.findall(template)
    strange = sorted(set(names) - set(PLACEHOLDERS))
    if strange:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"{{{strange[0]}}} stands for nothing; placeholders are {known}")
    for name in ("instruction", "text"):
        if names.count(name) != 1:
            raise ValueError(f"{{{name}}} must stand in it once, not {names.count(name)} times")
    if names.index("instruction") > names.index("text"):
        raise ValueError("{instruction} must stand before {text}")
    return template


def label_words(labels: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """The words of every label: those given, else its name without _ and -.

    >>> label_words(["card_lost", "tech"], {"tech": "technology"})
    {'card_lost': 'card lost', 'tech': 'technology'}

    Raises:
        UsageError: words are given for a label that isn't there, or two labels have the same.
    """
    strange = sorted(set(given) - set(labels))
    if strange:
        raise UsageError(
            f"label_words names '{strange[0]}', and the data have no such label: "
            f"they have {', '.join(sorted(labels))}"
        )
    words = {
        label: " ".join((given.get(label) or re.sub(r"[_-]+", " ", label)).split())
        for label in labels
    }
    seen: dict[str, str] = {}
    for label, word in words.items():
        if not word:
            raise UsageError(f"label '{label}' has no words to score; give it some in label_words")
        if word in seen:
            raise UsageError(
                f"labels '{seen[word]}' and '{label}' have the same words, '{word}', so nothing "
                "can tell them apart; give one of them others in label_words"
            )
        seen[word] = label
    return words


@dataclass(frozen=True, slots=True)
class Calibration(Record):
    """How the prompt's own leaning is taken out; see `gradus.scoring.calibration`.

    Attributes:
        method: ``none``, ``contextual`` or ``batch``.
        inputs: how many inputs the leaning was measured on.
        offsets: K logarithms in the order of the labels; empty for ``none``.
    """

    method: str = "none"
    inputs: int = 0
    offsets: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild from plain JSON."""
        return cls(**{**raw, "offsets": tuple(raw["offsets"])})


UNCALIBRATED: Final = Calibration()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt(Record):
    """Everything that turns a causal language model into a classifier, weights aside.

    Attributes:
        instruction: the task description.
        words: the words of each label, in the order of the labels.
        examples: pairs of a text, already cut, and its label's name; the first is the farthest
            from the text that is asked about.
        template: with the placeholders of `PLACEHOLDERS`. What follows the instruction is
            repeated for each example.
        field: what a text is called.
        score: ``sum`` of the log-likelihoods of a label's tokens, or their ``mean``.
        max_tokens: texts are cut there.
        context: tokens that a prompt with its label words may have; None for the model's limit.
        calibration: see `Calibration`.
    """

    instruction: str
    words: Mapping[str, str]
    examples: tuple[tuple[str, str], ...] = ()
    template: str = DEFAULT_TEMPLATE
    field: str = "Text"
    score: str = "sum"
    max_tokens: int = 128
    context: int | None = None
    calibration: Calibration = UNCALIBRATED

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild from plain JSON."""
        examples = tuple((str(text), str(label)) for text, label in raw["examples"])
        calibration = Calibration.from_json(raw["calibration"])
        return cls(**{**raw, "examples": examples, "calibration": calibration})

    @property
    def delimiter(self) -> str:
        """What stands between the prompt and a label's words: the template's own space, or one."""
        return self.template[len(self.template.rstrip()) :] or " "

    def render(self, text: str, drop: int = 0) -> str:
        """The prompt for `text`, up to where the label's words begin, without `drop` examples.

        The examples that are dropped are the first ones, the farthest from the text.
        """
        place = self.template.index("{instruction}") + len("{instruction}")
        item = self.template[place:].lstrip()
        between = self.template[place : len(self.template) - len(item)]
        start = self._fill(self.template[:place], "")
        shots = [
            self._fill(item.rstrip(), example) + self.delimiter + self.words[label]
            for example, label in self.examples[drop:]
        ]
        asked = self._fill(item.rstrip(), text)
        return (start + between if start else "") + BETWEEN.join([*shots, asked])

    def _fill(self, template: str, text: str) -> str:
        values = {
            "instruction": self.instruction.strip(),
            "field": self.field,
            "field_lower": self.field.lower(),
            "text": text,
        }
        return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def cut(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> tuple[list[str], list[bool]]:
    """Each text, outer white space aside, cut where its `max_tokens` + 1st token begins.

    Also gives which texts were cut.
    """
    bare = [text.strip() for text in texts]
    if not bare:
        return [], []
    coded = tokenizer(
        bare,
        add_special_tokens=False,
        truncation=True,
        max_length=max_tokens + 1,
        return_offsets_mapping=True,
        return_attention_mask=False,
    )
    kept, were = [], []
    for text, offsets in zip(bare, coded["offset_mapping"], strict=True):
        long = len(offsets) > max_tokens
        kept.append(text[: offsets[max_tokens][0]].rstrip() if long else text)
        were.append(long)
    return kept, were


@dataclass(frozen=True, slots=True)
class Encoded:
    """N prompts as token ids, and what they lost.

    Attributes:
        contexts: N lists of token ids.
        prompts: N prompts as text.
        dropped: N numbers of examples that were left out because the context is too short.
        cut: N flags, whether the text was cut at its own limit.
        squeezed: N flags, whether the text was cut because the context is too short.
    """

    contexts: list[list[int]]
    prompts: list[str]
    dropped: list[int]
    cut: list[bool]
    squeezed: list[bool]


class PromptEncoder:
    """Makes prompts out of texts with one tokenizer.

    Attributes:
        options: K continuations, token ids of the labels' words.
        head: the token ids that all whole prompts begin with: instruction and examples.
        room: how many tokens a prompt may have beside the longest label words; None for any.
    """

    def __init__(self, prompt: Prompt, tokenizer: Any, limit: int | None) -> None:
        """Prepare; `limit` is how many tokens the model has positions for.

        Raises:
            CheckpointError: instruction and label words alone don't fit.
        """
        self._prompt, self._tokenizer = prompt, tokenizer
        reference = prompt.render(CONTENT_FREE)
        self.options = [
            encode_pair(tokenizer, reference, prompt.delimiter + words)[1]
            for words in prompt.words.values()
        ]
        limits = [x for x in (limit, prompt.context) if x is not None]
        longest = max(len(option) for option in self.options)
        self.room = min(limits) - longest if limits else None
        bare, first, second = encode(
            tokenizer,
            [prompt.render("", len(prompt.examples)), prompt.render("A a"), prompt.render("9 z")],
        )
        if self.room is not None and len(bare) > self.room:
            raise CheckpointError(
                f"instruction and label words alone take {len(bare) + longest} tokens, and the "
                f"context has {min(limits)}: shorten them or choose a longer context"
            )
        self.head = _common(first, second)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The prompts of N texts; what is too long loses examples first, then text."""
        kept, were = cut(self._tokenizer, texts, self._prompt.max_tokens)
        prompts = [self._prompt.render(text) for text in kept]
        n = len(kept)
        contexts = encode(self._tokenizer, prompts)
        found = Encoded(contexts, prompts, [0] * n, were, [False] * n)
        for place, context in enumerate(found.contexts):
            if self.room is not None and len(context) > self.room:
                self._fit(found, place, kept[place])
        return found

    def _fit(self, found: Encoded, place: int, text: str) -> None:
        """Shorten the prompt at `place` until it fits; never below the bare instruction."""
        room = self.room or 0
        examples = len(self._prompt.examples)
        drop, words = 0, text
        while True:
            prompt = self._prompt.render(words, drop)
            (ids,) = encode(self._tokenizer, [prompt])
            over = len(ids) - room
            if over <= 0:
                break
            if drop < examples:
                drop += 1
                continue
            length = len(self._tokenizer(words, add_special_tokens=False)["input_ids"])
            (words,), _ = cut(self._tokenizer, [words], max(length - over, 0))
            found.squeezed[place] = True
        found.contexts[place], found.prompts[place], found.dropped[place] = ids, prompt, drop


def _common(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """The ids that both begin with."""
    size = 0
    while size < min(len(first), len(second)) and first[size] == second[size]:
        size += 1
    return list(first[:size])
