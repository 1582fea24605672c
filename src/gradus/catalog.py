"""The one list of what a plan can name.

A line here and one new file add a step, metric, objective, optimiser, loss, source, format,
benchmark or checkpoint kind. Names carry a version; a plan may leave it out and gets the newest,
and the resolved plan stores it. Nothing is imported until it is used, so listing the catalog costs
nothing.

Other packages add entries through entry points in the group ``gradus.<section>``, e.g.
``[project.entry-points."gradus.metrics"]``.
"""

from __future__ import annotations

from typing import Final

CATALOG: Final[dict[str, dict[str, str]]] = {
    "steps": {
        "baseline.v1": "gradus.steps.baseline:Baseline",
        "prompt.v1": "gradus.steps.prompt:Prompt",
        "finetune.v1": "gradus.steps.finetune:Finetune",
        "quantize.v1": "gradus.steps.quantize:Quantize",
        "evaluate.v1": "gradus.steps.evaluate:Evaluate",
    },
    "objectives": {
        "classify.v1": "gradus.objectives.classify:Classify",
        "regress.v1": "gradus.objectives.regress:Regress",
        "tag.v1": "gradus.objectives.tag:Tag",
    },
    "optimisers": {
        "adamw.v1": "gradus.training.optimisers.adamw:AdamW",
        "sgd.v1": "gradus.training.optimisers.sgd:Sgd",
        "lion.v1": "gradus.training.optimisers.lion:Lion",
        "adafactor.v1": "gradus.training.optimisers.adafactor:Adafactor",
        "muon.v1": "gradus.training.optimisers.muon:Muon",
    },
    "losses": {
        "cross-entropy.v1": "gradus.training.losses.cross_entropy:CrossEntropy",
        "focal.v1": "gradus.training.losses.focal:Focal",
        "supcon.v1": "gradus.training.losses.supcon:SupCon",
    },
    "adapters": {
        "lora.v1": "gradus.training.adapters.lora:Lora",
        "ia3.v1": "gradus.training.adapters.ia3:Ia3",
        "prompt-tuning.v1": "gradus.training.adapters.prompt_tuning:PromptTuning",
        "prefix-tuning.v1": "gradus.training.adapters.prefix_tuning:PrefixTuning",
    },
    "schemes": {
        "int8-dynamic.v1": "gradus.compress.int8_dynamic:Int8Dynamic",
    },
    "sources": {
        "hub.v1": "gradus.sources.hub:Hub",
        "folder.v1": "gradus.sources.folder:Folder",
        "file.v1": "gradus.sources.file:File",
        "files.v1": "gradus.sources.files:Files",
        "package.v1": "gradus.sources.package:Package",
        "gguf.v1": "gradus.sources.gguf:Gguf",
        "scratch.v1": "gradus.sources.scratch:Scratch",
    },
    "formats": {
        "jsonl.v1": "gradus.data.formats.jsonl:Jsonl",
        "csv.v1": "gradus.data.formats.delimited:Csv",
        "tsv.v1": "gradus.data.formats.delimited:Tsv",
        "folders.v1": "gradus.data.formats.folders:Folders",
        "json.v1": "gradus.data.formats.json_records:Json",
        "text.v1": "gradus.data.formats.text:Text",
        "parquet.v1": "gradus.data.formats.parquet:Parquet",
        "conll.v1": "gradus.data.formats.conll:Conll",
        "spans.v1": "gradus.data.formats.spans:Spans",
        "datasets.v1": "gradus.data.formats.hub_datasets:Datasets",
    },
    "preparations": {
        "unicode.v1": "gradus.data.prepare.characters:UnicodeForm",
        "lower.v1": "gradus.data.prepare.characters:Lower",
        "spaces.v1": "gradus.data.prepare.characters:Spaces",
        "segment.v1": "gradus.data.prepare.segment:Segment",
        "template.v1": "gradus.data.prepare.words:Template",
        "stop-words.v1": "gradus.data.prepare.words:StopWords",
    },
    "metrics": {
        "accuracy.v1": "gradus.metrics.accuracy:Accuracy",
        "balanced_accuracy.v1": "gradus.metrics.balanced_accuracy:BalancedAccuracy",
        "precision.v1": "gradus.metrics.precision:Precision",
        "precision_macro.v1": "gradus.metrics.precision:PrecisionMacro",
        "precision_micro.v1": "gradus.metrics.precision:PrecisionMicro",
        "precision_weighted.v1": "gradus.metrics.precision:PrecisionWeighted",
        "recall.v1": "gradus.metrics.recall:Recall",
        "recall_macro.v1": "gradus.metrics.recall:RecallMacro",
        "recall_micro.v1": "gradus.metrics.recall:RecallMicro",
        "recall_weighted.v1": "gradus.metrics.recall:RecallWeighted",
        "f1.v1": "gradus.metrics.f1:F1",
        "f1_macro.v1": "gradus.metrics.f1:F1Macro",
        "f1_micro.v1": "gradus.metrics.f1:F1Micro",
        "f1_weighted.v1": "gradus.metrics.f1:F1Weighted",
        "mcc.v1": "gradus.metrics.mcc:Mcc",
        "log_loss.v1": "gradus.metrics.log_loss:LogLoss",
        "ece.v1": "gradus.metrics.ece:Ece",
        "brier.v1": "gradus.metrics.brier:Brier",
        "auroc.v1": "gradus.metrics.auroc:Auroc",
        "auroc_macro.v1": "gradus.metrics.auroc:AurocMacro",
        "average_precision.v1": "gradus.metrics.average_precision:AveragePrecision",
        "average_precision_macro.v1": "gradus.metrics.average_precision:AveragePrecisionMacro",
        "top_3_accuracy.v1": "gradus.metrics.top_k_accuracy:Top3Accuracy",
        "top_5_accuracy.v1": "gradus.metrics.top_k_accuracy:Top5Accuracy",
        "cohen_kappa.v1": "gradus.metrics.cohen_kappa:CohenKappa",
        "multilabel_f1.v1": "gradus.metrics.multilabel_f1:MultilabelF1",
        "multilabel_f1_micro.v1": "gradus.metrics.multilabel_f1:MultilabelF1Micro",
        "multilabel_f1_macro.v1": "gradus.metrics.multilabel_f1:MultilabelF1Macro",
        "multilabel_f1_samples.v1": "gradus.metrics.multilabel_f1:MultilabelF1Samples",
        "multilabel_precision_micro.v1": (
            "gradus.metrics.multilabel_precision:MultilabelPrecisionMicro"
        ),
        "multilabel_recall_micro.v1": "gradus.metrics.multilabel_recall:MultilabelRecallMicro",
        "multilabel_log_loss.v1": "gradus.metrics.multilabel_log_loss:MultilabelLogLoss",
        "subset_accuracy.v1": "gradus.metrics.subset_accuracy:SubsetAccuracy",
        "hamming_loss.v1": "gradus.metrics.hamming_loss:HammingLoss",
        "spearman.v1": "gradus.metrics.spearman:Spearman",
        "pearson.v1": "gradus.metrics.pearson:Pearson",
        "rmse.v1": "gradus.metrics.rmse:Rmse",
        "mae.v1": "gradus.metrics.mae:Mae",
        "r2.v1": "gradus.metrics.r2:R2",
        "span_f1.v1": "gradus.metrics.span_f1:SpanF1",
        "span_precision.v1": "gradus.metrics.span_precision:SpanPrecision",
        "span_recall.v1": "gradus.metrics.span_recall:SpanRecall",
        "latency_p50_ms.v1": "gradus.metrics.latency:LatencyP50",
        "latency_p95_ms.v1": "gradus.metrics.latency:LatencyP95",
        "throughput_texts_s.v1": "gradus.metrics.throughput:Throughput",
        "peak_memory_mb.v1": "gradus.metrics.memory:PeakMemory",
        "size_mb.v1": "gradus.metrics.size:Size",
        "parity_kl.v1": "gradus.metrics.parity:ParityKl",
        "parity_flips.v1": "gradus.metrics.parity:ParityFlips",
    },
    "benchmarks": {
        "classify.v1": "gradus.benchmarks.classify:ClassifyBenchmark",
        "multilabel.v1": "gradus.benchmarks.multilabel:MultilabelBenchmark",
        "regress.v1": "gradus.benchmarks.regress:RegressBenchmark",
        "tag.v1": "gradus.benchmarks.tag:TagBenchmark",
        "cost.v1": "gradus.benchmarks.cost:CostBenchmark",
        "parity.v1": "gradus.benchmarks.parity:ParityBenchmark",
    },
    "kinds": {
        "transformer.v1": "gradus.predict.transformer:TransformerPredictor",
        "onnx.v1": "gradus.predict.onnx:OnnxPredictor",
        "linear.v1": "gradus.predict.linear:LinearPredictor",
        "prompt.v1": "gradus.predict.prompt:PromptPredictor",
    },
}
