"""Step `sample`: several writers write to the same prompts, and what they wrote is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, field_validator, model_validator

from gradus.generation.decoding import Decoding
from gradus.records import CheckpointRef
from gradus.steps.base import Made, Monitor, Needs, Step, StepConfig, StepContext, StepOutcome
from gradus.writing.prompts import Prompt, PromptsConfig, digest
from gradus.writing.records import HUMAN, Samples, Writing, write_samples

DEFAULT: Final = Decoding(temperature=1.0, max_tokens=128)


def _or_a_list(schema: dict[str, Any]) -> None:
    """Tell editors that prompts may be a list of strings too."""
    reference = {"$ref": schema.pop("$ref")}
    schema["anyOf"] = [reference, {"type": "array", "items": {"type": "string"}, "minItems": 1}]


class SampleConfig(StepConfig):
    """Config of `sample`.

    Attributes:
        writers: causal language models, steps or models of the plan, each given the same prompts.
            The last one is what the step's gates are about.
        prompts: a list of strings, ``{file: PATH}``, or ``{corpus: NAME}`` with split, number,
            characters and then.
        human: whether people's own text to each prompt is a further writer, called ``human``; left
            out, it is where it's known.
        each: texts for every prompt.
        decoding: how models write, the same for all; left out, tokens are drawn from the model's
            own distribution, 128 at most. The seed is added to the step's own.
        reference: a causal language model; fluency is a text's perplexity under it.
        embedder: an encoder, whose vectors of texts tell coherence, relevance, distance to people.
        training: a corpus; novelty and memorisation are measured against its train split.
        dtype: arithmetic of the writers.
    """

    writers: Annotated[list[str], Field(min_length=1)]
    prompts: Annotated[PromptsConfig, Field(json_schema_extra=_or_a_list)]
    human: bool | None = None
    each: Annotated[int, Field(ge=1, le=1000)] = 1
    decoding: Decoding = DEFAULT
    reference: str | None = None
    embedder: str | None = None
    training: str | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"

    @field_validator("writers")
    @classmethod
    def _once_each(cls, writers: list[str]) -> list[str]:
        twice = sorted({name for name in writers if writers.count(name) > 1})
        if twice:
            raise ValueError(f"named more than once: {', '.join(twice)}")
        if HUMAN in writers:
            raise ValueError(f"'{HUMAN}' stands for people, not for a model: say human: true")
        return writers

    @model_validator(mode="after")
    def _possible(self) -> SampleConfig:
        if self.human and self.prompts.human is False:
            raise ValueError(
                "human: what people wrote to a list of prompts isn't known; take prompts from a "
                "corpus, or from a file whose rows have a 'human'"
            )
        if self.each > 1 and self.decoding.temperature == 0:
            raise ValueError(
                "each: without a temperature a model writes the same text every time; set "
                "decoding.temperature, or leave 'each' out"
            )
        return self

    @property
    def with_human(self) -> bool | None:
        """Whether people are a writer; None where only the prompts' file tells."""
        return self.prompts.human if self.human is None else self.human


