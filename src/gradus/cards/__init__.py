"""Model cards: what is known of a checkpoint, for people and for the Hub.

Facts first (`facts`), from manifest and run record; then `render` makes README.md of them.
"""

from gradus.cards.facts import facts
from gradus.cards.markdown import render
from gradus.cards.write import Written, write_card, write_run

__all__ = ["Written", "facts", "render", "write_card", "write_run"]
