"""What requests and answers look like: one truth for parsing and for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, create_model

from gradus.serve.limits import Limits

NOT_BLANK: Final = r"\S"
MOST_LABELS: Final = 10_000


class Error(BaseModel):
    """What went wrong."""

    message: str = Field(description="What is wrong and what to do.")
    type: str
    code: str | None = None


class Refusal(BaseModel):
    """The body of every answer that isn't 200."""

    error: Error


class Ranked(BaseModel):
    """A label and its probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class SpanSaid(BaseModel):
    """A stretch of the text, from character `start` to before `end`."""

    start: int
    end: int
    label: str
    text: str
    probability: float | None = None


class Said(BaseModel):
    """What is said of one text; which fields are there, the checkpoint's target decides."""

    label: str | None = Field(None, description="The most probable; null where it abstains.")
    probability: float | None = Field(None, description="Of the most probable label.")
    abstained: bool | None = Field(None, description="There where a threshold was asked for.")
    labels: list[Ranked] | None = Field(None, description="All that are said, if any number may be")
    top: list[Ranked] | None = Field(None, description="The `top_k` most probable.")
    value: float | None = Field(None, description="Where the checkpoint predicts numbers.")


class Tagged(BaseModel):
    """The spans of one text, in order of their start."""

    spans: list[SpanSaid]


class Served(BaseModel):
    """Which checkpoint answered."""

    model: str = Field(description="Its name.")
    digest: str | None = Field(None, description="SHA-256 of its content.")


class Classified(Served):
    """One result a text, in the texts' order."""

    results: list[Said]


class TagsFound(Served):
    """One result a text, in the texts' order."""

    results: list[Tagged]


class Embedded(Served):
    """One vector a text, in the texts' order."""

    dimensions: int
    embeddings: list[list[float]]


class Info(Served):
    """What is served, and how much may be asked of it."""

    kind: str | None = None
    engine: str | None = None
    target: str | None = None
    labels: list[str] | None = None
    tasks: list[str]
    max_tokens: int | None = Field(None, description="Texts are cut there.")
    most_texts: int
    most_characters: int


class SwapRequest(BaseModel):
    """Another checkpoint."""

    model_config = ConfigDict(extra="forbid", strict=True)

    checkpoint: str = Field(
        min_length=1, max_length=4096, description="Where it is, as the server sees it."
    )


class Swapped(Served):
    """What is served now."""

    seconds: float = Field(description="Until it took over.")


def served(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `Served`."""
    return {"model": facts["name"], "digest": facts.get("digest")}


def _kind(given: Any) -> str:
    return "pair" if isinstance(given, list) else "text"


def _whole(number: Any) -> Any:
    """3.0 is an integer in JSON's own terms (JSON Schema 2020-12, 4.2.3), and no other float."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@cache
def requests(limits: Limits) -> dict[str, type[BaseModel]]:
    """The bodies that the routes of Gradus's own read, by the route's name."""
    text = Annotated[str, Field(min_length=1, max_length=limits.characters, pattern=NOT_BLANK)]
    pair = Annotated[list[text], Field(min_length=2, max_length=2)]
    either: Any = Annotated[
        Annotated[text, Tag("text")] | Annotated[pair, Tag("pair")], Discriminator(_kind)
    ]
    texts: Any = Annotated[
        list[either],
        Field(
            min_length=1,
            max_length=limits.texts,
            description="Each a text, or a pair of texts that are judged together.",
            examples=[["The room was clean and the staff were friendly."]],
        ),
    ]
    top_k = Annotated[
        int,
        BeforeValidator(_whole),
        Field(ge=1, le=MOST_LABELS, description="How many labels `top` holds.", examples=[3]),
    ]
    threshold = Annotated[
        float | None,
        Field(ge=0, le=1, description="Abstain where the greatest probability is below."),
    ]
    normalise = Annotated[bool, Field(description="Make every vector's length 1.")]

    def made(name: str, doc: str, **fields: Any) -> type[BaseModel]:
        model: type[BaseModel] = create_model(name, __config__=_STRICT, __doc__=doc, **fields)
        return model

    return {
        "classify": made(
            "ClassifyRequest",
            "Texts to label.",
            texts=(texts, ...),
            top_k=(top_k, 1),
            threshold=(threshold, None),
        ),
        "tag": made("TagRequest", "Texts to find spans in.", texts=(texts, ...)),
        "embed": made(
            "EmbedRequest",
            "Texts to turn into vectors.",
            texts=(texts, ...),
            normalise=(normalise, True),
        ),
    }