class Sample(Step):
    """Have several writers write to the same prompts, and keep what they wrote.

    The checkpoint is of kind ``samples``; steps `judge` and `panel` take it. Afterwards each writer
    is measured, people beside the models: by the metrics of `written.v1` that what the plan names
    (reference, embedder, training, human) allows. Gates are about the last of the writers and may
    compare it with any other, and with ``human``.

    Of a corpus, prompts come from dev.gate unless the plan says otherwise: nothing is chosen or
    trained by them. A sampling that was killed goes on after the last text.
    """

    Config: ClassVar[type[StepConfig]] = SampleConfig
    makes: ClassVar[Made] = "samples"
    summary: ClassVar[str] = "writers write to the same prompts; measured beside what people wrote"
    unrepeated: ClassVar[str | None] = "several texts to each prompt are asked for with 'each'"
    example: ClassVar[str] = """\
id: written
step: sample
writers: [lm]
prompts: {corpus: plays, number: 8, characters: 30, then: 60}
each: 2
decoding: {temperature: 0.8, top_p: 0.95, max_tokens: 16}
reference: lm
embedder: encoder
training: plays
"""

    @classmethod
    def needs(cls, config: SampleConfig) -> Needs:
        """Writers, the models that measure, and the corpora."""
        models = {f"writers[{i}]": name for i, name in enumerate(config.writers)}
        corpora = {"prompts.corpus": config.prompts.corpus, "training": config.training}
        measuring = {"reference": config.reference, "embedder": config.embedder}
        return Needs(
            models={**models, **{key: name for key, name in measuring.items() if name is not None}},
            corpora={key: name for key, name in corpora.items() if name is not None},
        )

    @classmethod
    def produces(cls, config: SampleConfig) -> frozenset[str]:
        """The metrics of `written.v1` for which the plan names what they need."""
        from gradus.benchmarks.written import WrittenBenchmark
        from gradus.writing import features

        return WrittenBenchmark.measured_with(features.columns(given(config)))

    @classmethod
    def prompts(cls, config: SampleConfig) -> PromptsConfig:
        """Where its prompts come from."""
        return config.prompts

    def run(self, config: SampleConfig, context: StepContext) -> StepOutcome:
        """Have everybody write.

        Raises:
            CheckpointError: a writer isn't a causal language model.
            DataError: `human` is asked for, and of a prompt people's text isn't known.
            StorageError: the journal or the samples can't be written.
        """
        prompts = context.prompts
        human = config.with_human
        if human is None:
            human = all(prompt.human is not None for prompt in prompts)
        start = time.perf_counter()
        writings, facts = _written(config, context)
        if human:
            from gradus.writing.sampling import by_people

            writings += by_people(prompts)
        samples = Samples(writings)
        about: dict[str, Any] = {
            "writers": [{"writer": writer, **of} for writer, of in facts.items()],
            "human": human,
            "prompts": _about(config, prompts),
            "each": config.each,
            "decoding": config.decoding.said,
            "characters": config.prompts.longest,
        }
        saved = write_samples(
            context.out / "checkpoint",
            samples,
            facts=about,
            parents=tuple(context.models[name] for name in config.writers),
        )
        return StepOutcome(
            checkpoint=context.out / "checkpoint",
            notes=tuple(_notes(config, prompts, facts)),
            facts={**about, "digest": saved.digest},
            cost={
                "sampling_seconds": time.perf_counter() - start,
                "tokens_written": sum(of["tokens"] for of in facts.values()),
            },
        )


def given(config: SampleConfig) -> frozenset[str]:
    """What of the features' needs a plan gives."""
    found = {name for name in ("reference", "embedder", "training") if getattr(config, name)}
    return frozenset({*found, "human"} if config.with_human is not False else found)


def _written(
    config: SampleConfig, context: StepContext
) -> tuple[list[Writing], dict[str, dict[str, Any]]]:
    """The writings of all models, and facts of each; one model in memory at a time."""
    from gradus.writing.sampling import Request, write

    seed = (config.decoding.seed + context.seed) % 2**31
    request = Request(
        prompts=context.prompts,
        each=config.each,
        decoding=config.decoding.model_copy(update={"seed": seed}),
        longest=config.prompts.longest,
        dtype=config.dtype,
        threads=context.threads,
    )
    found: list[Writing] = []
    facts = {}
    texts = len(context.prompts) * config.each
    for number, writer in enumerate(config.writers):
        made, facts[writer] = write(
            writer,
            _model(writer, context.models),
            request,
            journal=context.work / f"{number}.jsonl",
            progress=_counter(context.monitor, number * texts, len(config.writers) * texts, writer),
        )
        found += made
    return found, facts


def _model(writer: str, models: Mapping[str, CheckpointRef]) -> CheckpointRef:
    from gradus.scoring.load import find

    return find(models[writer])


def _counter(monitor: Monitor, before: int, total: int, writer: str) -> Callable[[int], None]:
    return lambda done: monitor.progress(before + done, total, f"{writer} writes")


def _about(config: SampleConfig, prompts: Sequence[Prompt]) -> dict[str, Any]:
    asked = config.prompts
    source: dict[str, Any] = {}
    if asked.corpus is not None:
        source = {"corpus": asked.corpus, "split": asked.split}
    elif asked.file is not None:
        source = {"file": asked.file}
    return {**source, "number": len(prompts), "digest": digest(prompts)}


def _notes(
    config: SampleConfig, prompts: Sequence[Prompt], facts: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    found = []
    wanted = config.prompts.number
    if wanted is not None and len(prompts) < wanted:
        found.append(f"there are {len(prompts)} prompts, where {wanted} were asked for")
    if config.prompts.split == "train":
        found.append("prompts are of train, which a writer may know by heart")
    found += [
        f"{writer} wrote no word to {100 * of['empty']:.0f} % of the prompts"
        for writer, of in facts.items()
        if of["empty"] > 0
    ]
    return found
