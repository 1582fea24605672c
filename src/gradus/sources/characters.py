"""A tokenizer of characters that is made without data: one token for each Chinese character."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROWS: Final = range(0xA1, 0xF8)
_CELLS: Final = range(0xA1, 0xFF)


@cache
def alphabet() -> tuple[str, ...]:
    """What has a token: printable ASCII and all of GB 2312-80 (6,763 Chinese characters, Latin,
    Greek, Cyrillic, kana, punctuation), NFKC and lower case, in the order of code points."""
    given = [chr(code) for code in range(0x21, 0x7F)] + list(_gb2312())
    forms = "".join(unicodedata.normalize("NFKC", one).lower() for one in given)
    return tuple(sorted({one for one in forms if not one.isspace()}))


def _gb2312() -> Iterator[str]:
    for row in _ROWS:
        for cell in _CELLS:
            try:
                yield bytes((row, cell)).decode("gb2312")
            except UnicodeDecodeError:
                # The standard leaves this place of its table empty.
                continue


def build_tokenizer(positions: int) -> Any:
    """The fast tokenizer of transformers: NFKC, lower case, one token a character, white space
    left out, ``[CLS]`` before and ``[SEP]`` after; what the alphabet lacks is ``[UNK]``.

    Args:
        positions: the longest text in tokens, special ones included.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: number for number, token in enumerate((*SPECIAL, *alphabet()))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
    )
    made.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(token, vocabulary[token]) for token in (CLS, SEP)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        model_max_length=positions,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        pad_token=PAD,
        unk_token=UNK,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=MASK,
    )
