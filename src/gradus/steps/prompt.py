"""Step `prompt`: a task description and examples make a classifier of a language model.

Legend: N texts, K labels, D draws.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from gradus.benchmarks.classify import ClassifyBenchmark
from gradus.benchmarks.cost import CostBenchmark
from gradus.errors import TrainingError
from gradus.scoring.prompts import CONTENT_FREE, DEFAULT_TEMPLATE, check_template
from gradus.steps.base import Needs, Step, StepConfig, StepContext, StepOutcome

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import Split, TrainingData
    from gradus.predict.prompt import PromptPredictor
    from gradus.scoring.prompts import Prompt as PromptRecord

Count = Annotated[int, Field(ge=1)]
Words = Annotated[str, Field(min_length=1)]
# Looked at for the report's facts where there is one draw, whose accuracy the runner measures.
LOOKED_AT: Final = 32


class PromptConfig(StepConfig):
    """Config of `prompt`.

    Attributes:
        model: name of a causal language model of the plan.
        data: name of a data set of the plan.
        instruction: the task description; it stands at the beginning and is never dropped.
        shots: how many examples are shown, drawn from train, balanced over labels.
        draws: how many times they are drawn; the checkpoint uses the first draw, whatever the
            others give, and the report says how far accuracy on dev.select spreads.
        label_words: words of a label where its name (without _ and -) isn't what to say.
        field: what a text is called in the prompt.
        template: with ``{instruction}``, ``{field}``, ``{field_lower}`` and ``{text}``; what
            follows the instruction is repeated for each example.
        score: ``sum`` of the log-likelihoods of a label's tokens, or their ``mean``.
        calibration: ``contextual`` (Zhao et al. 2021), ``batch`` (Zhou et al. 2023) or ``none``.
        content_free: the inputs of contextual calibration.
        calibration_texts: how many texts of train, without their labels, batch calibration reads.
        max_tokens: a text is cut there.
        example_tokens: an example's text is cut there.
        context: tokens that a prompt with label words may have; the model's limit when left out.
        sample: at most so many items of dev.select for the spread over draws; null for all.
        dtype: of the passes over dev.select; ``auto`` takes bfloat16 where the processor is fast
            at it. Calibration is always computed in float32, as measuring is by default.
    """

    model: str
    data: str
    instruction: str
    shots: Annotated[int, Field(ge=0)] = 0
    draws: Count = 1
    label_words: Mapping[str, Words] = Field(default_factory=dict)
    field: Words = "Text"
    template: Annotated[str, AfterValidator(check_template)] = DEFAULT_TEMPLATE
    score: Literal["sum", "mean"] = "sum"
    calibration: Literal["none", "contextual", "batch"] = "contextual"
    content_free: Annotated[tuple[str, ...], Field(min_length=1)] = (CONTENT_FREE,)
    calibration_texts: Count = 64
    max_tokens: Count = 128
    example_tokens: Count = 64
    context: Count | None = None
    sample: Count | None = 200
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    @model_validator(mode="after")
    def _draws_of_something(self) -> PromptConfig:
        if self.draws > 1 and self.shots == 0:
            raise ValueError(f"{self.draws} draws of no examples are all the same: set 'shots'")
        return self


class Prompt(Step):
    """Make a classifier of a causal language model without training it (Brown et al. 2020).

    Each label's words are scored by their log-likelihood after the prompt. What the prompt leans
    to whatever the text is measured on content-free inputs and taken out. A prompt too long for
    the context drops its first examples, then cuts the text, never the instruction.
    """

    Config: ClassVar[type[StepConfig]] = PromptConfig
    summary: ClassVar[str] = "a task description and examples, asked of a language model"
    example: ClassVar[str] = """\
