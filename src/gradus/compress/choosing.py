"""Which scheme suits a target here: every one that is at hand is made and measured."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gradus import parity, registry
from gradus.compress.base import Allowance
from gradus.compress.scoring import value_on_select
from gradus.errors import CheckpointError, MissingExtra
from gradus.predict import load

if TYPE_CHECKING:
    from gradus.compress.make import Job, Made
    from gradus.predict.base import Predictor

ROUNDS: Final = 5
LATENCY_TEXTS: Final = 24


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A scheme's checkpoint with what was measured of it.

    Attributes:
        value: the budget's metric on dev.select.
        bytes: of all its files.
        latency_ms: median of one text at a time.
        texts_s: median of rounds over all texts at once.
    """

    name: str
    made: Made
    predictor: Predictor
    value: float
    bytes: int
    latency_ms: float = 0.0
    texts_s: float = 0.0

    def facts(self, allowed: Allowance) -> dict[str, Any]:
        """A row of the report's table."""
        return {
            "scheme": self.name,
            allowed.metric: self.value,
            "keeps_budget": allowed.keeps(self.value),
            "size_mb": self.bytes / 1e6,
            "latency_ms": self.latency_ms,
            "texts_s": self.texts_s,
        }


def candidates() -> list[str]:
    """The schemes for classifiers that neither train nor search."""
    found = []
    for name in registry.names("schemes"):
        scheme = registry.load("schemes", name)
        if scheme.takes == "classifier" and not scheme.trains and not scheme.budget:
            found.append(name)
    return found


def choose(job: Job, out: Path) -> Made:
    """Make all, measure all in turns, keep the best for the target in `out`.

    Raises:
        CheckpointError: no scheme can be made, or none keeps the budget.
    """
    from gradus.compress.make import Made

    allowed = job.allowance
    assert allowed is not None  # the step gives one to whoever chooses
    made, left_out = _made(job, allowed)
    fit = [candidate for candidate in made if allowed.keeps(candidate.value)]
    if not fit:
        tried = ", ".join(f"{c.name} {c.value:.4f}" for c in made) or "none could be made"
        raise CheckpointError(
            f"'{job.parent.name}': no scheme keeps {allowed.metric} on dev.select within "
            f"{allowed.lose:g} of its {allowed.parent:.4f} ({tried}): allow more, "
            "or take scheme: int8-qat"
        )
    _time(made, parity.texts(job.context.data))
    target = job.config.target or "size"
    best = min(fit, key=lambda c: (_cost(c, target), c.bytes, c.name))
    second = sorted(fit, key=lambda c: (_cost(c, target), c.bytes, c.name))[1:2]
    _keep(Path(best.made.ref.path), out)
    facts = {
        **best.made.facts,
        "chosen_for": target,
        "tried": [candidate.facts(allowed) for candidate in made],
        "not_tried": left_out,
    }
    from gradus.checkpoints import open_checkpoint

    ref = open_checkpoint(out)
    notes = (*best.made.notes, _why(best, second, target, allowed, made))
    return Made(ref=ref, parent=job.parent, bounds=best.made.bounds, facts=facts, notes=notes)


def _made(job: Job, allowed: Allowance) -> tuple[list[Candidate], dict[str, str]]:
    """The candidates that can be made here, and why the others can't."""
    from gradus.compress.make import make

    assert job.context.data is not None
    texts = list(job.context.data.select.texts)
    made, left_out = [], {}
    for name in job.config.candidates or candidates():
        try:
            done = make(job, name, job.context.work / "candidates" / name)
        except (CheckpointError, MissingExtra) as error:
            left_out[name] = str(error)
            continue
        loaded = load(done.ref, threads=job.context.threads, verify=False).predictor
        value = value_on_select(loaded, job.context, texts).get(allowed.metric, float("nan"))
        made.append(
            Candidate(name=name, made=done, predictor=loaded, value=value, bytes=loaded.size_bytes)
        )
    return made, left_out


def _time(made: Sequence[Candidate], texts: Sequence[str]) -> None:
    """Take turns, so that whatever else the machine does falls on all alike."""
    single: dict[str, list[float]] = {c.name: [] for c in made}
    whole: dict[str, list[float]] = {c.name: [] for c in made}
    for candidate in made:
        candidate.predictor.say(list(texts[:1]))
        candidate.predictor.say(list(texts))
    for text in texts[:LATENCY_TEXTS]:
        for candidate in made:
            single[candidate.name].append(_seconds(candidate.predictor, [text]))
    for _ in range(ROUNDS):
        for candidate in made:
            whole[candidate.name].append(_seconds(candidate.predictor, list(texts)))
    for candidate in made:
        candidate.latency_ms = 1e3 * statistics.median(single[candidate.name])
        candidate.texts_s = len(texts) / statistics.median(whole[candidate.name])


def _seconds(predictor: Predictor, texts: list[str]) -> float:
    start = time.perf_counter()
    predictor.say(texts)
    return time.perf_counter() - start


def _cost(candidate: Candidate, target: str) -> float:
    """What the target wants to be least."""
    match target:
        case "latency":
            return candidate.latency_ms
        case "throughput":
            return 1 / candidate.texts_s
    return float(candidate.bytes)


def _keep(source: Path, out: Path) -> None:
    if out.exists():
        shutil.rmtree(out)
    shutil.copytree(source, out)


def _why(
    best: Candidate,
    second: Sequence[Candidate],
    target: str,
    allowed: Allowance,
    made: Sequence[Candidate],
) -> str:
    after = "".join(f"; next {registry.plain(c.name)} with {_shown(c, target)}" for c in second)
    broke = [registry.plain(c.name) for c in made if not allowed.keeps(c.value)]
    lost = f"; outside the budget: {', '.join(broke)}" if broke else ""
    return (
        f"Scheme {registry.plain(best.name)} was chosen for {target} out of {len(made)}: "
        f"{_shown(best, target)}{after}{lost}. Measured here, on dev.select's texts."
    )


def _shown(candidate: Candidate, target: str) -> str:
    match target:
        case "latency":
            return f"{candidate.latency_ms:.2f} ms a text"
        case "throughput":
            return f"{candidate.texts_s:,.0f} texts/s"
    return f"{candidate.bytes / 1e6:.1f} MB"
