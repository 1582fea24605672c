"""Weights that no one has trained yet: an architecture with random numbers, drawn from a seed."""

from __future__ import annotations

import importlib.metadata
import json
import tempfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import Field, field_validator, model_validator

from gradus import hardware
from gradus.errors import SourceError, unknown
from gradus.sources.base import Located, Purpose, Source, SourceConfig

FORM: Final = 1
"""Raised whenever the same config gives other weights or another tokenizer."""
HEAD_WIDTH: Final = 32
"""Of a head unless `heads` says otherwise: half of BERT's 64, since these models are small."""


class ScratchConfig(SourceConfig):
    """``{scratch: ARCHITECTURE, layers: 2, width: 128}``.

    `scratch` names the architecture (``bert``, without a head; ``gpt2``, ``gpt1`` and ``llama``,
    with the one that says tokens), `tokenizer` the tokenizer (``characters``: one token for each
    character of GB 2312 and ASCII, lower case, made without data). `heads` is ``width / 32`` and
    `inner`, the width between a layer's two matrices, ``4 * width`` unless said (of ``llama``,
    which has three, 8/3 of the width in whole 64s); `positions` is the longest text in tokens;
    `seed` draws the weights.
    """

    scratch: str
    layers: Annotated[int, Field(ge=1)] = 2
    width: Annotated[int, Field(ge=2)] = 128
    heads: Annotated[int, Field(ge=1)] | None = None
    inner: Annotated[int, Field(ge=1)] | None = None
    positions: Annotated[int, Field(ge=4)] = 512
    tokenizer: str = "characters"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @field_validator("scratch")
    @classmethod
    def _known_architecture(cls, name: str) -> str:
        if name not in ARCHITECTURES:
            raise ValueError(unknown("architecture", name, ARCHITECTURES))
        return name

    @field_validator("tokenizer")
    @classmethod
    def _known_tokenizer(cls, name: str) -> str:
        if name not in TOKENIZERS:
            raise ValueError(unknown("tokenizer", name, TOKENIZERS))
        return name

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        if self.width % self.attention_heads:
            raise ValueError(
                f"width {self.width} can't be shared by {self.attention_heads} heads: "
                "say heads, a divisor of the width"
            )
        return self

    @property
    def attention_heads(self) -> int:
        """As given, or one for each 32 of the width."""
        return self.heads or max(1, self.width // HEAD_WIDTH)

    @property
    def inner_width(self) -> int:
        """As given, or four times the width (Vaswani et al. 2017)."""
        return self.inner or 4 * self.width


class Scratch(Source):
    """An untrained model in Hugging Face layout, kept in ``$XDG_CACHE_HOME/gradus/scratch``.

    The same config under the same versions of torch and transformers gives the same weights; the
    digest is of the weights, so a run knows when they have changed.
    """

    key: ClassVar[str] = "scratch"
    summary: ClassVar[str] = "an untrained model: an architecture, random weights from a seed"
    example: ClassVar[str] = "{scratch: bert, layers: 2, width: 128, tokenizer: characters}"
    purposes: ClassVar[frozenset[str]] = frozenset({"weights"})
    Config: ClassVar[type[SourceConfig]] = ScratchConfig

    def locate(self, config: Any, folder: Path, *, purpose: Purpose = "data") -> Located:
        """The folder in the cache, made when it isn't there.

        Raises:
            SourceError: the cache can't be written.
        """
        place = hardware.cache_folder() / "scratch" / _name(config)
        if not place.is_dir():
            _make(config, place)
        return Located(place, config.model_dump(exclude_none=True))


def _name(config: ScratchConfig) -> str:
    """Of all that decides the weights' bits, so that a folder's content never changes."""
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
    said = {"form": FORM, **versions, **config.model_dump()}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _make(config: ScratchConfig, place: Path) -> None:
    """Write the model beside its place and rename it, so that it stands there whole or not."""
    from safetensors import SafetensorError

    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".new-") as top:
            partial = Path(top) / place.name
            _write(config, partial)
            try:
                partial.rename(place)
            except OSError:
                # Another process was first; its bits are the same.
                if not place.is_dir():
                    raise
    except (OSError, SafetensorError) as error:
        raise SourceError(
            f"{place}: a model from scratch can't be kept there ({error}); make room, or name "
            "another folder in XDG_CACHE_HOME"
        ) from error


def _write(config: ScratchConfig, folder: Path) -> None:
    import torch

    from gradus.training.models import save_model

    tokenizer = TOKENIZERS[config.tokenizer](config.positions)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = ARCHITECTURES[config.scratch](config, tokenizer)
    save_model(model, tokenizer, folder)


def _bert(config: ScratchConfig, tokenizer: Any) -> Any:
    """BERT (Devlin et al. 2019) without its pooler, which only next-sentence prediction needs."""
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.attention_heads,
            intermediate_size=config.inner_width,
            max_position_embeddings=config.positions,
            pad_token_id=tokenizer.pad_token_id,
        ),
        add_pooling_layer=False,
    )


def _characters(positions: int) -> Any:
    from gradus.sources.characters import build_tokenizer

    return build_tokenizer(positions)


def _with_head(config: ScratchConfig, tokenizer: Any) -> Any:
    """As step `pretrain` makes it, with the head that says tokens (see
    `gradus.training.architectures`)."""
    from gradus.training.architectures import ARCHITECTURES as MADE
    from gradus.training.architectures import ArchitectureConfig, Special

    asked = ArchitectureConfig(
        architecture=config.scratch,
        layers=config.layers,
        width=config.width,
        heads=config.attention_heads,
        inner=config.inner,
        positions=config.positions,
    )
    return MADE[config.scratch].make(asked, asked.shape(config.positions), Special.of(tokenizer))


ARCHITECTURES: Final[Mapping[str, Callable[[ScratchConfig, Any], Any]]] = {
    "bert": _bert,
    "gpt2": _with_head,
    "gpt1": _with_head,
    "llama": _with_head,
}
TOKENIZERS: Final[Mapping[str, Callable[[int], Any]]] = {"characters": _characters}
