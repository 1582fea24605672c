"""The five criteria by which people and judges rate a writing, with what each score means.

Several criteria, each with every point of its scale described, are what van der Lee et al. 2021
("Human evaluation of automatically generated text: Current trends and best practice guidelines")
advise, so that two raters mean the same by a 3. The wording is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from gradus.errors import UnknownName

Language = Literal["en", "zh"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")


@dataclass(frozen=True, slots=True)
class Wording:
    """A criterion in one language.

    Attributes:
        title: its name, as a heading.
        question: what a rater is asked.
        anchors: what the scores 1 to 5 mean, in this order.
    """

    title: str
    question: str
    anchors: tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that is judged, in each language."""

    name: str
    wording: Mapping[Language, Wording]

    @property
    def en(self) -> Wording:
        """The English wording."""
        return self.wording["en"]

    @property
    def zh(self) -> Wording:
        """The Chinese wording."""
        return self.wording["zh"]


def _criterion(name: str, en: Wording, zh: Wording) -> Criterion:
    return Criterion(name, MappingProxyType({"en": en, "zh": zh}))


_ALL: Final = (
    _criterion(
        "fluency",
        Wording(
            "Fluency",
            "Is it written in correct and natural language?",
            (
                "Hardly a sentence holds together; it can barely be read.",
                "Many errors; reading it is an effort.",
                "Some errors or clumsy phrases, but it can be understood.",
                "Correct and easy to read, with a small slip at most.",
                "Reads throughout like the work of a practised writer.",
            ),
        ),
        Wording(
            "流畅性",
            "语言是否正确、自然？",
            (
                "几乎没有通顺的句子，难以读下去。",
                "错误很多，读起来费力。",
                "有些错误或别扭的表达，但能看懂。",
                "正确易读，至多有小瑕疵。",
                "通篇自然流畅，如同出自熟练作者之手。",
            ),
        ),
    ),
    _criterion(
        "coherence",
        Wording(
            "Coherence",
            "Do the sentences follow from one another?",
            (
                "The sentences have nothing to do with each other.",
                "Few connections; the thread is soon lost.",
                "There is a thread, with leaps or contradictions.",
                "Easy to follow, with a small break at most.",
                "Every sentence has its place; nothing is contradicted.",
            ),
        ),
        Wording(
            "连贯性",
            "句子之间是否前后衔接？",
            (
                "句子之间毫无关联。",
                "联系很少，很快就失去主线。",
                "有主线，但有跳跃或矛盾。",
                "容易跟上，至多有一处小的断裂。",
                "每句话各得其所，前后毫无矛盾。",
            ),
        ),
    ),
    _criterion(
        "relevance",
        Wording(
            "Relevance",
            "Does it go on from the opening that was given?",
            (
                "It has nothing to do with the opening.",
                "It touches the opening, then goes elsewhere.",
                "It stays near the opening, with parts that don't belong.",
                "It fits the opening, with a small digression at most.",
                "It fits the opening in subject, manner and intent.",
            ),
        ),
        Wording(
            "相关性",
            "是否承接给出的开头？",
            (
                "与开头毫无关系。",
                "稍有触及，随后便偏离。",
                "大体围绕开头，但有不相干的部分。",
                "与开头相符，至多稍有离题。",
                "在内容、风格和意图上都与开头相符。",
            ),
        ),
    ),
    _criterion(
        "diversity",
        Wording(
            "Diversity and creativity",
            "Is it varied, and does it have ideas of its own?",
            (
                "It repeats itself, or says nothing.",
                "Little variety; mostly stock phrases.",
                "Some variety, but predictable throughout.",
                "Varied, with a fresh turn here and there.",
                "Rich in words and ideas, and often surprising.",
            ),
        ),
        Wording(
            "多样性与创造性",
            "是否富于变化，有自己的想法？",
            (
                "不断重复，或空洞无物。",
                "缺少变化，多是套话。",
                "有些变化，但处处可以预料。",
                "富于变化，不时有新意。",
                "用词和想法都很丰富，常出人意料。",
            ),
        ),
    ),
    _criterion(
        "accuracy",
        Wording(
            "Factual accuracy",
            "Are its facts right, or right within its story?",
            (
                "Nearly everything it claims is false or impossible.",
                "Several clear errors.",
                "One clear error, or several doubtful claims.",
                "Nothing clearly wrong; a detail is doubtful.",
                "Everything that can be checked is right.",
            ),
        ),
        Wording(
            "事实准确性",
            "内容是否属实？若是故事，是否符合其设定？",
            (
                "所说的几乎都不属实或不可能。",
                "有几处明显错误。",
                "有一处明显错误，或几处存疑。",
                "没有明显错误，个别细节存疑。",
                "凡可核实之处都正确。",
            ),
        ),
    ),
)

CRITERIA: Final[Mapping[str, Criterion]] = MappingProxyType({each.name: each for each in _ALL})
"""All criteria by name, in the order in which they are asked."""


def chosen(names: Sequence[str]) -> tuple[Criterion, ...]:
    """The criteria of these names, in the order in which they are asked whatever the list's.

    Raises:
        UnknownName: there is no such criterion.
    """
    for name in names:
        if name not in CRITERIA:
            raise UnknownName("criterion", name, CRITERIA)
    return tuple(each for each in _ALL if each.name in set(names))
