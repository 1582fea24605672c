"""Running the step without a runner."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from gradus.records import CheckpointRef
from gradus.steps.base import StepContext, StepOutcome
from gradus.steps.quantize import Quantize
from gradus.testing.world import ListeningMonitor

from .classifiers import Silent, make_classifier, make_data


def quantise(
    ref: CheckpointRef,
    folder: Path,
    *,
    data: Any = None,
    others: Mapping[str, Any] | None = None,
    **config: Any,
) -> StepOutcome:
    """What the step makes of a checkpoint, in ``folder / "checkpoint"``.

    `data` is the data themselves, `data_name` what the config calls them.
    """
    if "data_name" in config:
        config["data"] = config.pop("data_name")
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    context = StepContext(
        id="small",
        seed=1,
        out=folder,
        work=work,
        models={"tuned": ref},
        data=data,
        monitor=Silent() if data is None else ListeningMonitor(data),
        dtype="float32",
        threads=1,
        datasets=others or {},
    )
    return Quantize().run(Quantize.Config(model="tuned", **config), context)


FAMILIES = ("bert", "roberta", "distilbert", "gpt2", "llama")


class Pair:
    """A parent and its int8 child, made once for all tests of a process."""

    _made: ClassVar[dict[str, Pair]] = {}

    def __init__(self, family: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"gradus-{family}-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.parent = make_classifier(family, self.folder)
        self.outcome = quantise(self.parent, self.folder / "small", data=make_data())
        self.child = self.folder / "small" / "checkpoint"

    @classmethod
    def of(cls, family: str) -> Pair:
        """The family's pair."""
        if family not in cls._made:
            cls._made[family] = cls(family)
        return cls._made[family]
