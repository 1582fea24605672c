"""What a stage of long training may say beside what every stage may. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gradus.training.config import Positive, StageConfig

BUDGETS = ("steps", "epochs", "tokens", "minutes")


class PretrainStage(StageConfig):
    """A stage that is validated while it runs: everything trains, for a budget.

    Fields that fine-tuning has too mean the same; some have other defaults here. `patience` counts
    validations.

    Attributes:
        tokens: budget in tokens trained on.
        minutes: budget in time, validation and saving included. It is turned into a number of
            updates from the speed that is measured, so two runs may differ in it; see
            `gradus.training.budget`.
        decay: what ``wsd`` falls over at the end: share of the stage (below 1) or updates.
        floor: the least factor that a falling schedule comes to.
        validate_every: updates between two validations; None validates after each epoch. The end
            of the stage is validated always.
        log_every: updates between two points of the training curve.
        on_spike: what a loss far above the usual does: ``warn`` notes it, ``skip`` drops the
            update, ``rollback`` goes back to the snapshot of the last validation as well.
        spike_window: updates that say what is usual.
        spike_sigma: standard deviations above the mean that make a spike.
        keep_last: whole snapshots kept, each made at a validation.
        keep_best: weights of the best validations kept.
        gap_rows: texts of train that are followed for the train-validation gap; 0 for none.
        compile: whether the layers are compiled (`torch.compile`). ``auto`` does so on a GPU and
            not on a processor, where it costs more than it gains: GPT-2 of six layers of width
            384 in bfloat16 gained 3 % of an update's time after 22 s of compiling. A compiled
            training is resumed to the same bits only by one that is compiled alike.
        milestones: numbers of updates after which the weights are kept as they then stand.
    """

    layer_lr_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    schedule: Literal["constant", "linear", "cosine", "slanted-triangular", "wsd"] = "wsd"
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    embeddings: bool = True
    tokens: Annotated[int, Field(ge=1)] | None = None
    minutes: Positive | None = None
    decay: Annotated[float, Field(gt=0)] = 0.2
    floor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    validate_every: Annotated[int, Field(ge=1)] | None = None
    log_every: Annotated[int, Field(ge=1)] = 10
    on_spike: Literal["warn", "skip", "rollback"] = "warn"
    spike_window: Annotated[int, Field(ge=8)] = 128
    spike_sigma: Positive = 6.0
    keep_last: Annotated[int, Field(ge=0)] = 1
    keep_best: Annotated[int, Field(ge=0)] = 1
    gap_rows: Annotated[int, Field(ge=0)] = 64
    compile: Literal["auto"] | bool = "auto"
    milestones: tuple[Annotated[int, Field(ge=1)], ...] = ()

    @model_validator(mode="after")
    def _one_budget(self) -> PretrainStage:
        given = [name for name in BUDGETS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {', '.join(BUDGETS)}, not {' and '.join(given)}")
        if self.solved:
            raise ValueError("a long stage takes gradient steps: leave solver out")
        if self.on_spike == "rollback" and not self.keep_last:
            raise ValueError("on_spike: rollback needs a snapshot to go back to: keep_last of 1")
        if self.keeps_best and not self.keep_best:
            raise ValueError("ending with the best weights needs keep_best of 1 or more")
        return self
