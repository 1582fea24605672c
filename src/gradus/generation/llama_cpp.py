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
from gradus.errors import CheckpointError, MissingExtra, UsageError
from gradus.generation.base import Continuation, Generator, Task, Told
from gradus.generation.decoding import Decoding
from gradus.generation.fitting import Encoded, encoded
from gradus.records import CheckpointRef
from gradus.scoring.seam import tokenizer_digest
from gradus.training.models import load_tokenizer

# llama.cpp reserves memory for a whole context at once.
CONTEXT = 8_192
# Its seeds have 32 bits, and the last one stands for a random seed.
_SEEDS = 2**32 - 1
# What it doesn't do, or does in another way, and why.
_REFUSED = {
    "beams": "llama.cpp's server searches no beams",
    "frequency_penalty": "llama.cpp counts the prompt's tokens too, not those written alone",
    "presence_penalty": "llama.cpp counts the prompt's tokens too, not those written alone",
}


class LlamaCppGenerator(Generator):
    """A GGUF file under llama.cpp's server, which lives in this process.

    One prompt at a time, nothing of an earlier one kept: a text doesn't depend on those beside it.
    Prompts are tokenised as for torch; a prompt is cut to `CONTEXT` tokens where the model's own
    limit is greater.
    """

    def __init__(
        self, ref: CheckpointRef, *, threads: int | None = None, parallel: int = 1
    ) -> None:
        """Load the file, with room for `parallel` texts at a time, which take turns by the token.

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
            self.tokenizer = load_tokenizer(ref)
        except ImportError as error:
            raise MissingExtra("gguf", "gguf", f"reading the tokenizer of {file}") from error
        self.digest, self.limit = ref.digest, min(CONTEXT, _positions(ref) or CONTEXT)
        self.contract = {
            "dtype": "as stored",
            "backend": "llama.cpp",
            "tokenizer": tokenizer_digest(self.tokenizer)[:16],
        }
        self.tokens_seen = self.tokens_written = 0
        # The server insists on listening: it gets a socket in a folder that is ours alone, and a
        # key that nobody knows.
        self._folder = tempfile.TemporaryDirectory(prefix="gradus-")
        settings = xllamacpp.CommonParams()
        settings.model.path = str(file)
        settings.n_ctx, settings.n_parallel = parallel * self.limit, parallel
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

    def write(
        self, tasks: Sequence[Task], settings: Decoding, told: Told | None = None
    ) -> Iterator[tuple[int, Continuation]]:
        """See `Generator.write`."""
        for item in encoded(self.tokenizer, tasks, settings, self.limit):
            yield item.task.place, self.one(item, settings, told)

    def one(self, item: Encoded, settings: Decoding, told: Told | None) -> Continuation:
        """What is written after a prompt; may be asked for by as many threads as `parallel` says.

        Raises:
            UsageError: a setting that llama.cpp doesn't have.
            CheckpointError: nothing was written.
        """
        _refuse(settings)
        # Verbose tells an end token, which counts among the tokens, from a stop string.
        asked = {**self._request(item, settings), "stream": told is not None, "verbose": True}
        if told is None:
            reply = self._server.handle_completions(asked)
            return self._read(item, [reply])
        chunks: list[Any] = []
        failed: list[BaseException] = []

        def heard(chunk: Any) -> bool:
            """Keep and tell a piece; True ends the text here."""
            chunks.append(chunk)
            try:
                if _is_answer(chunk):
                    told(_piece(chunk))
            except BaseException as error:  # noqa: BLE001  # llama.cpp would drop it; raised below
                failed.append(error)
            return bool(failed)

        asked["stream_options"] = {"include_usage": True}
        self._server.handle_completions(asked, heard)
        if failed:
            raise failed[0]
        return self._read(item, chunks)

    def _request(self, item: Encoded, settings: Decoding) -> dict[str, Any]:
        return {
            "prompt": list(item.ids),
            "max_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "top_k": settings.top_k or 0,
            "top_p": settings.top_p or 1.0,
            "min_p": settings.min_p or 0.0,
            "typical_p": settings.typical_p or 1.0,
            "repeat_penalty": settings.repetition_penalty,
            "repeat_last_n": self.limit if settings.penalises else 0,
            # Nothing else may change what is drawn, and nothing in another order.
            "samplers": ["penalties", "top_k", "temperature", "top_p", "min_p", "typ_p"],
            "stop": list(settings.stop),
            "seed": item.task.seed % _SEEDS,
            "cache_prompt": False,
        }

    def _read(self, item: Encoded, chunks: Sequence[Any]) -> Continuation:
        """The text of one answer, in one piece or many."""
        wrong = next((one for one in chunks if not _is_answer(one)), None)
        if wrong is not None or not chunks:
            raise CheckpointError(
                f"prompt {item.task.place}: llama.cpp wrote nothing ({_reason(wrong)})"
            )
        used: Mapping[str, Any] = next(
            (one["usage"] for one in reversed(chunks) if one.get("usage")), {}
        )
        ends = [choice.get("finish_reason") for one in chunks for choice in one["choices"]]
        by_token = _last(chunks, "__verbose").get("stop_type") == "eos"
        tokens, whole = int(used.get("completion_tokens", 0)), int(used.get("total_tokens", 0))
        self.tokens_written += tokens
        self.tokens_seen += whole
        text = "".join(map(_piece, chunks))
        return Continuation(text, tokens - by_token, "stop" in ends)


def _refuse(settings: Decoding) -> None:
    """Raise UsageError where a setting is one that llama.cpp doesn't have as it is meant here."""
    for name, why in _REFUSED.items():
        if getattr(settings, name) != type(settings).model_fields[name].default:
            raise UsageError(f"{name}: {why}; leave it out, or write with back end 'torch'")


def _is_answer(reply: Any) -> bool:
    return isinstance(reply, Mapping) and "choices" in reply


def _last(chunks: Sequence[Any], name: str) -> Mapping[str, Any]:
    """What the last piece that has a field of that name says there."""
    found: Mapping[str, Any] = next((one[name] for one in reversed(chunks) if one.get(name)), {})
    return found


def _piece(chunk: Any) -> str:
    return "".join(str(choice.get("text", "")) for choice in chunk["choices"])


def _positions(ref: CheckpointRef) -> int | None:
    """Tokens that the model has positions for, as the file says."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(ref.path, gguf_file=ref.file, trust_remote_code=False)
    found = getattr(config, "max_position_embeddings", None)
    return int(found) if found else None


def _reason(reply: Any) -> str:
    error = reply.get("error", reply) if isinstance(reply, Mapping) else reply
    return str(error.get("message", error) if isinstance(error, Mapping) else error)
