"""What an adapter is. Imports nothing heavy: `gradus ls` and `gradus check` read adapters.

Legend: L layers, d hidden size, v virtual tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from gradus import registry

if TYPE_CHECKING:
    from gradus.training.adapters.attached import Attached


class AdapterConfig(BaseModel):
    """Base of every adapter's config: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def merged(self) -> bool:
        """Whether the checkpoint holds merged weights instead of weights and adapter."""
        return bool(getattr(self, "merge", False))

    def settings(self) -> dict[str, Any]:
        """Everything that makes the adapter what it is; not how its checkpoint is written."""
        return self.model_dump(mode="json", exclude={"name", "merge"})


class Adapter(ABC):
    """A kind of adapter: what is added to a model, and where.

    Class attributes:
        Config: its typed config; what a plan writes under ``adapter`` beside ``name``.
        summary: one line for `gradus ls`.
        example: ``adapter:`` as it stands in a plan, in YAML.
        place: ``weights`` for what is added to or multiplied into products (it merges),
            ``input`` for virtual tokens before a text's own, ``past`` for keys and values that
            every layer's attention sees before a text's own.
        stage: what a stage that trains it takes where the plan says nothing.
    """

    Config: ClassVar[type[AdapterConfig]]
    summary: ClassVar[str]
    example: ClassVar[str]
    place: ClassVar[Literal["weights", "input", "past"]]
    stage: ClassVar[Mapping[str, Any]]

    def virtual(self, config: Any) -> int:
        """v, the number of positions that the adapter takes from every text."""
        return 0

    @abstractmethod
    def peft_config(self, config: Any, peft: Any, model: Any) -> Any:
        """The config that peft makes the adapter from.

        Args:
            config: an instance of `Config`.
            peft: the package, which is imported elsewhere.
            model: the transformers model without an adapter.

        Raises:
            TrainingError: the model has no place for the adapter.
        """

    def start(self, config: Any, attached: Attached) -> None:  # noqa: B027 - most keep peft's own
        """Set the values that training begins with; left as peft sets them unless overridden."""

    @classmethod
    def fill(cls, stage: Mapping[str, Any]) -> dict[str, Any]:
        """A stage as the plan writes it, with what it leaves out taken from `stage`.

        The rate is AdamW's: a stage with another optimiser has that one's usual rate.
        """
        if stage.get("train", "all") == "head":
            return dict(stage)
        added = {key: value for key, value in cls.stage.items() if stage.get(key) is None}
        if stage.get("optimiser") is not None:
            added.pop("lr", None)
        if stage.get("steps") is not None:
            added.pop("epochs", None)
        return {**stage, **added}


@dataclass(frozen=True, slots=True)
class Wanted:
    """An adapter as a plan asks for it: its versioned name, its class and its validated config."""

    entry: str
    kind: type[Adapter]
    config: AdapterConfig

    def to_json(self) -> dict[str, Any]:
        """What tells two adapters apart."""
        return {"name": self.entry, **self.config.settings()}


def parse(value: str | Mapping[str, Any]) -> Wanted:
    """``lora`` or ``{name: lora, rank: 8}`` with the config validated.

    Raises:
        UnknownName: the catalog has no such adapter.
        ValueError: there is no name; or, as pydantic's, an option is wrong.
    """
    options = {"name": value} if isinstance(value, str) else dict(value)
    if "name" not in options:
        raise ValueError("adapter: 'name' is missing, e.g. {name: lora, rank: 16}")
    entry = registry.resolve("adapters", str(options["name"]))
    kind: type[Adapter] = registry.load("adapters", entry)
    return Wanted(entry, kind, kind.Config.model_validate(options))
