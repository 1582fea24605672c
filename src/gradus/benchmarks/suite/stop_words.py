"""Words that can't be the last one of a LAMBADA passage: the function words of English.

LAMBADA's targets are names, nouns, verbs and adjectives; the GPT-2 paper saw that many wrong
predictions continue the sentence but don't end it, and filtered stop words. It doesn't print its
list. This one has the closed classes: articles and determiners, pronouns, prepositions,
conjunctions, auxiliaries and their contractions, and the adverbs that link clauses.
"""

from __future__ import annotations

import hashlib
from typing import Final

_CLASSES: Final = """
a an the this that these those each every either neither some any no none all both half several few
many much more most less least such another other others what whatever which whichever whose

i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself
she her hers herself it its itself they them their theirs themselves one oneself who whom whoever
someone somebody something anyone anybody anything everyone everybody everything nobody nothing

about above across after against along alongside amid among around as at before behind below beneath
beside besides between beyond by concerning despite down during except for from in inside into like
near of off on onto out outside over per regarding since than through throughout till to toward
towards under underneath until unto up upon versus via with within without

and but or nor so yet because although though unless whereas whether while if once when whenever
where wherever how however why

am is are was were be been being do does did doing have has had having can could may might must
shall should will would ought cannot not

don't doesn't didn't isn't aren't wasn't weren't haven't hasn't hadn't can't couldn't mustn't won't
wouldn't shan't shouldn't needn't ain't i'm i've i'll i'd you're you've you'll you'd he's he'll he'd
she's she'll she'd it's it'll it'd we're we've we'll we'd they're they've they'll they'd that's
there's here's who's what's let's

there here then thus therefore hence also too very just only even still
"""

STOP_WORDS: Final = frozenset(_CLASSES.split())
"""In lower case, with a straight apostrophe."""

DIGEST: Final = hashlib.sha256("\n".join(sorted(STOP_WORDS)).encode()).hexdigest()[:12]
"""What stands for the list in a contract."""


def is_stop_word(word: str) -> bool:
    """Whether it is on the list; case and the form of the apostrophe don't matter.

    >>> is_stop_word("The"), is_stop_word("DON’T"), is_stop_word("dragon")
    (True, True, False)
    """
    return word.lower().replace("’", "'") in STOP_WORDS


def begins_answer(token: str) -> bool:
    """Whether a token may begin a predicted word: it begins a word that isn't a stop word.

    A word begins behind white space with a letter or a digit. Punctuation and tokens that go on
    with the word before are no words; a token is judged as if it were the whole word, so that one
    which is longer but begins like a stop word (" in" of " inspect") is filtered too.

    >>> [begins_answer(token) for token in (" dragon", " the", "s", ",", " \\"")]
    [True, False, False, False, False]
    """
    word = token.strip()
    return token[:1].isspace() and word[:1].isalnum() and not is_stop_word(word)
