"""Small tokenizers of the kinds in use, trained on a few sentences, as `tokenizers.Tokenizer`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

SENTENCES: Final = (
    "EU rejects German call to boycott British lamb .",
    "Peter Blackburn lives in Brussels, Belgium's capital.",
    "The U.N. aid-worker paid $10,000.50 (about half) in 1996-08-22!",
    "the hotel 酒店 is not bad, 不错 , naïve café",
)
SPECIAL: Final = ["<s>", "</s>", "<unk>", "<pad>"]


def bert() -> Tokenizer:
    """Uncased word pieces; parts words at punctuation and drops control characters."""
    made = Tokenizer(models.WordPiece(unk_token="<unk>"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.train_from_iterator(
        SENTENCES, trainers.WordPieceTrainer(vocab_size=160, special_tokens=SPECIAL)
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return made


def gpt2() -> Tokenizer:
    """Byte-level pairs that hold the space before a word; no special tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=SPECIAL, initial_alphabet=alphabet)
    made.train_from_iterator(SENTENCES, trainer)
    return made


def roberta() -> Tokenizer:
    """As `gpt2`, between special tokens."""
    made = gpt2()
    made.post_processor = processors.RobertaProcessing(
        ("</s>", 1), ("<s>", 0), trim_offsets=False, add_prefix_space=False
    )
    return made


def llama() -> Tokenizer:
    """Sentence pieces with a mark for a space, put before the text too; a begin token."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=160, special_tokens=SPECIAL))
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return made


def old_llama() -> Tokenizer:
    """The same by normalising, as older files have it."""
    made = llama()
    made.pre_tokenizer = None
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return made


KINDS: Final[dict[str, Callable[[], Tokenizer]]] = {
    "bert": bert,
    "gpt2": gpt2,
    "roberta": roberta,
    "llama": llama,
    "old_llama": old_llama,
}
