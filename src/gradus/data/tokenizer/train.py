"""Training a tokenizer from a stream of texts with the tokenizers library, deterministically.

What the library learns from is counts of words (what the pre-tokenizer cuts), so memory is bounded
by the distinct words, never by the texts. It keeps them in hash tables whose order differs from one
process to the next. Merges of bytes don't depend on that order; two other things do, and are set
right here: the numbers that WordPiece gives to pieces within words, which also break its ties, and
in unigram models the last digits of scores, ties at the cut, and characters that are kept although
nothing needed them.

Legend: T texts, V vocabulary.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from gradus.data.tokenizer.recipe import BYTES, Recipe, byte_letters
from gradus.errors import DataError

Texts = Callable[[], Iterable[str]]
"""Gives the same texts each time that it is called: some kinds read them twice."""

BATCH_CHARACTERS: Final = 1 << 20
"""Handed to the library at once; it works on the texts of a batch in parallel."""
GPT4: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The pattern of tiktoken's cl100k_base, with greedy quantifiers in place of possessive ones."""
SPACE: Final = "▁"
APART: Final = r"\n|[\p{P}\p{S}]"
"""In a unigram model line ends, punctuation and symbols are never part of a longer piece: it keeps
clauses of scripts without spaces apart, and ``<0x41>`` in a text from being taken for a byte."""
DECIMALS: Final = 3
"""Of a unigram score, in nats. Sums in another order differ in the tenth."""
UNNEEDED: Final = 1e-4
"""Between the scores that the library gives to characters that no text needed, in nats."""
SPARE: Final = 1.1
"""Share of pieces that a unigram model is trained with, of which the best are kept: the library
cuts among equal scores by chance."""
LONGEST: Final = 16
"""Characters of a piece of a unigram model, as in SentencePiece."""
INSIDE: Final = "##"
"""Before a WordPiece token that doesn't begin a word."""


def train(texts: Texts, recipe: Recipe) -> Any:
    """The `tokenizers.Tokenizer` that the recipe makes of the texts.

    Its special tokens have the lowest numbers; only with ``bytes`` do they come after the bytes,
    so that a token's number is its byte. Where the texts have too few pieces the vocabulary is
    smaller than asked.

    Raises:
        DataError: there is no text to learn from.
    """
    made = _MAKERS[recipe.kind](texts, recipe)
    known = made.get_vocab(with_added_tokens=True)
    if len(known) <= len(recipe.special):
        raise DataError("the corpus has no text to make a tokenizer from")
    made.add_special_tokens(list(recipe.special))
    return made


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts in lists of about `BATCH_CHARACTERS`; a longer text is a list of its own."""
    held: list[str] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield held
            held, size = [], 0
    if held:
        yield held


def counted(texts: Iterable[str]) -> Counter[str]:
    """How often each character occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    return counts


def commonest(counts: Counter[str], coverage: float) -> list[str]:
    """The commonest characters that together are `coverage` of all; by count, then code point.

    >>> commonest(Counter("aaabaac"), 0.8)
    ['a', 'b']
    """
    order = sorted(counts, key=lambda one: (-counts[one], one))
    wanted, seen = coverage * counts.total(), 0
    for place, one in enumerate(order):
        if seen >= wanted:
            return order[:place]
        seen += counts[one]
    return order


def _byte_bpe(texts: Texts, recipe: Recipe) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.normalizer = _normalizer(recipe)
    if recipe.split == "gpt-2":
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        apart = pre_tokenizers.Split(Regex(GPT4), "isolated")
        level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        made.pre_tokenizer = pre_tokenizers.Sequence([apart, level])
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        min_frequency=recipe.min_count,
        special_tokens=list(recipe.special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(batches(texts()), trainer)
    return made


def _bytes(texts: Texts, recipe: Recipe) -> Any:
    """Needs no text; `texts` is there for the sake of the other kinds."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    made = Tokenizer(models.BPE(dict(zip(byte_letters(), range(BYTES), strict=True)), []))
    made.normalizer = _normalizer(recipe)
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    return made


def _characters(texts: Texts, recipe: Recipe) -> Any:
    from tokenizers import Tokenizer, decoders, models

    normal = _normalizer(recipe)
    room = recipe.vocabulary - len(recipe.special)
    known = commonest(counted(_normal(texts(), normal)), recipe.coverage)[:room]
    numbers = {token: number for number, token in enumerate((*recipe.special, *known))}
    made = Tokenizer(models.BPE(numbers, [], unk_token=recipe.roles["unk_token"]))
    made.normalizer = normal
    made.decoder = decoders.Fuse()
    return made


def _wordpiece(texts: Texts, recipe: Recipe) -> Any:
    """The library's trainer numbers pieces within words as it meets them; told of all of them
    beforehand, it has nothing to number by chance."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    as_bert = normalizers.BertNormalizer(lowercase=recipe.lowercase)
    normal = normalizers.Sequence([*_forms(recipe), as_bert])
    words = pre_tokenizers.BertPreTokenizer()
    unknown = recipe.roles["unk_token"]
    learner = Tokenizer(models.WordPiece(unk_token=unknown))
    learner.normalizer, learner.pre_tokenizer = normal, words
    letters = commonest(counted(_normal(texts(), normal)), recipe.coverage)
    trainer = trainers.WordPieceTrainer(
        vocab_size=recipe.vocabulary,
        min_frequency=recipe.min_count,
        special_tokens=[*recipe.special, *_placed(letters, learner, recipe)],
        limit_alphabet=0,  # no letters but these
        continuing_subword_prefix=INSIDE,
        show_progress=False,
    )
    learner.train_from_iterator(batches(texts()), trainer)
    numbers = learner.get_vocab(with_added_tokens=True)
    # A tokenizer of its own: the learner takes the letters for special tokens.
    made = Tokenizer(models.WordPiece(numbers, unk_token=unknown, max_input_chars_per_word=100))
    made.normalizer, made.pre_tokenizer = normal, words
    made.decoder = decoders.WordPiece(prefix=INSIDE)
    _wrap(made, recipe)
    return made


def _placed(letters: Sequence[str], learner: Any, recipe: Recipe) -> list[str]:
    """The letters, and those that can stand within a word with the prefix, as many as there is
    room for; the commonest first."""
    found: list[str] = []
    room = recipe.vocabulary - len(recipe.special)
    for letter in letters:
        if letter.isspace():
            continue
        normal = learner.normalizer.normalize_str(f"a{letter}")
        joins = len(learner.pre_tokenizer.pre_tokenize_str(normal)) == 1
        forms = [letter, INSIDE + letter] if joins else [letter]
        if len(found) + len(forms) > room:
            break
        found += forms
    return found


def _wrap(made: Any, recipe: Recipe) -> None:
    """``[CLS]`` before and ``[SEP]`` behind a text, where there are such."""
    from tokenizers import processors

    first, last = recipe.roles.get("cls_token"), recipe.roles.get("sep_token")
    if first is None or last is None:
        return
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(token, made.token_to_id(token)) for token in (first, last)],
    )


