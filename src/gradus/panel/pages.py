"""The pages that raters see, as HTML.

Nothing on a page says who wrote a text: a page is made of the rater's own items, whose names are
drawn under a secret, and of texts, which are escaped and never taken for markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from gradus.panel import setting
from gradus.panel.criteria import LANGUAGES, Criterion, Language, chosen
from gradus.panel.records import Mode
from gradus.panel.store import Item, Progress
from gradus.panel.words import WORDS
from gradus.writing.records import Samples, Writing

if TYPE_CHECKING:
    from jinja2 import Environment

BORROWED: Final = 160
"""Characters of a real writing that an attention check begins with, so that it looks like one."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One item as a rater sees it: an opening, and one text or two that go on from it."""

    opening: str
    texts: tuple[str, ...]


class Pages:
    """Makes the pages of one panel.

    Attributes:
        mode: likert or pairs.
        criteria: what is asked of a writing; of pairs, what a rater shall bear in mind.
        spoken: one language, or both and the rater chooses.
    """

    def __init__(
        self, samples: Samples, *, mode: Mode, criteria: tuple[str, ...], spoken: setting.Language
    ) -> None:
        self.mode: Mode = mode
        self.criteria: tuple[Criterion, ...] = chosen(criteria)
        self.spoken: setting.Language = spoken
        self._writings = {one.id: one for one in samples.writings}
        self._all = samples.writings

    @cached_property
    def _templates(self) -> Environment:
        from jinja2 import Environment, PackageLoader, StrictUndefined

        return Environment(
            loader=PackageLoader("gradus.panel"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def language(self, wanted: str | None, accepted: str = "") -> Language:
        """The language to speak: the panel's, or the rater's choice, or the browser's."""
        if self.spoken != "both":
            return self.spoken
        for language in LANGUAGES:
            if wanted == language:
                return language
        return "zh" if accepted.strip().lower().startswith("zh") else "en"

    def start(self, language: Language, progress: Progress) -> str:
        """What is asked for, and the way in."""
        return self._page("start", language, progress=progress)

    def item(
        self,
        language: Language,
        item: Item,
        progress: Progress,
        *,
        nonce: str,
        given: Mapping[str, int],
        last: str | None,
        note: str | None = None,
    ) -> str:
        """The form of one item.

        Args:
            language: to speak.
            item: what is shown.
            progress: of the rater.
            nonce: of this form.
            given: what was answered before the answer was taken back.
            last: the nonce of the answer that can be undone.
            note: the name of words to be told first.
        """
        return self._page(
            "item",
            language,
            item=item,
            shown=self.shown(item, language),
            progress=progress,
            nonce=nonce,
            given=given,
            last=last,
            note=note,
        )

    def done(self, language: Language, progress: Progress, last: str | None) -> str:
        """Thanks, and the way back to the last answer."""
        return self._page("done", language, progress=progress, last=last)

    def message(self, language: Language, name: str) -> str:
        """A page that only says something: ``nothing`` or ``broken``."""
        return self._page("message", language, about=name, deep=False)

    def shown(self, item: Item, language: Language) -> Shown:
        """The texts of an item."""
        if not item.check:
            first = self._writings[item.first]
            others = () if item.second is None else (self._writings[item.second].text,)
            return Shown(first.prompt, tuple(map(_trim, (first.text, *others))))
        basis = self._basis(item)
        begun = basis.text[:BORROWED].rpartition(" ")[0] or basis.text[: BORROWED // 4]
        asks = "check_score" if item.second is None else "check_pair"
        asked = WORDS[language][asks].format(value=item.expected)
        check = _trim(f"{begun.rstrip()} … {asked}")
        if item.second is None:
            return Shown(basis.prompt, (check,))
        sides = (check, _trim(basis.text))
        return Shown(basis.prompt, sides if item.expected == 1 else sides[::-1])

    def _basis(self, item: Item) -> Writing:
        """The writing that an attention check looks like."""
        drawn = int.from_bytes(sha256(item.name.encode()).digest()[:8])
        return self._all[drawn % len(self._all)]

    def _page(self, template: str, language: Language, **facts: Any) -> str:
        return self._templates.get_template(f"{template}.html.j2").render(
            **{"deep": True} | facts,
            t=WORDS[language],
            language=language,
            other=next(x for x in LANGUAGES if x != language) if self.spoken == "both" else None,
            mode=self.mode,
            criteria=[(each.name, each.wording[language]) for each in self.criteria],
        )


def _trim(text: str) -> str:
    """Without empty lines at either end; NUL, which HTML has no way to write, made visible."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}").rstrip().lstrip("\r\n ")
