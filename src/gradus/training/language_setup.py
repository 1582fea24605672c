"""From what a plan says about pretraining to a task that can be trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gradus.checkpoints.hashing import hash_json
from gradus.data.corpora import Documents, Shards, tokenise
from gradus.errors import TrainingError
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext
from gradus.training.architectures import ArchitectureConfig, build
from gradus.training.blocks import Cutting, Mixture
from gradus.training.exchange import current
from gradus.training.language import LanguageTask
from gradus.training.models import load_tokenizer, max_positions, save_model
from gradus.training.pretraining import PretrainStage
from gradus.training.samples import Samples
from gradus.training.stage import Probe
from gradus.training.tally import Held
from gradus.training.zero_shot import ZeroShot, read_benchmarks

if TYPE_CHECKING:
    from gradus.steps.pretrain import PretrainConfig

SELECT, TRAIN = "dev.select", "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A language task with all that the step needs around it.

    Attributes:
        task: what the loop trains.
        stage: its one stage.
        identity: what a resumed state must agree with.
        save: writes weights, config and tokenizer into a folder.
        preprocessing: the manifest's.
        parents: checkpoints that it comes from.
        facts: JSON for the report.
        notes: sentences for the report.
        probes: what is looked at beside dev.select at each validation.
    """

    task: LanguageTask
    stage: PretrainStage
    identity: Mapping[str, str]
    save: Callable[[Path], None]
    preprocessing: Mapping[str, Any]
    parents: tuple[CheckpointRef, ...]
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()


def prepare(config: PretrainConfig, context: StepContext, dtype: str) -> Ready:
    """Tokenise the corpora where that hasn't been done, make or load the model, cut blocks.

    Raises:
        CheckpointError: model or tokenizer can't be read.
        TrainingError: they don't fit one another, or the block is longer than the positions.
        DataError, StorageError: a corpus's shards are damaged or can't be written.
    """
    objective, options = config.settled()
    source = context.models[config.tokenizer or str(config.model)]
    tokenizer = load_tokenizer(source)
    shards = tokenised(context, tokenizer_folder(source, tokenizer, context.work))
    full = _model(config, objective(), context, tokenizer)
    make = objective()
    how = Cutting(apart=config.documents == "apart", seed=context.seed)
    blocks = {
        name: make.blocks(options, of[TRAIN], config.block, how, tokenizer)
        for name, of in shards.items()
    }
    shares = _shares(config, {name: of[TRAIN].total for name, of in shards.items()})
    train = Mixture(list(blocks.values()), list(shares.values()), context.seed)
    fixed = Cutting(apart=how.apart, seed=0, whole=True, documents=config.validation.documents)
    held = {
        name: held_documents(
            context.corpora[name].splits[SELECT],
            make.blocks(options, of[SELECT], config.block, fixed, tokenizer),
            name if len(shards) > 1 else None,
        )
        for name, of in shards.items()
        if SELECT in of
    }
    digest = hash_json([[of[split].path_digest for split in of] for of in shards.values()])
    task = LanguageTask(
        full,
        name=str(options.name),
        train=train,
        held=held,
        causal=make.causal,
        digest=digest,
        z_loss=config.z_loss,
        arithmetic=getattr(torch, dtype),
    )
    stage = config.stage(config.block)
    identity = {
        "data": hash_json({name: context.corpora[name].digest for name in shards}),
        "tokens": digest,
        "config": hash_json(config.model_dump(mode="json")),
        "models": hash_json({name: ref.digest for name, ref in context.models.items()}),
    }
    return Ready(
        task=task,
        stage=stage,
        identity=identity,
        save=lambda folder: save_model(full, tokenizer, folder),
        preprocessing={"target": make.target, "max_tokens": config.block},
        parents=tuple(context.models.values()),
        facts=_facts(config, task, stage, shards, shares),
        probes=_probes(config, full, tokenizer, context),
    )


def _probes(
    config: PretrainConfig, full: Any, tokenizer: Any, context: StepContext
) -> tuple[Probe, ...]:
    asked, found = config.validation, list[Probe]()
    if asked.samples:
        found.append(
            Samples(full, tokenizer, asked.samples, tokens=asked.sample_tokens, seed=context.seed)
        )
    if asked.benchmarks:
        read = read_benchmarks(asked.benchmarks, context.folder)
        found.append(ZeroShot(full, tokenizer, read))
    return tuple(found)


def tokenizer_folder(ref: CheckpointRef, tokenizer: Any, work: Path) -> Path:
    """A folder with the tokenizer's own file; a GGUF file's is written out."""
    if ref.file is None and (Path(ref.path) / "tokenizer.json").is_file():
        return Path(ref.path)
    folder = work / "tokenizer"
    tokenizer.save_pretrained(folder)
    return folder


