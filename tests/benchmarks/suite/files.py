"""Small files in exactly the published formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

WIKITEXT = (
    " \n"
    " = The Dog = \n"
    " \n"
    ' The dog \'s tail @-@ end is " big " , say <unk> . \n'
    " \n"
    " = = Life = = \n"
    " \n"
    " It eats 1 @,@ 000 bones a year ( or so ) . \n"
    " \n"
    " \n"
    " = The Cat = \n"
    " \n"
    " The cat don 't care . \n"
    " \n"
)

PTB = (
    " the company did n't say why \n"
    " mr. <unk> 's shares fell $ N to $ N \n"
    " investors ' confidence was low \n"
)

SENTENCES = (
    'He said , " Go , don \'t wait . "\n'
    "The U.S. dollar rose 3 % against the yen ( again ) .\n"
    "Why ?\n"
)


def passages(count: int) -> list[str]:
    """Passages that differ, with two targets that are stop words among the first five."""
    ends = ("the dog", "a bone", "with him", "the dog", "and the", "his tail")
    return [f'It was day {n}.\n\n"Why not?" he said to {ends[n % 6]}' for n in range(count)]


def lambada(count: int) -> str:
    return "".join(json.dumps({"text": passage}) + "\n" for passage in passages(count))


def cbt(count: int, *, options: Sequence[str] = (), answer: str = "") -> str:
    """Questions of 20 sentences, a query and ten options each."""
    chosen = tuple(options) or tuple(f"noun{k}" for k in range(10))
    parts = []
    for number in range(count):
        lines = [f"{k} `` Sentence {k} of {number} , '' he said ." for k in range(1, 21)]
        right = answer or chosen[number % len(chosen)]
        lines.append(f"21 The XXXXX did n't bark .\t{right}\t\t{'|'.join(chosen)}")
        parts.append("\n".join(lines) + "\n\n")
    return "".join(parts)


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path