id: zero-shot
step: prompt
model: lm
data: news
instruction: "Which section of the paper is this article from?"
field: Article
shots: 0
label_words: {tech: technology}
gates: ["accuracy >= 0.70"]
"""

    @classmethod
    def needs(cls, config: PromptConfig) -> Needs:
        """One model and one data set."""
        return Needs(models={"model": config.model}, data={"data": config.data})

    @classmethod
    def learns(cls, config: PromptConfig) -> bool:
        """By the examples that it shows."""
        return config.shots > 0

    @classmethod
    def produces(cls, config: PromptConfig) -> frozenset[str]:
        """Quality and cost."""
        return frozenset({*ClassifyBenchmark.metrics, *CostBenchmark.metrics})

    def run(self, config: PromptConfig, context: StepContext) -> StepOutcome:
        """Draw examples, calibrate, look at dev.select and save the first draw's prompt.

        Raises:
            TrainingError: there are no data, or train has no text to draw an example from.
            UsageError: label_words doesn't fit the labels.
            CheckpointError: the model can't be prompted, or the instruction doesn't fit.
        """
        from gradus.checkpoints import seen_items
        from gradus.predict.prompt import save_prompt

        if context.data is None:
            raise TrainingError(f"{context.id}: a prompt needs data; name a data set in 'data'")
        start = time.perf_counter()
        work = _Work(config, context, context.data)
        work.calibrate()
        facts = work.look()
        saved = save_prompt(
            context.out / "checkpoint",
            labels=context.data.labels,
            prompt=work.prompt(0),
            model=work.ref,
            facts={**facts, **seen_items(row["id"] for row in facts["examples"])},
        )
        return StepOutcome(
            checkpoint=Path(saved.path),
            facts=facts,
            cost={"prompt_seconds": time.perf_counter() - start},
        )


class _Work:
    """One execution of the step; what is finished is kept in the work folder."""

    def __init__(self, config: PromptConfig, context: StepContext, data: TrainingData) -> None:
        from gradus.checkpoints import hash_json
        from gradus.predict.prompt import load_scorer
        from gradus.scoring.prompts import Prompt as PromptRecord
        from gradus.scoring.prompts import cut, label_words

        self.config, self.context, self.data = config, context, data
        self.monitor = context.monitor
        self.ref = context.models[config.model]
        words = label_words(data.labels, config.label_words)
        self.scorer, self.tokenizer = load_scorer(
            self.ref, dtype="float32", threads=context.threads
        )
        base = PromptRecord(
            instruction=config.instruction,
            words=words,
            template=config.template,
            field=config.field,
            score=config.score,
            max_tokens=config.max_tokens,
            context=config.context,
        )
        self.drawn = [
            draw_examples(data.train, len(data.labels), config.shots, (context.seed, number))
            for number in range(config.draws)
        ]
        if len(self.drawn[0]) < config.shots:
            self.monitor.note(
                f"train has {len(data.train)} texts, so {len(self.drawn[0])} examples are shown "
                f"instead of {config.shots}"
            )
        self.prompts = []
        for rows in self.drawn:
            texts, _ = cut(
                self.tokenizer, [data.train.texts[row] for row in rows], config.example_tokens
            )
            labels = [data.labels[data.train.labels[row]] for row in rows]
            examples = tuple(zip(texts, labels, strict=True))
            self.prompts.append(replace(base, examples=examples))
        self._file = context.work / "draws.json"
        identity = hash_json(
            [config.model_dump(mode="json"), data.digest, self.ref.digest, context.seed]
        )
        self._kept: dict[str, Any] = {"identity": identity, "offsets": {}, "accuracy": {}}
        if self._file.exists():
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self._kept = kept if kept["identity"] == identity else self._kept
        self.monitor.rewind(len(self._kept["accuracy"]))

    def _keep(self, what: str, number: int, value: Any) -> None:
        self._kept[what][str(number)] = value
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self._kept), encoding="utf-8")
        partial.replace(self._file)

    def _predictor(self, prompt: PromptRecord) -> PromptPredictor:
        from gradus.predict.prompt import PromptPredictor

        return PromptPredictor(prompt, model=self.ref, scorer=self.scorer, tokenizer=self.tokenizer)

    def calibrate(self) -> None:
        """The offsets of every draw's prompt, in float32."""
        from gradus.scoring.calibration import offsets

        method = self.config.calibration
        inputs = self._inputs()
        for number, prompt in enumerate(self.prompts):
            if method == "none" or str(number) in self._kept["offsets"]:
                continue
            self.monitor.progress(number, len(self.prompts), f"calibrating, {method}")
            predictor = self._predictor(prompt)
            scores = predictor.scores(predictor.log_likelihoods(inputs))
            self._keep("offsets", number, offsets(scores).tolist())

    def _inputs(self) -> Sequence[str]:
        """What calibration measures the prompt's leaning on."""
        if self.config.calibration == "batch":
            if not len(self.data.train):
                raise TrainingError(
                    f"{self.context.id}: batch calibration reads texts of train, and train is "
                    "empty; take calibration: contextual"
                )
            return self.data.train.sample(self.config.calibration_texts).texts
        return self.config.content_free

    def prompt(self, number: int) -> PromptRecord:
        """A draw's prompt with its calibration."""
        from gradus.scoring.prompts import Calibration

        found = self._kept["offsets"].get(str(number))
        if found is None:
            return self.prompts[number]
        calibration = Calibration(self.config.calibration, len(self._inputs()), tuple(found))
        return replace(self.prompts[number], calibration=calibration)

    def look(self) -> dict[str, Any]:
        """Facts for the report; with several draws, their accuracies on dev.select."""
        if not self.scorer.shares:
            self.monitor.note(
                f"the model '{self.ref.name}' is asked for one label at a time: its architecture "
                "doesn't let texts share a row"
            )
        dtype = self.config.dtype if self.config.dtype != "auto" else self.context.dtype
        self.scorer.to(dtype)
        facts = self._facts(dtype)
        if self.config.draws > 1 and len(self.data.select):
            facts["spread"] = self._spread()
        return facts

    def _facts(self, dtype: str) -> dict[str, Any]:
        prompt = self.prompt(0)
        predictor = self._predictor(prompt)
        labels = self.data.labels
        facts: dict[str, Any] = {
            "model": self.ref.name,
            "shots": len(prompt.examples),
            "draws": self.config.draws,
            "dtype": dtype,
            "label_words": dict(prompt.words),
            "label_tokens": dict(zip(labels, map(len, predictor.encoder.options), strict=True)),
            "score": prompt.score,
            "calibration": {
                "method": prompt.calibration.method,
                "inputs": prompt.calibration.inputs,
                "offsets": dict(zip(labels, prompt.calibration.offsets, strict=False)),
            },
            "examples": [
                {"id": self.data.train.ids[row], "label": labels[self.data.train.labels[row]]}
                for row in self.drawn[0]
            ],
        }
        select = self.data.select
        if not len(select):
            return facts
        encoded = predictor.encoder.encode(select.texts)
        facts["prompt"] = encoded.prompts[0]
        facts["prompts"] = {
            "texts": len(select),
            "lost_examples": sum(map(bool, encoded.dropped)),
            "examples_lost": sum(encoded.dropped),
            "shortened_for_context": sum(encoded.squeezed),
            "truncated_share": sum(encoded.cut) / len(select),
            "tokens_mean": sum(map(len, encoded.contexts)) / len(select),
        }
        self._say(facts["prompts"])
        looked = select.sample(LOOKED_AT)
        facts["label_mass"] = label_mass(
            predictor.log_likelihoods(looked.texts), predictor.encoder.options
        )
        facts["label_mass_texts"] = len(looked)
        return facts

    def _say(self, counts: Mapping[str, Any]) -> None:
        if counts["lost_examples"]:
            self.monitor.note(
                f"{counts['lost_examples']} of {counts['texts']} prompts on dev.select were too "
                f"long for the context and lost {counts['examples_lost']} examples between them"
            )
        if counts["shortened_for_context"]:
            self.monitor.note(
                f"{counts['shortened_for_context']} of {counts['texts']} texts on dev.select were "
                "cut because the context is too short for them even without examples"
            )

    def _spread(self) -> dict[str, Any]:
        """Accuracy on dev.select of each draw."""
        import numpy as np

        sample = self.config.sample
        select = self.data.select if sample is None else self.data.select.sample(sample)
        total = self.config.draws * len(select)
        for number in range(self.config.draws):
            if str(number) in self._kept["accuracy"]:
                continue

            def progress(done: int, number: int = number) -> None:
                before = number * len(select)
                self.monitor.progress(before + done, total, f"draw {number + 1}")

            rows = self._predictor(self.prompt(number)).log_probs(select.texts, progress=progress)
            accuracy = float((rows.argmax(axis=1) == select.labels).mean())
            self._keep("accuracy", number, accuracy)
            self.monitor.point(draw=number + 1, accuracy=accuracy)
        found = np.array([self._kept["accuracy"][str(n)] for n in range(self.config.draws)])
        return {
            "split": "dev.select",
            "texts": len(select),
            "accuracy": found.tolist(),
            "mean": float(found.mean()),
            "sd": float(found.std(ddof=1)),
            "min": float(found.min()),
            "max": float(found.max()),
        }