def tokenised(context: StepContext, tokenizer: Path) -> dict[str, dict[str, Shards]]:
    """Shards by corpus and split, kept beside the corpus for whoever tokenises it alike.

    Of several processes the first one writes them, and the others open what it wrote.
    """
    exchange = current()
    found: dict[str, dict[str, Shards]] = {}
    for name, corpus in context.corpora.items():
        found[name] = {}
        for split in (TRAIN, SELECT):
            if split not in corpus.splits:
                continue
            place = corpus.place / "tokens"
            told = _telling(context, name, split)
            make = partial(tokenise, corpus.splits[split], tokenizer, place=place, progress=told)
            if exchange.world > 1:
                exchange.share(partial(_written, make, context.threads))
            found[name][split] = make(workers=context.threads)
    return found


def _written(make: Callable[..., Shards], workers: int) -> str:
    """Where the shards are; shards themselves aren't handed from process to process."""
    return str(make(workers=workers).path)


def _telling(context: StepContext, name: str, split: str) -> Callable[[float, float, str], None]:
    def tell(done: float, total: float, text: str = "") -> None:
        # Tokenising comes before the stage, whose progress is counted from 0.
        context.monitor.progress(0, 1, f"tokenising {name}.{split}: {done / max(total, 1):.0%}")

    return tell


def _model(config: PretrainConfig, objective: Any, context: StepContext, tokenizer: Any) -> Any:
    """The model with its head: new, or the one that is gone on from."""
    if isinstance(config.model, ArchitectureConfig):
        return build(config.model, tokenizer, block=config.block, seed=context.seed % 2**63)
    full = objective.load(context.models[config.model])
    limit = max_positions(full.base_model)
    if limit is not None and limit < config.block:
        raise TrainingError(
            f"block is {config.block} and '{config.model}' has positions for {limit}: lower it"
        )
    rows = full.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise TrainingError(
            f"'{config.model}' has embeddings for {rows:,} tokens and its tokenizer "
            f"{len(tokenizer):,}: they don't belong together"
        )
    return full


def _shares(config: PretrainConfig, tokens: Mapping[str, int]) -> dict[str, float]:
    """Corpus -> share of the training tokens; together 1."""
    asked, temperature = config.weighed()
    raw = {
        name: (tokens[name] if share is None else share) ** (1 / temperature)
        for name, share in asked.items()
    }
    whole = sum(raw.values())
    return {name: value / whole for name, value in raw.items()}


def held_documents(documents: Documents, blocks: Any, corpus: str | None) -> Held:
    """What validation needs to know of the documents that `blocks` are cut from."""
    count = len(blocks.starts)
    kinds: dict[str, np.ndarray] = {}
    if corpus is not None:
        kinds[f"corpus={corpus}"] = np.ones(count, dtype=np.bool_)
    codes = np.asarray(documents.codes[:count])
    for column, (key, names) in enumerate(
        (("domain", documents.domains), ("language", documents.languages))
    ):
        present = np.unique(codes[:, column])
        present = present[present >= 0]
        if len(present) > 1:
            for code in present.tolist():
                kinds[f"{key}={names[code]}"] = codes[:, column] == code
    return Held(blocks, np.asarray(documents.lengths()[:count]), kinds)


def _facts(
    config: PretrainConfig,
    task: LanguageTask,
    stage: PretrainStage,
    shards: Mapping[str, Mapping[str, Shards]],
    shares: Mapping[str, float],
) -> dict[str, Any]:
    full = task.full
    parameters = sum(p.numel() for p in full.parameters())
    embeddings = sum(
        p.numel()
        for name, p in task.backbone.model.named_parameters()
        if task.backbone.groups.group_of[name] == "embeddings"
    )
    scratch = isinstance(config.model, ArchitectureConfig)
    return {
        "objective": task.name,
        "architecture": full.config.model_type,
        "from_scratch": scratch,
        "layers": task.backbone.layers,
        "width": task.backbone.width,
        "parameters": parameters,
        "parameters_without_embeddings": parameters - embeddings,
        "vocabulary": int(task.head.weight.shape[0]),
        "block": config.block,
        "documents": config.documents,
        "blocks": len(task.train),
        "tokens_per_update": stage.accumulate * (stage.batch_size or 0) * config.block,
        "lr": stage.rate,
        "corpora": {
            name: {split: dict(one.facts) for split, one in of.items()} | {"share": shares[name]}
            for name, of in shards.items()
        },
    }
