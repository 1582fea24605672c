"""The samples of lm-evaluation-harness as items.

Legend: N documents, M names.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from gradus.bridge.tasks import NO_FILTER, Loaded

if TYPE_CHECKING:
    from gradus.metrics.base import Items
    from gradus.metrics.options import Options
    from gradus.metrics.outcomes import Outcomes
    from gradus.metrics.texts import Texts

Sample = Mapping[str, Any]

_OPTION_METRICS: Final = {"acc", "acc_norm"}
_TARGET_METRICS: Final = {"acc", "perplexity"}
_ROLLING_METRICS: Final = {"word_perplexity", "byte_perplexity", "bits_per_byte"}


def items_of(
    loaded: Loaded,
    samples: Sequence[Sample],
    tokens: Mapping[tuple[str, ...], int],
    ids: tuple[str, ...],
) -> Items:
    """The items of N documents, whose samples come filter after filter.

    `tokens` has the number of scored tokens of each request, by its texts.
    """
    by_filter: dict[str, list[Sample]] = {}
    for sample in samples:
        by_filter.setdefault(sample["filter"], []).append(sample)
    first = next(iter(by_filter.values()))
    if list(by_filter) == [NO_FILTER]:
        metrics = {name for sample in first for name in sample["metrics"]}
        if loaded.output_type == "loglikelihood_rolling" and _is_rolling(first, metrics):
            return _rolled(first, tokens, ids)
        usual = loaded.output_type if loaded.scores_plainly else ""
        if usual == "loglikelihood" and metrics <= _TARGET_METRICS:
            return _targets(first, tokens, ids)
        if usual == "multiple_choice" and metrics <= _OPTION_METRICS:
            options = _options(loaded, first, ids)
            if options is not None:
                return options
    return _outcomes(loaded, by_filter, ids)


def _options(loaded: Loaded, samples: Sequence[Sample], ids: tuple[str, ...]) -> Options | None:
    """None where a document hasn't exactly one right option."""
    from gradus.metrics.options import Options

    gold = [loaded.gold(sample["doc"]) for sample in samples]
    right = [index for index in gold if index is not None]
    if len(right) < len(gold):
        return None
    nats = [[float(answer[0]) for answer in sample["filtered_resps"]] for sample in samples]
    lengths = [[len(choice) for choice in loaded.choices(sample["doc"])] for sample in samples]
    return Options.of(right, nats, lengths, ids)


def _targets(
    samples: Sequence[Sample], tokens: Mapping[tuple[str, ...], int], ids: tuple[str, ...]
) -> Texts:
    answers = [sample["filtered_resps"][0] for sample in samples]
    requests = [tuple(str(text) for text in sample["arguments"][0][:2]) for sample in samples]
    return _texts(
        [float(nats) for nats, _ in answers],
        [tokens[request] for request in requests],
        [request[1] for request in requests],
        ids,
        greedy=[bool(greedy) for _, greedy in answers],
    )


def _is_rolling(samples: Sequence[Sample], metrics: set[str]) -> bool:
    """Whether every value is a log-likelihood with the count that it is divided by."""
    return metrics <= _ROLLING_METRICS and all(
        len(sample[name]) == 2 for sample in samples for name in sample["metrics"]
    )


def _rolled(
    samples: Sequence[Sample], tokens: Mapping[tuple[str, ...], int], ids: tuple[str, ...]
) -> Texts:
    """Words and bytes as the task counts them: of the text before it is detokenised, in some."""
    texts = [str(sample["arguments"][0][0]) for sample in samples]
    words = [
        int(sample["word_perplexity"][1])
        if "word_perplexity" in sample
        else len(re.split(r"\s+", text))
        for sample, text in zip(samples, texts, strict=True)
    ]
    sizes = [
        int(sample[name][1])
        if (name := "byte_perplexity") in sample or (name := "bits_per_byte") in sample
        else len(text.encode())
        for sample, text in zip(samples, texts, strict=True)
    ]
    return _texts(
        [float(sample["filtered_resps"][0]) for sample in samples],
        [tokens[(text,)] for text in texts],
        texts,
        ids,
        words=words,
        sizes=sizes,
    )


def _texts(
    nats: list[float],
    tokens: list[int],
    texts: Sequence[str],
    ids: tuple[str, ...],
    *,
    greedy: list[bool] | None = None,
    words: list[int] | None = None,
    sizes: list[int] | None = None,
) -> Texts:
    import numpy as np

    from gradus.metrics.texts import Texts

    return Texts(
        nats=np.asarray(nats, np.float64),
        tokens=np.asarray(tokens, np.int64),
        words=np.asarray(words or [len(text.split()) for text in texts], np.int64),
        characters=np.asarray([len(text) for text in texts], np.int64),
        bytes=np.asarray(sizes or [len(text.encode()) for text in texts], np.int64),
        greedy=None if greedy is None else np.asarray(greedy, np.bool_),
        ids=ids,
    )


def _outcomes(
    loaded: Loaded, by_filter: Mapping[str, Sequence[Sample]], ids: tuple[str, ...]
) -> Outcomes:
    import numpy as np

    from gradus.metrics.outcomes import MEAN, Outcomes

    columns: dict[str, list[Any]] = {}
    names: dict[str, str] = {}
    for kept, samples in by_filter.items():
        for metric in dict.fromkeys(name for sample in samples for name in sample["metrics"]):
            label = metric if kept == NO_FILTER else f"{metric},{kept}"
            names[label] = metric
            columns[label] = [sample.get(metric) for sample in samples]
    aggregations = {label: loaded.aggregation(metric) for label, metric in names.items()}
    first = next(iter(by_filter.values()))
    return Outcomes(
        labels=tuple(columns),
        aggregations=tuple(aggregations.values()),
        lower=tuple(loaded.lower(metric) for metric in names.values()),
        values=np.array([[_number(v) for v in column] for column in columns.values()]).T,
        records=tuple(
            tuple(
                ""
                if aggregations[label] == MEAN or columns[label][row] is None
                else _record(columns[label][row])
                for label in columns
            )
            for row in range(len(first))
        ),
        said=tuple(_said(loaded, sample) for sample in first),
        expected=tuple(str(sample["target"]) for sample in first),
        ids=ids,
    )


def _number(value: Any) -> float:
    import numpy as np

    return float(value) if isinstance(value, Real | np.bool_) else math.nan


def _record(value: Any) -> str:
    """JSON, arrays as lists."""

    def plain(part: Any) -> Any:
        return part.tolist() if hasattr(part, "tolist") else str(part)

    return json.dumps(value, ensure_ascii=False, default=plain)


def _said(loaded: Loaded, sample: Sample) -> str:
    """What the model wrote, or the option that it finds most probable."""
    answers = sample["filtered_resps"]
    if loaded.output_type == "generate_until":
        return str(answers[0])
    choices = loaded.choices(sample["doc"])
    if not choices:
        return ""
    nats = [float(answer[0]) for answer in answers[: len(choices)]]
    return choices[nats.index(max(nats))]
