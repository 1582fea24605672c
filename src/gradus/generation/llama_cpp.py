"""Writing with llama.cpp, for GGUF files: quantised weights as they are.

The only file that imports xllamacpp.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradus import hardware
from gradus.errors import CheckpointError, MissingExtra
from gradus.generation.base import Generator, Task
from gradus.generation.decoding import Decoding
from gradus.generation.fitting import Encoded, encoded
from gradus.records import CheckpointRef
from gradus.scoring.seam import tokenizer_digest
from gradus.training.models import load_tokenizer

# llama.cpp reserves memory for a whole context at once.
CONTEXT = 8_192
# Its seeds have 32 bits, and the last one stands for a random seed.
_SEEDS = 2**32 - 1


class LlamaCppGenerator(Generator):
    """A GGUF file under llama.cpp's server, which lives in this process.

    One prompt at a time, nothing of an earlier one kept: a text doesn't depend on those beside it.
    Prompts are tokenised as for torch; a prompt is cut to `CONTEXT` tokens where the model's own
    limit is greater.
    """

    def __init__(self, ref: CheckpointRef, *, threads: int | None = None) -> None:
        """Load the file.

        Raises:
            MissingExtra: xllamacpp isn't installed, or gguf, which reads the tokenizer.
            CheckpointError: llama.cpp can't read the file.
        """
        try:
            import xllamacpp
        except ImportError as error:
            raise MissingExtra("xllamacpp", "llama", "writing with a GGUF file") from error
        file = Path(ref.path) / str(ref.file)
        try:
            self._tokenizer = load_tokenizer(ref)
        except ImportError as error:
            raise MissingExtra("gguf", "gguf", f"reading the tokenizer of {file}") from error
        self.digest, self.limit = ref.digest, min(CONTEXT, _positions(ref) or CONTEXT)
        self.contract = {
            "dtype": "as stored",
            "backend": "llama.cpp",
            "tokenizer": tokenizer_digest(self._tokenizer)[:16],
        }
        self.tokens_seen = self.tokens_written = 0
        # The server insists on listening: it gets a socket in a folder that is ours alone, and a
        # key that nobody knows.
        self._folder = tempfile.TemporaryDirectory(prefix="gradus-")
        settings = xllamacpp.CommonParams()
        settings.model.path = str(file)
        settings.n_ctx, settings.n_parallel = self.limit, 1
        settings.cpuparams.n_threads = threads or hardware.threads()
        settings.cpuparams_batch.n_threads = threads or hardware.threads()
        settings.hostnames = [f"{self._folder.name}/llama.sock"]
        settings.api_keys = [secrets.token_hex(16)]
        settings.cors_origins = ""
        settings.ui, settings.warmup = False, False
        settings.verbosity = -1
        try:
            self._server: Any = xllamacpp.Server(settings)
        except RuntimeError as error:
            self._folder.cleanup()
            raise CheckpointError(
                f"{file}: llama.cpp can't read it ({error}); open it with backend 'torch'"
            ) from error

    def write(self, tasks: Sequence[Task], settings: Decoding) -> Iterator[tuple[int, str]]:
        """See `Generator.write`."""
        for item in encoded(self._tokenizer, tasks, settings, self.limit):
            yield item.task.place, self._one(item, settings)

    def _one(self, item: Encoded, settings: Decoding) -> str:
        reply = self._server.handle_completions(
            {
                "prompt": list(item.ids),
                "max_tokens": settings.max_tokens,
                "temperature": settings.temperature,
                "top_k": settings.top_k or 0,
                "top_p": settings.top_p or 1.0,
                "min_p": 0.0,
                # Nothing else may change what is drawn: no penalties, no shortcuts.
                "samplers": ["top_k", "temperature", "top_p"],
                "stop": list(settings.stop),
                "seed": item.task.seed % _SEEDS,
                "cache_prompt": False,
            }
        )
        if not isinstance(reply, Mapping) or "choices" not in reply:
            raise CheckpointError(
                f"prompt {item.task.place}: llama.cpp wrote nothing ({_reason(reply)})"
            )
        used = reply.get("usage", {})
        self.tokens_written += int(used.get("completion_tokens", 0))
        self.tokens_seen += int(used.get("total_tokens", 0))
        return str(reply["choices"][0]["text"])


def _positions(ref: CheckpointRef) -> int | None:
    """Tokens that the model has positions for, as the file says."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(ref.path, gguf_file=ref.file, trust_remote_code=False)
    found = getattr(config, "max_position_embeddings", None)
    return int(found) if found else None


def _reason(reply: Any) -> str:
    error = reply.get("error", reply) if isinstance(reply, Mapping) else reply
    return str(error.get("message", error) if isinstance(error, Mapping) else error)