def draw_examples(train: Split, labels: int, shots: int, seed: Sequence[int]) -> list[int]:
    """Rows of `shots` examples, or of all there are, in the order in which they are shown.

    The labels take turns, in an order drawn by `seed`, until there are enough; a label without
    a further text is passed over. The texts are drawn by content hash, so that the order of the
    rows doesn't matter. Their order is drawn last, so that labels don't alternate.
    """
    import numpy as np

    draw = np.random.Generator(np.random.PCG64([part % 2**63 for part in seed]))
    ordered = np.array(sorted(range(len(train)), key=lambda row: train.ids[row]), dtype=np.int64)
    waiting = []
    for label in range(labels):
        rows = ordered[train.labels[ordered] == label]
        waiting.append(draw.permutation(rows).tolist())
    chosen: list[int] = []
    turns = draw.permutation(labels).tolist()
    while len(chosen) < shots and any(waiting):
        for label in turns:
            if waiting[label] and len(chosen) < shots:
                chosen.append(waiting[label].pop())
    return [chosen[i] for i in draw.permutation(len(chosen))]


def label_mass(log_likelihoods: np.ndarray, options: Sequence[Sequence[int]]) -> float:
    """Mean over N texts of the probability that the model goes on with any label's words.

    `log_likelihoods` is float64 [N, K]. Words that begin with another label's words are part of
    what that label counts already, so they are left out.
    """
    import numpy as np

    known = {tuple(option) for option in options}
    kept = [
        number
        for number, option in enumerate(options)
        if not any(tuple(option[:size]) in known for size in range(1, len(option)))
    ]
    return float(np.exp(log_likelihoods[:, kept]).sum(axis=1).mean())
