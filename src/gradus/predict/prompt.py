"""Checkpoints of kind ``prompt``: a causal language model, an instruction, examples, label words.

Legend: N texts, K labels.

File: ``prompt.json`` with ``model`` (the reference to the weights, which aren't copied) and
``prompt`` (`gradus.scoring.prompts.Prompt`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from gradus.checkpoints import is_checkpoint, read_manifest, save_checkpoint
from gradus.errors import CheckpointError, SourceError
from gradus.predict.base import Predictor
from gradus.records import CheckpointRef
from gradus.scoring.calibration import calibrated
from gradus.scoring.prompts import Prompt, PromptEncoder

if TYPE_CHECKING:
    import numpy as np

    from gradus.scoring.engine import Scorer

PROMPT: Final = "prompt.json"
# Prompts are sorted and packed within stretches of this many, so that memory stays bounded.
STRETCH: Final = 1024
_WEIGHTS: Final = ("*.safetensors", "*.json", "*.model", "*.jinja", "*.txt")


def save_prompt(
    folder: str | Path,
    *,
    labels: Sequence[str],
    prompt: Prompt,
    model: CheckpointRef,
    facts: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> CheckpointRef:
    """Save a prompt and the reference to its model.

    Args:
        folder: where the checkpoint shall stand.
        labels: K label names, in the order of ``prompt.words``.
        prompt: what to ask, and how.
        model: the weights; they stay where they are.
        facts: JSON; how it was made.
        name: the reference's name; by default the folder's.
    """
    content = {"model": model.to_json(), "prompt": prompt.to_json()}

    def write(partial: Path) -> None:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        (partial / PROMPT).write_text(text + "\n", encoding="utf-8")

    return save_checkpoint(
        Path(folder),
        kind="prompt",
        labels=labels,
        preprocessing={"max_tokens": prompt.max_tokens, "context": prompt.context},
        parents=(model,),
        facts=facts or {},
        write=write,
        name=name,
    )


def locate_model(ref: CheckpointRef) -> CheckpointRef:
    """Where the weights of a prompt are now: at the recorded path, else where their source says.

    Raises:
        CheckpointError: they are in neither place, or other weights are; says where it looked.
    """
    from gradus import sources
    from gradus.sources.weights import describe_weights

    place = Path(ref.path) / ref.file if ref.file else Path(ref.path)
    try:
        if place.exists():
            found = describe_weights(ref.name, sources.Located(place, ref.origin))
        else:
            found = sources.locate_weights(ref.name, _source(ref.origin), Path.cwd())
    except SourceError as error:
        raise CheckpointError(
            f"the model '{ref.name}' of this prompt is no longer at {place}, nor where it came "
            f"from ({_words(ref.origin)}): {error}"
        ) from error
    if ref.digest and found.digest != ref.digest:
        raise CheckpointError(
            f"{found.path}: other weights stand there than those the prompt was made for (digest "
            f"{found.digest[:12]} instead of {ref.digest[:12]}); bring '{ref.name}' "
            f"({_words(ref.origin)}) back or make the prompt anew"
        )
    return found


def _source(origin: Mapping[str, Any]) -> dict[str, Any]:
    """The origin as a plan would name it, without what was found out when it was located."""
    from gradus import sources

    kind = next((sources.kinds()[key] for key in origin if key in sources.kinds()), None)
    if kind is None:
        raise SourceError("it names no source that could be asked for it; run its plan again")
    return {key: value for key, value in origin.items() if key in kind.Config.model_fields}


def _words(origin: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in origin.items()) or "origin unknown"


def load_scorer(ref: CheckpointRef, *, dtype: str, threads: int | None) -> tuple[Scorer, Any]:
    """The scoring engine over the weights of `ref`, and their tokenizer.

    Raises:
        CheckpointError: the weights aren't those of a causal language model.
    """
    import torch

    from gradus.scoring.engine import Scorer
    from gradus.scoring.load import load_causal_lm
    from gradus.training.models import load_tokenizer

    if threads is not None:
        torch.set_num_threads(threads)
    return Scorer(load_causal_lm(ref), dtype=dtype), load_tokenizer(ref)


class PromptPredictor(Predictor):
    """Asks a causal language model how probable each label's words are after a prompt.

    Brown et al. 2020; contextual calibration by Zhao et al. 2021.
    """

    kind: ClassVar[str] = "prompt"
    summary: ClassVar[str] = "a causal language model, asked with an instruction and examples"

    def __init__(
        self,
        prompt: Prompt,
        *,
        model: CheckpointRef,
        scorer: Scorer,
        tokenizer: Any,
        dtype: str = "float32",
        size_bytes: int = 0,
    ) -> None:
        """Prepare; the labels are those of ``prompt.words``.

        Raises:
            CheckpointError: instruction and label words alone don't fit the context.
        """
        self.labels = tuple(prompt.words)
        self.prompt = prompt
        self.encoder = PromptEncoder(prompt, tokenizer, scorer.limit)
        self._model, self._scorer = model, scorer
        self._dtype, self._size_bytes = dtype, size_bytes

    @classmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """Load the prompt, find its model again and load that.

        Raises:
            CheckpointError: the file can't be read, the model is gone or another one, or can't be
                prompted.
        """
        folder = Path(ref.path)
        manifest = read_manifest(folder)
        try:
            raw = json.loads((folder / PROMPT).read_text(encoding="utf-8"))
            model = CheckpointRef.from_json(raw["model"])
            prompt = Prompt.from_json(raw["prompt"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{folder}: can't be read as kind 'prompt' ({error}); make the checkpoint anew"
            ) from error
        if tuple(prompt.words) != manifest.labels:
            raise CheckpointError(f"{folder}: {PROMPT} and manifest name other labels")
        found = locate_model(model)
        scorer, tokenizer = load_scorer(found, dtype=dtype, threads=threads)
        return cls(
            prompt,
            model=found,
            scorer=scorer,
            tokenizer=tokenizer,
            dtype=dtype,
            size_bytes=manifest.size_bytes + _weights_bytes(found),
        )

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N, K], in the texts' order; see `Predictor.log_probs`."""
        return self.normalise(self.log_likelihoods(texts, progress=progress))

    def normalise(self, log_likelihoods: np.ndarray) -> np.ndarray:
        """float64 [N, K] log-probabilities of labels from `log_likelihoods`, calibrated."""
        import numpy as np

        offsets = self.prompt.calibration.offsets
        scores = self.scores(log_likelihoods)
        return calibrated(scores, np.array(offsets) if offsets else None)

    def scores(self, log_likelihoods: np.ndarray) -> np.ndarray:
        """float64 [N, K]: the sums themselves, or means over a label's tokens."""
        import numpy as np

        if self.prompt.score == "sum":
            return log_likelihoods
        lengths = np.array([len(option) for option in self.encoder.options])
        scores: np.ndarray = log_likelihoods / lengths
        return scores

    def log_likelihoods(
        self,
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """float64 [N, K], summed log-likelihood in nats of each label's words after the prompt."""
        import numpy as np

        rows = np.empty((len(texts), len(self.labels)))
        self._scorer.share(self.encoder.head)
        for start in range(0, len(texts), STRETCH):
            encoded = self.encoder.encode(texts[start : start + STRETCH])
            rows[start : start + STRETCH] = self._scorer.choose(
                encoded.contexts,
                self.encoder.options,
                progress=None if progress is None else lambda n, s=start: progress(s + n),  # type: ignore[misc]  # mypy sees no type for s
            )
        return rows

    @property
    def contract(self) -> Mapping[str, str]:
        """dtype, back end, where texts are cut, and whose tokenizer cuts them."""
        return {
            "dtype": self._dtype,
            "backend": "torch",
            "max_tokens": str(self.prompt.max_tokens),
            "tokenizer": self._model.digest[:16],
        }

    @property
    def size_bytes(self) -> int:
        """Bytes of the prompt and of the model's files."""
        return self._size_bytes


def _weights_bytes(ref: CheckpointRef) -> int:
    folder = Path(ref.path)
    if ref.file:
        return (folder / ref.file).stat().st_size
    if is_checkpoint(folder):
        return read_manifest(folder).size_bytes
    files = {path for pattern in _WEIGHTS for path in folder.glob(pattern)}
    return sum(path.stat().st_size for path in files)
