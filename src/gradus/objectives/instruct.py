"""Instruction tuning: a causal language model learns to reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gradus import benchmarks
from gradus.objectives.base import Objective, ObjectiveConfig, Prepared
from gradus.records import CheckpointRef, Target

if TYPE_CHECKING:
    from gradus.data.dataset import TrainingData
    from gradus.steps.base import Monitor


class InstructConfig(ObjectiveConfig):
    """What of a conversation counts.

    Attributes:
        head: whether the matrix that gives the words trains too, where it isn't the embeddings';
            left out, it does unless an adapter trains in the weights' place.
    """

    name: Literal["instruct", "instruct.v1"]
    head: bool | None = None


class Instruct(Objective):
    """Minimise the cross-entropy of replies, given what was said before (Ouyang et al. 2022).

    For data with ``target: reply``. Conversations are written by the tokenizer's chat template, or
    a plain one where it has none, which the checkpoint then keeps. The loss is on replies alone,
    on each of a conversation's, with the token that ends it. Conversations lie end to end in a
    batch without padding, and none sees another.

    Example::

        objective: instruct
    """

    Config: ClassVar[type[ObjectiveConfig]] = InstructConfig
    summary: ClassVar[str] = "replies in conversations: chat template, loss on the replies alone"
    example: ClassVar[str] = "{name: instruct}"
    headed: ClassVar[bool] = False
    targets: ClassVar[tuple[Target, ...]] = ("reply",)

    @classmethod
    def metrics(cls) -> frozenset[str]:
        """What replies are measured by; how long one takes depends on what it says."""
        return frozenset(benchmarks.of("reply").metrics)

    def prepare(
        self,
        config: Any,
        *,
        ref: CheckpointRef,
        data: TrainingData,
        monitor: Monitor,
        max_tokens: int | None,
        seed: int,
    ) -> Prepared:
        """Load the language model and encode the conversations of train and dev.select."""
        from gradus.objectives.replying import prepared

        data.require("reply", "objective instruct")
        return prepared(config, ref, data, max_tokens)
