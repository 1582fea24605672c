"""Step `judge`: a language model judges what was written."""

from __future__ import annotations

import os
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gradus.errors import CheckpointError, DataError, ServiceError, UsageError
from gradus.judge.loopback import is_loopback
from gradus.panel.criteria import CRITERIA, Criterion, Language, chosen
from gradus.panel.records import PREFERENCE, Mode, read_ratings, write_ratings
from gradus.records import CheckpointRef
from gradus.steps.base import Made, Needs, Step, StepConfig, StepContext, StepOutcome

if TYPE_CHECKING:
    from gradus.judge.asking import Answer
    from gradus.judge.asking import Judge as AnyJudge
    from gradus.judge.questions import Question, Rubric
    from gradus.panel.records import Rating
    from gradus.panel.results import Results
    from gradus.writing.records import Samples

KIND: Final = "judgements"
"""Of the checkpoint."""
FILE: Final = "judgements.jsonl"
RATINGS: Final = "ratings.jsonl"
"""What a step `panel` leaves in its checkpoint."""

Name = Literal["fluency", "coherence", "relevance", "diversity", "accuracy"]


class AddressConfig(BaseModel):
    """A judge at an address that speaks OpenAI's chat protocol.

    Attributes:
        url: up to and without ``/chat/completions``, as ``http://127.0.0.1:8000/v1``.
        model: the model's name there.
        key_env: the environment variable that holds the key; left out, none is sent. A key goes
            over https or stays on this machine.
        temperature: sent along; ``null`` sends none, for servers that take no other than theirs.
        max_tokens: of a reply; more for a judge that thinks in words first.
        parallel: questions under way at a time.
        timeout: seconds for one try.
        tries: how often a question is asked before giving up.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    model: Annotated[str, Field(min_length=1)]
    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 256
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    tries: Annotated[int, Field(ge=1, le=20)] = 5

    @field_validator("url")
    @classmethod
    def _plain(cls, url: str) -> str:
        try:
            parts = urllib.parse.urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"not an address: {error}") from error
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("write the address as http://HOST:PORT/v1 or https://HOST/v1")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                "an address with a name, a key or a query in it: name the variable that holds the "
                "key in 'key_env'"
            )
        return url.rstrip("/").removesuffix("/chat/completions")

    @model_validator(mode="after")
    def _secret(self) -> Self:
        if self.key_env and self.url.startswith("http://") and not is_loopback(self.url):
            raise ValueError("a key over http can be read on the way: use https, or no key_env")
        return self

    def settings(self) -> dict[str, Any]:
        """What goes into each request beside the model and the messages."""
        found: dict[str, Any] = {"max_tokens": self.max_tokens}
        return found if self.temperature is None else {**found, "temperature": self.temperature}


class TrustConfig(BaseModel):
    """When gates may rest on the judge.

    Attributes:
        panel: the step `panel` that judged the same samples, in the same mode.
        agreement: the bound that the lower end of the agreement's interval must reach; of scores a
            rank correlation, of pairs the share in which both prefer the same text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    panel: str
    agreement: Annotated[float, Field(gt=0, le=1)]


