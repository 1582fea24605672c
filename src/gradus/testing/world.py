"""A small world in which any step can run: labelled texts and tiny models with real tokenizers."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus.records import CheckpointRef, Target
from gradus.steps.base import StepContext, StepOutcome

if TYPE_CHECKING:
    from gradus.data.corpora import Corpus
    from gradus.data.dataset import Dataset, TrainingData
    from gradus.writing.prompts import Prompt, PromptsConfig

Rows = Sequence[tuple[str, str]]

_SUBJECTS: Final = {
    "sport": ("The striker", "The home team", "Their goalkeeper", "A tennis champion"),
    "business": ("The central bank", "A car maker", "The airline's board", "An oil company"),
    "tech": ("A software firm", "The phone network", "The search engine", "A chip designer"),
}
_ENDINGS: Final = {
    "sport": ("won the final.", "scored twice before half time.", "is out with a knee injury."),
    "business": ("raised its rates.", "cut its profit forecast.", "will sell its shares."),
    "tech": ("released a new browser.", "fixed a bug in its code.", "stored the data online."),
}
_WHEN: Final = ("", "On Monday ", "Last week ", "In London ", "This year ")


def default_rows() -> list[tuple[str, str]]:
    """180 short sentences with one of three labels."""
    return [
        (f"{when}{subject} {ending}", label)
        for label, subjects in _SUBJECTS.items()
        for subject in subjects
        for ending in _ENDINGS[label]
        for when in _WHEN
    ]


class ListeningMonitor:
    """A monitor that keeps what a step says."""

    def __init__(self, data: TrainingData | None) -> None:
        self.rows: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self._data = data

    def score(self, outputs: Any) -> dict[str, float]:
        """What the data's benchmark compares, on dev.select; the shape must be dev.select's."""
        from gradus import benchmarks, registry

        data = self._data
        assert data is not None, "the step scores, but it names no data"
        assert len(outputs) == len(data.select)
        if data.target != "spans":
            width = (len(data.labels),) if data.labels else ()
            assert outputs.shape == (len(data.select), *width)
        benchmark = benchmarks.of(data.target)
        seen = benchmark.observe(outputs, data.labels, data.select, data.labels)
        values = {n: float(registry.load("metrics", n)()(seen)) for n in benchmark.compared}
        return {name: value for name, value in values.items() if math.isfinite(value)}

    def point(self, **row: float | int | str) -> None:
        """Keep a row, which must be JSON."""
        self.rows.append(json.loads(json.dumps(row, allow_nan=False)))

    def rewind(self, rows: int) -> None:
        """Keep the first `rows`."""
        self.rows = self.rows[:rows]

    def progress(self, done: float, total: float, text: str = "") -> None:
        """`done` may not pass `total`."""
        assert 0 <= done <= total, (done, total, text)

    def note(self, text: str) -> None:
        """Keep a sentence."""
        self.notes.append(text)


def relabelled(text: str, label: str, target: Target) -> Any:
    """A row's label for data with this target, told by the text itself.

    Of several labels: the label, and whether the text begins with an ``early`` letter. The number:
    characters a word. The spans: the first word, with the label.
    """
    if target == "labels":
        return [label, *(["early"] if text[:1].lower() < "n" else [])]
    if target == "number":
        return len(text) / len(text.split())
    if target == "spans":
        start = len(text) - len(text.lstrip())
        return [{"start": start, "end": start + len(text.split()[0]), "label": label}]
    return label


class World:
    """Data ``news`` and the models ``encoder`` (BERT) and ``lm`` (Llama), all below `folder`.

    Args:
        folder: empty; everything is written there.
        rows: labelled texts; `default_rows` when left out.
        target: what the data are labelled with: `relabelled` says how it follows from the label.
    """

    def __init__(self, folder: Path, rows: Rows | None = None, target: Target = "label") -> None:
        self.folder, self.target = folder, target
        self.rows = list(rows if rows is not None else default_rows())
        lines = (json.dumps({"text": t, target: relabelled(t, c, target)}) for t, c in self.rows)
        (folder / "news.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._made: dict[str, CheckpointRef] = {}

    @property
    def data_config(self) -> dict[str, Any]:
        """The data set as a plan has it."""
        return {
            "source": {"file": str(self.folder / "news.jsonl")},
            "target": self.target,
            "columns": {"label": self.target},
            "split": {
                "train": 0.5,
                "dev": 0.3,
                "test": 0.2,
                "stratify": self.target in ("label", "labels"),
            },
        }

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The data set, split."""
        from gradus.data.config import DataConfig
        from gradus.data.load import load_dataset

        config = DataConfig.model_validate(self.data_config)
        return load_dataset("news", config, folder=self.folder, seed=1, assignments=None)

    @property
    def corpus_config(self) -> dict[str, Any]:
        """The texts as a corpus, each a document, as a plan has it."""
        return {
            "source": {"file": str(self.folder / "news.jsonl")},
            "split": {"train": 0.6, "dev": 0.4},
        }

    def corpus(self, name: str) -> Corpus:
        """That corpus under the name `name`."""
        from gradus.data.corpora import CorpusConfig, load_corpus

        config = CorpusConfig.model_validate(self.corpus_config)
        place = self.folder / "corpora"
        return load_corpus(name, config, folder=self.folder, seed=1, place=place)

    def model(self, name: str) -> CheckpointRef:
        """The weights or the checkpoint that examples call `name`.

        ``encoder`` and ``lm`` are weights, ``floor`` is a baseline, ``written`` are samples;
        anything else is an encoder that has been fine-tuned.
        """
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def put(self, name: str, ref: CheckpointRef) -> None:
        """Let `name` stand for a checkpoint that was made elsewhere."""
        self._made[name] = ref

    def _make(self, name: str) -> CheckpointRef:
        from gradus import sources
        from gradus.checkpoints import open_checkpoint

        if name in ("encoder", "lm"):
            write = write_encoder if name == "encoder" else write_causal
            write(self.folder / name, [text for text, _ in self.rows])
            return sources.locate_weights(name, {"folder": name}, self.folder)
        step = self.maker(name)
        outcome = self.run(str(step.pop("step")), step, self.folder / f"made-{name}")
        assert outcome.checkpoint is not None
        return open_checkpoint(outcome.checkpoint, name=name, origin={"step": name})

    def maker(self, name: str) -> dict[str, Any]:
        """The step of a plan, without its id, that makes the checkpoint called `name`."""
        if name == "floor":
            return {"step": "baseline", "data": "news"}
        if name == "written":
            return {
                "step": "sample",
                "writers": ["lm"],
                "human": True,
                "prompts": {"corpus": "plays", "number": 4, "characters": 14, "then": 14},
                "decoding": {"temperature": 0.8, "max_tokens": 8},
            }
        made = {"step": "finetune", "model": "encoder", "data": "news"}
        objective = {"number": "regress", "spans": "tag"}.get(self.target, "classify")
        return {**made, "objective": objective, "stages": [{"train": "head"}]}

    def run(self, kind: str, config: Mapping[str, Any], out: Path, *, seed: int = 7) -> StepOutcome:
        """Run a step of the catalog as the runner would, with two threads and in float32."""
        from gradus import registry

        step = registry.load("steps", kind)()
        settings = step.Config.model_validate(dict(config))
        needs = step.needs(settings)
        data = self.dataset.for_training() if needs.data else None
        (out / "work").mkdir(parents=True)
        context = StepContext(
            id="contract",
            seed=seed,
            out=out,
            work=out / "work",
            models={name: self.model(name) for name in needs.models.values()},
            data=data,
            monitor=ListeningMonitor(data),
            dtype="float32",
            threads=2,
            corpora={name: self.corpus(name).for_training() for name in needs.corpora.values()},
            prompts=self._prompts(step.prompts(settings)),
            run=out,
            datasets={} if data is None else {data.name: data},
        )
        outcome: StepOutcome = step.run(settings, _with_inner(context))
        return outcome

    def _prompts(self, asked: PromptsConfig | None) -> tuple[Prompt, ...]:
        """What a step has models write to, as the runner would take it."""
        from gradus.writing import prompts

        if asked is None:
            return ()
        if asked.corpus is None:
            return prompts.given(asked, self.folder)
        return prompts.of_documents(asked, self.corpus(asked.corpus).splits[asked.split])


