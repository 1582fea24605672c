"""What is done to documents one at a time, with counts of what it did."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any

from gradus.data.corpora.config import CleanConfig
from gradus.data.corpora.languages import detect
from gradus.data.corpora.reading import Raw
from gradus.data.corpora.repetition import Limits, too_repetitive


@dataclass(slots=True)
class Count:
    """What one filter did.

    Attributes:
        seen: documents that came to it.
        dropped: those that it left out.
        changed: those whose text it changed; None of a filter that changes none.
        dropped_characters: characters of the documents that it left out.
        reasons: documents dropped by reason, where the filter has several.
    """

    seen: int = 0
    dropped: int = 0
    changed: int | None = None
    dropped_characters: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def drop(self, text: str, reason: str | None = None) -> None:
        """Count a document as left out."""
        self.dropped += 1
        self.dropped_characters += len(text)
        if reason is not None:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def facts(self) -> dict[str, Any]:
        """The counts as JSON, reasons in order of their number."""
        reasons = dict(sorted(self.reasons.items(), key=lambda item: (-item[1], item[0])))
        found: dict[str, Any] = {"seen": self.seen, "dropped": self.dropped}
        if self.changed is not None:
            found["changed"] = self.changed
        found["dropped_characters"] = self.dropped_characters
        return {**found, "reasons": reasons} if reasons else found


class Cleaner:
    """Takes documents one by one as a plan's ``clean`` says.

    Attributes:
        counts: what each filter did, in the order in which they are applied.
    """

    def __init__(self, config: CleanConfig) -> None:
        self._config = config
        self._limits = None if config.repetition is None else Limits.at(config.repetition)
        names = ["empty", "unicode", "min_score", "min_characters", "max_characters"]
        names += ["languages", "repetition"]
        self.counts = {
            name: Count() for name in names if name == "empty" or getattr(config, name) is not None
        }

    def clean(self, raw: Raw) -> Raw | None:
        """The document with its language, or None where it is left out."""
        config, text = self._config, raw.text
        if self._fails("empty", text, not text or text.isspace()):
            return None
        if config.unicode is not None:
            text = self._normalised(text, config.unicode)
        if config.min_score is not None:
            score = raw.score
            if self._fails("min_score", text, score is None or score < config.min_score):
                return None
        low, high = config.min_characters, config.max_characters
        if low is not None and self._fails("min_characters", text, len(text) < low):
            return None
        if high is not None and self._fails("max_characters", text, len(text) > high):
            return None
        language = raw.language or detect(text)
        if config.languages is not None:
            fails = language not in config.languages
            if self._fails("languages", text, fails, language):
                return None
        if self._limits is not None:
            reason = too_repetitive(text, self._limits)
            if self._fails("repetition", text, reason is not None, reason):
                return None
        return raw._replace(text=text, language=language)

    def _fails(self, name: str, text: str, fails: bool, reason: str | None = None) -> bool:
        count = self.counts[name]
        count.seen += 1
        if fails:
            count.drop(text, reason)
        return fails

    def _normalised(self, text: str, form: Any) -> str:
        count = self.counts["unicode"]
        count.seen += 1
        if unicodedata.is_normalized(form, text):
            return text
        count.changed = (count.changed or 0) + 1
        return unicodedata.normalize(form, text)