class JudgeConfig(StepConfig):
    """Config of `judge`.

    Attributes:
        of: the step `sample` whose writings are judged.
        model: the judge: a causal language model, a step or a model of the plan, or an address.
        criteria: what scores are asked for, or what counts in comparing; all five if left out.
        mode: ``likert``: 1 to 5 for each criterion of each writing; ``pairs``: which of two
            writings to one prompt is better, asked in both orders.
        repeats: how often each question is asked, each time in another form.
        sample: so many prompts at most, chosen by content hash; all when left out.
        language: of the questions, ``en`` or ``zh``.
        trust: when gates may rest on the judge; left out, none may.
        dtype: arithmetic of a judge of the plan.
    """

    of: str
    model: str | AddressConfig
    criteria: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    mode: Mode = "likert"
    repeats: Annotated[int, Field(ge=1, le=4)] = 2
    sample: Annotated[int, Field(ge=1)] | None = None
    language: Language = "en"
    trust: TrustConfig | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"

    @field_validator("criteria")
    @classmethod
    def _once_each(cls, criteria: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if criteria is not None and len(set(criteria)) < len(criteria):
            raise ValueError("names one criterion twice")
        return criteria

    def asked(self) -> tuple[Criterion, ...]:
        """The criteria in the order in which they are always asked."""
        return chosen(self.criteria or tuple(CRITERIA))

    def metrics(self) -> tuple[str, ...]:
        """What the writers are measured by afterwards."""
        if self.mode == "pairs":
            return ("judge_wins",)
        return tuple(f"judge_{one.name}" for one in self.asked())


class Judge(Step):
    """A language model judges the writings of a step `sample`, without being told who wrote which.

    A model of the plan is read by the probabilities of its answers, and draws nothing. An address
    is asked in words; answers are kept in the run folder as they come, so that nothing is asked
    twice, in this run or after a change of the plan. How far the judge agrees with itself, what the
    order of things does to its answers and how far it agrees with the panel is in the facts.

    A gate of this step is undecided, whatever the numbers, unless `trust` names a panel and the
    judge's agreement with it reaches the bound.
    """

    Config: ClassVar[type[StepConfig]] = JudgeConfig
    makes: ClassVar[Made] = "judgements"
    seeded: ClassVar[bool] = False
    summary: ClassVar[str] = "a language model judges what was written; gates once people agree"
    example: ClassVar[str] = """\
id: opinion
step: judge
of: written
model: lm
criteria: [fluency]
repeats: 2
"""

    @classmethod
    def needs(cls, config: JudgeConfig) -> Needs:
        """The samples, the judge where it is of the plan, and the panel."""
        models = {"of": config.of}
        if isinstance(config.model, str):
            models["model"] = config.model
        if config.trust is not None:
            models["trust.panel"] = config.trust.panel
        return Needs(models=models, takes={"of": ("samples",), "trust.panel": ("ratings",)})

    @classmethod
    def produces(cls, config: JudgeConfig) -> frozenset[str]:
        """A score for each criterion, or the share of comparisons won."""
        return frozenset(config.metrics())

    def run(self, config: JudgeConfig, context: StepContext) -> StepOutcome:
        """Ask, reckon up and save.

        Raises:
            UsageError: the variable that shall hold the key isn't set.
            CheckpointError: `of` holds no samples, `trust.panel` no ratings, or the judge can't
                judge.
            DataError: there is nothing to judge; panel and judge have nothing in common.
            ServiceError: the address can't be asked.
        """
        from gradus.judge import questions as asking
        from gradus.judge.outcome import told
        from gradus.panel.results import estimate
        from gradus.writing.records import read_samples

        start = time.perf_counter()
        samples = read_samples(Path(context.models[config.of].path))
        rubric = asking.Rubric(config.asked(), config.language)
        prompts = asking.drawn(samples, config.sample)
        if config.mode == "pairs":
            questions = asking.about_pairs(samples, config.repeats, prompts)
        else:
            questions = asking.about_each(samples, config.asked(), config.repeats, prompts)
        if not questions:
            raise DataError(f"'{config.of}' has one writer, and pairs need two: name another mode")
        judge = _open(config, context, rubric)
        answers = judge.answers(
            questions,
            journal=context.run / "judges" / context.id / "answers.jsonl",
            progress=lambda done: context.monitor.progress(done, len(questions), "asking"),
        )
        rows = _read(questions, answers)
        names = (PREFERENCE,) if config.mode == "pairs" else [one.name for one in config.asked()]
        results = estimate(
            rows, samples, mode=config.mode, criteria=names, seed=context.seed, prefix="judge"
        )
        facts = _facts(config, questions, answers, judge, results, len(prompts))
        trusted, withheld = _trust(config, context, rows, results, samples)
        facts |= {"trust": trusted}
        for sentence in told(facts):
            context.monitor.note(sentence)
        _save(config, context, rows, results, facts)
        return StepOutcome(
            checkpoint=context.out / "checkpoint",
            notes=_notes(config, facts, results, withheld),
            facts=facts,
            cost={"judge_seconds": time.perf_counter() - start, "questions": len(questions)},
            withheld=withheld,
        )


def _open(config: JudgeConfig, context: StepContext, rubric: Rubric) -> AnyJudge:
    """The judge, ready to be asked."""
    if isinstance(config.model, str):
        from gradus.judge.local import LocalJudge

        ref = context.models[config.model]
        return LocalJudge.open(ref, rubric, dtype=config.dtype, threads=context.threads)
    from gradus.judge.address import AddressJudge
    from gradus.judge.http import Address

    of = config.model
    key = _key(of.key_env, f"step '{context.id}'")
    address = Address(url=of.url, model=of.model, key=key, timeout=of.timeout, tries=of.tries)
    return AddressJudge(address, rubric, settings=of.settings(), parallel=of.parallel)


def _key(variable: str | None, who: str) -> str | None:
    """The key that stands in an environment variable; it is in no message."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    what = f"{who}: the environment variable {variable}, which the plan names as the judge's key,"
    if not key:
        raise UsageError(f"{what} isn't set")
    if not key.isascii() or not key.isprintable():
        raise UsageError(f"{what} holds characters that no key has")
    return key


def _read(questions: Sequence[Question], answers: Sequence[Answer]) -> list[Rating]:
    from gradus.judge.outcome import ratings

    rows = ratings(questions, answers)
    if not rows:
        raise ServiceError(
            f"none of {len(answers)} replies could be read as an answer; the first is "
            f"{answers[0].said[:200]!r}: name another judge, or give it more 'max_tokens'"
        )
    return rows


def _facts(
    config: JudgeConfig,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    judge: AnyJudge,
    results: Results,
    prompts: int,
) -> dict[str, Any]:
    from gradus.judge import outcome

    judged = {one.id: one for question in questions for one in question.writings}
    return {
        **results.facts,
        "judge": dict(judge.about),
        "of": config.of,
        "language": config.language,
        "repeats": config.repeats,
        "prompts": prompts,
        **outcome.counts(answers),
        "shortened": judge.shortened,
        "bias": outcome.bias(questions, answers),
        "orders": outcome.suspicious(judged.values()),
    }


def _trust(
    config: JudgeConfig,
    context: StepContext,
    rows: Sequence[Rating],
    results: Results,
    samples: Samples,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Agreement with the panel by metric, and why gates may not rest on a metric."""
    from gradus.judge import trust

    if config.trust is None:
        return {}, trust.withheld(config.metrics(), (), None, 0.0)
    panel, bound = config.trust.panel, config.trust.agreement
    folder = _panel(context.models[panel], panel)
    if config.mode == "pairs":
        found = [trust.of_pairs(rows, read_ratings(folder / RATINGS), samples)]
    else:
        from gradus.writing.records import read_columns

        found = trust.of_scores(results.columns, read_columns(folder), samples)
    facts = {one.metric: one.facts(panel, bound) for one in found}
    return facts, trust.withheld(config.metrics(), found, panel, bound)


def _panel(ref: CheckpointRef, name: str) -> Path:
    if ref.kind != "ratings":
        raise CheckpointError(
            f"trust.panel: '{name}' is of kind '{ref.kind}', which holds no ratings; name a step "
            "'panel'"
        )
    return Path(ref.path)


def _notes(
    config: JudgeConfig,
    facts: Mapping[str, Any],
    results: Results,
    withheld: Mapping[str, str],
) -> tuple[str, ...]:
    from gradus.judge import outcome

    found = [*outcome.notes(facts), *results.notes]
    if config.trust is None:
        return (*found, "no gate may rest on the judge: the step has no 'trust'")
    return (*found, *(f"no gate rests on {metric}: {why}" for metric, why in withheld.items()))


def _save(
    config: JudgeConfig,
    context: StepContext,
    rows: Sequence[Rating],
    results: Results,
    facts: Mapping[str, Any],
) -> None:
    from gradus.checkpoints import save_checkpoint
    from gradus.writing.records import write_columns

    def write(partial: Path) -> None:
        write_ratings(partial / FILE, rows)
        write_columns(partial, results.columns)

    save_checkpoint(
        context.out / "checkpoint",
        kind=KIND,
        labels=(),
        preprocessing={},
        parents=(context.models[config.of],),
        facts=facts,
        write=write,
    )
