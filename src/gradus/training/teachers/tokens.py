"""Whether a student reads texts as its teacher does."""

from __future__ import annotations

import json
from typing import Any, Final

from gradus.errors import TrainingError

# What decides how a text is cut, in a tokenizer's own file, beside its entries.
_PARTS: Final = ("normalizer", "pre_tokenizer", "merges")


def require_same(student: Any, teacher: Any, who: str) -> None:
    """Refuse a teacher with another tokenizer than the student's.

    Args:
        student: a fast tokenizer of transformers.
        teacher: another one.
        who: the teacher's name and what needs it alike, for the message.

    Raises:
        TrainingError: they differ; names the first difference.
    """
    found = difference(student, teacher)
    if found is not None:
        raise TrainingError(
            f"{who}: teacher and student have different tokenizers: {found}. What the teacher says "
            "of its tokens means nothing for the student's: take a student with the teacher's "
            "tokenizer"
        )


def difference(student: Any, teacher: Any) -> str | None:
    """The first difference in what tokens are and how a text is cut, in words; None if there is
    none. What is put around a text (begin, end) isn't compared: it is no part of the text."""
    one, other = (tokenizer.get_vocab() for tokenizer in (student, teacher))
    if one != other:
        return _entries(_by_number(one), _by_number(other))
    mine, theirs = (_file(tokenizer) for tokenizer in (student, teacher))
    for part in _PARTS:
        if _part(mine, part) != _part(theirs, part):
            return _cut(part, _part(mine, part), _part(theirs, part))
    return None


def _entries(one: dict[int, str], other: dict[int, str]) -> str:
    """Of two vocabularies that differ."""
    size, theirs = len(one), len(other)
    for number in sorted({*one, *other}):
        a, b = one.get(number), other.get(number)
        if a != b:
            of = f"token {number} is {_told(b)} for the teacher and {_told(a)} for the student"
            return of if size == theirs else f"{of} ({theirs:,} tokens and {size:,})"
    return f"the teacher has {theirs:,} tokens and the student {size:,}"


def _told(token: str | None) -> str:
    return "missing" if token is None else repr(token)


def _by_number(vocabulary: dict[str, int]) -> dict[int, str]:
    return {number: token for token, number in vocabulary.items()}


def _file(tokenizer: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return found


def _part(file: dict[str, Any], part: str) -> Any:
    if part != "merges":
        return file.get(part)
    # Written as "a b" by older versions and as ["a", "b"] by newer ones.
    merges = file["model"].get("merges") or []
    return [tuple(m.split(" ", 1)) if isinstance(m, str) else tuple(m) for m in merges]


def _cut(part: str, mine: Any, theirs: Any) -> str:
    if part == "merges":
        pairs = zip(mine, theirs, strict=False)
        place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(mine), len(theirs)))
        return f"they have the same tokens, but from merge {place} on they join others"
    name = part.replace("_", "-")
    return f"they have the same tokens, but the {name} differs ({_kind(theirs)} and {_kind(mine)})"


def _kind(part: Any) -> str:
    return "none" if part is None else str(part.get("type", "unknown"))
