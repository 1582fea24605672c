"""What a stage of fine-tuning may say. Imports nothing heavy: a plan is checked with it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gradus import registry
from gradus.training.choice import Choice, ChoiceConfig
from gradus.training.losses.base import LossConfig
from gradus.training.optimisers.base import OptimiserConfig

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]

ADAPTER = "adapter"
DEFAULT_OPTIMISER, DEFAULT_LOSS = "adamw", "cross-entropy"
_TOP = re.compile(r"^top-([1-9][0-9]*)$")
# Keys of a stage that are short for an option of what it chooses.
_SHORT = {"beta2": "optimiser", "label_smoothing": "loss"}


class StageConfig(BaseModel):
    """One phase inside a fine-tuning step: which parameters train, for how long, at what rate.

    Attributes:
        train: ``head``, ``top-N`` (the head and the N highest layers), ``all`` (every layer and
            the head, embeddings only with `embeddings`), or names of parameters, of groups
            (``layer.3``, ``embeddings``, ``head``) and regular expressions between slashes.
            ``adapter``, where the step has one: the whole adapter and the head. The model's own
            weights then stay frozen, and of each selection the adapter's part trains.
        solver: ``lbfgs`` solves the head exactly on cached features (``train: head`` only).
        l2: the solver's penalty: minimises the summed cross-entropy plus ``l2 / 2`` times the
            squared norm of the weights that multiply the features (not of the biases).
        epochs: passes over train; parts of a pass are allowed. `steps` instead counts updates.
        optimiser: name of an optimiser, or a mapping with its ``name`` and options.
        loss: name of a loss, or a mapping with its ``name`` and options.
        lr: learning rate of the highest layer, before schedule and decay; left out, what is usual
            for the optimiser: for ``adamw`` 2e-4, and 1e-3 where the head alone trains.
        head_lr: learning rate of the head; `lr` when left out.
        layer_lr_decay: each layer below the highest gets this factor more; embeddings one more.
        schedule: factor over the stage; see `gradus.training.schedules`.
        warmup: share of the stage (below 1) or number of updates over which the rate rises.
        weight_decay: decoupled; never on biases and norms.
        clip: greatest norm of the gradient over all that trains; None for no limit.
        accumulate: batches whose gradients are summed before an update.
        batch_size: examples a batch; `batch_tokens` bounds the tokens of a batch instead.
        label_smoothing: short for the loss's option; 0.1 in ``cross-entropy``.
        dropout: rate inside trained layers; None keeps the model's own. Frozen layers have none.
            None at all by default: label smoothing regularises at a fraction of the time.
        patience: stop after that many epochs in a row without improvement on dev.select.
        keep: ``last`` weights of the stage or the ``best`` on dev.select; with `patience` the
            default is ``best``, else ``last``.
        average: exponential moving average over updates with this decay takes the place of the
            weights at evaluation and at the stage's end; None for none.
        beta2: short for the optimiser's option; 0.999 in ``adamw``.
        embeddings: whether ``all`` and ``top-N`` train the embeddings too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: str | tuple[str, ...] = "all"
    solver: Literal["gradient", "lbfgs"] | None = None
    l2: Annotated[float, Field(ge=0)] = 0.1
    epochs: Positive | None = None
    steps: Annotated[int, Field(ge=1)] | None = None
    optimiser: Annotated[OptimiserConfig, Choice("optimisers")] = Field(
        default=DEFAULT_OPTIMISER, validate_default=True
    )
    loss: Annotated[LossConfig, Choice("losses")] = Field(
        default=DEFAULT_LOSS, validate_default=True
    )
    lr: Positive | None = None
    head_lr: Positive | None = None
    layer_lr_decay: Annotated[float, Field(gt=0, le=1)] = 0.8
    schedule: Literal["constant", "linear", "cosine", "slanted-triangular", "wsd", "range-test"] = (
        "linear"
    )
    warmup: Annotated[float, Field(ge=0)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip: Positive | None = 1.0
    accumulate: Annotated[int, Field(ge=1)] = 1
    batch_size: Annotated[int, Field(ge=1)] | None = None
    batch_tokens: Annotated[int, Field(ge=1)] | None = None
    label_smoothing: Share | None = None
    dropout: Share | None = 0.0
    patience: Annotated[int, Field(ge=1)] | None = None
    keep: Literal["last", "best"] | None = None
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    beta2: Annotated[float, Field(gt=0, lt=1)] | None = None
    embeddings: bool = False

    @field_validator("train")
    @classmethod
    def _known_selection(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(value, str):
            if value in ("head", "all", ADAPTER) or _TOP.match(value):
                return value
            raise ValueError(
                f"'{value}' is none of head, top-N, all, adapter; names and /regular expressions/ "
                f"are written as a list: [{value}]"
            )
        if not value:
            raise ValueError("an empty list trains nothing")
        for pattern in value:
            _compile(pattern)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> StageConfig:
        if self.solver == "lbfgs" and self.train != "head":
            raise ValueError("solver lbfgs solves a linear head: it needs train: head")
        if self.epochs is not None and self.steps is not None:
            raise ValueError("give epochs or steps, not both")
        if self.batch_size is not None and self.batch_tokens is not None:
            raise ValueError("give batch_size or batch_tokens, not both")
        return self

    @model_validator(mode="after")
    def _choices_fit(self) -> StageConfig:
        for key, where in _SHORT.items():
            given, choice = getattr(self, key), getattr(self, where)
            if given is not None:
                _check_short(key, given, where, choice)
        if self.solver == "lbfgs":
            if not self.loss.solvable:
                raise ValueError(f"solver lbfgs minimises cross-entropy, not {_plain(self.loss)}")
            if self._optimises:
                raise ValueError("solver lbfgs takes no optimiser")
        if self.train == "head":
            for where, choice in (("optimiser", self.optimiser), ("loss", self.loss)):
                if choice.needs_layers:
                    raise ValueError(
                        f"{where} {_plain(choice)} works on layers: train: head has none"
                    )
        return self

    @property
    def _optimises(self) -> bool:
        """Whether another optimiser than the default one is asked for."""
        return self.optimiser != Choice("optimisers").read(DEFAULT_OPTIMISER)

    @property
    def chosen_optimiser(self) -> OptimiserConfig:
        """The optimiser's config with what the stage says of it."""
        given = {"beta2": self.beta2} if self.beta2 is not None else {}
        return self.optimiser.model_copy(update=given)

    @property
    def chosen_loss(self) -> LossConfig:
        """The loss's config with what the stage says of it."""
        smoothing = self.label_smoothing
        given = {"label_smoothing": smoothing} if smoothing is not None else {}
        return self.loss.model_copy(update=given)

    @property
    def solved(self) -> bool:
        """Whether the head is solved rather than descended to; the default for ``train: head``
        when nothing asks for gradient steps."""
        if self.solver is not None:
            return self.solver == "lbfgs"
        asked = (self.epochs, self.steps, self.lr, self.batch_size, self.batch_tokens)
        steps = any(value is not None for value in asked) or self._optimises
        return self.train == "head" and not steps and self.loss.solvable

    @property
    def rate(self) -> float:
        """The learning rate: as given, or what is usual for the optimiser."""
        if self.lr is not None:
            return self.lr
        usual = self.optimiser
        return usual.usual_head_rate if self.train == "head" else usual.usual_rate

    @property
    def keeps_best(self) -> bool:
        """Whether the stage ends with its best weights on dev.select rather than its last."""
        return (self.keep or ("best" if self.patience else "last")) == "best"

    @property
    def label(self) -> str:
        """The selection as one string, for curves and reports."""
        return self.train if isinstance(self.train, str) else ",".join(self.train)

    def top(self) -> int | None:
        """N of ``top-N``, else None."""
        match = _TOP.match(self.train) if isinstance(self.train, str) else None
        return int(match.group(1)) if match else None


def _plain(choice: ChoiceConfig) -> str:
    return registry.plain(choice.name)


def _check_short(key: str, given: float, where: str, choice: ChoiceConfig) -> None:
    """That what `where` chooses has the option `key`, and isn't given another value for it."""
    field = type(choice).model_fields.get(key)
    if field is None:
        raise ValueError(f"{key}: the {where} {_plain(choice)} has no such option")
    if getattr(choice, key) not in (field.default, given):
        raise ValueError(f"give {key} once: in the stage or in its {where}")


def _compile(pattern: str) -> re.Pattern[str] | None:
    """The regular expression between slashes, or None for a plain name."""
    if len(pattern) < 2 or not (pattern.startswith("/") and pattern.endswith("/")):
        return None
    try:
        return re.compile(pattern[1:-1])
    except re.error as error:
        raise ValueError(f"{pattern}: not a regular expression ({error})") from error


def matches(pattern: str, group: str, name: str) -> bool:
    """Whether a stage's pattern selects the parameter `name` of the group `group`.

    >>> matches("layer.3", "layer.3", "encoder.layer.3.output.dense.weight")
    True
    >>> matches("/LayerNorm/", "layer.0", "encoder.layer.0.output.LayerNorm.bias")
    True
    """
    expression = _compile(pattern)
    if expression is not None:
        return bool(expression.search(name) or expression.search(group))
    return pattern in (group, name) or name.startswith(f"{pattern}.")


def default_stages() -> tuple[StageConfig, ...]:
    """A head solved on cached features, then every layer from there (Kumar et al. 2022)."""
    return (StageConfig(train="head"), StageConfig(train="all"))


def parse_stages(raw: Any) -> tuple[StageConfig, ...]:
    """Stages from plain mappings; None gives the default ones."""
    if raw is None:
        return default_stages()
    return tuple(s if isinstance(s, StageConfig) else StageConfig.model_validate(s) for s in raw)