def _with_inner(context: StepContext) -> StepContext:
    """The context of a step that may run steps inside itself."""
    from gradus.runner.inner import with_inner
    from gradus.runner.monitor import Quiet

    return with_inner(context, {}, context.out / "inner", Quiet())


def write_encoder(folder: Path, texts: Sequence[str]) -> None:
    """A BERT of three layers of width 32 and a tokenizer fitted to `texts`, in `folder`."""
    import torch
    from transformers import BertConfig, BertModel

    tokenizer = _tokenizer(texts, bos="[CLS]", eos="[SEP]", both_ends=True)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def write_causal(folder: Path, texts: Sequence[str]) -> None:
    """A Llama of two layers of width 32 and a tokenizer fitted to `texts`, in `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer(texts, bos="<s>", eos="</s>", both_ends=False)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def _tokenizer(texts: Sequence[str], *, bos: str, eos: str, both_ends: bool) -> Any:
    """A byte-level BPE of at most 600 tokens: it can encode anything."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", bos, eos, "[UNK]", "[MASK]"]
    fitted = Tokenizer(models.BPE())
    fitted.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fitted.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    fitted.train_from_iterator(texts, trainer)
    if both_ends:
        fitted.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A {eos}", special_tokens=[(bos, 1), (eos, 2)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=fitted,
        bos_token=bos,
        eos_token=eos,
        cls_token=bos if both_ends else None,
        sep_token=eos if both_ends else None,
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_max_length=256,
    )
