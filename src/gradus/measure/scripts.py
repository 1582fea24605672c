"""The script that a text is written in, by the Unicode blocks of its letters.

The rule: letters are counted by script in the first 1,000 characters; the script with most letters
names the text, the first in the list below on a tie. Where kana are at least a tenth of kana and
Han together, both are ``Japanese``. A text without letters is ``none``, one in a script that isn't
listed ``other``. That tells languages apart only where their scripts differ.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Final

LOOKED_AT: Final = 1000
KANA_SHARE: Final = 0.1

BLOCKS: Final = (
    (0x0041, 0x024F, "Latin"),
    (0x0370, 0x03FF, "Greek"),
    (0x0400, 0x052F, "Cyrillic"),
    (0x0530, 0x058F, "Armenian"),
    (0x0590, 0x05FF, "Hebrew"),
    (0x0600, 0x06FF, "Arabic"),
    (0x0750, 0x077F, "Arabic"),
    (0x0900, 0x097F, "Devanagari"),
    (0x0980, 0x09FF, "Bengali"),
    (0x0A00, 0x0A7F, "Gurmukhi"),
    (0x0A80, 0x0AFF, "Gujarati"),
    (0x0B80, 0x0BFF, "Tamil"),
    (0x0C00, 0x0C7F, "Telugu"),
    (0x0C80, 0x0CFF, "Kannada"),
    (0x0D00, 0x0D7F, "Malayalam"),
    (0x0E00, 0x0E7F, "Thai"),
    (0x10A0, 0x10FF, "Georgian"),
    (0x1100, 0x11FF, "Hangul"),
    (0x1200, 0x137F, "Ethiopic"),
    (0x1E00, 0x1EFF, "Latin"),
    (0x1F00, 0x1FFF, "Greek"),
    (0x3040, 0x30FF, "Kana"),
    (0x3130, 0x318F, "Hangul"),
    (0x31F0, 0x31FF, "Kana"),
    (0x3400, 0x4DBF, "Han"),
    (0x4E00, 0x9FFF, "Han"),
    (0xAC00, 0xD7AF, "Hangul"),
    (0xF900, 0xFAFF, "Han"),
    (0xFB50, 0xFDFF, "Arabic"),
    (0xFE70, 0xFEFF, "Arabic"),
    (0xFF21, 0xFF5A, "Latin"),
    (0xFF66, 0xFF9D, "Kana"),
    (0x20000, 0x3FFFF, "Han"),
)
"""First and last code point of a block and the script of its letters, in order."""

_STARTS: Final = [first for first, _, _ in BLOCKS]


def script_of(text: str) -> str:
    """The script of a text.

    >>> [script_of(text) for text in ("Good", "房间很好", "Хорошо", "とても良い", "3.5!")]
    ['Latin', 'Han', 'Cyrillic', 'Japanese', 'none']
    """
    counts = Counter(_script(ch) for ch in text[:LOOKED_AT] if ch.isalpha())
    if not counts:
        return "none"
    if counts["Kana"] and counts["Kana"] >= KANA_SHARE * (counts["Kana"] + counts["Han"]):
        counts["Japanese"] = counts.pop("Kana") + counts.pop("Han", 0)
    else:
        counts["Han"] += counts.pop("Kana", 0)
    order = [*dict.fromkeys(script for _, _, script in BLOCKS), "Japanese", "other"]
    return max(counts, key=lambda script: (counts[script], -order.index(script)))


def _script(letter: str) -> str:
    code = ord(letter)
    index = bisect_right(_STARTS, code) - 1
    if index >= 0 and code <= BLOCKS[index][1]:
        return BLOCKS[index][2]
    return "other"
