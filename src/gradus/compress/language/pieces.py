"""A tokenizer as a GGUF file has it: byte-level BPE, with what cuts a text into words by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gradus.data.tokenizer.train import GPT4
from gradus.errors import CheckpointError

if TYPE_CHECKING:
    from gradus.records import CheckpointRef

NORMAL, CONTROL, OWN = 1, 3, 4
"""Types of tokens in the file: of a text, of none, and what users have added."""

_GPT2: Final = {"type": "ByteLevel", "use_regex": True}
_DIGITS: Final = {"type": "Digits", "individual_digits": True}
_LEVEL: Final = {"type": "ByteLevel", "use_regex": False}


def add(writer: Any, tokenizer: Any, size: int) -> None:
    """Write the tokenizer into a GGUF file.

    Args:
        writer: a ``gguf.GGUFWriter``.
        tokenizer: a fast one.
        size: rows of the words' matrix; numbers that the tokenizer doesn't know become unused.

    Raises:
        CheckpointError: it isn't byte-level BPE, or cuts words in a way that GGUF has no name for.
    """
    said = json.loads(tokenizer.backend_tokenizer.to_str())
    model = said["model"]
    if model["type"] != "BPE" or model.get("byte_fallback") or said["normalizer"] is not None:
        raise CheckpointError(
            f"a GGUF file is written for byte-level BPE tokenizers, and this one is "
            f"{model['type']}{' with a normaliser' if said['normalizer'] else ''}: use a scheme "
            "of torch, e.g. language-int8"
        )
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split_name(said["pre_tokenizer"], model))
    texts, kinds = _tokens(said, size)
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    merges = model["merges"]
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in merges])
    for name in ("bos", "eos", "unk", "pad"):
        number = getattr(tokenizer, f"{name}_token_id", None)
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(int(number))
    writer.add_add_bos_token(_begins(tokenizer))
    writer.add_add_space_prefix(False)
    if getattr(tokenizer, "chat_template", None):
        writer.add_chat_template(tokenizer.chat_template)


def split_name(split: Any, model: Any) -> str:
    """What llama.cpp calls the way in which a tokenizer cuts a text into words.

    Raises:
        CheckpointError: it has no name for it.
    """
    parts = split["pretokenizers"] if split and split["type"] == "Sequence" else [split or {}]
    match parts:
        case [one] if _is(one, _GPT2):
            return "gpt-2"
        case [digits, one] if _is(digits, _DIGITS) and _is(one, _GPT2):
            return "smollm"
        case [apart, one] if apart.get("type") == "Split" and _is(one, _LEVEL):
            pattern = apart.get("pattern", {}).get("Regex")
            # The two cut alike; the first takes a word that is a token as it is.
            if pattern == GPT4:
                return "llama-bpe" if model.get("ignore_merges") else "dbrx"
    raise CheckpointError(
        "the tokenizer cuts texts into words in a way that GGUF has no name for "
        f"({json.dumps(split)[:200]}): use a scheme of torch, e.g. language-int8"
    )


def _is(part: Any, wanted: dict[str, Any]) -> bool:
    same = all(part.get(key) == value for key, value in wanted.items())
    return same and not part.get("add_prefix_space")


def _tokens(said: Any, size: int) -> tuple[list[str], list[int]]:
    """Text and type of each number."""
    texts = [f"[PAD{number}]" for number in range(size)]
    kinds = [CONTROL] * size
    for text, number in said["model"]["vocab"].items():
        texts[number], kinds[number] = text, NORMAL
    for one in said["added_tokens"]:
        texts[one["id"]] = one["content"]
        kinds[one["id"]] = CONTROL if one["special"] else OWN
    return texts, kinds


def _begins(tokenizer: Any) -> bool:
    """Whether the tokenizer puts its begin-of-text token before every text."""
    ids = tokenizer("a")["input_ids"]
    return tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]


def check(tokenizer: Any, ref: CheckpointRef, texts: list[str]) -> None:
    """Refuse a file whose tokenizer, read back, gives other tokens for these texts.

    Raises:
        CheckpointError: it does; the message has the first such text.
    """
    from gradus.training.models import load_tokenizer

    back = load_tokenizer(ref)
    for text in texts:
        own = tokenizer(text, add_special_tokens=False)["input_ids"]
        found = back(text, add_special_tokens=False)["input_ids"]
        if own != found:
            raise CheckpointError(
                f"{ref.path}: the tokenizer in the GGUF file cuts {text[:60]!r} into other tokens "
                "than its own: use a scheme of torch, e.g. language-int8"
            )
