"""Architectures that nobody has trained yet, from a plan's few numbers.

Imports nothing heavy: a plan is checked with it.

Legend: N layers, d width, h heads, V vocabulary, P positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gradus.errors import TrainingError, unknown

Whole = Annotated[int, Field(ge=1)]
Objective = Literal["causal-lm", "masked-lm"]

HEAD_WIDTH: Final = 64
"""Of a head, in GPT-2, BERT and Llama's smaller kin alike."""
ASPECT: Final = 64
"""Width for each layer: what GPT-2 small and BERT base have, and nanochat's dial ``depth``
(Karpathy 2025). Kaplan et al. 2020 (section 3.1) find the loss nearly flat around it."""
TOKENS_A_PARAMETER: Final = 20
"""Of training text, where a given amount of compute gives the lowest loss (Hoffmann et al. 2022,
table 3)."""


class ArchitectureConfig(BaseModel):
    """``{architecture: gpt2, layers: 6, width: 384, heads: 6}``.

    Attributes:
        architecture: ``gpt2``, ``gpt1``, ``llama`` or ``bert``.
        size: a published size by its name (``small``); it settles everything below.
        depth: one dial: that many layers, 64 times as wide, heads of 64, and unless the step says
            otherwise batch, learning rate and tokens as `recipe` gives them.
        layers: N, where neither `size` nor `depth` says it.
        width: d; 64 times the layers if left out.
        heads: of attention; one for each 64 of the width if left out.
        kv_heads: of keys and values, for ``llama``; as many as `heads` if left out.
        inner: width between a layer's two matrices; four times the width if left out, and for
            ``llama``, which has three, 8/3 of it in whole 64s.
        positions: longest text in tokens; the published size's, or the step's block if longer.
        dropout: rate everywhere the architecture has it.
        tied: whether the head's matrix is the embeddings'; the architecture's own way if left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    size: str | None = None
    depth: Whole | None = None
    layers: Whole | None = None
    width: Whole | None = None
    heads: Whole | None = None
    kv_heads: Whole | None = None
    inner: Whole | None = None
    positions: Annotated[int, Field(ge=4)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    tied: bool | None = None

    @model_validator(mode="after")
    def _one_way_of_saying(self) -> Self:
        known = ARCHITECTURES.get(self.architecture)
        if known is None:
            raise ValueError(unknown("architecture", self.architecture, ARCHITECTURES))
        said = [name for name in ("size", "depth", "layers") if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError("give one of size, depth and layers")
        if self.size is not None and self.size not in known.sizes:
            if not known.sizes:
                raise ValueError(f"{self.architecture} has no sizes by name: give depth or layers")
            raise ValueError(unknown("size", self.size, known.sizes))
        settled = ("width", "heads", "inner") if self.layers is None else ()
        for name in settled:
            if getattr(self, name) is not None:
                raise ValueError(f"{said[0]} settles the {name}: leave one of the two out")
        if self.kv_heads is not None and self.architecture != "llama":
            raise ValueError(f"{self.architecture} has keys and values for every head")
        if self.tied is not None and not known.unties:
            raise ValueError(f"{self.architecture}'s head always shares the embeddings' matrix")
        if not known.widens and self.inner not in (None, 4 * self.shape(4).width):
            raise ValueError(f"{self.architecture}'s inner width is four times the width")
        self.shape(4)
        return self

    @property
    def objective(self) -> Objective:
        """What the architecture is made to minimise."""
        return ARCHITECTURES[self.architecture].objective

    def shape(self, block: int) -> Shape:
        """All numbers settled, for texts of up to `block` tokens.

        Raises:
            ValueError: heads that don't share the width evenly.
        """
        known = ARCHITECTURES[self.architecture]
        if self.size is not None:
            size = known.sizes[self.size]
            # Special tokens have positions too, so a block is never longer than the table.
            positions = self.positions or max(size.positions, block)
            return Shape(size.layers, size.width, size.heads, size.heads, size.inner, positions)
        layers = self.depth or self.layers or 1
        width = self.width or ASPECT * layers
        heads = self.heads or max(1, width // HEAD_WIDTH)
        kv_heads = self.kv_heads or heads
        if width % heads:
            raise ValueError(
                f"width {width} can't be shared by {heads} heads: say heads, a divisor of the width"
            )
        if heads % kv_heads:
            raise ValueError(f"{heads} heads can't share {kv_heads} of keys and values evenly")
        inner = self.inner or known.inner(width)
        return Shape(layers, width, heads, kv_heads, inner, self.positions or block)


@dataclass(frozen=True, slots=True)
class Shape:
    """N, d, h, heads of keys and values, width between a layer's matrices, P."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    inner: int
    positions: int


