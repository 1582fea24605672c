"""Reading what a judge replied in words.

Only a reply that says one thing is read: the answer alone, as JSON, or on a line of its own at the
beginning or at the end of an explanation. What is read out of anything else would be a guess, so it
counts as no answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from gradus.panel.records import FIRST, HIGHEST, LOWEST, NEITHER, SECOND

_THOUGHT: Final = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_FENCE: Final = re.compile(r"^```\w*\s*|\s*```$")
_EMPHASIS: Final = re.compile(r"[*_`]+")
_LABEL: Final = (
    r"(?:the\s+)?(?:final\s+)?"
    r"(?:scores?|rating|answer|verdict|better|winner|choice|分数|得分|评分|答案|更好)"
    r"(?:\s+(?:is|text|one))*\s*(?:is|[:：=])?\s*"
)
_SCORE: Final = re.compile(
    rf"(?:{_LABEL})?([0-9]+(?:\.[0-9]+)?)\s*(?:/\s*5|out\s+of\s+5|points?|分)?", re.IGNORECASE
)
_CHOICE: Final = re.compile(
    rf"(?:{_LABEL})?(?:(?:text|文字|文本)\s*)?([AB])(?:\s+is\s+better|\s*更好)?", re.IGNORECASE
)
_NEITHER: Final = re.compile(
    rf"(?:{_LABEL})?(?:tie|neither|equal|both(?:\s+equal)?|一样|平局|不分上下)", re.IGNORECASE
)
_KEYS: Final = ("score", "rating", "answer", "better", "choice", "winner", "value")


def score(reply: str) -> float | None:
    """The score from 1 to 5 that a reply gives; None where it gives none, or several.

    >>> score("**Score: 4/5**"), score("between 3 and 4"), score("7")
    (4.0, None, None)
    """
    return _read(reply, _score)


def choice(reply: str) -> float | None:
    """1 where a reply prefers A, 2 for B, 0 for neither; None where it says none of these.

    >>> choice("Text B is better."), choice("A or B")
    (2.0, None)
    """
    return _read(reply, _choice)


def _score(said: str) -> float | None:
    found = _SCORE.fullmatch(said)
    value = float(found[1]) if found else None
    return value if value is not None and LOWEST <= value <= HIGHEST else None


def _choice(said: str) -> float | None:
    if _NEITHER.fullmatch(said):
        return float(NEITHER)
    found = _CHOICE.fullmatch(said)
    if found is None:
        return None
    return float(FIRST if found[1].upper() == "A" else SECOND)


def _read(reply: str, read: Callable[[str], float | None]) -> float | None:
    text = _FENCE.sub("", _THOUGHT.sub("", reply).strip()).strip()
    if text.startswith("{"):
        return _from_json(text, read)
    lines = [line for line in map(_bare, text.splitlines()) if line]
    if not lines:
        return None
    ends = {found for line in (lines[0], lines[-1]) if (found := read(line)) is not None}
    return ends.pop() if len(ends) == 1 else None


def _bare(line: str) -> str:
    """Without emphasis, quotation marks and the full stop."""
    words = _EMPHASIS.sub(" ", line).strip("\"'“”「」#[]() ").rstrip(".。! ")
    return " ".join(words.split())


def _from_json(text: str, read: Callable[[str], float | None]) -> float | None:
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):  # a reply may be nested without end
        return None
    found = {str(said[key]) for key in _KEYS if key in said}
    return read(_bare(found.pop())) if len(found) == 1 else None
