"""What the objectives share that predict the tokens of unlabelled text."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.errors import TrainingError
from gradus.objectives.base import Objective, Prepared
from gradus.records import CheckpointRef

if TYPE_CHECKING:
    from gradus.data.dataset import TrainingData
    from gradus.steps.base import Monitor
    from gradus.training.blocks import Blocks, Cutting, Stream


class LanguageObjective(Objective):
    """Base of `CausalLm` and `MaskedLm`, which step `pretrain` trains on corpora.

    Class attributes:
        causal: whether tokens see only what stands before them.
        target: what the manifest calls what such a checkpoint predicts.
    """

    corpora: ClassVar[bool] = True
    causal: ClassVar[bool]
    target: ClassVar[str]

    @abstractmethod
    def load(self, ref: CheckpointRef) -> Any:
        """A model to go on from, with its head, in float32.

        Raises:
            CheckpointError: it can't be read or isn't such a model.
        """

    @abstractmethod
    def blocks(
        self, config: Any, stream: Stream, size: int, how: Cutting, tokenizer: Any
    ) -> Blocks:
        """A stream cut into blocks of `size` tokens, with what is to be predicted.

        Raises:
            TrainingError: the tokenizer lacks what the objective needs.
        """

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
        """Refuse labelled data.

        Raises:
            TrainingError: always.
        """
        raise TrainingError(
            f"{data.name}: objective {config.name} learns from a corpus, without labels: name one "
            "under 'corpora:' and take step pretrain"
        )