@dataclass(frozen=True, slots=True)
class Size:
    """A published size."""

    layers: int
    width: int
    heads: int
    positions: int
    inner: int

    @classmethod
    def usual(cls, layers: int, width: int, heads: int, positions: int) -> Size:
        """With an inner width four times the width (Vaswani et al. 2017)."""
        return cls(layers, width, heads, positions, 4 * width)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings that follow from a depth: tokens an update, highest rate, tokens in all."""

    batch_tokens: int
    lr: float
    tokens: int


def recipe(shape: Shape, block: int) -> Recipe:
    """Batch and learning rate that fit a shape when it is trained on 20 tokens a parameter.

    Both follow the compute C = M D by the laws of DeepSeek LLM (Bi et al. 2024, section 3.1):
    tokens an update 0.2920 C^0.3271, rate 0.3118 C^-0.1250, where M = 72 N d^2 + 12 N d block are
    the floating-point operations of a token and D the tokens. The laws were fitted on 1e17 to
    2e19 operations; for smaller models they are continued, which is why the rate is held at 6e-3.
    """
    weights = 12 * shape.layers * shape.width**2
    tokens = TOKENS_A_PARAMETER * weights
    each = 72 * shape.layers * shape.width**2 + 12 * shape.layers * shape.width * block
    compute = float(each) * tokens
    return Recipe(
        batch_tokens=max(block, round(0.2920 * compute**0.3271)),
        lr=min(6e-3, float(f"{0.3118 * compute**-0.1250:.2g}")),
        tokens=tokens,
    )


@dataclass(frozen=True, slots=True)
class Special:
    """What a tokenizer tells an architecture: V and the ids of its special tokens."""

    vocabulary: int
    bos: int | None
    eos: int | None
    pad: int | None

    @classmethod
    def of(cls, tokenizer: Any) -> Special:
        """Of a tokenizer of transformers; a text's begin is its end where there is only one."""
        eos = tokenizer.eos_token_id
        bos = tokenizer.bos_token_id
        return cls(len(tokenizer), eos if bos is None else bos, eos, tokenizer.pad_token_id)