def _unigram(texts: Texts, recipe: Recipe) -> Any:
    """Characters too rare for a token are left out of training and become bytes afterwards."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    unknown = recipe.roles["unk_token"]
    room = recipe.vocabulary - len(recipe.special) - BYTES
    learner = Tokenizer(models.Unigram())
    learner.normalizer = _normalizer(recipe)
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(APART), "isolated"),
            pre_tokenizers.Metaspace(SPACE, prepend_scheme="never"),
        ]
    )
    counts = counted(_normal(texts(), learner.normalizer))
    kept = frozenset(commonest(counts, recipe.coverage)[:room])
    trainer = trainers.UnigramTrainer(
        vocab_size=math.ceil(SPARE * room),
        special_tokens=[unknown],
        unk_token=unknown,
        max_piece_length=LONGEST,
        show_progress=False,
    )
    common = without(texts(), learner.normalizer, [one for one in counts if one not in kept])
    learner.train_from_iterator(batches(common), trainer)
    raw = json.loads(learner.to_str())["model"]["vocab"]
    pieces = settled([(piece, score) for piece, score in raw if piece != unknown], room)
    fixed = [*recipe.special, *(f"<0x{byte:02X}>" for byte in range(BYTES))]
    vocabulary = [*((token, 0.0) for token in fixed), *pieces]
    known = recipe.special.index(unknown)
    made = Tokenizer(models.Unigram(vocabulary, unk_id=known, byte_fallback=True))
    made.normalizer, made.pre_tokenizer = learner.normalizer, learner.pre_tokenizer
    made.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return made


def without(texts: Iterable[str], normal: Any, left_out: Sequence[str]) -> Iterator[str]:
    """The texts, normalised, with line ends in place of some characters."""
    table = dict.fromkeys(map(ord, left_out), "\n")
    for text in _normal(texts, normal):
        yield text.translate(table) if table else text


def settled(pieces: Sequence[tuple[str, float]], room: int) -> list[tuple[str, float]]:
    """At most `room` pieces of a unigram model with scores that no order of summation decides.

    Every character stays; then the best pieces, equal ones in the order of their text. The library
    gives a character that it keeps though no text needs it the least score and a tenth of a
    thousandth for each such before it, in an order of chance: here all get the least.
    """
    if not pieces:
        return []
    least = min(score for _, score in pieces)

    def score_of(piece: str, score: float) -> float:
        steps = (score - least) / UNNEEDED
        spare = len(piece) == 1 and abs(steps - round(steps)) < 1e-4 and steps < len(pieces)
        return round(least if spare else score, DECIMALS)

    scored = [(piece, score_of(piece, score)) for piece, score in pieces]
    scored.sort(key=lambda one: (len(one[0]) > 1, -one[1], one[0]))
    return sorted(scored[:room], key=lambda one: (-one[1], one[0]))


def _forms(recipe: Recipe) -> list[Any]:
    from tokenizers import normalizers

    found = [] if recipe.form is None else [getattr(normalizers, recipe.form)()]
    return [*found, normalizers.Lowercase()] if recipe.lowercase else found


def _normalizer(recipe: Recipe) -> Any:
    """None where texts stay as they are."""
    from tokenizers import normalizers

    forms = _forms(recipe)
    return normalizers.Sequence(forms) if forms else None


def _normal(texts: Iterable[str], normal: Any) -> Iterator[str]:
    for text in texts:
        yield text if normal is None else normal.normalize_str(text)


_MAKERS: Final[dict[str, Callable[[Texts, Recipe], Any]]] = {
    "byte-bpe": _byte_bpe,
    "unigram": _unigram,
    "wordpiece": _wordpiece,
    "characters": _characters,
    "bytes": _bytes,
}
