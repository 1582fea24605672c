"""Engine `vllm`: vLLM's asynchronous engine, for graphics cards. The only file that imports vllm.

Written against vLLM's ``AsyncLLM`` (version 1 of its engine, vLLM 0.8 and later).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from gradus.errors import CheckpointError, MissingExtra, UsageError
from gradus.generation.pieces import Asked, Piece, Said
from gradus.records import CheckpointRef
from gradus.serve.engines.base import ALL, Scheduler, Told, Writing


class VllmEngine(Writing):
    """vLLM, which has a batch of its own; folders in the layout of transformers."""

    name: ClassVar[str] = "vllm"
    summary: ClassVar[str] = "vLLM, for graphics cards"
    supports: ClassVar[frozenset[str]] = ALL - {"typical_p"}
    slots = 256

    def __init__(self, ref: CheckpointRef, tokenizer: Any, writing: Asynchronous) -> None:
        """See `open`."""
        super().__init__(ref, tokenizer, writing.limit)
        self._writing = writing

    @classmethod
    def takes(cls, checkpoint: str) -> bool:
        """Nothing by itself: ``--engine vllm`` asks for it."""
        return False

    @classmethod
    def open(cls, checkpoint: str, options: Mapping[str, Any]) -> Self:
        """Let vLLM load the folder.

        Raises:
            MissingExtra: vllm isn't installed.
            UsageError: the weights aren't a folder of transformers.
            CheckpointError: vLLM can't read them.
        """
        try:
            from vllm import SamplingParams
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.sampling_params import RequestOutputKind
            from vllm.v1.engine.async_llm import AsyncLLM
        except ImportError as error:
            raise MissingExtra("vllm", "vllm", "serving with vLLM") from error
        from gradus.scoring.load import find
        from gradus.training.models import load_tokenizer

        ref = find(checkpoint)
        if ref.kind != "transformer":
            raise UsageError(
                f"vLLM reads folders of transformers here, and '{ref.name}' is of kind "
                f"'{ref.kind}': serve it with --engine auto"
            )
        arguments = AsyncEngineArgs(
            model=ref.path,
            tokenizer=ref.path,
            dtype=options.get("dtype") or "auto",
            trust_remote_code=False,
        )

        def parameters(**given: Any) -> Any:
            return SamplingParams(output_kind=RequestOutputKind.DELTA, **given)

        try:
            made = Asynchronous(lambda: AsyncLLM.from_engine_args(arguments), parameters)
        except (ValueError, RuntimeError, OSError) as error:
            raise CheckpointError(f"{ref.path}: vLLM can't serve it ({error})") from error
        return cls(ref, load_tokenizer(ref), made)

    @property
    def scheduler(self) -> Scheduler:
        """See `Writing.scheduler`."""
        return self._writing

    @property
    def contract(self) -> Mapping[str, str]:
        """See `Writing.contract`."""
        from gradus.scoring.seam import tokenizer_digest

        return {
            "dtype": self._writing.dtype,
            "backend": "vllm",
            "tokenizer": tokenizer_digest(self.tokenizer)[:16],
        }


class Asynchronous:
    """A `Scheduler` over an engine that lives in an event loop of its own.

    Attributes:
        limit: tokens that a prompt with what is written may have.
        dtype: as vLLM says it.
    """

    def __init__(self, make: Any, parameters: Any) -> None:
        """`make` is called in the loop and gives vLLM's engine; `parameters` its settings."""
        self._parameters = parameters
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="gradus-vllm", daemon=True).start()

        async def made() -> Any:
            return make()

        self._engine = asyncio.run_coroutine_threadsafe(made(), self._loop).result()
        config = self._engine.model_config
        self.limit = int(config.max_model_len)
        self.dtype = str(config.dtype).removeprefix("torch.")
        self._tasks: dict[int, list[asyncio.Task[None]]] = {}

    def begin(self, job: int, texts: Sequence[Asked], told: Told) -> None:
        """See `Scheduler`."""

        def start() -> None:
            self._tasks[job] = [
                self._loop.create_task(self._write(job, number, text, told))
                for number, text in enumerate(texts)
            ]

        self._loop.call_soon_threadsafe(start)

    def cancel(self, job: int) -> None:
        """See `Scheduler`; vLLM aborts a request whose reader is cancelled."""

        def stop() -> None:
            for task in self._tasks.pop(job, []):
                task.cancel()

        self._loop.call_soon_threadsafe(stop)

    async def _write(self, job: int, number: int, text: Asked, told: Told) -> None:
        try:
            await self._pieces(f"{job}-{number}", number, text, told)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # somebody waits for every text
            told.failed(error)
        finally:
            self._forget(job)

    def _forget(self, job: int) -> None:
        """Nothing is kept of a job whose last text is done."""
        this = asyncio.current_task()
        left = [one for one in self._tasks.get(job, []) if one is not this and not one.done()]
        if not left:
            self._tasks.pop(job, None)

    async def _pieces(self, name: str, number: int, text: Asked, told: Told) -> None:
        tokens = characters = 0
        outputs = self._engine.generate(
            prompt={"prompt_token_ids": list(text.ids)},
            sampling_params=self._settings(text),
            request_id=name,
        )
        async for output in outputs:
            for one in output.outputs:
                ids = list(one.token_ids)
                finish = one.finish_reason
                # An end token is written too, but isn't text; a stop string says which it was.
                ended = finish == "stop" and not isinstance(one.stop_reason, str)
                tokens += len(ids) - (1 if ended and ids else 0)
                said = _said(ids[:-1] if ended else ids, one.logprobs, text.top, characters)
                characters += len(one.text)
                if finish not in (None, "stop", "length"):
                    raise RuntimeError(f"vLLM ended a text with '{finish}'")
                if one.text or said or finish:
                    told(number, Piece(one.text, tokens, finish, said))

    def _settings(self, text: Asked) -> Any:
        settings = text.settings
        return self._parameters(
            n=1,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p or 1.0,
            top_k=settings.top_k or 0,
            min_p=settings.min_p or 0.0,
            repetition_penalty=settings.repetition_penalty,
            frequency_penalty=settings.frequency_penalty,
            presence_penalty=settings.presence_penalty,
            stop=list(settings.stop),
            seed=text.seed % 2**63 if settings.draws else None,
            logprobs=text.top,
        )


def _said(ids: Sequence[int], rows: Any, top: int | None, start: int) -> tuple[Said, ...]:
    """What vLLM says of tokens: for each a mapping from tokens to their log-probabilities."""
    if top is None or rows is None:
        return ()
    found = []
    for token, row in zip(ids, rows, strict=False):
        likely = sorted(row.items(), key=lambda item: -item[1].logprob)[:top]
        pairs = tuple((int(one), float(value.logprob)) for one, value in likely)
        found.append(Said(token, float(row[token].logprob), pairs, start))
    return tuple(found)