def build(config: ArchitectureConfig, tokenizer: Any, *, block: int, seed: int) -> Any:
    """The model with its language-model head, float32, weights drawn from `seed`.

    Raises:
        TrainingError: the block is longer than the positions.
    """
    import torch

    shape = config.shape(block)
    if shape.positions < block:
        raise TrainingError(
            f"block is {block} and the model has {shape.positions} positions: lower one or raise "
            "the other"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[config.architecture].make(config, shape, Special.of(tokenizer))


def _gpt2(config: ArchitectureConfig, shape: Shape, special: Special) -> Any:
    """GPT-2 (Radford et al. 2019, section 2.3): norms before each part and one at the end,
    residual projections scaled by 1 / sqrt(2 N) when drawn. Positions are drawn at 0.01, as the
    code published with the paper draws them; the rest at 0.02."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=special.vocabulary,
            n_positions=shape.positions,
            n_embd=shape.width,
            n_layer=shape.layers,
            n_head=shape.heads,
            n_inner=None if shape.inner == 4 * shape.width else shape.inner,
            # GELU itself: the tanh form of the code published with the paper approximates it to
            # 5e-4 and takes torch eight times as long on a processor.
            activation_function="gelu",
            resid_pdrop=config.dropout,
            embd_pdrop=config.dropout,
            attn_pdrop=config.dropout,
            bos_token_id=special.bos,
            eos_token_id=special.eos,
            pad_token_id=special.pad,
            tie_word_embeddings=config.tied is not False,
        )
    )
    with torch.no_grad():
        model.transformer.wpe.weight.normal_(0.0, 0.01)
    return model


def _gpt1(config: ArchitectureConfig, shape: Shape, special: Special) -> Any:
    """GPT (Radford et al. 2018, section 4.1): norms after each part and none at the end."""
    from transformers import OpenAIGPTConfig, OpenAIGPTLMHeadModel

    return OpenAIGPTLMHeadModel(
        OpenAIGPTConfig(
            vocab_size=special.vocabulary,
            n_positions=shape.positions,
            n_embd=shape.width,
            n_layer=shape.layers,
            n_head=shape.heads,
            resid_pdrop=config.dropout,
            embd_pdrop=config.dropout,
            attn_pdrop=config.dropout,
            bos_token_id=special.bos,
            eos_token_id=special.eos,
            pad_token_id=special.pad,
        )
    )


def _llama(config: ArchitectureConfig, shape: Shape, special: Special) -> Any:
    """Llama (Touvron et al. 2023, section 2.2): root-mean-square norms, SwiGLU, positions by
    rotation, no biases."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=special.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=shape.positions,
            attention_dropout=config.dropout,
            bos_token_id=special.bos,
            eos_token_id=special.eos,
            pad_token_id=special.pad,
            tie_word_embeddings=config.tied is True,
        )
    )


def _bert(config: ArchitectureConfig, shape: Shape, special: Special) -> Any:
    """BERT (Devlin et al. 2019) with the head that fills in masked tokens."""
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(
        BertConfig(
            vocab_size=special.vocabulary,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.inner,
            max_position_embeddings=shape.positions,
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.dropout,
            bos_token_id=special.bos,
            eos_token_id=special.eos,
            pad_token_id=special.pad,
        )
    )


def _four_times(width: int) -> int:
    return 4 * width


def _gated(width: int) -> int:
    """8/3 of the width, so that three matrices have the weights of two (Shazeer 2020)."""
    return -(-8 * width // (3 * 64)) * 64


@dataclass(frozen=True, slots=True)
class Architecture:
    """How an architecture is made.

    Attributes:
        make: the model with its head.
        objective: what it is trained for.
        sizes: published ones by name.
        inner: the usual inner width of a width.
        unties: whether its head may have a matrix of its own.
        widens: whether its inner width may be another one.
    """

    make: Callable[[ArchitectureConfig, Shape, Special], Any]
    objective: Objective
    sizes: Mapping[str, Size]
    inner: Callable[[int], int] = _four_times
    unties: bool = False
    widens: bool = True


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "gpt2": Architecture(
        _gpt2,
        "causal-lm",
        # Radford et al. 2019, table 2.
        {
            "small": Size.usual(12, 768, 12, 1024),
            "medium": Size.usual(24, 1024, 16, 1024),
            "large": Size.usual(36, 1280, 20, 1024),
            "xl": Size.usual(48, 1600, 25, 1024),
        },
        unties=True,
    ),
    "gpt1": Architecture(_gpt1, "causal-lm", {"base": Size.usual(12, 768, 12, 512)}, widens=False),
    "llama": Architecture(
        _llama,
        "causal-lm",
        # Touvron et al. 2023, table 2.
        {"7b": Size(32, 4096, 32, 2048, 11008)},
        inner=_gated,
        unties=True,
    ),
    "bert": Architecture(
        _bert,
        "masked-lm",
        # Devlin et al. 2019, section 3; the small ones are Turc et al. 2019's.
        {
            "tiny": Size.usual(2, 128, 2, 512),
            "mini": Size.usual(4, 256, 4, 512),
            "small": Size.usual(4, 512, 8, 512),
            "medium": Size.usual(8, 512, 8, 512),
            "base": Size.usual(12, 768, 12, 512),
            "large": Size.usual(24, 1024, 16, 512),
        },
    ),
}
