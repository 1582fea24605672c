"""The conventions by which the corpora of the GPT-2 paper were cut into words, to be undone.

``wikitext`` (Merity et al. 2016): cut as Moses does, with ``@-@`` for a hyphen inside a word and
``@,@`` and ``@.@`` inside numbers. ``one-billion-word`` (Chelba et al. 2013): the same without
these. ``ptb`` (Mikolov's Penn Treebank): contractions and prices cut, no punctuation.
``treebank``: the Penn Treebank's full convention, of LAMBADA's plain text and the Children's Book
Test: quotes as two backticks and two apostrophes, brackets as ``-LRB-``.

What was thrown away can't be brought back: case in PTB and LAMBADA, numbers behind ``N``, rare
words behind ``<unk>``. Paragraphs, sentences and headings keep their lines.

`lm_eval_wikitext` is another thing: the one-way rules of lm-evaluation-harness, for its preset.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from gradus.benchmarks.suite.invertible import MARK, NEAR, Convention, Rule
from gradus.errors import UsageError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ABBREVIATIONS: Final = _words(
    """Adm Apr Assn Aug Ave Bd Blvd Bros Brig Capt Cmdr Co Col Corp Cpl Ct Dec Dept Det Dr Drs Ed
    Est Feb Fla Fr Fri Ft Gen Gov Hon Inc Insp Jan Jr Jul Jun La Lt Ltd Maj Mar Mass Md Messrs Mo
    Mon Mr Mrs Ms Mt Neb No Nos Nov Oct Pa Ph Pres Prof Pvt Rd Rep Reps Rev Sat Sen Sens Sept Sep
    Sgt Sq Sr St Ste Supt Tex Thu Tue Univ Va Vol Vt Wash Wed Wis al approx ca cf ed eds etc esp
    est ft fig vol var pp vs v viz mr mrs ms dr jr sr st"""
)
"""Words that keep their full stop; single letters and those with one inside keep it as well."""

_CLOSERS: Final = r"\"')\]}"
_OPENERS: Final = r"(\[{"
_END: Final = rf"(?:[\s{_CLOSERS}.,;:!?—]|$)"
_LETTERS: Final = r"(?:s|re|ve|ll|d|m)"
_CUT: Final = " "

# A full stop is cut off behind a word of at least two letters that isn't an abbreviation, behind
# a number or decade, a contraction, and signs. Looking back needs fixed widths.
_NOT_ABBREVIATED: Final = "".join(
    rf"(?<!\b{short})" for short in sorted(ABBREVIATIONS, key=lambda one: (len(one), one))
)
_FULL_STOP: Final = (
    rf"(?=\.(?:[\s{_CLOSERS}]|$))"
    rf"(?:(?<=[^\W\d_]{{2}})(?<!\.\w\w){_NOT_ABBREVIATED}"
    rf"|(?<=\d)|(?<=\ds)|(?<='\w)|(?<=[^\w\s.{MARK}]))"
)


def _before(characters: str, follows: str = _END) -> str:
    """Between a visible character and one of `characters` that `follows` comes after."""
    return rf"(?<={NEAR})(?=[{characters}]{follows})"


_PUNCTUATION: Final = (
    Rule(_CUT, "", _before(",;:!?")),
    Rule(_CUT, "", _FULL_STOP),
    Rule(_CUT, "", r"(?<=[$£€#])(?=[\d])"),
    Rule(_CUT, "", r"(?<=\d)(?=[%°′″])"),
)
_BRACKETS: Final = (
    Rule(_CUT, "", rf"(?<=[{_OPENERS}])(?={NEAR})"),
    Rule(_CUT, "", rf"(?<={NEAR})(?=[)\]}}])"),
)
_STRAIGHT_QUOTES: Final = tuple(
    Rule(_CUT, "", where)
    for quote in ('"', "'")
    for where in (
        # opening: behind nothing, a space, a bracket or a dash
        rf"(?:(?<=^{quote})|(?<=[\s{_OPENERS}—–/\"'-]{quote}))(?<![\w.,!?]['\"]{quote})(?={NEAR})",
        # closing: before a space or another end
        rf"(?<=[^\s{_OPENERS}{MARK}])(?={quote}{_END})",
    )
)
_CONTRACTIONS: Final = (Rule(_CUT, "", r"(?<=[\w.>)\]])(?='\w)"),)
_HEADING: Final = (Rule(_CUT, "", "(?<==)(?==)"),)


def _joiner(mark: str, before: str, after: str) -> Rule:
    short = mark.strip("@")
    where = rf"(?<={before}){re.escape(short)}(?={after})"
    return Rule(f" {mark} ", short, where, f"(?<={before}) {mark} (?={after})")


_WIKITEXT: Final = (
    _joiner("@-@", NEAR, NEAR),
    _joiner("@,@", r"[\d>]", r"[\d<]"),
    _joiner("@.@", r"[\d>]", r"[\d<]"),
    _joiner("—", NEAR, NEAR),
    _joiner("–", r"\d", r"\d"),
    _joiner("/", r"[\w>]", r"[\w<]"),
    _joiner(":", r"\d", r"\d"),
    *_CONTRACTIONS,
    *_STRAIGHT_QUOTES,
    *_BRACKETS,
    *_PUNCTUATION,
    *_HEADING,
)
_BILLION: Final = (*_CONTRACTIONS, *_STRAIGHT_QUOTES, *_BRACKETS, *_PUNCTUATION)
_APOSTROPHES: Final = (
    Rule(_CUT, "", r"(?<=\w)(?=n't(?!\w))"),
    Rule(_CUT, "", rf"(?<=[\w>.])(?='{_LETTERS}(?!\w))"),
    Rule(_CUT, "", r"(?<=[\w>.])(?='(?:\s|$))"),
)
_PTB: Final = (
    Rule(r"\/", "/", "/", r"\\/"),
    *_APOSTROPHES,
    Rule(_CUT, "", r"(?<=[$#])(?=[N\d<])"),
)
_TREEBANK: Final = (
    Rule("`` ", '"', rf"(?:(?<=^)|(?<=[\s{_OPENERS}'-]))\"(?={NEAR})"),
    Rule(" ''", '"', rf"(?<=[^\s{_OPENERS}{MARK}])\"(?={_END})"),
    Rule("-LRB- ", "(", rf"\((?={NEAR})"),
    Rule(" -RRB-", ")", rf"(?<={NEAR})\)"),
    Rule("-LCB- ", "{", rf"\{{(?={NEAR})"),
    Rule(" -RCB-", "}", rf"(?<={NEAR})\}}"),
    Rule("-LSB- ", "[", rf"\[(?={NEAR})"),
    Rule(" -RSB-", "]", rf"(?<={NEAR})\]"),
    Rule("` ", "'", rf"(?:(?<=^)|(?<=[\s{_OPENERS}\"]))'(?=\w)"),
    *_APOSTROPHES,
    Rule(_CUT, "", rf"(?<=[.,!?])(?='{_END})"),
    *_PUNCTUATION,
)

_LEFT: Final = _words(", . ; : ! ? ) ] } % ° ′ ″ -RRB- -RCB- -RSB- '' n't")
_RIGHT: Final = _words("( [ { $ £ € # us$ c$ -LRB- -LCB- -LSB- `` `")


def _closes(tokens: Sequence[str]) -> list[bool]:
    """The gaps before closing and behind opening punctuation, contractions and heading signs.

    Quotes that look alike open and close in turn; an apostrophe behind a word in s, where none is
    open, is a possessive.
    """
    sides = _quote_sides(tokens)
    found = []
    for place, (left, right) in enumerate(pairwise(tokens)):
        opened = sides.get(place) == "open" or left in _RIGHT
        closed = (
            right in _LEFT
            or sides.get(place + 1) == "close"
            or (len(right) > 1 and right[0] == "'" and right[1].isalnum())
            or (left[-1:] == right[:1] == "=")
        )
        found.append(opened or closed)
    return found


def _quote_sides(tokens: Sequence[str]) -> dict[int, str]:
    sides: dict[int, str] = {}
    is_open = {'"': False, "'": False}
    for place, token in enumerate(tokens):
        if token not in is_open:
            continue
        possessive = token == "'" and not is_open[token] and tokens[place - 1][-1:] in ("s", ">")
        if is_open[token] or (possessive and place):
            sides[place], is_open[token] = "close", False
        else:
            sides[place], is_open[token] = "open", True
    return sides


WIKITEXT: Final = Convention("wikitext", _WIKITEXT, _closes, framed=True)
PTB: Final = Convention("ptb", _PTB, _closes, framed=True)
ONE_BILLION_WORD: Final = Convention("one-billion-word", _BILLION, _closes)
TREEBANK: Final = Convention("treebank", _TREEBANK, _closes)
CONVENTIONS: Final = (WIKITEXT, PTB, ONE_BILLION_WORD, TREEBANK)


def convention(name: str) -> Convention:
    """The convention of that name.

    >>> convention("ptb").detokenise(" he did n't pay $ N ")
    "he didn't pay $N"

    Raises:
        UsageError: there is none.
    """
    for found in CONVENTIONS:
        if found.name == name:
            return found
    names = ", ".join(one.name for one in CONVENTIONS)
    raise UsageError(f"no convention of cutting words is named '{name}'; there are {names}")


_SPACED: Final = (":", ";", ".", "!", "?", ",")
_PAIRS: Final = (("(", ")"), ("[", "]"), ("{", "}"), ('"', '"'), ("'", "'"))
_LATER: Final = (
    ("= = = =", "===="),
    ("= = =", "==="),
    ("= =", "=="),
    (" ° ", "°"),
    (" \n", "\n"),
    ("\n ", "\n"),
    (" N ", " 1 "),
    (" 's", "'s"),
)


def lm_eval_wikitext(text: str) -> str:
    """WikiText as lm-evaluation-harness's task ``wikitext`` reads it; not to be undone.

    >>> lm_eval_wikitext(" = A = \\n the dog 's ( big ) tail @-@ end . \\n")
    " = A =\\nthe dog's (big) tail-end.\\n"
    """
    text = text.replace("s '", "s'")
    for joined in ("-", ",", "."):
        text = text.replace(f" @{joined}@ ", joined)
    for sign in _SPACED:
        text = text.replace(f" {sign} ", f"{sign} ")
    for first, last in _PAIRS:
        inner = rf"{re.escape(first)}\s*([^{re.escape(last)}]*?)\s*{re.escape(last)}"
        text = re.sub(inner, rf"{first}\g<1>{last}", text)
    for long, short in _LATER:
        text = text.replace(long, short)
    return text
