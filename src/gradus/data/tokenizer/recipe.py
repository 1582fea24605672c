"""What a tokenizer shall be: its kind, its size, its special tokens and what each of them is for.

- ``byte-bpe``: merges of UTF-8 bytes (Sennrich et al. 2016; Radford et al. 2019). Loses nothing.
- ``unigram``: the likeliest pieces under a unigram model (Kudo 2018), bytes for what has no piece.
  Loses nothing but the character ``▁``, which comes back as a space.
- ``wordpiece``: words from the longest pieces that fit (Schuster and Nakajima 2012), as in BERT.
  Loses white space.
- ``characters``: one token a character. Loses characters that are too rare.
- ``bytes``: one token a byte. Loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Kind = Literal["byte-bpe", "unigram", "wordpiece", "characters", "bytes"]
Split = Literal["gpt-2", "gpt-4"]
Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

KINDS: Final[tuple[str, ...]] = get_args(Kind)
BYTES: Final = 256

END: Final = "<|endoftext|>"
BERT: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

DEFAULT_SPECIAL: Final[dict[str, tuple[str, ...]]] = {
    "byte-bpe": (END,),
    "unigram": ("<unk>", END),
    "wordpiece": BERT,
    "characters": ("<unk>", END),
    "bytes": (END,),
}
NEEDED: Final[dict[str, str]] = {"unigram": "<unk>", "characters": "<unk>", "wordpiece": "[UNK]"}
"""What stands for a character that a tokenizer doesn't know. Unigram's never occurs, since bytes
stand in, but the model asks for one."""

ROLES: Final[dict[str, tuple[str, ...]]] = {
    "unk_token": ("<unk>", "[UNK]", "<|unk|>"),
    "bos_token": ("<s>", "<|begin_of_text|>", "<|bos|>", "<bos>", END),
    "eos_token": ("</s>", END, "<|end_of_text|>", "<|eos|>", "<eos>"),
    "pad_token": ("<pad>", "[PAD]", "<|pad|>"),
    "cls_token": ("[CLS]", "<cls>", "<|cls|>"),
    "sep_token": ("[SEP]", "<sep>", "<|sep|>"),
    "mask_token": ("[MASK]", "<mask>", "<|mask|>"),
}
"""What a special token is for, by the names in use; the first that is there has the role. As in
GPT-2, ``<|endoftext|>`` both ends a document and begins one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a tokenizer is made; the same recipe over the same texts gives the same tokenizer.

    Attributes:
        kind: see the module.
        vocabulary: most tokens, special ones and bytes included; ``bytes`` has as many as it has.
        special: special tokens, with those that the kind needs (`complete`).
        split: ``byte-bpe``: how a text is cut into what merges stay within. ``gpt-2``'s pattern, or
            ``gpt-4``'s, which takes at most three digits together and line ends apart.
        form: Unicode normalisation before anything else; None leaves texts as they are.
        lowercase: whether capitals are lost, and with ``wordpiece`` accents.
        min_count: pieces rarer than that aren't made (``byte-bpe``, ``wordpiece``).
        coverage: share of all characters that shall have a token of their own (``unigram``,
            ``wordpiece``, ``characters``); the rarest are left out, which keeps stray characters
            from filling the vocabulary.
    """

    kind: Kind = "byte-bpe"
    vocabulary: int = 4096
    special: tuple[str, ...] = (END,)
    split: Split = "gpt-2"
    form: Form | None = None
    lowercase: bool = False
    min_count: int = 2
    coverage: float = 0.9995

    @property
    def least(self) -> int:
        """The least vocabulary that the kind can have: its fixed tokens and one piece."""
        fixed = len(self.special) + (BYTES if self.kind in ("byte-bpe", "unigram", "bytes") else 0)
        return fixed if self.kind == "bytes" else fixed + 1

    @property
    def roles(self) -> dict[str, str]:
        """Role -> special token, for the roles that one of them has."""
        found = {}
        for role, names in ROLES.items():
            token = next((name for name in names if name in self.special), None)
            if token is not None:
                found[role] = token
        return found


def complete(kind: str, special: tuple[str, ...] | None) -> tuple[str, ...]:
    """The special tokens of a kind: its usual ones where none are given, else those given and
    what the kind can't do without.

    >>> complete("wordpiece", None)
    ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')
    >>> complete("characters", ("<|endoftext|>",))
    ('<|endoftext|>', '<unk>')
    """
    if special is None:
        return DEFAULT_SPECIAL[kind]
    needed = NEEDED.get(kind)
    known = needed is None or any(name in special for name in ROLES["unk_token"])
    return special if known or needed is None else (*special, needed)


def byte_letters() -> list[str]:
    """The letter that byte-level tokenizers write for each of the 256 bytes (Radford et al. 2019):
    printable Latin-1 stands for itself, the rest for what follows U+0100, in order."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return [chr(byte if byte in shown else next(hidden)) for byte in range(BYTES)]
